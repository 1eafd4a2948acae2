"""The pass file: `pass.json`, images, a manifest of their SHA-1 sums, and its signature, in a stored zip.

Everything that all cards of a design share is worked out once: the images, their part of the manifest, their records
in the zip. What is left for each pass is one JSON text, two sums and one signature.
"""

import functools
import hashlib
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from wallet_passes.apple import images
from wallet_passes.content import Card, Field
from wallet_passes.design import Colour, Design

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


class Template(NamedTuple):
    """What all passes of a design share. `records` and `directory` are parts of a zip, `sums` one of the manifest."""

    records: bytes
    directory: bytes
    files: int
    sums: bytes


class Identity(NamedTuple):
    """What a pass is known by. `service` and `token` are where and how its phone asks for news."""

    pass_type: str
    team: str
    serial: str
    service: str
    token: str


@functools.lru_cache(maxsize=256)
def template(design: Design) -> Template:
    """The shared part of all passes of a design."""
    files = images.generated(design)
    records, directory = _zipped(files, 0)
    return Template(records, directory, len(files), _sums(files))


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
        "logoText": card.shop,
        "backgroundColor": _css(design.background),
        "foregroundColor": _css(design.foreground),
        "labelColor": _css(design.label),
        # A card is its member's own.
        "sharingProhibited": True,
        "storeCard": _fields(card),
    }
    if card.ended:
        return msgspec.json.encode(told | {"voided": True})
    news = {"webServiceURL": identity.service, "authenticationToken": identity.token}
    return msgspec.json.encode(told | news | {"barcodes": [_barcode(card)]})


def _fields(card: Card) -> dict[str, list[dict[str, str]]]:
    placed: dict[str, list[dict[str, str]]] = {name: [] for name in _PLACES.values()}
    for field in card.fields:
        placed[_PLACES[field.place]].append(_field(field))
    return placed


def _field(field: Field) -> dict[str, str]:
    told = {"key": field.key, "label": field.label, "value": field.text}
    return told | {"changeMessage": field.change} if field.change else told


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
