"""The pictures of a shop that has none of its own, drawn from its name and colours. Pure."""

import io

from PIL import Image, ImageDraw, ImageFont

from wallet_passes.design import WHITE, Colour, Design, mixed

Size = tuple[int, int]

# Drawn larger than needed and scaled down, for smooth edges.
FINER = 4
# The most pixels a side that are drawn.
_LARGEST = 1400


def letter(name: str) -> str:
    """The first letter of a name that the built-in font has; empty where it has none."""
    found = next((character for character in name.upper() if character.isalnum()), "")
    return found if found.isascii() else ""


def mark(design: Design, size: Size) -> bytes:
    """The shop's initial on its colour, or a ring where the built-in font has no such letter."""
    width, height = _finer(size)
    image = Image.new("RGB", (width, height), _brighter(design.background))
    draw = ImageDraw.Draw(image)
    initial = letter(design.name)
    if initial:
        font = ImageFont.load_default(height * 0.62)
        draw.text((width / 2, height / 2), initial, fill=design.foreground, font=font, anchor="mm")
    else:
        edge, ring = width * 0.26, max(1, round(width * 0.1))
        draw.ellipse((edge, edge, width - edge, height - edge), outline=design.foreground, width=ring)
    return _png(image.resize(size, Image.Resampling.LANCZOS))


def waves(design: Design, size: Size) -> bytes:
    """Two quiet waves in shades of the card's colour, low enough for the text above them."""
    width, height = size[0] * 2, size[1] * 2
    image = Image.new("RGB", (width, height), design.background)
    draw = ImageDraw.Draw(image)
    for share, left, top in ((0.06, -0.2, 0.42), (0.11, 0.35, 0.62)):
        shade = mixed(design.foreground, design.background, share)
        draw.ellipse((width * left, height * top, width * (left + 1.1), height * (top + 1.9)), fill=shade)
    small = image.resize(size, Image.Resampling.LANCZOS)
    return _png(small.quantize(64))


def _finer(size: Size) -> Size:
    times = max(1, min(FINER, _LARGEST // max(size)))
    return size[0] * times, size[1] * times


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _brighter(colour: Colour) -> Colour:
    """So that the mark stands out of the card's own background."""
    return mixed(WHITE, colour, 0.16)
