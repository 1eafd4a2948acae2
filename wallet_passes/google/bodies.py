"""A card in Google's words: a class for each tier's look, an object for each member. Pure.

Fields and their limits are those of https://developers.google.com/wallet/reference/rest/v1/loyaltyclass and
…/loyaltyobject; a test holds every body against Google's discovery document.
"""

import functools
import hashlib
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgspec

from wallet_passes import barcode
from wallet_passes.content import TIER, Card, Field, shortened
from wallet_passes.design import Design, written
from wallet_passes.languages import ENGLISH, LANGUAGES, catalogue
from wallet_passes.messages.rules import Shown
from wallet_passes.rotating import Details

Body = dict[str, Any]

CLASS, OBJECT = "loyaltyClass", "loyaltyObject"
NOTIFY = "NOTIFY_ON_UPDATE"
MOST_TEXTS = 10
MOST_PLACES = 10
MOST_MESSAGES = 10
# Google's numbers end here.
INT32 = 2**31

# What has a place of its own at Google, is told as a message, or is nothing but a link.
_PLACED = frozenset({"points", "tier", "member", "progress", "message", "program", "portal", "website"})
# The rows of the front. A place whose field is empty stays empty.
_FRONT = (
    ("object.loyaltyPoints.balance", "class.localizedRewardsTier"),
    ("object.secondaryLoyaltyPoints.balance", "object.textModulesData['reward']"),
)


class Addresses(NamedTuple):
    """Where Google finds what it shows, and where it calls us when a card is saved or removed."""

    logo: str
    hero: str
    callback: str


def class_id(issuer: str, shop_id: int, look: str) -> str:
    """The id of a look's class."""
    return f"{issuer}.{shop_id}-{look or 'card'}"


def object_id(issuer: str, serial: str) -> str:
    """The id of a card."""
    return f"{issuer}.{serial}"


def serial_of(issuer: str, id_: str) -> str | None:
    """The serial of an object's id; None for one of another issuer."""
    return id_.removeprefix(f"{issuer}.") if id_.startswith(f"{issuer}.") else None


def _named(design: Design) -> dict[str, str]:
    """The tier's name by language, where it has one."""
    return {to: shortened(words.tier, TIER) for to, words in design.translations if words.tier}


def loyalty_class(id_: str, card: Card, design: Design, addresses: Addresses) -> Body:
    """What all cards of a look share. Of the card it takes only what is the same on all of them."""
    title = design.words.title or _text(card, "program") or card.shop
    tier = None if "tier" in design.hidden else card.tier or None
    return {
        "id": id_,
        "issuerName": card.shop,
        "programName": title,
        "localizedProgramName": _localized(title, {to: words.title for to, words in design.translations}),
        "programLogo": _image(addresses.logo, card.shop),
        "heroImage": _image(addresses.hero, card.shop),
        "hexBackgroundColor": written(design.background),
        "reviewStatus": "UNDER_REVIEW",
        "accountNameLabel": _english("member"),
        "localizedAccountNameLabel": _label("member"),
        "rewardsTierLabel": _english("tier"),
        "localizedRewardsTierLabel": _label("tier"),
        "rewardsTier": tier,
        "localizedRewardsTier": _localized(tier, _named(design)) if tier else None,
        "multipleDevicesAndHoldersAllowedStatus": "ONE_USER_ALL_DEVICES",
        "merchantLocations": [
            {"latitude": place.latitude, "longitude": place.longitude} for place in design.words.places[:MOST_PLACES]
        ],
        "textModulesData": _own_texts(design),
        "linksModuleData": {
            "uris": [_uri(f"link-{number}", one.label, one.url) for number, one in enumerate(design.words.links, 1)]
        },
        "callbackOptions": {"url": addresses.callback},
        "classTemplateInfo": {"cardTemplateOverride": {"cardRowTemplateInfos": [_row(*row) for row in _FRONT]}},
    }


def loyalty_object(
    id_: str, class_id: str, card: Card, hidden: Collection[str], account: str, rotating: Details | None = None
) -> Body:
    """A member's card, less the fields that the shop hides. `account` is how they are called where their name is not.

    What it does not have is null, so that a PATCH takes it away.
    """
    if card.ended:
        return ended_object(id_, class_id)
    fields = {field.key: field for field in card.fields if field.key not in hidden}
    texts = [field for field in fields.values() if field.key not in _PLACED]
    # The still code of a card that rotates can't spend: what is read off a picture must not do what the digits guard.
    code = rotating.code if rotating else card.code
    return {
        "id": id_,
        "classId": class_id,
        "state": "ACTIVE",
        "accountId": account,
        "accountName": card.member if card.member and "member" not in hidden else None,
        "loyaltyPoints": _points("points", _balance(card.points)) if "points" in fields else None,
        "secondaryLoyaltyPoints": _second(fields.get("progress")),
        "textModulesData": [_text_module(field) for field in texts[:MOST_TEXTS]],
        "linksModuleData": {
            "uris": [_uri(one.key, one.label, one.link) for one in fields.values() if one.link and one.key != "message"]
        },
        "barcode": {"type": "QR_CODE", "value": code, "alternateText": barcode.grouped(code)},
        "rotatingBarcode": _rotating(rotating, barcode.grouped(code)) if rotating else None,
    }


def ended_object(id_: str, class_id: str) -> Body:
    """A card that is over: it names nobody and opens nothing. For a PUT, which takes all else away."""
    return {"id": id_, "classId": class_id, "state": "INACTIVE"}


def message(shown: Shown, *, announce: bool) -> Body:
    """What `addMessage` takes. The link stands in the text, as Google's guide for messages has it."""
    text = f"{shown.body}\n{shown.link}" if shown.link else shown.body
    told: Body = {
        "id": message_id(shown),
        "header": shown.title,
        "body": text,
        "messageType": "TEXT_AND_NOTIFY" if announce else "TEXT",
    }
    if shown.ends_at:
        told["displayInterval"] = {"end": {"date": shown.ends_at.isoformat()}}
    return {"message": told}


def message_id(shown: Shown) -> str:
    return f"message-{shown.id}"


def holds(resource: Mapping[str, Any], shown: Shown) -> bool:
    """Whether an object, as Google told it, has the message already."""
    return any(one.get("id") == message_id(shown) for one in resource.get("messages") or ())


def digest(body: Body) -> str:
    """Tells whether a body is another one."""
    return hashlib.sha256(msgspec.json.encode(body)).hexdigest()


def _text(card: Card, key: str) -> str:
    return next((field.text for field in card.fields if field.key == key), "")


def _balance(points: int) -> Body:
    """As a number, where Google's hold it. The other kind is null, for a PATCH would leave it beside this one."""
    small = -INT32 <= points < INT32
    return {"int": points if small else None, "string": None if small else f"{points:,}"}


def _second(progress: Field | None) -> Body | None:
    """How far the next tier is."""
    return _points("progress", {"string": progress.text}) if progress else None


def _points(key: str, balance: Body) -> Body:
    return {"label": _english(key), "localizedLabel": _label(key), "balance": balance}


def _text_module(field: Field) -> Body:
    known = field.key in catalogue(ENGLISH).labels
    header = {"localizedHeader": _label(field.key)} if known else {}
    return {"id": field.key, "header": field.label, "body": field.text, **header}


def _uri(key: str, label: str, url: str) -> Body:
    return {"id": key, "description": label, "uri": url}


def _own_texts(design: Design) -> list[Body]:
    """What the shop itself says on its cards: a line of welcome, its texts, the terms."""
    words = design.words
    told = [_own_text("welcome", words.welcome, design), *_labelled(design), _own_text("terms", words.terms, design)]
    return [text for text in told if text["body"]][:MOST_TEXTS]


def _own_text(key: str, text: str, design: Design) -> Body:
    translated = {to: getattr(words, key) for to, words in design.translations}
    header = {"header": _english(key), "localizedHeader": _label(key)} if key == "terms" else {}
    return {"id": key, "body": text, "localizedBody": _localized(text, translated), **header}


def _labelled(design: Design) -> list[Body]:
    """The shop's labelled texts; a translation has them in the same order."""
    return [
        {
            "id": f"text-{number + 1}",
            "header": own.label,
            "localizedHeader": _localized(own.label, _nth(design, number, "label")),
            "body": own.text,
            "localizedBody": _localized(own.text, _nth(design, number, "text")),
        }
        for number, own in enumerate(design.words.texts)
    ]


def _nth(design: Design, number: int, part: str) -> dict[str, str]:
    return {to: getattr(words.texts[number], part) for to, words in design.translations if number < len(words.texts)}


def _rotating(told: Details, text: str) -> Body:
    return {
        "type": "QR_CODE",
        "valuePattern": told.pattern,
        "alternateText": text,
        "totpDetails": {
            "algorithm": "TOTP_SHA1",
            "periodMillis": str(told.period),
            "parameters": [{"key": told.key, "valueLength": told.digits}],
        },
    }


def _image(url: str, name: str) -> Body:
    return {"sourceUri": {"uri": url}, "contentDescription": _localized(name, {})}


@functools.cache
def _label(key: str) -> Body:
    """What a field is called, in every language that cards speak: Google shows the phone's."""
    return _localized(_english(key), {language: catalogue(language).labels[key] for language in LANGUAGES})


def _english(key: str) -> str:
    return catalogue(ENGLISH).labels[key]


def _localized(text: str, translated: Mapping[str, str]) -> Body:
    """`LocalizedString`: a text, and what it is in other languages.

    What has no translation gets the default, which is English: where the shop wrote in another language and gave the
    English, what it wrote stays for all others.
    """
    if english := translated.get(ENGLISH):
        written_so = dict.fromkeys((language for language in LANGUAGES if language != ENGLISH), text)
        text, translated = english, written_so | {to: value for to, value in translated.items() if value}
    others = [{"language": to, "value": value} for to, value in translated.items() if value and to != ENGLISH]
    return {"defaultValue": {"language": ENGLISH, "value": text}, "translatedValues": others}


def _row(start: str, end: str) -> Body:
    return {"twoItems": {"startItem": _item(start), "endItem": _item(end)}}


def _item(path: str) -> Body:
    return {"firstValue": {"fields": [{"fieldPath": path}]}}
