"""What a phone checks before it shows a pass: the zip, the manifest, the signature and its chain, and who signed."""

import hashlib
import io
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates
from cryptography.x509.oid import NameOID

NEEDED = ("formatVersion", "passTypeIdentifier", "teamIdentifier", "serialNumber", "organizationName", "description")
STYLES = ("storeCard", "coupon", "eventTicket", "boardingPass", "generic")
LARGEST = 10 * 1024 * 1024


class BadPass(ValueError):
    """A phone would not take this pass; the message says why."""


class PassFile(msgspec.Struct):
    """A pass that was found right: what `pass.json` says, and the images by file name."""

    told: dict[str, Any]
    images: dict[str, bytes]

    @property
    def style(self) -> dict[str, list[dict[str, Any]]]:
        return next(dict(self.told[style]) for style in STYLES if style in self.told)

    def fields(self) -> list[dict[str, Any]]:
        """Front and back, in the order they are shown."""
        order = ("headerFields", "primaryFields", "secondaryFields", "auxiliaryFields", "backFields")
        return [field for place in order for field in self.style.get(place, [])]


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
    _check_signer(told, files["signature"])
    return _passfile(told, files)


def read(data: bytes) -> PassFile:
    """A pass file that was checked before."""
    files = _unzipped(data)
    return _passfile(msgspec.json.decode(files["pass.json"]), files)


def _passfile(told: dict[str, Any], files: dict[str, bytes]) -> PassFile:
    return PassFile(told, {name: content for name, content in files.items() if name.endswith(".png")})


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
    missing = [name for name in NEEDED if not told.get(name)]
    if missing or sum(style in told for style in STYLES) != 1:
        raise BadPass(f"pass.json lacks {', '.join(missing) or 'its style'}")
    if "webServiceURL" in told and len(told.get("authenticationToken", "")) < 16:
        raise BadPass("its token is shorter than 16 characters")
    if "storeCard" in told and "logo.png" not in files:
        raise BadPass("logo.png is missing")


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
