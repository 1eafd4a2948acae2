"""How the cards of one look are dressed: colours that can be read on each other, pictures, words, places. Pure.

`wallet_passes.designs` makes a look of what a shop has published; `design` makes the one of a shop that has published
nothing. A look is a key of caches and a part of each card's digest, so it holds all that shows and nothing else.
"""

import colorsys
import hashlib
import re
from typing import NamedTuple

HEX = re.compile(r"#[0-9a-fA-F]{6}")

Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
INK: Colour = (22, 24, 29)

# WCAG 2.2, success criterion 1.4.3: large text, and text of any size.
LARGE_TEXT = 3.0
ANY_TEXT = 4.5

# How much of the text's colour a label has, which is quieter.
_QUIET = 0.78


class Pictures(NamedTuple):
    """The shop's own pictures, by their digests (see `WalletImage`). Where one is empty, it is drawn."""

    logo: str = ""
    icon: str = ""
    strip: str = ""
    hero: str = ""


class Text(NamedTuple):
    """A labelled text for the back of a card."""

    label: str
    text: str


class Link(NamedTuple):
    """An `https` address and what it is called."""

    label: str
    url: str


class Place(NamedTuple):
    """Where the card shows on the lock screen, and what it says there. Degrees; `text` may be empty."""

    latitude: float
    longitude: float
    text: str


class Words(NamedTuple):
    """What a shop itself says on its cards; empty where it says nothing.

    `title` is what the card is called (empty: as the program), `logo_text` stands beside the logo, `welcome` is one
    line, `terms` may be long. `tier` is what the look's tier is called (empty: as the program calls it).
    """

    title: str = ""
    logo_text: str = ""
    welcome: str = ""
    terms: str = ""
    texts: tuple[Text, ...] = ()
    links: tuple[Link, ...] = ()
    places: tuple[Place, ...] = ()
    tier: str = ""


class Design(NamedTuple):
    """What all cards of one look share. Colours are red, green and blue from 0 to 255, `max_distance` is in metres.

    `name` is the shop's. `hidden` are keys of a card's fields. `translations` holds whole words by language (`fr`,
    `pt-BR`), in the languages' order: ask `spoken`.
    """

    name: str
    background: Colour
    foreground: Colour
    label: Colour
    words: Words = Words()
    pictures: Pictures = Pictures()
    max_distance: int | None = None
    hidden: tuple[str, ...] = ()
    translations: tuple[tuple[str, Words], ...] = ()

    def spoken(self, language: str) -> Words:
        """The shop's words in a language: as it was translated, in the language without its region, or its own."""
        known = dict(self.translations)
        return known.get(language) or known.get(language.split("-")[0]) or self.words


def design(name: str, colour: str | None = None) -> Design:
    """The look for a shop's name and, when it has chosen one, its colour as `#rrggbb`; otherwise a tasteful default."""
    background = parsed(colour) if colour and HEX.fullmatch(colour) else default_colour(name)
    text = text_on(background)
    return Design(name, background, text, label_on(background, text), Words(logo_text=name))


def text_on(background: Colour) -> Colour:
    """White or nearly black, whichever can be read better."""
    return readable(max((WHITE, INK), key=lambda ink: contrast(ink, background)), background)


def label_on(background: Colour, text: Colour) -> Colour:
    """Quieter than the text, and still readable."""
    return readable(mixed(text, background, _QUIET), background)


def readable(colour: Colour, background: Colour, least: float = ANY_TEXT) -> Colour:
    """The colour, moved towards white or black just as far as it must be to be read on the background.

    Any background has one of the two at 4.58 or better, so there is an answer up to that.
    """
    goal = max((WHITE, BLACK), key=lambda end: contrast(end, background))
    steps = (mixed(goal, colour, step / 50) for step in range(51))
    return next((nearer for nearer in steps if contrast(nearer, background) >= least), goal)


def contrast(one: Colour, other: Colour) -> float:
    """WCAG's contrast ratio, from 1 to 21."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of the one colour, the rest of the other."""
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(one, other, strict=True))
    return red, green, blue


def default_colour(name: str) -> Colour:
    """Deep enough for white text, and another one for another name."""
    hue = int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "big") / 65536
    red, green, blue = (round(part * 255) for part in colorsys.hls_to_rgb(hue, 0.24, 0.45))
    return red, green, blue


def parsed(colour: str) -> Colour:
    """A colour written as `#rrggbb`."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return red, green, blue


def written(colour: Colour) -> str:
    """A colour as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _luminance(colour: Colour) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
