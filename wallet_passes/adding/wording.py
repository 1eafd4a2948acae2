"""What the page that adds a card says, in the languages that cards speak. Pure."""

import functools
import tomllib
import unicodedata
from pathlib import Path

import msgspec

_FOLDER = Path(__file__).parent / "words"


class Sorry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why there is no card to add, and what to do."""

    title: str
    text: str


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The page's words; `{shop}`, `{name}`, `{wallet}` and `{date}` are filled in.

    `add` is the text of a badge, `none_yet` why it can't be pressed. `sorry` is by what went wrong.
    """

    title: str
    lead: str
    add: str
    scan: str
    here: str
    other: str
    none_yet: str
    inside_app: str
    until: str
    again: str
    visit: str
    sorry: dict[str, Sorry]


@functools.cache
def words(language: str) -> Words:
    """Of one of `wallet_passes.languages.LANGUAGES`."""
    return msgspec.convert(tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8")), Words)


def filled(text: str, **values: str) -> str:
    """A sentence with its values filled in. Names that run from right to left keep the sentence in order."""
    return text.format(**{name: _isolated(value) for name, value in values.items()})


def _isolated(value: str) -> str:
    turns = any(unicodedata.bidirectional(character) in ("R", "AL") for character in value)
    return f"\u2068{value}\u2069" if turns else value
