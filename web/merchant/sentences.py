"""A program's form read back: fields of sentences become parts of the document, and what they don't ask of stays.

What can't be read as a number is kept as it was written, so that the document's own check says what is wrong with it.
"""

import copy
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from werkzeug.datastructures import MultiDict

from core.errors import InvalidInput
from core.money import minor_digits, to_minor, to_units

Form = MultiDict[str, str]
Document = dict[str, Any]
NEW = "new"
# Perks that become real in Shopify; others are left as they are.
PERKS = ("free-shipping", "early-access")
KINDS = {
    "bonuses": ("multiplier", "points"),
    "rewards": ("amount_off", "percentage", "free_shipping", "store_credit", "gift_card", "custom"),
    "activities": ("birthday", "anniversary", "newsletter", "sms", "social", "review", "community", "nps", "custom"),
}
BENEFITS = ("amount_off", "percentage", "free_shipping", "points", "store_credit", "none")


def applied(document: Mapping[str, Any], form: Form, currency: str) -> Document:
    """The document with those of its sections that the form has."""
    made = copy.deepcopy(dict(document))
    for section in form.getlist("section"):
        if section in _SECTIONS:
            _SECTIONS[section](made, form, currency)
    return made


def _text(form: Form, name: str) -> str:
    return form.get(name, "").replace("\x00", "").strip()


def whole(text: str) -> Any:
    """ "1,000" is 1000, "" is None; other words are left for the check."""
    plain = re.sub(r"[,\s\u00a0\u202f]", "", text)
    return int(plain) if re.fullmatch(r"-?[0-9]{1,12}", plain) else (text or None)


def minor(text: str, currency: str) -> Any:
    """ "5" or "5.00" in minor units."""
    plain = re.sub(r"[,\s\u00a0\u202f]", "", text)
    try:
        return to_minor(plain, currency) if plain else None
    except InvalidInput:
        return text


def units(value: Any, currency: str) -> str:
    """Minor units as they stand in a field: 500 is "5", 550 is "5.50"."""
    if not isinstance(value, int) or isinstance(value, bool):
        return "" if value is None else str(value)
    exact = to_units(value, currency)
    return f"{exact:.0f}" if exact == exact.to_integral_value() else f"{exact:.{minor_digits(currency)}f}"


def _set(part: Document, name: str, value: Any) -> None:
    """A value, or the field's own default where nothing was said."""
    if value is None:
        part.pop(name, None)
    else:
        part[name] = value


def _earning(document: Document, form: Form, _currency: str) -> None:
    orders = document.setdefault("orders", {})
    _set(orders, "points_per_unit", _text(form, "orders.points_per_unit") or None)
    _set(orders, "available", _text(form, "orders.available") or None)
    _set(orders, "waiting_days", whole(_text(form, "orders.waiting_days")))
    for name in ("include_tax", "include_shipping"):
        if f"orders.{name}.asked" in form:
            orders[name] = form.get(f"orders.{name}") == "1"
    joining = document.setdefault("joining", {})
    _set(joining, "points", whole(_text(form, "joining.points")))


def _name(document: Document, form: Form, _currency: str) -> None:
    document["name"] = _text(form, "name")


def _ladder(document: Document, form: Form, currency: str) -> None:
    ladder = document.setdefault("ladder", {"tiers": []})
    if "ladder.metric" in form:
        _set(ladder, "metric", _text(form, "ladder.metric") or None)
        _set(ladder, "period", _text(form, "ladder.period") or None)
        _set(ladder, "window_days", whole(_text(form, "ladder.window_days")))
        if ladder.get("period") in ("rolling", "lifetime"):
            ladder.pop("grace_days", None)
            ladder.pop("demotion", None)
    money = ladder.get("metric", "eligible_spend") == "eligible_spend"

    def read(part: Document, at: str) -> None:
        part["name"] = _text(form, f"{at}.name")
        said = _text(form, f"{at}.threshold")
        _set(part, "threshold", (minor(said, currency) if money else whole(said)) if said else 0)
        _set(part, "multiplier", _text(form, f"{at}.multiplier") or None)
        chosen = set(form.getlist(f"{at}.perks"))
        kept = [perk for perk in part.get("perks", ()) if perk not in PERKS]
        part["perks"] = [perk for perk in PERKS if perk in chosen] + kept
        if f"{at}.entry_gift" in form:
            _set(part, "entry_gift", whole(_text(form, f"{at}.entry_gift")))

    ladder["tiers"] = _rows(form, "tiers", ladder.get("tiers", ()), read)


def _bonuses(document: Document, form: Form, currency: str) -> None:
    def read(part: Document, at: str) -> None:
        part["name"] = _text(form, f"{at}.name")
        for name in ("points", "multiplier"):
            part.pop(name, None)
        if form.get(f"{at}.kind") == "points":
            _set(part, "points", whole(_text(form, f"{at}.worth")))
        else:
            _set(part, "multiplier", _text(form, f"{at}.worth") or None)
        _set(part, "minimum_spend", minor(_text(form, f"{at}.minimum_spend"), currency))
        _set(part, "order_number", 1 if form.get(f"{at}.first") == "1" else None)
        part["tags"] = [tag for tag in (one.strip() for one in _text(form, f"{at}.tags").split(",")) if tag]
        for name in ("starts_at", "ends_at"):
            _set(part, name, _text(form, f"{at}.{name}") or None)

    document["bonuses"] = _rows(form, "bonuses", document.get("bonuses", ()), read)
    if "stacking" in form:
        document["stacking"] = _text(form, "stacking")


def _activities(document: Document, form: Form, _currency: str) -> None:
    def read(part: Document, at: str) -> None:
        part["name"] = _text(form, f"{at}.name")
        part.setdefault("kind", _text(form, f"{at}.kind"))
        _set(part, "points", whole(_text(form, f"{at}.points")))
        if part["kind"] == "social":
            part["network"] = _text(form, f"{at}.network") or part.get("network", "Instagram")
        if part["kind"] in ("social", "community"):
            _set(part, "url", _text(form, f"{at}.url") or None)

    document["activities"] = _rows(form, "activities", document.get("activities", ()), read)


def _rewards(document: Document, form: Form, currency: str) -> None:
    def read(part: Document, at: str) -> None:
        part["name"] = _text(form, f"{at}.name")
        part["kind"] = _text(form, f"{at}.kind") or part.get("kind", "amount_off")
        _set(part, "cost", whole(_text(form, f"{at}.cost")))
        worth = _text(form, f"{at}.worth")
        part.pop("percentage", None)
        if part["kind"] == "percentage":
            part.pop("amount", None)
            _set(part, "percentage", worth or None)
        elif part["kind"] in ("free_shipping", "custom"):
            part.pop("amount", None)
        else:
            _set(part, "amount", minor(worth, currency))
        if part["kind"] != "percentage":
            part.pop("maximum", None)
        _set(part, "minimum_order", minor(_text(form, f"{at}.minimum_order"), currency))
        _set(part, "valid_days", whole(_text(form, f"{at}.valid_days")))

    document["rewards"] = _rows(form, "rewards", document.get("rewards", ()), read)


def _referral(document: Document, form: Form, currency: str) -> None:
    referral = document.setdefault("referral", {})
    for side in ("friend_amount", "referrer_amount"):  # of versions from before there were kinds of benefits
        referral.pop(side, None)
    referral["enabled"] = form.get("referral.enabled") == "1"
    for side in ("friend", "referrer"):
        referral[side] = _benefit(referral.get(side, {}), form, f"referral.{side}", currency)
    _set(referral, "friend_minimum", minor(_text(form, "referral.friend_minimum"), currency))
    _set(referral, "holding_days", whole(_text(form, "referral.holding_days")))


def _benefit(held: Mapping[str, Any], form: Form, at: str, currency: str) -> Document:
    kind, worth = _text(form, f"{at}.kind"), _text(form, f"{at}.worth")
    if kind not in BENEFITS:
        return dict(held)  # a commission is set up with its partners
    kept = {name: held[name] for name in ("minimum_order", "valid_days") if held.get(name) and kind != "none"}
    if kind in ("amount_off", "store_credit"):
        return {**kept, "kind": kind, "amount": minor(worth, currency) or 0}
    if kind == "percentage":
        return {**kept, "kind": kind, "percentage": worth}
    return {"kind": kind, "points": whole(worth)} if kind == "points" else {**kept, "kind": kind}


def _expiry(document: Document, form: Form, _currency: str) -> None:
    kind = _text(form, "expiry.kind")
    if kind == "never":
        document["expiry"] = None
        return
    held = document.get("expiry") or {}
    made: Document = {"kind": kind, _text(form, "expiry.unit") or "months": whole(_text(form, "expiry.length"))}
    document["expiry"] = made | ({"notice_days": held["notice_days"]} if "notice_days" in held else {})


def _rows(
    form: Form, name: str, held: Iterable[Mapping[str, Any]], read: Callable[[Document, str], None]
) -> list[Document]:
    """The parts of a list as the form has them, in its order; a new one that was given no name is none."""
    before = {str(part.get("key")): part for part in held}
    made: list[Document] = []
    for row in form.getlist(name):
        at = f"{name}.{row}"
        fresh = row not in before
        if form.get(f"{at}.gone") == "1" or (fresh and not _text(form, f"{at}.name")):
            continue
        part = copy.deepcopy(dict(before.get(row, {})))
        read(part, at)
        if fresh:
            part = {"key": _key(part["name"], {*before, *(str(one.get("key")) for one in made)})} | part
        made.append(part)
    return made


def _key(name: str, taken: set[str]) -> str:
    """A key that says what it is of, and stays when the part is renamed."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    key = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:32].strip("-") or "part"
    reserved = {"adjustment", "merge", "gift", "redeem", "expiry", "entry-gift", "referral"}
    number, found = 1, key
    while found in taken | reserved:
        number += 1
        found = f"{key}-{number}"
    return found


_SECTIONS: dict[str, Callable[[Document, Form, str], None]] = {
    "name": _name,
    "earning": _earning,
    "ladder": _ladder,
    "bonuses": _bonuses,
    "activities": _activities,
    "rewards": _rewards,
    "referral": _referral,
    "expiry": _expiry,
}
