"""How a shop's rewards pages look and speak: accent, font, corners, logo and the shop's own words. Pure.

Kept under `appearance` in the shop's settings; `shops.operations.set_appearance` is the only writer. What a shop has
not chosen follows its card design and its theme. Colours that can't be read are nudged where pages are drawn, so any
colour may be chosen here.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from core.errors import InvalidInput

KEY = "appearance"


def _kept(text: str) -> str:
    if any(ord(symbol) < 32 and symbol not in "\n\t" for symbol in text):
        raise ValueError("must not hold a character that is no text")
    return " ".join(text.split())


Line = Annotated[str, Field(max_length=80), AfterValidator(_kept)]
Text = Annotated[str, Field(max_length=300), AfterValidator(_kept)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Texts(_Part):
    """The shop's own words. Where one is empty, the pages' own stand, in the reader's language."""

    headline: Line = ""
    """The largest words for who is not signed in."""
    intro: Text = ""
    """What the program is, below them."""
    welcome: Line = ""
    """A line for members, above their balance."""


class Appearance(_Part):
    """What a merchant chooses. `theme` as font: what the shop's theme has, or the system's on a page of our own."""

    accent: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None
    """The colour of the balance's ground, of buttons and links; null takes the card design's."""
    font: Literal["theme", "system", "serif", "rounded", "mono"] = "theme"
    """The letters."""
    corner: Literal["square", "soft", "round"] = "soft"
    """The corners of cards and buttons."""
    logo: bool = True
    """Whether the card design's logo stands at the top of pages outside the theme."""
    texts: Texts = Texts()
    """In the shop's own language."""
    translations: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z]{2}$")], Texts], Field(max_length=20)] = {}
    """The same in others, by language code; what is empty in one falls back to `texts`."""

    def spoken(self, language: str) -> Texts:
        """The shop's words in a language."""
        said = self.translations.get(language, Texts()).model_dump(exclude_defaults=True)
        return self.texts.model_copy(update=said)


PLAIN = Appearance()


def checked(given: Any) -> Appearance:
    """An appearance as a form or the API gives it. Raises InvalidInput (`bad_appearance`, `faults` by field)."""
    try:
        return Appearance.model_validate(given)
    except ValidationError as error:
        faults = {
            ".".join(map(str, fault["loc"])): fault["msg"].removeprefix("Value error, ") for fault in error.errors()
        }
        said = "; ".join(f"{field or 'appearance'}: {fault}" for field, fault in faults.items())
        raise InvalidInput(said[:500], code="bad_appearance", faults=faults) from None


def appearance_of(settings: Mapping[str, Any] | None) -> Appearance:
    """What a shop's settings hold; what an older or newer release has written and we can't read is plain."""
    given = (settings or {}).get(KEY)
    if given is None:
        return PLAIN
    try:
        return Appearance.model_validate(given)
    except ValidationError:
        return PLAIN
