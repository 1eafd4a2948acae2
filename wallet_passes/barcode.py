"""The code on a card: thirty characters that say whose card it is, signed, with nothing in them to read.

    version  key  handle    generation  signature    digits
    1        1    8         4           16           8, in a rotating code alone

The characters are of five bits each. The handle is random and means nothing outside its shop. Version 1 is a still
code: its generation moves on with each redemption, so that a picture of an older one cannot spend. Version 2 rotates:
eight digits follow that change every thirty seconds (see `rotating`), and its generation stays zero, for the digits are
what tells a fresh code from a picture. As the version is signed, a rotating code whose digits were cut off cannot pass
for a still one. No character can be taken for another (Crockford's base 32), and all of them are of QR's compact
alphabet. Pure: the keys are arguments.
"""

import hmac
import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from wallet_passes.rotating import DIGITS

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
STILL, ROTATING = "1", "2"
HANDLE = 8
GENERATION = 4
SIGNATURE = 16
LENGTH = 2 + HANDLE + GENERATION + SIGNATURE
GENERATIONS = 32**GENERATION

_CODE = re.compile(rf"[{STILL}{ROTATING}][{ALPHABET}]{{{LENGTH - 1}}}")
_ROTATING_DIGITS = re.compile(rf"([0-9]{{{DIGITS}}})?")
# What people type for what they read, and what stands between groups.
_TYPED = str.maketrans("OIL", "011", " -\t\r\n\u00a0\u202f")


class Code(NamedTuple):
    """A code whose signature is right. `digits` is None for a still one; empty when a rotating one came without."""

    handle: str
    generation: int
    digits: str | None = None


class BadCode(ValueError):
    """Why a code is refused: `unreadable` (no code of ours, or cut short) or `forged` (no signature of this shop)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def new_handle() -> str:
    """Forty random bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(HANDLE))


def write(keys: Sequence[bytes], shop_id: int, handle: str, generation: int) -> str:
    """The still code of a card, signed with the first of the keys."""
    return _signed(keys[0], shop_id, STILL, handle, generation)


def write_rotating(keys: Sequence[bytes], shop_id: int, handle: str) -> str:
    """The rotating code of a card as far as it never changes: its digits follow. Signed like a still one."""
    return _signed(keys[0], shop_id, ROTATING, handle, 0)


def _signed(key: bytes, shop_id: int, version: str, handle: str, generation: int) -> str:
    said = f"{version}{_key_id(key)}{handle}{_digits(generation % GENERATIONS, GENERATION)}"
    return said + _signature(key, shop_id, said)


def read(keys: Sequence[bytes], shop_id: int, code: str) -> Code:
    """What a scanned or typed code says in this shop. Raises BadCode."""
    plain = code.upper().translate(_TYPED)
    code, digits = plain[:LENGTH], plain[LENGTH:]
    rotates = code.startswith(ROTATING)
    if not _CODE.fullmatch(code) or not (_ROTATING_DIGITS.fullmatch(digits) if rotates else digits == ""):
        raise BadCode("unreadable")
    said, signature = code[:-SIGNATURE], code[-SIGNATURE:]
    if not any(
        _key_id(key) == said[1] and hmac.compare_digest(signature, _signature(key, shop_id, said)) for key in keys
    ):
        raise BadCode("forged")
    return Code(said[2 : 2 + HANDLE], _number(said[2 + HANDLE :]), digits if rotates else None)


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
