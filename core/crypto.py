"""Encryption of tokens at rest, keyed hashes of personal data, and random secrets."""

import base64
import functools
import hashlib
import hmac
import secrets

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from core.config import settings
from core.errors import RapportError


class UndecipherableSecret(RapportError):
    """A stored secret was encrypted under a key that is no longer in ENCRYPTION_KEYS."""

    code = "undecipherable_secret"


@functools.cache
def _fernets(keys: str) -> MultiFernet:
    return MultiFernet([Fernet(key.strip()) for key in keys.split(",") if key.strip()])


def _keys() -> MultiFernet:
    return _fernets(settings().encryption_keys.get_secret_value())


def encrypt(secret: str) -> bytes:
    """Encrypt under the newest key."""
    return _keys().encrypt(secret.encode())


def decrypt(sealed: bytes) -> str:
    """Decrypt under any key still listed. Raises UndecipherableSecret."""
    try:
        return _keys().decrypt(sealed).decode()
    except InvalidToken:
        raise UndecipherableSecret("a stored secret can't be read with the keys in ENCRYPTION_KEYS") from None


def rotate(sealed: bytes) -> bytes:
    """The same secret under the newest key. Raises UndecipherableSecret."""
    try:
        return _keys().rotate(sealed)
    except InvalidToken:
        raise UndecipherableSecret("a stored secret can't be read with the keys in ENCRYPTION_KEYS") from None


def keyring(purpose: str) -> tuple[bytes, ...]:
    """A 256-bit key for one purpose from each of ENCRYPTION_KEYS, newest first: the first signs, all verify."""
    return _derived(settings().encryption_keys.get_secret_value(), purpose)


@functools.cache
def _derived(keys: str, purpose: str) -> tuple[bytes, ...]:
    listed = (base64.urlsafe_b64decode(key.strip()) for key in keys.split(",") if key.strip())
    return tuple(hmac.digest(secret, f"rapport:{purpose}".encode(), "sha256") for secret in listed)


def signature(purpose: str, data: bytes) -> str:
    """An HMAC-SHA256 in hex under a key made of SECRET_KEY for one purpose: proof that this installation said it."""
    key = hmac.digest(settings().secret_key.get_secret_value().encode(), f"rapport:{purpose}".encode(), "sha256")
    return hmac.digest(key, data, "sha256").hex()


def blind_index(value: str) -> str:
    """A keyed hash that lets us recognise a person we erased without keeping who it was."""
    key = settings().secret_key.get_secret_value().encode()
    return hmac.new(key, b"blind-index:" + value.encode(), hashlib.sha256).hexdigest()


def digest(secret: str) -> str:
    """SHA-256 of a high-entropy secret (API keys), for look-up without storing it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def random_secret() -> str:
    """256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)
