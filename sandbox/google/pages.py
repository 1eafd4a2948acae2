"""The page behind "Add to Google Wallet", and a phone that shows the cards it has saved."""

import time
from typing import TYPE_CHECKING, Any

import jwt
import msgspec
import segno
from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request, url_for

from sandbox.google import totp
from sandbox.google.account import EMAIL, SAVE_PATH
from sandbox.google.faults import Fault
from sandbox.google.refusal import Refusal, invalid
from sandbox.google.rules import Body
from sandbox.google.wallet import balance

if TYPE_CHECKING:
    from sandbox.google.world import Google

pages = Blueprint("google_wallet", __name__)
FIRST = "pixel"
LONGEST_LINK = 1800  # characters of a save link that every browser and mail program lets through
Card = dict[str, Any]


def running() -> "Google":
    found: Google = current_app.extensions["google"]
    return found


@pages.context_processor
def spoken() -> dict[str, str]:
    return {"language": _language()}


@pages.errorhandler(Refusal)
def refused(refusal: Refusal) -> Any:
    if request.is_json or request.path.endswith("/state"):
        return jsonify(refusal.body()), refusal.status
    return render_template("google/refused.html", why=refusal.message), refusal.status


# Saving.


def linked(token: str) -> str:
    """The object a save link is for; whole ones in it are made first. Raises Refusal."""
    google = running()
    if len(token) > LONGEST_LINK:
        raise invalid(f"The link has {len(token)} characters; {LONGEST_LINK} is the most that is safe.")
    wants: Any = {"require": ["iss", "aud", "iat"]}
    try:
        key = google.tokens.key
        told = jwt.decode(token, key, ["RS256"], audience="google", issuer=EMAIL, options=wants)
    except jwt.PyJWTError as error:
        raise invalid(f"The link can't be trusted: {error}.") from None
    if told.get("typ") != "savetowallet":
        raise invalid("The link's typ is not savetowallet.")
    if not all(isinstance(one, str) for one in _list(told.get("origins", []))):
        raise invalid("The link's origins are not addresses.")
    return _object(told.get("payload"))


def _object(payload: Any) -> str:
    listed = _list(payload.get("loyaltyObjects") if isinstance(payload, dict) else None)
    if len(listed) != 1 or not isinstance(listed[0], dict) or not isinstance(listed[0].get("id"), str):
        raise invalid("The link names no card.")
    body, wallet = listed[0], running().wallet
    kept = wallet.kept("loyaltyObject", body["id"])
    if kept is None and "state" in body:
        wallet.insert("loyaltyObject", body)
    elif kept is not None and body.get("classId") not in (None, kept.body["classId"]):
        raise invalid("The link names another class than the card's.")
    return str(wallet.get("loyaltyObject", body["id"])["id"])


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise invalid("The link holds no list where one belongs.")
    return value


@pages.get(f"{SAVE_PATH}/<token>")
def offer(token: str) -> str:
    key = linked(token)
    phone = running().wallet.phone(_phone())
    return render_template("google/save.html", card=shown(key), phone=phone, saved=key in phone.cards)


@pages.post(f"{SAVE_PATH}/<token>")
def save(token: str) -> Any:
    """Save it to a phone; as JSON the answer is the object's id."""
    key = linked(token)
    running().wallet.save(_phone(), key)
    if request.is_json:
        return jsonify(object=key), 201
    return redirect(url_for(".look", name=_phone()), 303)


def _phone() -> str:
    form = request.get_json(silent=True) if request.is_json else request.form
    return (form or {}).get("phone") or request.args.get("phone") or FIRST


# The phone.


@pages.get("/google-wallet/")
def lying_around() -> Any:
    return redirect(url_for(".look", name=FIRST))


@pages.get("/google-wallet/<name>/")
def look(name: str) -> str:
    return render_template("google/phone.html", fragment=screen(name), name=name)


@pages.get("/google-wallet/<name>/screen")
def screen(name: str) -> str:
    """What is on the screen, for the page to show anew."""
    phone = running().wallet.phone(name)
    cards = [shown(key) for key in sorted(phone.cards, key=lambda key: -phone.cards[key])]
    return render_template("google/screen.html", phone=phone, cards=cards)


@pages.get("/google-wallet/<name>/state")
def state(name: str) -> Response:
    """As data: `cards` by object id (the object with its class, `saved_at`, the barcode's value now), and `notes`."""
    google = running()
    phone = google.wallet.phone(name)
    cards = {
        key: google.wallet.get("loyaltyObject", key) | {"saved_at": at, "code": code(key)["value"]}
        for key, at in phone.cards.items()
    }
    return jsonify(cards=cards, notes=msgspec.to_builtins(phone.notes))


@pages.post("/google-wallet/<name>/cards/<key>/remove")
def remove(name: str, key: str) -> Any:
    running().wallet.remove(name, key)
    return redirect(url_for(".look", name=name), 303)


@pages.post("/sandbox/google/faults")
def plan() -> Any:
    """Plan what goes wrong next: see `sandbox.google.faults`."""
    try:
        fault = msgspec.json.decode(request.get_data(), type=Fault)
    except msgspec.DecodeError as error:
        raise invalid(str(error)) from None
    running().faults.plan(**msgspec.structs.asdict(fault))
    return "", 204


@pages.delete("/sandbox/google/faults")
def calm() -> Any:
    running().faults.clear()
    return "", 204


# A card as the app draws it.


def shown(key: str) -> Card:
    """What the pages draw of an object and its class."""
    google = running()
    body = _localised(google.wallet.get("loyaltyObject", key), _language())
    parent = body["classReference"]
    colour = parent.get("hexBackgroundColor") or "#3c4043"
    both = [*(parent.get("messages") or []), *(body.get("messages") or [])]
    return {
        "id": key,
        "issuer": parent["issuerName"],
        "program": parent["programName"],
        "colour": colour,
        "ink": _ink(colour),
        "logo": google.images.shown(parent.get("programLogo")),
        "hero": google.images.shown(body.get("heroImage") or parent.get("heroImage")),
        "over": body["state"].upper() != "ACTIVE",
        "points": [_points(body[name]) for name in ("loyaltyPoints", "secondaryLoyaltyPoints") if body.get(name)],
        "tier": (parent.get("rewardsTierLabel", "Tier"), parent.get("rewardsTier", "")),
        "account": (body.get("accountName", ""), body.get("accountId", "")),
        "account_label": parent.get("accountIdLabel", "Member ID"),
        "texts": [*(body.get("textModulesData") or []), *(parent.get("textModulesData") or [])],
        "links": [*_links(body), *_links(parent)],
        "messages": list(reversed(both)),
        "code": code(key),
        "turning": bool(body.get("rotatingBarcode")),
    }


def code(key: str) -> dict[str, str]:
    """The barcode as it is at this moment: its value, the text beneath, and a picture."""
    body = running().wallet.get("loyaltyObject", key)
    turning, still = body.get("rotatingBarcode"), body.get("barcode") or {}
    value = totp.value(turning["totpDetails"], turning["valuePattern"], time.time()) if turning else still.get("value")
    if not value:
        return {"value": "", "text": "", "picture": ""}
    picture = segno.make(value, micro=False, error="m").svg_data_uri(border=2, dark="#111", unit="")
    return {"value": value, "text": (turning or still).get("alternateText", ""), "picture": picture}


def _language() -> str:
    """What the phone is set to: `hl`, or the browser's own."""
    return request.args.get("hl") or request.accept_languages.best or "en"


def _localised(value: Any, language: str) -> Any:
    """A body in which each text is replaced by its translation, where there is one."""
    if isinstance(value, list):
        return [_localised(one, language) for one in value]
    if not isinstance(value, dict):
        return value
    made = {name: _localised(one, language) for name, one in value.items()}
    for name, text in value.items():
        if name.startswith("localized"):
            made[name[9].lower() + name[10:]] = _translated(text, language)
    return made


def _translated(text: Body, language: str) -> str:
    """In the language, in another of its kind (`pt` for `pt-BR`), or as it is by default."""
    known = {one["language"].lower(): one["value"] for one in text.get("translatedValues") or []}
    wanted = language.lower()
    return str(known.get(wanted) or known.get(wanted.partition("-")[0]) or text["defaultValue"]["value"])


def _ink(colour: str) -> str:
    """Black or white, whichever the app would write with on a colour."""
    digits = colour.lstrip("#")
    full = digits if len(digits) == 6 else "".join(one * 2 for one in digits)
    red, green, blue = (int(full[place : place + 2], 16) for place in (0, 2, 4))
    return "#1f2226" if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "#ffffff"


def _points(points: Body) -> tuple[str, str]:
    return points.get("label", "Points"), balance(points)


def _links(body: Body) -> list[Body]:
    return list((body.get("linksModuleData") or {}).get("uris") or [])
