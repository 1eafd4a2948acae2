"""What Google's reference demands beyond the types of its discovery document. Pure.

The sentences of https://developers.google.com/wallet/reference/rest say which fields are required, which exclude each
other and how long lists may be.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from sandbox.google import schema

Body = dict[str, Any]
Rule = Callable[[Body], Iterator[str]]

MOST_MESSAGES = 10
MOST_LOCATIONS = 10
SUFFIX = r"[A-Za-z0-9._-]+"
LINKS = ("http", "https", "tel", "mailto", "geo", "sms")
_COLOUR = re.compile(r"#([0-9a-fA-F]{3}){1,2}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_TOTP = re.compile(r"\{totp_value_(\d+)\}")


def faults(name: str, body: Body, issuer: str) -> list[str]:
    """What is wrong with a whole class or object whose types are right."""
    found = [] if is_id(body.get("id"), issuer) else [f"Invalid resource ID: {body.get('id')}."]
    for message in schema.messages(name, body):
        where = f"{message.path}: " if message.path else ""
        found += [where + fault for fault in _RULES.get(message.name, _nothing)(message.value)]
    return found


def is_id(value: object, issuer: str) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(rf"{issuer}\.{SUFFIX}", value))


def plain(value: object) -> str:
    """An enumeration's value, whichever of its spellings was used."""
    return str(value or "").replace("_", "").lower()


def loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _class(body: Body) -> Iterator[str]:
    yield from _required(body, "issuerName", "programName", "programLogo", "reviewStatus")
    if body.get("hexBackgroundColor") and not _COLOUR.fullmatch(body["hexBackgroundColor"]):
        yield "hexBackgroundColor must be #rrggbb or #rgb."
    if body.get("countryCode") and not re.fullmatch("[A-Z]{2}", body["countryCode"]):
        yield "countryCode must be an ISO 3166-1 alpha-2 code."
    yield from _lists(body)


def _object(body: Body) -> Iterator[str]:
    yield from _required(body, "classId", "state")
    yield from _lists(body)


def _lists(body: Body) -> Iterator[str]:
    if len(body.get("messages") or []) > MOST_MESSAGES:
        yield f"messages: at most {MOST_MESSAGES}."
    if len(body.get("merchantLocations") or []) > MOST_LOCATIONS:
        yield f"merchantLocations: at most {MOST_LOCATIONS}."


def _image(body: Body) -> Iterator[str]:
    if bool(body.get("sourceUri")) == bool(body.get("privateImageId")):
        yield "set either sourceUri or privateImageId."


def _image_uri(body: Body) -> Iterator[str]:
    yield from _required(body, "uri")
    if body.get("uri") and not _safe(body["uri"]):
        yield "uri must be an https address."


def _uri(body: Body) -> Iterator[str]:
    yield from _required(body, "uri")
    if body.get("uri") and urlsplit(body["uri"]).scheme not in LINKS:
        yield "uri must have a scheme."


def _callbacks(body: Body) -> Iterator[str]:
    if body.get("url") and not _safe(body["url"]):
        yield "url must be an https address."


def _localized(body: Body) -> Iterator[str]:
    yield from _required(body, "defaultValue")


def _translated(body: Body) -> Iterator[str]:
    yield from _required(body, "language", "value")
    if body.get("language") and not _LANGUAGE.fullmatch(body["language"]):
        yield "language must be a BCP 47 tag."


def _text(body: Body) -> Iterator[str]:
    if body.get("id") and not re.fullmatch("[A-Za-z0-9_-]+", body["id"]):
        yield "id may have letters, digits, '_' and '-' only."


def _points(body: Body) -> Iterator[str]:
    yield from _required(body, "balance")


def _balance(body: Body) -> Iterator[str]:
    if sum(body.get(kind) is not None for kind in ("string", "int", "double", "money")) != 1:
        yield "set exactly one of string, int, double, money."


def _barcode(body: Body) -> Iterator[str]:
    yield from _required(body, "type", "value")


def _rotating(body: Body) -> Iterator[str]:
    yield from _required(body, "type", "valuePattern", "totpDetails")
    named = {int(number) for number in _TOTP.findall(body.get("valuePattern") or "")}
    given = len((body.get("totpDetails") or {}).get("parameters") or [])
    if named != set(range(given)):
        yield "valuePattern and totpDetails.parameters must name the same values."


def _totp(body: Body) -> Iterator[str]:
    yield from _required(body, "algorithm", "periodMillis", "parameters")
    if plain(body.get("algorithm")) != "totpsha1":
        yield "algorithm must be TOTP_SHA1."
    if int(body.get("periodMillis") or 0) <= 0:
        yield "periodMillis must be positive."


def _parameters(body: Body) -> Iterator[str]:
    yield from _required(body, "key", "valueLength")
    if not re.fullmatch("([0-9a-fA-F]{2})+", body.get("key") or ""):
        yield "key must be Base16."
    if not 0 < int(body.get("valueLength") or 0) <= 10:
        yield "valueLength must be from 1 to 10."


def _place(body: Body) -> Iterator[str]:
    if not (-90 <= body.get("latitude", 91) <= 90 and -180 <= body.get("longitude", 181) <= 180):
        yield "latitude or longitude is out of bounds."


def _moment(body: Body) -> Iterator[str]:
    try:
        datetime.fromisoformat(body.get("date") or "")
    except ValueError:
        yield "date must be an ISO 8601 date and time."


def _nothing(body: Body) -> Iterator[str]:
    yield from ()


def _required(body: Body, *names: str) -> Iterator[str]:
    for name in names:
        if body.get(name) in (None, "", [], {}):
            yield f"{name} is required."


def _safe(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and loopback(host)))
    except ValueError:
        return False


_RULES: dict[str, Rule] = {
    "LoyaltyClass": _class,
    "LoyaltyObject": _object,
    "Image": _image,
    "ImageUri": _image_uri,
    "Uri": _uri,
    "CallbackOptions": _callbacks,
    "LocalizedString": _localized,
    "TranslatedString": _translated,
    "TextModuleData": _text,
    "LoyaltyPoints": _points,
    "LoyaltyPointsBalance": _balance,
    "Barcode": _barcode,
    "RotatingBarcode": _rotating,
    "RotatingBarcodeTotpDetails": _totp,
    "RotatingBarcodeTotpDetailsTotpParameters": _parameters,
    "MerchantLocation": _place,
    "LatLongPoint": _place,
    "DateTime": _moment,
}
