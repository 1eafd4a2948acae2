"""What a pass certificate comes in: PEM, DER as Apple's site gives it out, PKCS#12 as a keychain exports it.

What a password protects is opened in a process of its own: whoever made the file says how many rounds its password
takes, and as many as fit in that number take half an hour. This file is that process too: it imports nothing of ours.
"""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

LARGEST = 64 * 1024  # bytes
PATIENCE = 5  # seconds
_BEGIN, _CERTIFICATE = b"-----BEGIN ", b"-----BEGIN CERTIFICATE-----"
_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----.*?-----END (?:[A-Z]+ )*PRIVATE KEY-----\s?", re.S)


class Unreadable(ValueError):
    """A file holds nothing that is of use; the message is for the person who sent it."""


class Read(NamedTuple):
    """All certificates that were found, those of the first file first, and the private key, if there was one."""

    certificates: Sequence[x509.Certificate]
    key: PrivateKeyTypes | None


def read(certificate: bytes, key: bytes = b"", password: str = "") -> Read:
    """What is in the file of a certificate and in that of its key. Raises Unreadable."""
    pem = _pem(certificate, "the pass certificate", password)
    if _CERTIFICATE not in pem:
        raise Unreadable(f"the pass certificate's file holds no certificate: {_instead(pem)}")
    return Read(
        _certificates(pem, "the pass certificate"), _key(_pem(key, "the key", password) if key else pem, password)
    )


def certificates(data: bytes, name: str) -> Sequence[x509.Certificate]:
    """The certificates of a file that holds no key, PEM or DER. Raises Unreadable."""
    return _certificates(_pem(data, name, ""), name) if data else ()


def _pem(data: bytes, name: str, password: str) -> bytes:
    """A file of any of these kinds as PEM. A key that came as PEM may still be encrypted."""
    if len(data) > LARGEST:
        raise Unreadable(f"{name} is larger than {LARGEST // 1024} KB: this is some other file")
    if _BEGIN in data:
        if data.count(_BEGIN) != data.count(b"-----END "):
            raise Unreadable(f"{name} is cut off: the last line of its PEM text is missing")
        return data
    try:
        return _written(x509.load_der_x509_certificate(data))
    except ValueError:
        return _unlocked(data, name, password)


def _instead(pem: bytes) -> str:
    if b"CERTIFICATE REQUEST" in pem:
        return "it is a signing request, so send what Apple made of it"
    return "it is a key" if b"KEY-----" in pem else "it is some other file"


def _certificates(pem: bytes, name: str) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise Unreadable(f"{name} is not a PEM certificate, or it is damaged") from None


def _key(pem: bytes, password: str) -> PrivateKeyTypes | None:
    match = _KEY.search(pem)
    if match is None:
        return None
    found = match[0]
    if b"ENCRYPTED" in found:
        found = _unlocked(found, "the key", password)
    try:
        return _loaded(found)
    except (ValueError, TypeError):
        raise Unreadable("the key is no PEM key, or it is damaged") from None


def _loaded(pem: bytes, password: bytes | None = None) -> PrivateKeyTypes:
    """Not checked for being a sound key: that takes long, and signing once shows it as well."""
    return load_pem_private_key(pem, password, unsafe_skip_rsa_key_validation=True)


def _unlocked(data: bytes, name: str, password: str) -> bytes:
    asked = json.dumps([base64.b64encode(data).decode(), password]).encode()
    try:
        # -P: what lies beside this file is not to be found as a module.
        done = subprocess.run([sys.executable, "-P", __file__], input=asked, capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise Unreadable(f"{name} takes too long to open: export it again with the usual settings") from None
    if done.returncode == 0:
        return done.stdout
    raise Unreadable(_why(done.stdout, name, password))


def _why(told: bytes, name: str, password: str) -> str:
    if told == b"password":
        return f"{name} is encrypted, and its password is {'wrong' if password else 'missing'}"
    kinds = "PEM key" if name == "the key" else "PEM, DER or PKCS#12 file (.pem, .cer, .p12, .pfx)"
    return f"{name} is no {kinds}, or it is damaged or cut off"


def _main() -> int:
    """In the process of its own: data and password on standard input; out goes PEM, or what is wrong in one word."""
    data, password = json.load(sys.stdin)
    try:
        sys.stdout.buffer.write(_opened(base64.b64decode(data), password.encode()))
    except (ValueError, TypeError) as error:
        sys.stdout.write("password" if "password" in str(error).lower() else "unreadable")
        return 1
    return 0


def _opened(data: bytes, password: bytes) -> bytes:
    """An encrypted key, or PKCS#12, as PEM in which nothing is encrypted."""
    if _BEGIN in data:
        return _written(_loaded(data, password))
    found = pkcs12.load_pkcs12(data, password or None)
    first = [found.cert] if found.cert else []
    held = [one.certificate for one in (*first, *found.additional_certs)]
    return b"".join(map(_written, [*held, found.key] if found.key else held))


def _written(one: x509.Certificate | PrivateKeyTypes) -> bytes:
    if isinstance(one, x509.Certificate):
        return one.public_bytes(Encoding.PEM)
    return one.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


if __name__ == "__main__":
    sys.exit(_main())
