"""The pictures of an Apple card: the shop's own, and drawn where it has none. Pure.

The drawn strip is the same quiet scene for every tier of a shop, seen from another angle: the tier's key decides, so
that each has a look of its own and keeps it.
"""

import hashlib
import io
import math
from collections.abc import Iterator, Mapping

from PIL import Image, ImageDraw

from wallet_passes.design import Colour, Design, mixed
from wallet_passes.designs import images
from wallet_passes.designs.images import DENSITIES, STRIP

# Drawn larger than needed and scaled down, for smooth edges.
FINER = 3


def files(design: Design, look: str, own: Mapping[str, bytes]) -> dict[str, bytes]:
    """File name to PNG. `own` has the shop's pictures by their digests."""
    made = images.apple_files(design, own)
    if any(digest in own for digest in (design.pictures.strip, design.pictures.hero)):
        return made
    return made | {f"strip{suffix}.png": strip(design, look, density) for suffix, density in DENSITIES}


def strip(design: Design, look: str, density: int = 1) -> bytes:
    """Circles around a point in shades of the card's colour, as water or a vinyl record has them."""
    width, height = STRIP[0] * density * FINER, STRIP[1] * density * FINER
    image = Image.new("RGB", (width, height), design.background)
    draw = ImageDraw.Draw(image)
    for (x, y, radius), shade in _rings(design, look):
        left, top, across = (x - radius) * width, y * height - radius * width, 2 * radius * width
        draw.ellipse((left, top, left + across, top + across), fill=shade)
    file = io.BytesIO()
    small = image.resize((STRIP[0] * density, STRIP[1] * density), Image.Resampling.LANCZOS)
    small.save(file, "PNG", optimize=True)
    return file.getvalue()


Ring = tuple[float, float, float]


def _rings(design: Design, look: str) -> Iterator[tuple[Ring, Colour]]:
    """The largest first: where its middle is, its radius (both as parts of the strip's width), and its colour."""
    one, two, three = (byte / 255 for byte in hashlib.sha256(look.encode()).digest()[:3])
    x, y = 0.5 + 0.44 * math.cos(math.tau * one), 0.5 + 0.6 * math.sin(math.tau * one)
    count, largest = 6 + round(5 * two), 1.0 + 0.2 * three
    for number in range(count):
        share = number / count
        # Nearer to each other towards the middle, and lighter.
        radius = largest * (1 - share) ** 1.4
        yield (x, y, radius), mixed(design.foreground, design.background, 0.02 + 0.2 * share)
