"""The pass file: `pass.json`, images, words, a manifest of their SHA-1 sums, and its signature, in a stored zip.

Everything that all cards of a design share is worked out once: the images, the words of each language, their part of
the manifest, their records in the zip. What is left for each pass is one JSON text, two sums and one signature.

Keys and their meaning are those of Apple's "Wallet Passes": Pass, PassFields, PassFieldContent, Pass.Locations.
"""

import functools
import hashlib
import html
import struct
import zlib
from collections.abc import Callable, Collection, Mapping
from datetime import UTC
from typing import Any, NamedTuple

import msgspec

from wallet_passes import content
from wallet_passes.apple import images
from wallet_passes.content import Card, Field
from wallet_passes.design import Colour, Design, Place
from wallet_passes.languages import ENGLISH, LANGUAGES, Catalogue, catalogue

# Of the zip format (APPNOTE 4.3): local header, central directory header, end of central directory.
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION = 20
_UTF8 = 0x800
# 1 January 1980: the same pass is the same bytes, whenever it was made.
_DATE = 0x21

_PLACES = {
    "header": "headerFields",
    "primary": "primaryFields",
    "secondary": "secondaryFields",
    "auxiliary": "auxiliaryFields",
    "back": "backFields",
}
MOST_PLACES = 10


class Template(NamedTuple):
    """What all passes of a design share. `records` and `directory` are parts of a zip, `sums` one of the manifest."""

    records: bytes
    directory: bytes
    files: int
    sums: bytes


class Identity(NamedTuple):
    """What a pass is known by. `service` and `token` are where and how its phone asks for news.

    `nfc_key` is the public key of terminals that may read it by NFC, empty without a certificate for that.
    """

    pass_type: str
    team: str
    serial: str
    service: str
    token: str
    nfc_key: str = ""


# Reads a shop's own pictures by their digests.
Read = Callable[[Collection[str]], Mapping[str, bytes]]


def _no_pictures(digests: Collection[str]) -> Mapping[str, bytes]:
    return {}


class _Reading(NamedTuple):
    """How pictures are read takes no part in what they are: their digests in the design say that."""

    read: Read

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reading)

    def __hash__(self) -> int:
        return 0


def template(design: Design, look: str = "", read: Read = _no_pictures) -> Template:
    """The shared part of all passes of a design, for the members of a tier (its key)."""
    return _template(design, look, _Reading(read))


@functools.lru_cache(maxsize=256)
def _template(design: Design, look: str, reading: _Reading) -> Template:
    wanted = {digest for digest in design.pictures if digest}
    files = images.files(design, look, reading.read(wanted) if wanted else {}) | strings()
    records, directory = _zipped(files, 0)
    return Template(records, directory, len(files), _sums(files))


@functools.cache
def strings() -> dict[str, bytes]:
    """What a phone of each language shows in place of the English words of `pass.json`: `fr.lproj/pass.strings`."""
    return {f"{language}.lproj/pass.strings": _strings(catalogue(language)) for language in LANGUAGES}


def _strings(words: Catalogue) -> bytes:
    english = catalogue(ENGLISH)
    pairs = {english.labels[key]: label for key, label in words.labels.items()}
    pairs |= {english.changes[key]: change for key, change in words.changes.items() if english.changes[key] != "%@"}
    return "".join(f'"{_escaped(key)}" = "{_escaped(word)}";\n' for key, word in pairs.items()).encode()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def package(shared: Template, pass_json: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """A whole pass file. `sign` gives the detached signature of a manifest."""
    own = {"pass.json": pass_json}
    manifest = b"{" + shared.sums + b"," + _sums(own) + b"}"
    own |= {"manifest.json": manifest, "signature": sign(manifest)}
    records, directory = _zipped(own, len(shared.records))
    count, start = shared.files + len(own), len(shared.records) + len(records)
    size = len(shared.directory) + len(directory)
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, size, start, 0)
    return b"".join((shared.records, records, shared.directory, directory, end))


def pass_json(card: Card, design: Design, identity: Identity) -> bytes:
    """The `pass.json` of a store card. One that has ended is void and asks for news no more."""
    told: dict[str, Any] = {
        "formatVersion": 1,
        "passTypeIdentifier": identity.pass_type,
        "teamIdentifier": identity.team,
        "serialNumber": identity.serial,
        "organizationName": card.shop,
        "description": card.description,
        "backgroundColor": _css(design.background),
        "foregroundColor": _css(design.foreground),
        "labelColor": _css(design.label),
        # A card is its member's own.
        "sharingProhibited": True,
        "storeCard": _fields(card, design),
    }
    # Not said at all where the logo says it already.
    if logo_text := design.spoken(card.language).logo_text:
        told["logoText"] = logo_text
    if card.ended:
        return msgspec.json.encode(told | {"voided": True})
    news = {"webServiceURL": identity.service, "authenticationToken": identity.token}
    codes = {"barcodes": [_barcode(card)]} | _nfc(card, identity)
    return msgspec.json.encode(told | news | codes | _places(card, design))


def _nfc(card: Card, identity: Identity) -> dict[str, Any]:
    """What terminals read, at most 64 bytes: the same as scanners do (Apple, "Pass.NFC")."""
    if not identity.nfc_key:
        return {}
    return {"nfc": {"message": card.code, "encryptionPublicKey": identity.nfc_key}}


def _places(card: Card, design: Design) -> dict[str, Any]:
    """Where the card shows on the lock screen. Apple takes ten places; `maxDistance` is in metres."""
    places = design.spoken(card.language).places[:MOST_PLACES]
    if not places:
        return {}
    far = {"maxDistance": design.max_distance} if design.max_distance else {}
    return {"locations": [_location(place, card) for place in places]} | far


def _location(place: Place, card: Card) -> dict[str, Any]:
    near = catalogue(card.language).near.format(shop=content.embedded(card.shop, card.language))
    return {"latitude": place.latitude, "longitude": place.longitude, "relevantText": place.text or near}


def _fields(card: Card, design: Design) -> dict[str, list[dict[str, Any]]]:
    placed: dict[str, list[dict[str, Any]]] = {name: [] for name in _PLACES.values()}
    for field in _heard(card, design):
        placed[_PLACES[field.place]].append(_field(field, card.points))
    return placed


def _heard(card: Card, design: Design) -> tuple[Field, ...]:
    """All fields. A phone announces changes of fields that it knows: so there is always a message, said or not."""
    fields = content.fields(card, design)
    if card.ended or any(field.key == "message" for field in fields):
        return fields
    quiet = design.spoken(card.language).welcome or catalogue(card.language).quiet
    message = Field("message", catalogue(card.language).labels["message"], quiet, "back")
    front = tuple(field for field in fields if field.place != "back")
    return (*front, message, *fields[len(front) :])


def _field(field: Field, points: int) -> dict[str, Any]:
    """Labels and announcements are given in English, which is what the phone looks up in its own language's words."""
    told: dict[str, Any] = {"key": field.key, "value": field.text}
    told["label"] = catalogue(ENGLISH).labels.get(field.key, field.label)
    if field.change:
        told["changeMessage"] = content.announcement(field.key, points, ENGLISH)
    if field.place == "back":
        # Only our own links: a code may look like a telephone number.
        told["dataDetectorTypes"] = []
    if field.link:
        told["attributedValue"] = _anchor(field.text, field.link)
    return told | (_moment(field) if field.moment else {})


def _anchor(text: str, link: str) -> str:
    """The one tag that the back of a card knows. The address itself leads there; a text around it stays."""
    shown = html.escape(text)
    address = html.escape(link)
    anchor = f"<a href='{address}'>{{}}</a>"
    return shown.replace(address, anchor.format(address)) if address in shown else anchor.format(shown)


def _moment(field: Field) -> dict[str, Any]:
    """The phone writes it by its own clock and calendar."""
    assert field.moment is not None
    value = field.moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    return {"value": value, "dateStyle": "PKDateStyleMedium", "timeStyle": "PKDateStyleShort"}


def _barcode(card: Card) -> dict[str, str]:
    return {
        "format": "PKBarcodeFormatQR",
        "message": card.code,
        "messageEncoding": "iso-8859-1",
        "altText": card.code_text,
    }


def _css(colour: Colour) -> str:
    return f"rgb({colour[0]}, {colour[1]}, {colour[2]})"


def _sums(files: Mapping[str, bytes]) -> bytes:
    """A part of the manifest, without its brackets. Apple's manifest takes SHA-1."""
    return ",".join(f'"{name}":"{hashlib.sha1(data).hexdigest()}"' for name, data in files.items()).encode()


def _zipped(files: Mapping[str, bytes], offset: int) -> tuple[bytes, bytes]:
    """Records of stored files for a zip in which they begin at `offset`, and their part of its directory."""
    records, directory = [], []
    for name, data in files.items():
        raw, crc, size = name.encode(), zlib.crc32(data), len(data)
        about = (_VERSION, _UTF8, 0, 0, _DATE, crc, size, size, len(raw), 0)
        records.append(_LOCAL.pack(b"PK\x03\x04", *about) + raw + data)
        directory.append(_CENTRAL.pack(b"PK\x01\x02", _VERSION, *about, 0, 0, 0, 0, offset) + raw)
        offset += len(records[-1])
    return b"".join(records), b"".join(directory)
