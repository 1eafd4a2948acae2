"""The pass certificate: read and checked once per process, for parsing costs fifty times what signing does."""

import functools
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder
from cryptography.x509.oid import NameOID

from core import clock
from core.config import Settings, settings
from core.errors import NotFound, RapportError

# Binary, or line ends would be rewritten before hashing; detached, for the manifest lies beside its signature.
_OPTIONS = [PKCS7Options.DetachedSignature, PKCS7Options.Binary]


class BadCertificate(RapportError):
    """The pass certificate can't be used; the sentence says what is wrong with it."""

    code = "bad_certificate"


class NotSetUp(NotFound):
    """This installation makes no Apple passes."""

    code = "no_apple_wallet"


class Certificate(NamedTuple):
    """A pass certificate that can sign, what it names (pass type id, team id), and Apple's that issued it."""

    pass_type: str
    team: str
    expires_at: datetime
    fingerprint: str
    leaf: x509.Certificate
    key: RSAPrivateKey
    issuer: x509.Certificate

    def sign(self, manifest: bytes) -> bytes:
        """The detached CMS signature of a manifest, in DER. Raises BadCertificate once it has expired."""
        if clock.now() >= self.expires_at:
            raise BadCertificate(f"the pass certificate expired on {self.expires_at:%d %B %Y}")
        builder = PKCS7SignatureBuilder().set_data(manifest).add_signer(self.leaf, self.key, hashes.SHA256())
        # Last, for the builder's other steps forget the certificates that were added.
        return builder.add_certificate(self.issuer).sign(Encoding.DER, _OPTIONS)


def current() -> Certificate:
    """The operator's certificate. Raises NotSetUp or BadCertificate."""
    return _loaded(settings())


@functools.lru_cache(maxsize=2)
def _loaded(config: Settings) -> Certificate:
    if config.apple_certificate is None:
        raise NotSetUp("Apple Wallet is not set up here")
    password = config.apple_key_password.get_secret_value()
    files = (_read(path) for path in (config.apple_certificate, config.apple_key, config.apple_wwdr))
    return load(*files, password=password, now=clock.now())


def _read(path: Path | None) -> bytes:
    if path is None:
        raise BadCertificate("APPLE_CERTIFICATE needs APPLE_KEY and APPLE_WWDR beside it")
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCertificate(f"{path.name} can't be read: {error.strerror}") from None


def load(certificate: bytes, key: bytes, wwdr: bytes, *, password: str = "", now: datetime) -> Certificate:
    """A certificate from PEM files, checked: dates, what it names, its key, its issuer. Raises BadCertificate."""
    leaf, issuer = _certificate(certificate, "the pass certificate"), _certificate(wwdr, "the WWDR certificate")
    private = _key(key, password)
    if private.public_key() != leaf.public_key():
        raise BadCertificate("the key does not belong to the pass certificate")
    for one, name in ((leaf, "the pass certificate"), (issuer, "the WWDR certificate")):
        _check_dates(one, name, now)
    try:
        leaf.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        raise BadCertificate("the pass certificate was not issued by this WWDR certificate") from None
    return Certificate(
        pass_type=_named(leaf, NameOID.USER_ID, "pass type id"),
        team=_named(leaf, NameOID.ORGANIZATIONAL_UNIT_NAME, "team id"),
        expires_at=min(leaf.not_valid_after_utc, issuer.not_valid_after_utc),
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        leaf=leaf,
        key=private,
        issuer=issuer,
    )


def _certificate(pem: bytes, name: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise BadCertificate(f"{name} is not a PEM certificate") from None


def _key(pem: bytes, password: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem, password.encode() or None)
    except TypeError:
        why = "is not encrypted, but a password is set" if password else "is encrypted: set APPLE_KEY_PASSWORD"
        raise BadCertificate(f"the key {why}") from None
    except ValueError:
        raise BadCertificate("the key is no PEM key, or its password is wrong") from None
    if not isinstance(key, RSAPrivateKey):
        raise BadCertificate("the key is no RSA key, and pass certificates have those")
    return key


def _check_dates(certificate: x509.Certificate, name: str, now: datetime) -> None:
    if now < certificate.not_valid_before_utc:
        raise BadCertificate(f"{name} is not valid before {certificate.not_valid_before_utc:%d %B %Y}")
    if now >= certificate.not_valid_after_utc:
        raise BadCertificate(f"{name} expired on {certificate.not_valid_after_utc:%d %B %Y}")


def _named(certificate: x509.Certificate, oid: x509.ObjectIdentifier, what: str) -> str:
    found = [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]
    if not found or (what == "pass type id" and not found[0].startswith("pass.")):
        raise BadCertificate(f"the certificate names no {what}: it is no Pass Type ID certificate")
    return found[0]
