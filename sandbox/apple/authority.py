"""What Apple's certificate authority is to a real installation: made once, kept with the state, good on this machine.

root ── intermediate (as "WWDR") ── pass certificate
    └── the push service's own certificate
"""

import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.processes import LOOPBACK

PASS_TYPE = "pass.dev.rapport.membership"
TEAM = "RAPPORTDEV"
LIVES = timedelta(days=3650)
RENEWED_BEFORE = timedelta(days=30)


class Files(NamedTuple):
    """Where the certificates and keys are, as PEM."""

    root: Path
    wwdr: Path
    certificate: Path
    key: Path
    push: Path
    wwdr_key: Path

    def settings(self, push_url: str) -> dict[str, str]:
        """What an installation is told to use them: environment variables."""
        return {
            "APPLE_CERTIFICATE": str(self.certificate),
            "APPLE_KEY": str(self.key),
            "APPLE_WWDR": str(self.wwdr),
            "APPLE_PUSH_URL": push_url,
            "APPLE_PUSH_CA": str(self.root),
        }


class Issued(NamedTuple):
    certificate: x509.Certificate
    key: RSAPrivateKey


def files(folder: Path) -> Files:
    """The chain under a folder, made if it is not there yet or about to expire."""
    found = Files(*(folder / name for name in ("root.pem", "wwdr.pem", "pass.pem", "pass.key", "push.pem", "wwdr.key")))
    if not _good(found):
        shutil.rmtree(folder, ignore_errors=True)
        draft = folder.with_name(f"{folder.name}.{os.getpid()}")
        draft.mkdir(parents=True, mode=0o700)
        _make(draft)
        draft.rename(folder)
    return found


def _good(found: Files) -> bool:
    if not all(path.exists() for path in found):
        return False
    end = x509.load_pem_x509_certificate(found.certificate.read_bytes()).not_valid_after_utc
    return end > datetime.now(UTC) + RENEWED_BEFORE


def _make(folder: Path) -> None:
    root = authority("Rapport Development Root CA")
    wwdr = authority("Rapport Development WWDR Certification Authority", root)
    leaf = pass_certificate(wwdr)
    push = issue(_name("Rapport Development Push Service"), _SERVER, root)
    (folder / "root.pem").write_bytes(pem(root.certificate))
    (folder / "wwdr.pem").write_bytes(pem(wwdr.certificate))
    (folder / "wwdr.key").write_bytes(key_pem(wwdr.key))
    (folder / "pass.pem").write_bytes(pem(leaf.certificate))
    (folder / "pass.key").write_bytes(key_pem(leaf.key))
    (folder / "push.pem").write_bytes(pem(push.certificate) + key_pem(push.key))


def pass_certificate(
    wwdr: Issued,
    pass_type: str = PASS_TYPE,
    team: str = TEAM,
    lives: timedelta = LIVES,
    *,
    nfc: bool = False,
    key: RSAPrivateKey | None = None,
) -> Issued:
    """A pass certificate, named as Apple names them: the pass type is the user id, the team the unit."""
    kind = "Pass Type ID with NFC" if nfc else "Pass Type ID"
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.USER_ID, pass_type),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{kind}: {pass_type}"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, team),
        ]
    )
    return issue(subject, (*_CLIENT, _NFC) if nfc else _CLIENT, wwdr, lives, key)


def wwdr(found: Files) -> Issued:
    """Who issued the chain's pass certificate, to issue more: of other shops, renewed, or expired."""
    key = load_pem_private_key(found.wwdr_key.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    return Issued(x509.load_pem_x509_certificate(found.wwdr.read_bytes()), key)


def p12(issued: Issued, password: str = "", others: Sequence[x509.Certificate] = ()) -> bytes:
    """As a keychain exports a certificate with its key."""
    sealing = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"pass", issued.key, issued.certificate, others, sealing)


Extension = tuple[x509.ExtensionType, bool]
_AUTHORITY: Sequence[Extension] = (
    (x509.BasicConstraints(ca=True, path_length=None), True),
    (x509.KeyUsage(False, False, False, False, False, True, True, False, False), True),
)
_CLIENT: Sequence[Extension] = (
    (x509.BasicConstraints(ca=False, path_length=None), True),
    (x509.KeyUsage(True, False, False, False, False, False, False, False, False), True),
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION]), False),
)
# What Apple's certificates for NFC passes carry beside: see `wallet_passes.apple.certificate`.
_NFC: Extension = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.840.113635.100.6.1.26"), b"\x05\x00"), False)
_SERVER: Sequence[Extension] = (
    (x509.BasicConstraints(ca=False, path_length=None), True),
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
    (x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK)), x509.DNSName("localhost")]), False),
)


def authority(name: str, issuer: Issued | None = None) -> Issued:
    """Somebody who issues certificates, vouched for by themselves or by another."""
    return issue(_name(name), _AUTHORITY, issuer)


def issue(
    subject: x509.Name,
    extensions: Sequence[Extension],
    issuer: Issued | None,
    lives: timedelta = LIVES,
    key: RSAPrivateKey | None = None,
) -> Issued:
    key = key or rsa.generate_private_key(65537, 2048)
    by, now = issuer or Issued(None, key), datetime.now(UTC)  # type: ignore[arg-type]
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=by.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A machine whose clock was put right meanwhile still believes it.
        .not_valid_before(min(now, now + lives) - timedelta(days=1))
        .not_valid_after(now + lives)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Issued(builder.sign(by.key, hashes.SHA256()), key)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def key_pem(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
