"""The code on a card: thirty characters that say whose card it is, signed, with nothing in them to read.

    version  key  handle    generation  signature
    1        1    8         4           16           characters of five bits each

The handle is random and means nothing outside its shop. The generation moves on with each redemption, so that a
picture of an older code cannot spend. No character can be taken for another (Crockford's base 32), and all of them are
of QR's compact alphabet. Pure: the keys are arguments.
"""

import hmac
import secrets
from collections.abc import Sequence
from typing import NamedTuple

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
VERSION = "1"
HANDLE = 8
GENERATION = 4
SIGNATURE = 16
LENGTH = 2 + HANDLE + GENERATION + SIGNATURE
GENERATIONS = 32**GENERATION

# What people type for what they read.
_TYPED = str.maketrans("OIL", "011", " -\t\r\n")


class Code(NamedTuple):
    """A code whose signature is right."""

    handle: str
    generation: int


class BadCode(ValueError):
    """Why a code is refused: `unreadable` (no code of ours, or cut short) or `forged` (no signature of this shop)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def new_handle() -> str:
    """Forty random bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(HANDLE))


def write(keys: Sequence[bytes], shop_id: int, handle: str, generation: int) -> str:
    """The code of a card, signed with the first of the keys."""
    said = f"{VERSION}{_key_id(keys[0])}{handle}{_digits(generation % GENERATIONS, GENERATION)}"
    return said + _signature(keys[0], shop_id, said)


def read(keys: Sequence[bytes], shop_id: int, code: str) -> Code:
    """What a scanned or typed code says in this shop. Raises BadCode."""
    plain = code.upper().translate(_TYPED)
    if len(plain) != LENGTH or not plain.startswith(VERSION) or set(plain) - set(ALPHABET):
        raise BadCode("unreadable")
    said, signature = plain[:-SIGNATURE], plain[-SIGNATURE:]
    if not any(
        _key_id(key) == said[1] and hmac.compare_digest(signature, _signature(key, shop_id, said)) for key in keys
    ):
        raise BadCode("forged")
    return Code(said[2 : 2 + HANDLE], _number(said[2 + HANDLE :]))


def grouped(code: str) -> str:
    """As people read it aloud: in groups of five."""
    return " ".join(code[place : place + 5] for place in range(0, len(code), 5))


def _key_id(key: bytes) -> str:
    return ALPHABET[hmac.digest(key, b"key id", "sha256")[0] % 32]


def _signature(key: bytes, shop_id: int, said: str) -> str:
    """Eighty bits. The shop is signed too, so that a card is good only where it was made."""
    mac = hmac.digest(key, f"{shop_id}:{said}".encode(), "sha256")
    return _digits(int.from_bytes(mac[:10], "big"), SIGNATURE)


def _digits(number: int, width: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(width)))


def _number(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * 32 + ALPHABET.index(digit)
    return number
