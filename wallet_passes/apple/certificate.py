"""The pass certificate: read and checked once per process, for parsing costs fifty times what signing does."""

import base64
import binascii
import functools
import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)
from cryptography.x509.oid import NameOID

from core import clock
from core.config import Settings, settings
from core.errors import NotFound, Unavailable
from wallet_passes.apple import reading
from wallet_passes.apple.reading import Unreadable
from wallet_passes.apple.signature import Mould, mould

# Where Apple has the certificates of those who issue pass certificates.
AUTHORITY = "apple.com/certificateauthority"
WWDR = "the WWDR certificate"
PASS = "the pass certificate"
KEY_BITS = range(2048, 4097)
# Apple names it nowhere; certificates that it issued for NFC passes carry it, and their common name begins with
# "Pass Type ID with NFC".
_NFC = x509.ObjectIdentifier("1.2.840.113635.100.6.1.26")
# What Apple's other certificates are called, by how their common name begins.
_OTHERS = {
    "Pass Type ID": "it names a pass type that does not begin with `pass.`",
    "Apple Push Services": "it is for pushes to an app (APNs)",
    "Apple Development IOS Push Services": "it is for pushes to an app (APNs)",
    "Apple Production IOS Push Services": "it is for pushes to an app (APNs)",
    "Apple Sandbox Push Services": "it is for pushes to an app (APNs)",
    "Website Push ID": "it is for pushes to web pages",
    "Developer ID": "it is a Developer ID certificate, for programs on a Mac",
    "Apple Development": "it is for building apps",
    "Apple Distribution": "it is for giving out apps",
    "iPhone": "it is for giving out apps",
    "Merchant ID": "it is for Apple Pay",
    "Apple Pay": "it is for Apple Pay",
    "Apple Worldwide Developer Relations": "it is Apple's own (WWDR), which goes beside yours",
    "Apple Root": "it is Apple's root",
}
# It stands in the paths that phones ask for, and in a header of pushes.
_PASS_TYPE = re.compile(r"pass\.[A-Za-z0-9.-]{1,200}")
# A P-256 key with a compressed point as SubjectPublicKeyInfo, but for its 33 bytes (RFC 5480).
_P256 = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")


class BadCertificate(Unavailable):
    """The pass certificate can't be used; the sentence says what is wrong with it."""

    code = "bad_certificate"
    retry_after = 3600


class NotSetUp(NotFound):
    """This installation makes no Apple passes."""

    code = "no_apple_wallet"


class Certificate(NamedTuple):
    """A pass certificate that can sign, what it names (pass type id, team id), and Apple's that issued it.

    `mould` is what its signatures are made of.

    `nfc`: whether it may sign passes that terminals read by NFC; `nfc_key` is the public key of these terminals, as
    `pass.json` has it, or empty.
    """

    pass_type: str
    team: str
    expires_at: datetime
    fingerprint: str
    leaf: x509.Certificate
    key: RSAPrivateKey
    issuer: x509.Certificate
    mould: Mould
    nfc: bool = False
    nfc_key: str = ""

    @property
    def mark(self) -> str:
        """Differs between certificates whose files differ."""
        return hashlib.sha256(f"{self.fingerprint}\n{self.nfc_key}".encode()).hexdigest()

    def pem(self, password: bytes = b"") -> str:
        """Itself, its key and its issuer, as `load` reads it."""
        sealing = BestAvailableEncryption(password) if password else NoEncryption()
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing)
        return b"".join((self.leaf.public_bytes(Encoding.PEM), key, self.issuer.public_bytes(Encoding.PEM))).decode()

    def check(self) -> None:
        """Raises BadCertificate before it is valid, and once it has expired."""
        now = clock.now()
        _check_dates(self.leaf, PASS, now)
        _check_dates(self.issuer, WWDR, now)

    def sign(self, manifest: bytes) -> bytes:
        """The detached CMS signature of a manifest, in DER. Raises BadCertificate once it has expired."""
        self.check()
        return self.mould.cast(self.key, manifest, clock.now())


def current() -> Certificate:
    """The operator's certificate. Raises NotSetUp or BadCertificate."""
    found = loaded()
    found.check()
    return found


def loaded() -> Certificate:
    """The operator's certificate, also once it has expired. Raises NotSetUp or BadCertificate."""
    return _loaded(settings())


@functools.lru_cache(maxsize=2)
def _loaded(config: Settings) -> Certificate:
    if config.apple_certificate is None:
        raise NotSetUp("Apple Wallet is not set up here")
    password = config.apple_key_password.get_secret_value()
    files = (_read(path) for path in (config.apple_certificate, config.apple_key, config.apple_wwdr))
    return load(*files, password=password, now=None)


def _read(path: Path | None) -> bytes:
    if path is None:
        return b""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCertificate(f"{path.name} can't be read: {error.strerror}") from None


def load(
    certificate: bytes,
    key: bytes = b"",
    wwdr: bytes = b"",
    *,
    password: str = "",
    issuers: Sequence[x509.Certificate] = (),
    now: datetime | None,
) -> Certificate:
    """A certificate from its files, checked: dates, what it names, its key, who issued it. Raises BadCertificate.

    `certificate` is PEM, DER or PKCS#12, and may hold the key and the issuer too. `issuers` are known already. Without
    `now` its dates are not looked at.
    """
    try:
        found, sent = reading.read(certificate, key, password), reading.certificates(wwdr, WWDR)
        return _checked(found, sent, issuers, now)
    except Unreadable as error:
        raise BadCertificate(str(error)) from None
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion) as error:
        raise BadCertificate(f"{PASS} is damaged: {error}") from None


def _checked(
    found: reading.Read, sent: Sequence[x509.Certificate], issuers: Sequence[x509.Certificate], now: datetime | None
) -> Certificate:
    leaf = _leaf(found)
    pass_type, team = _named(leaf, NameOID.USER_ID), _named(leaf, NameOID.ORGANIZATIONAL_UNIT_NAME)
    if not _PASS_TYPE.fullmatch(pass_type) or not team:
        raise BadCertificate(f"{PASS} is no Pass Type ID certificate: {_what(leaf)}")
    private = _checked_key(leaf, found)
    issuer = _issuer(leaf, sent or [one for one in (*found.certificates, *issuers) if one != leaf], bool(sent))
    if now is not None:
        _check_dates(leaf, PASS, now)
        _check_dates(issuer, WWDR, now)
    return Certificate(
        pass_type=pass_type,
        team=team,
        expires_at=min(leaf.not_valid_after_utc, issuer.not_valid_after_utc),
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        leaf=leaf,
        key=private,
        issuer=issuer,
        mould=mould(leaf, private, issuer),
        nfc=any(extension.oid == _NFC for extension in leaf.extensions),
    )


def _leaf(found: reading.Read) -> x509.Certificate:
    """Of several in one file, the one that the key belongs to."""
    held = found.certificates
    return next((one for one in held if found.key and one.public_key() == found.key.public_key()), held[0])


def _checked_key(leaf: x509.Certificate, found: reading.Read) -> RSAPrivateKey:
    key = found.key
    if key is None:
        raise BadCertificate("the key is missing: it is the private key of which the signing request was made")
    if not isinstance(key, RSAPrivateKey):
        raise BadCertificate("the key is no RSA key, and pass certificates have those")
    if key.key_size not in KEY_BITS:
        raise BadCertificate(f"the key has {key.key_size} bits, and pass certificates have 2048")
    if key.public_key() != leaf.public_key():
        raise BadCertificate("the key does not belong to the pass certificate")
    try:
        key.public_key().verify(
            key.sign(b"", padding.PKCS1v15(), hashes.SHA256()), b"", padding.PKCS1v15(), hashes.SHA256()
        )
    except (ValueError, InvalidSignature):
        raise BadCertificate("the key is damaged: what it signs can't be verified") from None
    return key


def _issuer(leaf: x509.Certificate, known: Iterable[x509.Certificate], sent: bool) -> x509.Certificate:
    for one in known:
        if _issued(leaf, one):
            return one
    generation = _of(leaf.issuer, NameOID.ORGANIZATIONAL_UNIT_NAME)
    file = f"AppleWWDRCA{generation}.cer of {AUTHORITY}"
    if sent:
        raise BadCertificate(f"{PASS} was not issued by this WWDR certificate: it takes {file}")
    raise BadCertificate(f"{WWDR} that issued it is missing: send {file} beside it")


def _issued(leaf: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(by)
        return by.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False


def _check_dates(certificate: x509.Certificate, name: str, now: datetime) -> None:
    if now < certificate.not_valid_before_utc:
        raise BadCertificate(f"{name} is not valid before {day(certificate.not_valid_before_utc)}")
    if now >= certificate.not_valid_after_utc:
        raise BadCertificate(f"{name} expired on {day(certificate.not_valid_after_utc)}", code="certificate_expired")


def day(moment: datetime) -> str:
    """A date as a sentence has it: `3 March 2027`."""
    return f"{moment.day} {moment:%B %Y}"


def _what(certificate: x509.Certificate) -> str:
    name = _named(certificate, NameOID.COMMON_NAME)
    found = next((what for begins, what in _OTHERS.items() if name.startswith(begins)), "it is for something else")
    return f"{found} ({name})" if name else found


def _named(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    return _of(certificate.subject, oid)


def _of(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    return next((str(attribute.value) for attribute in name.get_attributes_for_oid(oid)), "")


def terminal_key(given: str) -> str:
    """The public key of NFC terminals as `pass.json` has it, from PEM or Base64 of DER. Raises BadCertificate.

    Apple, "Pass.NFC": a Base64-encoded X.509 SubjectPublicKeyInfo with an ECDH public key of the group P256. Terminals
    expect its point compressed.
    """
    try:
        if "-----BEGIN" in given:
            key = load_pem_public_key(given.encode())
        else:
            key = load_der_public_key(base64.b64decode("".join(given.split()), validate=True))
    except (ValueError, TypeError, binascii.Error):
        raise BadCertificate("the key of the terminals is no public key, as PEM or Base64") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadCertificate("the key of the terminals is not of the curve P-256")
    return base64.b64encode(_P256 + key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)).decode()
