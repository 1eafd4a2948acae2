"""What a phone checks before it shows a pass: the zip, the manifest, the signature and its chain, who signed, and that
every part can be read: keys, fields, colours, places, pictures, words.

Apple: "Wallet Passes" (Pass, PassFields, PassFieldContent) and "Building a Pass".
"""

import functools
import hashlib
import io
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates
from cryptography.x509.oid import NameOID

NEEDED = ("formatVersion", "passTypeIdentifier", "teamIdentifier", "serialNumber", "organizationName", "description")
STYLES = ("storeCard", "coupon", "eventTicket", "boardingPass", "generic")
LARGEST = 10 * 1024 * 1024
PLACES = ("headerFields", "primaryFields", "secondaryFields", "auxiliaryFields", "backFields")
MOST = {"headerFields": 3, "primaryFields": 1}
MOST_LOCATIONS = 10
# Of a pass, as far as this phone can tell what they mean.
_KEYS = """
    formatVersion passTypeIdentifier teamIdentifier serialNumber organizationName description storeCard coupon
    eventTicket boardingPass generic webServiceURL authenticationToken backgroundColor foregroundColor labelColor
    logoText barcodes locations maxDistance nfc voided expirationDate sharingProhibited suppressStripShine
    associatedStoreIdentifiers appLaunchURL userInfo beacons"""
_FIELD_KEYS = """
    key label value attributedValue changeMessage dataDetectorTypes textAlignment dateStyle timeStyle isRelative
    ignoresTimeZone currencyCode numberStyle semantics"""
KEYS, FIELD_KEYS = frozenset(_KEYS.split()), frozenset(_FIELD_KEYS.split())
FORMATS = {f"PKBarcodeFormat{name}" for name in ("QR", "PDF417", "Aztec", "Code128")}
_COLOUR = re.compile(r"rgb\((?:25[0-5]|2[0-4]\d|1?\d?\d)(?:, ?(?:25[0-5]|2[0-4]\d|1?\d?\d)){2}\)")
# One tag, one attribute.
_ANCHOR = re.compile(r"<a href='https?://[^'<>\s]+'>[^<>]*</a>")
# What a strings file is made of: text in quotation marks, `=`, `;`, comments, and room between them.
_STRINGS = re.compile(r'\s+|/\*.*?\*/|//[^\n]*|"(?P<key>(?:[^"\\]|\\.)*)"\s*=\s*"(?P<word>(?:[^"\\]|\\.)*)"\s*;', re.S)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
PNG = b"\x89PNG\r\n\x1a\n"


class BadPass(ValueError):
    """A phone would not take this pass; the message says why."""


class PassFile(msgspec.Struct):
    """A pass that was found right: what `pass.json` says, the images by file name, and the words by language."""

    told: dict[str, Any]
    images: dict[str, bytes]
    languages: dict[str, dict[str, str]] = {}

    @property
    def style(self) -> dict[str, list[dict[str, Any]]]:
        return next(dict(self.told[style]) for style in STYLES if style in self.told)

    def fields(self) -> list[dict[str, Any]]:
        """Front and back, in the order they are shown, as `pass.json` has them."""
        return [field for place in PLACES for field in self.style.get(place, [])]

    def words(self, language: str) -> Mapping[str, str]:
        """What to show in place of the pass's own words; nothing in a language that it does not have."""
        return self.languages.get(language, {})

    def spoken(self, language: str) -> list[dict[str, Any]]:
        """The fields as a phone of a language shows them."""
        return [field for place in PLACES for field in self.placed(language)[place]]

    def placed(self, language: str) -> dict[str, list[dict[str, Any]]]:
        """The same by their places."""
        words = self.words(language)
        return {place: [_translated(field, words) for field in self.style.get(place, [])] for place in PLACES}


def _translated(field: dict[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    known = {part: words.get(field[part], field[part]) for part in ("label", "changeMessage") if part in field}
    return field | known


def opened(data: bytes, root: Path) -> PassFile:
    """A pass file, checked against the root certificate that the phone believes. Raises BadPass."""
    files = _unzipped(data)
    _check_manifest(files)
    _check_signature(files["manifest.json"], files["signature"], root)
    try:
        told = msgspec.json.decode(files["pass.json"])
    except msgspec.DecodeError as error:
        raise BadPass(f"pass.json is no JSON: {error}") from None
    _check_told(told, files)
    found = _passfile(told, files)
    _check_signer(told, files["signature"])
    return found


def read(data: bytes) -> PassFile:
    """A pass file that was checked before."""
    files = _unzipped(data)
    return _passfile(msgspec.json.decode(files["pass.json"]), files)


def _passfile(told: dict[str, Any], files: dict[str, bytes]) -> PassFile:
    images = {name: content for name, content in files.items() if name.endswith(".png")}
    named = (name.removesuffix(".lproj/pass.strings") for name in files if name.endswith(".lproj/pass.strings"))
    return PassFile(told, images, {name: _kept_strings(files[f"{name}.lproj/pass.strings"]) for name in named})


@functools.lru_cache(maxsize=64)
def _kept_strings(data: bytes) -> dict[str, str]:
    """All cards of a design have the same words."""
    return strings(data)


def strings(data: bytes) -> dict[str, str]:
    """The pairs of a strings file. Raises BadPass where a phone would read none of them."""
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    except UnicodeDecodeError as error:
        raise BadPass(f"a strings file is no text: {error}") from None
    found, place = {}, 0
    while place < len(text):
        part = _STRINGS.match(text, place)
        if part is None:
            raise BadPass(f"a strings file can't be read from {text[place : place + 20]!r} on")
        place = part.end()
        if part["key"] is not None:
            found[_plain(part["key"])] = _plain(part["word"])
    return found


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text, flags=re.S)


def _unzipped(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                raise BadPass("it is too large")
            names = archive.namelist()
            files = {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise BadPass(f"it is no zip: {error}") from None
    if len(names) != len(files):
        raise BadPass("a file is in it twice")
    for needed in ("pass.json", "manifest.json", "signature", "icon.png"):
        if needed not in files:
            raise BadPass(f"{needed} is missing")
    return files


def _check_manifest(files: dict[str, bytes]) -> None:
    sums = msgspec.json.decode(files["manifest.json"], type=dict[str, str])
    told = {name: hashlib.sha1(data).hexdigest() for name, data in files.items()}
    del told["manifest.json"], told["signature"]
    if sums != told:
        wrong = sorted(name for name in {*sums, *told} if sums.get(name) != told.get(name))
        raise BadPass(f"the manifest is wrong about {', '.join(wrong)}")


def _check_signature(manifest: bytes, signature: bytes, root: Path) -> None:
    """By OpenSSL's own command, which shares no code with what made it."""
    with tempfile.TemporaryDirectory() as folder:
        told, signed = Path(folder) / "manifest", Path(folder) / "signature"
        told.write_bytes(manifest)
        signed.write_bytes(signature)
        command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-out", "/dev/null"]
        given = ["-in", str(signed), "-content", str(told), "-CAfile", str(root)]
        done = subprocess.run([*command, *given], capture_output=True, text=True)
    if done.returncode != 0:
        raise BadPass(f"the signature is wrong: {done.stderr.strip().splitlines()[-1] if done.stderr else ''}")


def _check_told(told: Any, files: dict[str, bytes]) -> None:
    if not isinstance(told, dict):
        raise BadPass("pass.json is no object")
    missing = [name for name in NEEDED if not told.get(name)]
    if missing or sum(style in told for style in STYLES) != 1:
        raise BadPass(f"pass.json lacks {', '.join(missing) or 'its style'}")
    for fault in (*_faults(told), *_field_faults(told)):
        raise BadPass(fault)
    if "storeCard" in told and "logo.png" not in files:
        raise BadPass("logo.png is missing")
    for name, data in files.items():
        if name.endswith(".png") and not data.startswith(PNG):
            raise BadPass(f"{name} is no PNG")


def _faults(told: dict[str, Any]) -> Iterator[str]:
    yield from (f"pass.json has {key}, which means nothing" for key in told if key not in KEYS)
    if told["formatVersion"] != 1:
        yield "its format is not version 1"
    for name in ("backgroundColor", "foregroundColor", "labelColor"):
        if not _COLOUR.fullmatch(told.get(name, "rgb(0, 0, 0)")):
            yield f"{name} is no colour"
    if "webServiceURL" in told and len(told.get("authenticationToken", "")) < 16:
        yield "its token is shorter than 16 characters"
    for code in told.get("barcodes", []):
        if code.get("format") not in FORMATS or not code.get("message") or not code.get("messageEncoding"):
            yield "a barcode can't be drawn"
    places = told.get("locations", [])
    if len(places) > MOST_LOCATIONS or not all(_on_earth(place) for place in places):
        yield "its places are more than ten, or not on Earth"


def _on_earth(place: dict[str, Any]) -> bool:
    return abs(place["latitude"]) <= 90 and abs(place["longitude"]) <= 180


def _field_faults(told: dict[str, Any]) -> Iterator[str]:
    style = next(told[style] for style in STYLES if style in told)
    yield from (f"{place} is no place for fields" for place in style if place not in (*PLACES, "transitType"))
    yield from (f"{place} has too many fields" for place, most in MOST.items() if len(style.get(place, [])) > most)
    fields = [field for place in PLACES for field in style.get(place, [])]
    keys = [field.get("key") for field in fields]
    if len(set(keys)) != len(keys):
        yield "two fields have the same key"
    for field in fields:
        yield from _faults_of(field)


def _faults_of(field: dict[str, Any]) -> Iterator[str]:
    name = field.get("key")
    yield from (f"the field {name} has {key}, which means nothing" for key in field if key not in FIELD_KEYS)
    if not name or not isinstance(field.get("value"), str | int | float):
        yield f"the field {name} has no key or no value"
    if "%@" not in field.get("changeMessage", "%@"):
        yield f"the field {name} announces nothing: its changeMessage has no %@"
    if "<" in _ANCHOR.sub("", field.get("attributedValue", "")):
        yield f"the field {name} has more than links in its attributedValue"
    if field.keys() & {"dateStyle", "timeStyle"} and not _is_date(field["value"]):
        yield f"the field {name} is no date"


def _is_date(value: Any) -> bool:
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False


def _check_signer(told: dict[str, Any], signature: bytes) -> None:
    """The certificate must be for this very pass type, of this very team."""
    named = [_names(certificate) for certificate in load_der_pkcs7_certificates(signature)]
    if (told["passTypeIdentifier"], told["teamIdentifier"]) not in named:
        raise BadPass("it was signed by a certificate for other passes")


def _names(certificate: x509.Certificate) -> tuple[str, str]:
    oids = (NameOID.USER_ID, NameOID.ORGANIZATIONAL_UNIT_NAME)
    found = [certificate.subject.get_attributes_for_oid(oid) for oid in oids]
    kind, team = (str(one[0].value) if one else "" for one in found)
    return kind, team
