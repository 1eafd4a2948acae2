"""From a published document to the looks that wallets render. Pure."""

import re
from collections.abc import Callable, Mapping

from wallet_passes.content import shortened
from wallet_passes.design import (
    Colour,
    Design,
    Link,
    Pictures,
    Place,
    Text,
    Words,
    default_colour,
    label_on,
    parsed,
    readable,
    text_on,
)
from wallet_passes.designs.document import ONE_LINE, CardDesign, Colours, Look

# What has room beside the logo and the points, and what the name of a card has. Characters.
LOGO_TEXT = 24
TITLE = 30

# All that shows nothing or turns its neighbours around, but for the ends of lines.
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")

Say = Callable[[str], str]


def look(document: CardDesign, tier: str, shop: str, colour: str | None = None) -> Design:
    """How the cards of a tier look. `shop` is the shop's name, `colour` (#rrggbb) is for a document that has none."""
    own = next((one for one in document.looks if one.tier == tier), Look(tier="all"))
    said = own.colours if own.colours.background else document.colours
    background, foreground, label = colours(said, parsed(colour) if colour else default_colour(shop))
    return Design(
        name=shop,
        background=background,
        foreground=foreground,
        label=label,
        words=_words(document, own, shop, _as_it_is),
        pictures=Pictures(**{name: _picture(document, own, name) for name in Pictures._fields}),
        max_distance=document.max_distance,
        hidden=tuple(sorted(set(document.hidden))),
        translations=tuple(
            sorted(
                (one.language, _words(document, own, shop, _in(one.texts), one.tiers.get(tier, "")))
                for one in document.translations
            )
        ),
    )


def colours(said: Colours, default: Colour) -> tuple[Colour, Colour, Colour]:
    """Background, foreground and label, moved where they could not be read."""
    background = parsed(said.background) if said.background else default
    text = readable(parsed(said.foreground), background) if said.foreground else text_on(background)
    label = readable(parsed(said.label), background) if said.label else label_on(background, text)
    return background, text, label


def _picture(document: CardDesign, own: Look, name: str) -> str:
    return getattr(own.images, name) or getattr(document.images, name) or ""


def _words(document: CardDesign, own: Look, shop: str, say: Say, tier: str = "") -> Words:
    logo_text = document.logo_text if own.logo_text is None else own.logo_text
    return Words(
        title=shortened(say(document.name or ""), TITLE),
        logo_text=shop if logo_text is None else shortened(say(logo_text), LOGO_TEXT),
        welcome=_line(say(document.welcome if own.welcome is None else own.welcome)),
        terms=_lines(say(document.terms if own.terms is None else own.terms)),
        texts=tuple(Text(_line(say(one.label)), _lines(say(one.text))) for one in document.texts),
        links=tuple(Link(_line(say(one.label)), one.url) for one in document.links),
        places=tuple(Place(one.latitude, one.longitude, _line(say(one.text))) for one in document.locations),
        tier=_line(tier),
    )


def _as_it_is(text: str) -> str:
    return text


def _in(texts: Mapping[str, str]) -> Say:
    return lambda text: texts.get(text, text)


def _line(text: str) -> str:
    return shortened(text, ONE_LINE)


def _lines(text: str) -> str:
    """Without what nobody sees, the ends of lines kept."""
    return _CONTROLS.sub(" ", text.replace("\r\n", "\n")).strip()
