"""The images of a card, drawn from the shop's name and colours: the icon of notifications, the logo, the strip.

Sizes in points and at two and three times the density, as Apple's Wallet developer guide gives them for store cards.
"""

import io
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFont

from wallet_passes.design import WHITE, Colour, Design, mixed

ICON = (29, 29)
LOGO = (50, 50)
STRIP = (375, 144)
DENSITIES = (("", 1), ("@2x", 2), ("@3x", 3))
# Drawn larger than needed and scaled down, for smooth edges.
FINER = 4


def generated(design: Design) -> dict[str, bytes]:
    """File name to PNG."""
    drawn = (("icon", ICON, _mark), ("logo", LOGO, _mark), ("strip", STRIP, _strip))
    return {
        f"{name}{suffix}.png": _png(draw, design, (size[0] * density, size[1] * density))
        for name, size, draw in drawn
        for suffix, density in DENSITIES
    }


Draw = Callable[[Design, tuple[int, int]], Image.Image]


def _png(draw: Draw, design: Design, size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    draw(design, size).save(file, "PNG", optimize=True)
    return file.getvalue()


def _mark(design: Design, size: tuple[int, int]) -> Image.Image:
    """The shop's initial on its colour, or a ring where the built-in font has no such letter."""
    width, height = size[0] * FINER, size[1] * FINER
    image = Image.new("RGB", (width, height), _brighter(design.background))
    draw = ImageDraw.Draw(image)
    letter = next((character for character in design.name.upper() if character.isalnum()), "")
    if letter.isascii() and letter:
        font = ImageFont.load_default(height * 0.62)
        draw.text((width / 2, height / 2), letter, fill=design.foreground, font=font, anchor="mm")
    else:
        edge, ring = width * 0.26, max(1, round(width * 0.1))
        draw.ellipse((edge, edge, width - edge, height - edge), outline=design.foreground, width=ring)
    return image.resize(size, Image.Resampling.LANCZOS)


def _strip(design: Design, size: tuple[int, int]) -> Image.Image:
    """Two quiet waves in shades of the card's colour, low enough for the text above them."""
    width, height = size[0] * 2, size[1] * 2
    image = Image.new("RGB", (width, height), design.background)
    draw = ImageDraw.Draw(image)
    for share, left, top in ((0.06, -0.2, 0.42), (0.11, 0.35, 0.62)):
        shade = mixed(design.foreground, design.background, share)
        draw.ellipse((width * left, height * top, width * (left + 1.1), height * (top + 1.9)), fill=shade)
    small = image.resize(size, Image.Resampling.LANCZOS)
    return small.quantize(64)


def _brighter(colour: Colour) -> Colour:
    """So that the mark stands out of the card's own background."""
    return mixed(WHITE, colour, 0.16)
