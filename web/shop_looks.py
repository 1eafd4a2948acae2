"""A shop's colours for pages that its customers see, each pair fit to be read. Pure."""

import colorsys
import functools

from wallet_passes.design import (
    ANY_TEXT,
    WHITE,
    Colour,
    Design,
    contrast,
    default_colour,
    label_on,
    parsed,
    readable,
    text_on,
    written,
)

# What buttons and links of the shop's colour stand on, --card of static/tokens.css, and how much they differ from it.
_CARDS = {"light": (parsed("#ffffff"), ANY_TEXT), "dark": (parsed("#191f2b"), 7.0)}
_STEPS = 25


@functools.lru_cache(maxsize=256)
def colours(design: Design | None) -> dict[str, dict[str, str]]:
    """For light and dark, by the names of CSS variables: the ticket's own, which are its cards', and an accent.

    Without a design they are a neutral shop's.
    """
    back = design.background if design else default_colour("")
    ink = design.foreground if design else text_on(back)
    ticket = {"ticket": back, "ticket-ink": ink, "ticket-label": design.label if design else label_on(back, ink)}
    return {
        scheme: {name: written(colour) for name, colour in (ticket | accent(back, *card)).items()}
        for scheme, card in _CARDS.items()
    }


def accent(colour: Colour, card: Colour, least: float) -> dict[str, Colour]:
    """The colour made darker or lighter until it stands out from the card, as colourful as it was; and text on it."""
    hue, light, colourful = colorsys.rgb_to_hls(*(part / 255 for part in colour))
    goal = 1.0 if text_on(card) == WHITE else 0.0
    tries = (_coloured(hue, light + (goal - light) * step / _STEPS, colourful) for step in range(_STEPS))
    found = next((one for one in tries if contrast(one, card) >= least), readable(colour, card, least))
    return {"accent": found, "on-accent": text_on(found)}


def _coloured(hue: float, light: float, colourful: float) -> Colour:
    red, green, blue = (round(part * 255) for part in colorsys.hls_to_rgb(hue, light, colourful))
    return red, green, blue
