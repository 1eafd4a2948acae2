"""How the rewards pages are dressed: a shop's colours, letters and corners as CSS variables. Pure."""

import functools
from typing import NamedTuple

from shops.appearance import Appearance
from wallet_passes.design import Design, label_on, parsed, text_on
from web import shop_looks

_FONTS = {
    "system": "",
    "theme": "",
    "serif": 'ui-serif, Georgia, Cambria, "Times New Roman", serif',
    "rounded": 'ui-rounded, "SF Pro Rounded", "Hiragino Maru Gothic ProN", Quicksand, Nunito, system-ui, sans-serif',
    "mono": "var(--font-code)",
}
# Of small things and of cards.
_CORNERS = {"square": ("0", "0"), "soft": ("8px", "16px"), "round": ("22px", "28px")}


class Dress(NamedTuple):
    """`light` and `dark` are declarations; `classes` stand on the pages' outermost element."""

    light: str
    dark: str
    classes: str


@functools.lru_cache(maxsize=512)
def dress(design: Design, accent: str | None, font: str, corner: str) -> Dress:
    """The look of a shop whose cards look like `design` and that has chosen the rest."""
    colours = shop_looks.colours(_coloured(design, accent))
    small, large = _CORNERS[corner]
    shape = {"radius": small, "radius-large": large} | ({"font": _FONTS[font]} if _FONTS[font] else {})
    classes = f"corner-{corner} font-{font}"
    return Dress(_declared(colours["light"] | shape), _declared(colours["dark"]), classes)


def _coloured(design: Design, accent: str | None) -> Design:
    if accent is None:
        return design
    ground = parsed(accent)
    ink = text_on(ground)
    return design._replace(background=ground, foreground=ink, label=label_on(ground, ink))


def _declared(variables: dict[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in variables.items())


def of(design: Design, chosen: Appearance) -> Dress:
    """The same, of an appearance."""
    return dress(design, chosen.accent, chosen.font, chosen.corner)
