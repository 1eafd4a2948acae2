"""Where somebody lives, however it is written: `Hauptstr. 5` and `5 HAUPTSTRASSE` are one house. Pure."""

import re
import unicodedata
from typing import NamedTuple

from msgspec import Struct

# The usual ways to write the same word, in the languages whose addresses we see most. What is not here is kept.
_WORDS = {
    written: word
    for word, ways in {
        "st": "street str strasse",
        "ave": "avenue av",
        "rd": "road",
        "ln": "lane",
        "dr": "drive",
        "blvd": "boulevard",
        "ct": "court",
        "pl": "place platz",
        "sq": "square",
        "ter": "terrace",
        "hwy": "highway",
        "n": "north",
        "s": "south",
        "e": "east",
        "w": "west",
    }.items()
    for written in ways.split()
}
_GLUED = re.compile(r"(\w{3,})(?:strasse|str)$")
_UNIT = re.compile(
    r"(?:\b(?:apartment|apt|unit|flat|suite|ste|whg|wohnung|top|room|rm)\b[\s.:#]*|#\s*)(\d+[\s-]?[a-z]?|[a-z][\s-]?\d*)\b"
)
# Not the points of the compass: `5 N Oak St` and `5 Oak St N` are one house.
_HOUSE_LETTER = re.compile(r"\b(\d+)[\s-]+([a-df-mo-rt-vx-z])\b")
_ENOUGH_WORDS = 3


class Address(Struct, frozen=True):
    """A postal address as a person wrote it. Empty text for what is missing."""

    line1: str = ""
    line2: str = ""
    city: str = ""
    postcode: str = ""
    country: str = ""

    def __str__(self) -> str:
        town = " ".join(filter(None, (self.postcode, self.city)))
        return ", ".join(filter(None, (self.line1, self.line2, town, self.country)))


class Place(NamedTuple):
    """A house, and the flat in it as far as it was told."""

    house: str
    flat: str

    def same_home(self, other: "Place") -> bool:
        """Whether both may be one home: the flat is often left out."""
        return self.house == other.house and (self.flat == other.flat or not self.flat or not other.flat)


def place(address: Address) -> Place | None:
    """What an address is compared by; None when it names no house."""
    first, flat = _without_flat(_plain(address.line1))
    second, other_flat = _without_flat(_plain(address.line2))
    rest = "" if flat or other_flat else "".join(re.findall(r"\w+", second))
    words = _street_words(first) or _street_words(second)
    area = _postcode(address) or "".join(re.findall(r"\w+", _plain(address.city)))
    numbered = any(letter.isdigit() for word in words for letter in word)
    if not area or not (numbered or len(words) >= _ENOUGH_WORDS):
        return None
    # Sorted: the number stands before the street in some countries and after it in others.
    house = " ".join((address.country.casefold(), area, *sorted(words)))
    return Place(house, flat or other_flat or rest)


def _plain(text: str) -> str:
    """Lower case, without accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def _without_flat(text: str) -> tuple[str, str]:
    found = _UNIT.search(text)
    if found is None:
        return text, ""
    flat = re.sub(r"\W", "", found[1])
    return text[: found.start()] + " " + text[found.end() :], flat


def _street_words(text: str) -> list[str]:
    spaced = " ".join(_word(word) for part in re.findall(r"\w+", text) for word in _unglued(part))
    return re.sub(_HOUSE_LETTER, r"\1\2", spaced).split()


def _unglued(word: str) -> list[str]:
    match = _GLUED.match(word)
    return [match[1], "st"] if match else [word]


def _word(word: str) -> str:
    """An umlaut and its spelling with an e are the same letter."""
    return re.sub(r"([aou])e", r"\1", _WORDS.get(word, word))


def _postcode(address: Address) -> str:
    """Without spaces; of an American one the first five digits, for the other four are often left out."""
    plain = re.sub(r"\W", "", address.postcode.casefold())
    return plain[:5] if address.country.upper() == "US" else plain
