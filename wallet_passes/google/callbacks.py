"""Google's word that somebody saved a card or removed it, and whether it is Google's own. Pure.

A callback is signed as ECv2SigningOnly: a root key, which Google publishes, signs an intermediate key, and that one the
message. What is signed is a row of texts, each after its length in bytes (four of them, the least first):

    intermediate key   sender, protocol, signed key
    message            sender, our issuer id, protocol, message

Source: https://developers.google.com/wallet/retail/loyalty-cards/use-cases/use-callbacks-for-saves-and-deletions, and
the payment method token cryptography that it refers to.
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from core.errors import InvalidInput, NotAuthenticated

SENDER = "GooglePayPasses"
PROTOCOL = "ECv2SigningOnly"
SAVED, REMOVED = "save", "del"
LONGEST_NONCE = 200
# Of an intermediate key; each costs a verification for each root key.
MOST_SIGNATURES = 5

T = TypeVar("T")


class Root(NamedTuple):
    """A key that Google publishes, good until `expires_at`."""

    key: EllipticCurvePublicKey
    expires_at: datetime


class Callback(NamedTuple):
    """What Google tells. `event` is `save`, `del`, or what it may think of later; later ones expire later."""

    class_id: str
    object_id: str
    event: str
    nonce: str
    expires_at: datetime


class Unreadable(InvalidInput):
    """This is no callback of Google's at all."""

    code = "bad_callback"


class Untrusted(NotAuthenticated):
    """A callback that was not signed by Google for us, or not for now."""

    code = "untrusted_callback"


class UnknownRoot(Untrusted):
    """None of the keys we know signed it: it is forged, or Google has a new one."""


class _SigningKey(msgspec.Struct, rename="camel"):
    signed_key: str
    signatures: list[str]


class _Envelope(msgspec.Struct, rename="camel"):
    protocol_version: Literal["ECv2SigningOnly"]
    intermediate_signing_key: _SigningKey
    signed_message: str
    signature: str


class _Key(msgspec.Struct, rename="camel"):
    """`key_expiration` is in milliseconds of the epoch. Keys of other protocols have none."""

    key_value: str
    key_expiration: str | int = 0
    protocol_version: str = PROTOCOL


class _Keys(msgspec.Struct):
    keys: list[_Key]


class _Message(msgspec.Struct, rename="camel"):
    class_id: str
    object_id: str
    event_type: str
    exp_time_millis: str | int
    nonce: str


def roots(published: bytes) -> tuple[Root, ...]:
    """The keys that may sign callbacks, of all that Google publishes. Raises Unreadable."""
    every = _read(published, _Keys).keys
    return tuple(Root(_key(one), _moment(one.key_expiration)) for one in every if one.protocol_version == PROTOCOL)


def verified(raw: bytes, known: Sequence[Root], issuer: str, now: datetime) -> Callback:
    """What a callback to `issuer` says. Raises Unreadable, UnknownRoot, Untrusted."""
    envelope = _read(raw, _Envelope)
    signer = _intermediate(envelope.intermediate_signing_key, known, now)
    said = _said(SENDER, issuer, PROTOCOL, envelope.signed_message)
    if not _signed(signer, envelope.signature, said):
        raise Untrusted("this callback was not signed for us")
    message = _read(envelope.signed_message.encode(), _Message)
    return _checked(message, issuer, now)


def _intermediate(given: _SigningKey, known: Sequence[Root], now: datetime) -> EllipticCurvePublicKey:
    """The key that signed the message, once a root key is seen to vouch for it."""
    said = _said(SENDER, PROTOCOL, given.signed_key)
    good = [root.key for root in known if root.expires_at > now]
    if not any(_signed(key, signature, said) for key in good for signature in given.signatures[:MOST_SIGNATURES]):
        raise UnknownRoot("no key of Google's vouches for this callback")
    key = _read(given.signed_key.encode(), _Key)
    if _moment(key.key_expiration) <= now:
        raise Untrusted("the key that signed this callback has expired")
    return _key(key)


def _checked(message: _Message, issuer: str, now: datetime) -> Callback:
    if not all(key.startswith(f"{issuer}.") for key in (message.class_id, message.object_id)):
        raise Untrusted("this callback is about another issuer's card")
    expires_at = _moment(message.exp_time_millis)
    if expires_at <= now:
        raise Untrusted("this callback has expired")
    if not 0 < len(message.nonce) <= LONGEST_NONCE or not message.nonce.isprintable():
        raise Unreadable("the nonce of this callback is empty, too long or no plain text")
    return Callback(message.class_id, message.object_id, message.event_type, message.nonce, expires_at)


def _said(*texts: str) -> bytes:
    return b"".join(len(part).to_bytes(4, "little") + part for part in (text.encode() for text in texts))


def _signed(key: EllipticCurvePublicKey, signature: str, said: bytes) -> bool:
    try:
        key.verify(_bytes(signature), said, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _key(given: _Key) -> EllipticCurvePublicKey:
    try:
        key = load_der_public_key(_bytes(given.key_value))
    except (ValueError, UnsupportedAlgorithm):
        raise Unreadable("a key is not readable") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Unreadable("a key is not of the curve P-256")
    return key


def _bytes(text: str) -> bytes:
    """Base64 in its one right spelling. Raises Unreadable."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    if not data or base64.b64encode(data).decode() != text:
        raise Unreadable("a key or signature is not readable")
    return data


def _moment(milliseconds: str | int) -> datetime:
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise Unreadable("a time is not readable") from None


def _read(raw: bytes, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=type_)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Unreadable("this is not a callback of Google Wallet") from None
