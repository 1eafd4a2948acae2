"""Codes that bring friends: how they are made, chosen, compared and mistyped. Pure."""

import re
import unicodedata
from collections.abc import Iterable

from core.errors import InvalidInput
from core.i18n import _

LONGEST = 20
# No vowels, so that no word comes by chance, and nothing that is read as something else.
SYMBOLS = "34679CDFGHJKMNPQRTVWXY"
_ALIKE = str.maketrans("OIL", "011")
_KEY_SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTUVWXYZ"
# How many symbols follow a name. Where many share one, the first tries are taken.
_ENDINGS = (2, 2, 3, 3, 4, 4, 5, 5)
_MADE, _WITHOUT_NAME = 8, 7
_SHORTEST_MADE = 6

# What our own discount codes begin with.
_PREFIXES = ("FRIEND-", "RAP-")
_RESERVED = (
    "ADMIN", "API", "CODE", "COUPON", "DISCOUNT", "FREE", "FRIEND", "FRIENDS", "GIFT", "HELP", "NULL", "OFFICIAL",
    "RAPPORT", "REFERRAL", "REFUND", "SHOP", "SHOPIFY", "STAFF", "SUPPORT", "TEST", "UNDEFINED",
)  # fmt: skip
# Anywhere in a code, and only by themselves: the latter are parts of harmless words and names.
_RUDE = ("FUCK", "SHIT", "CUNT", "NIGGER", "FAGGOT", "WHORE", "HITLER", "SIEGHEIL", "KUKLUX")
_RUDE_ALONE = ("ANAL", "ASS", "BITCH", "COCK", "KKK", "NAZI", "PENIS", "PORN", "PUSSY", "RAPE", "SEX", "SLUT", "TITS")


def key_of(text: str) -> str:
    """What codes are compared by: "Anna-1O" and "ANNA10" are one. Empty for what is no code.

    Case, separators and accents don't count, and what looks alike (O and 0; I, L and 1) is the same.
    """
    plain = unicodedata.normalize("NFKD", text).upper()
    return "".join(symbol for symbol in plain if symbol.isascii() and symbol.isalnum()).translate(_ALIKE)


def make(name: str | None, digest: str, tried: int) -> str:
    """A code of 6 to 8 symbols, from the first name where it can be written in A to Z: ANNA7K.

    `digest` is a keyed hash of whose it is, in hex; `tried` counts the codes of theirs that were taken already.
    """
    number = (int(digest, 16) >> 25 * tried % 200) + tried
    first = _first_name(name) if tried < len(_ENDINGS) else ""
    ending = _ENDINGS[tried] if first else _WITHOUT_NAME
    first = first[: _MADE - ending]
    code = first + _symbols(number, max(ending, _SHORTEST_MADE - len(first)))
    return make(name, digest, tried + 1) if _is_rude(key_of(code)) else code


def _first_name(name: str | None) -> str:
    words = (name or "").split()
    plain = unicodedata.normalize("NFKD", words[0]).upper() if words else ""
    letters = "".join(letter for letter in plain if letter.isalpha())
    return letters if letters.isascii() and len(letters) > 1 else ""


def _symbols(number: int, count: int) -> str:
    found = ""
    for _place in range(count):
        number, place = divmod(number, len(SYMBOLS))
        found += SYMBOLS[place]
    return found


def check_vanity(text: str) -> str:
    """A code as somebody chose it, the way it is shown: " anna-10" is ANNA-10. Raises InvalidInput.

    The codes are `bad_code` for what can't be one and `reserved_code` for what nobody may have.
    """
    code = unicodedata.normalize("NFKC", text[: LONGEST * 4]).strip().upper()
    if len(code) > LONGEST or len(key_of(code)) < 3 or not re.fullmatch("[A-Z0-9]+(-[A-Z0-9]+)*", code):
        text = _(
            "A code has 3 to %(most)s letters and digits, with hyphens between them if you like, such as ANNA10.",
            most=LONGEST,
        )
        raise InvalidInput(text, code="bad_code")
    if not re.search("[A-Z]", code):
        raise InvalidInput(_("A code needs at least one letter, such as ANNA10."), code="bad_code")
    if key_of(code) in _reserved_keys() or code.startswith(_PREFIXES) or _is_rude(key_of(code)):
        text = _("%(code)s can't be anybody's code. Please choose another.", code=code)
        raise InvalidInput(text, code="reserved_code")
    return code


def _reserved_keys() -> set[str]:
    return {key_of(word) for word in _RESERVED}


def _is_rude(key: str) -> bool:
    letters = key.translate(str.maketrans("345", "EAS")).rstrip("2346789")
    alone = {key_of(word) for word in _RUDE_ALONE}
    return letters in alone or key in alone or any(key_of(word) in one for word in _RUDE for one in (letters, key))


def neighbours(key: str) -> set[str]:
    """Every key that is one slip away: a symbol wrong, missing or too many, or two swapped. None for what is no key."""
    if not 2 <= len(key) <= LONGEST + 1:
        return set()
    halves = [(key[:place], key[place:]) for place in range(len(key) + 1)]
    missing = {head + tail[1:] for head, tail in halves if tail}
    swapped = {head + tail[1] + tail[0] + tail[2:] for head, tail in halves if len(tail) > 1}
    wrong = {head + symbol + tail[1:] for head, tail in halves if tail for symbol in _KEY_SYMBOLS}
    added = {head + symbol + tail for head, tail in halves for symbol in _KEY_SYMBOLS}
    return (missing | swapped | wrong | added) - {key}


def nearest(key: str, keys: Iterable[str]) -> str | None:
    """The one of `keys` that was probably meant; None when none, or more than one, is a slip away."""
    near = neighbours(key).intersection(keys)
    return near.pop() if len(near) == 1 else None
