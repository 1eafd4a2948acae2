"""How a shop's cards look: its name and three colours that can be read on each other. Pure."""

import colorsys
import hashlib
import re
from typing import NamedTuple

HEX = re.compile(r"#[0-9a-fA-F]{6}")

Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)
INK: Colour = (22, 24, 29)


class Design(NamedTuple):
    """What all cards of a shop share. Colours are red, green and blue from 0 to 255."""

    name: str
    background: Colour
    foreground: Colour
    label: Colour


def design(name: str, colour: str | None = None) -> Design:
    """The look for a shop's name and, when it has chosen one, its colour as `#rrggbb`; otherwise a tasteful default."""
    chosen = _parsed(colour) if colour and HEX.fullmatch(colour) else _default(name)
    text = max((WHITE, INK), key=lambda ink: contrast(ink, chosen))
    return Design(name, chosen, text, mixed(text, chosen, 0.78))


def contrast(one: Colour, other: Colour) -> float:
    """WCAG's contrast ratio, from 1 to 21."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of the one colour, the rest of the other."""
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _default(name: str) -> Colour:
    """Deep enough for white text, and another one for another name."""
    hue = int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "big") / 65536
    red, green, blue = (round(part * 255) for part in colorsys.hls_to_rgb(hue, 0.24, 0.45))
    return red, green, blue


def _parsed(colour: str) -> Colour:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return red, green, blue


def _luminance(colour: Colour) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
