"""A design as a merchant writes it: one validated document for all cards of a shop, with a look for each tier.

Everything may be left out: what is not said is drawn or taken from the shop. Pure.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from babel import Locale, UnknownLocaleError
from pydantic import AfterValidator, Field, model_validator

from core.i18n import N_
from loyalty.program.parts import Contradiction, Key, Part, Whole
from wallet_passes.content import BACK, shortened
from wallet_passes.design import HEX, LARGE_TEXT, contrast, parsed

# Apple shows the ten nearest at most, and takes no more.
MOST_PLACES = 10
MOST_LINKS = 10
MOST_TEXTS = 20
MOST_LANGUAGES = 40
DIGEST = re.compile(r"[0-9a-f]{64}")
ONE_LINE = 120

Path = tuple[str | int, ...]


def _colour(value: str) -> str:
    if not HEX.fullmatch(value):
        raise Contradiction(N_("%(field)s must be a colour such as #1f4e79."))
    return value.lower()


def _digest(value: str) -> str:
    if not DIGEST.fullmatch(value):
        raise Contradiction(N_("%(field)s must be the digest of a picture that was uploaded."))
    return value


def _text(value: str) -> str:
    if "\x00" in value:
        raise Contradiction(N_("%(field)s must not hold a character that is no text."))
    return value


def _seen(value: str) -> str:
    if not shortened(value, len(value) + 1):
        raise Contradiction(N_("%(field)s must not be blank."))
    return _text(value)


def _address(value: str) -> str:
    try:
        address = urlsplit(value)
        good = address.scheme == "https" and "." in (address.hostname or "") and address.port != 0
    except ValueError:
        good = False
    if not good or not value.isprintable() or re.search(r"[\s<>\"'\\]", value) or address.username:
        raise Contradiction(N_("%(field)s must be a web address that starts with https://."))
    return value


def _language(value: str) -> str:
    try:
        known = Locale.parse(value, sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        raise Contradiction(N_("%(field)s must be a language such as fr or pt-BR.")) from None
    return str(known).replace("_", "-")


Hex = Annotated[str, AfterValidator(_colour), Field(json_schema_extra={"pattern": "^#[0-9a-fA-F]{6}$"})]
Digest = Annotated[str, AfterValidator(_digest), Field(json_schema_extra={"pattern": "^[0-9a-f]{64}$"})]
Line = Annotated[str, Field(max_length=ONE_LINE), AfterValidator(_text)]
Label = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_seen)]
Long = Annotated[str, Field(max_length=4000), AfterValidator(_text)]
Body = Annotated[str, Field(min_length=1, max_length=BACK), AfterValidator(_seen)]
Said = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_seen)]
Address = Annotated[str, Field(max_length=500, json_schema_extra={"format": "uri"}), AfterValidator(_address)]
Language = Annotated[str, Field(max_length=20), AfterValidator(_language)]
Degrees = Annotated[float, Field(strict=True, allow_inf_nan=False)]
# Keys of a card's fields. One without points would be none, and a message is sent to be read.
Hideable = Literal[
    "tier", "progress", "reward", "member", "latest", "waiting", "pending", "expiring", "referral", "portal", "changed",
    "program", "website",
]  # fmt: skip


class Colours(Part):
    """The card's background, and what is written on it. Text that could hardly be read is moved until it can be."""

    background: Hex | None = None
    """As #rrggbb. Null: one made for the shop."""
    foreground: Hex | None = None
    """Of values. Null: white or nearly black, whichever can be read better."""
    label: Hex | None = None
    """Of labels. Null: a quieter foreground."""

    @model_validator(mode="after")
    def can_be_read(self) -> Self:
        for name, colour in (("foreground", self.foreground), ("label", self.label)):
            if colour is None:
                continue
            if self.background is None:
                raise Contradiction(N_("%(field)s needs a background to be read on: name both or neither."), name)
            ratio = contrast(parsed(colour), parsed(self.background))
            if ratio < LARGE_TEXT:
                message = N_(
                    "%(field)s can't be read on %(colour)s: their contrast is %(ratio)s to 1, and 3 is the least."
                )
                raise Contradiction(message, name, colour=self.background, ratio=f"{ratio:.1f}")
        return self


class Images(Part):
    """Pictures, by the digests that uploading them gave. Null: drawn from the shop's name and colours."""

    logo: Digest | None = None
    """On the card's top left: at most 160 × 50 points, so a wide one is best."""
    icon: Digest | None = None
    """A square for notifications and for Google's round logo. Null: the logo."""
    strip: Digest | None = None
    """Behind the main field on Apple's cards: 375 × 144 points. Null: the hero."""
    hero: Digest | None = None
    """The wide picture of Google's cards: 1032 × 336 pixels. Null: the strip."""


class BackText(Part):
    """A labelled text on the back of the card."""

    label: Label
    """What it is about."""
    text: Body
    """What it says; it may have several lines."""


class BackLink(Part):
    """A link on the back of the card."""

    label: Label
    """What it leads to."""
    url: Address
    """Where it leads, with https."""


class Location(Part):
    """A store: the card shows on the lock screen of a phone that is near."""

    latitude: Annotated[Degrees, Field(ge=-90, le=90)]
    """In degrees, north is positive."""
    longitude: Annotated[Degrees, Field(ge=-180, le=180)]
    """In degrees, east is positive."""
    text: Line = ""
    """What the lock screen says."""


class Look(Part):
    """What is different on the cards of one tier. What is not said is as on all cards."""

    tier: Key
    """The tier's key."""
    colours: Colours = Colours()
    """With a background of its own the look finds its own text colours, unless it names them."""
    images: Images = Images()
    """Pictures in place of the shop's."""
    logo_text: Line | None = None
    """In place of the shop's."""
    welcome: Line | None = None
    """In place of the shop's."""
    terms: Long | None = None
    """In place of the shop's."""


class Translation(Part):
    """The shop's own texts in another language."""

    language: Language
    """Such as fr or pt-BR."""
    texts: Annotated[dict[Said, Said], Field(max_length=200)]
    """What a text of the design is in that language, by the text itself."""
    tiers: dict[Key, Label] = Field(default_factory=dict, max_length=50)
    """What a tier is called in that language, by its key."""


class CardDesign(Part):
    """One version of how a shop's cards look."""

    name: Line | None = None
    """What the card is called. Null: as the program."""
    logo_text: Line | None = None
    """Beside the logo. Null: the shop's name; empty: nothing, where the logo says it already."""
    colours: Colours = Colours()
    """Of all cards; a look may have its own."""
    images: Images = Images()
    """Of all cards; a look may have its own."""
    welcome: Line = ""
    """One line for members."""
    terms: Long = ""
    """The small print."""
    texts: Annotated[tuple[BackText, ...], Field(max_length=MOST_TEXTS)] = ()
    """More texts on the back."""
    links: Annotated[tuple[BackLink, ...], Field(max_length=MOST_LINKS)] = ()
    """Links on the back."""
    locations: Annotated[tuple[Location, ...], Field(max_length=MOST_PLACES)] = ()
    """The shop's stores, at most ten."""
    max_distance: Annotated[Whole, Field(ge=10, le=10_000)] | None = None
    """How near a phone must be to a store, in metres. Null: as the wallet sees fit."""
    hidden: Annotated[tuple[Hideable, ...], Field(max_length=50)] = ()
    """Fields that the card does not show."""
    looks: Annotated[tuple[Look, ...], Field(max_length=50)] = ()
    """What is different for tiers."""
    translations: Annotated[tuple[Translation, ...], Field(max_length=MOST_LANGUAGES)] = ()
    """The shop's texts in other languages."""

    @model_validator(mode="after")
    def says_each_thing_once(self) -> Self:
        _check_once((("looks", place, "tier"), look.tier) for place, look in enumerate(self.looks))
        _check_once((("translations", place, "language"), one.language) for place, one in enumerate(self.translations))
        return self

    def own_texts(self) -> dict[str, None]:
        """Every text of the shop's own that can be translated, in the document's order."""
        held = [self.name, self.logo_text, self.welcome, self.terms]
        for text in self.texts:
            held += [text.label, text.text]
        held += [link.label for link in self.links] + [place.text for place in self.locations]
        for look in self.looks:
            held += [look.logo_text, look.welcome, look.terms]
        return dict.fromkeys(filter(None, held))

    def pictures(self) -> Iterator[tuple[Path, str]]:
        """Every picture that is used, with the path to it."""
        held: list[tuple[Path, Images]] = [((), self.images)]
        held += [(("looks", place), look.images) for place, look in enumerate(self.looks)]
        for path, images in held:
            yield from (((*path, "images", name), digest) for name, digest in images if digest)


def _check_once(placed: Iterable[tuple[Path, str]]) -> None:
    seen: set[str] = set()
    for path, value in placed:
        if value in seen:
            raise Contradiction(N_("%(field)s must not be %(value)s twice."), *path, value=repr(value))
        seen.add(value)
