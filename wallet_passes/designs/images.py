"""The pictures of cards: uploads checked and redrawn, scaled to what each wallet takes, drawn where a shop has none.

Nothing of an upload is kept but its pixels. Pure: files go in and come out as bytes.
"""

import functools
import hashlib
import io
import math
import zipfile
from collections.abc import Callable, Mapping
from typing import NamedTuple

from PIL import Image, ImageCms, ImageOps

from core.errors import InvalidInput
from core.i18n import N_, _
from wallet_passes.design import Colour, Design
from wallet_passes.designs import drawing

MOST_BYTES = 5 * 1024 * 1024
MOST_PIXELS = 25_000_000
LEAST_SIDE = 16
# No wallet shows more of a picture than this, in pixels a side.
KEPT_SIDE = 1400
# Beyond this a PNG is kept in 256 colours: each member's card has the pictures in it.
HEAVY = 150_000  # bytes

# In points, as Apple's "Pass Design and Creation" gives them for store cards; the logo's is the most it may take.
ICON = (29, 29)
LOGO = (160, 50)
STRIP = (375, 144)
DENSITIES = (("", 1), ("@2x", 2), ("@3x", 3))
# In pixels, as Google's brand guidelines for loyalty cards give them. A logo is shown in a circle.
GOOGLE_LOGO = (660, 660)
GOOGLE_HERO = (1032, 336)
# How much of the circle's diameter a logo's diagonal may take: air is left around it.
_IN_CIRCLE = 0.86
# How much of a square's width one that is no square itself may take.
_IN_SQUARE = 0.86
# From where to where a picture's width, measured in its height, makes it a square to the eye.
_SQUARE = (0.8, 1.25)

_FORMATS = ("PNG", "JPEG", "WEBP")
_KNOWN_OTHERS = (
    (b"%PDF-", "a PDF"),
    (b"GIF8", "a GIF"),
    (b"<svg", "an SVG drawing"),
    (b"<html", "a web page"),
    (b"<!doctype html", "a web page"),
    (b"PK\x03\x04", "an archive"),
    (b"8BPS", "a Photoshop file"),
    (b"II*\x00", "a TIFF"),
    (b"MM\x00*", "a TIFF"),
    (b"ftypheic", "a HEIC photo"),
    (b"ftypavif", "an AVIF"),
)
# Pillow warns of more, and refuses twice as much, before it makes room for a picture.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS

Size = tuple[int, int]


class BadImage(InvalidInput):
    """An upload that can't be a picture of a card. The sentence says what it is instead, or what to change."""

    code = "bad_image"


class Picture(NamedTuple):
    """A checked picture as PNG, its sides in pixels, and the SHA-256 it is named by."""

    file: bytes
    width: int
    height: int
    digest: str


def checked(data: bytes) -> Picture:
    """The picture of an upload, redrawn: upright, sRGB, without anything that came along. Raises BadImage."""
    if len(data) > MOST_BYTES:
        raise BadImage(
            _("the file has %(size)s MB; send a picture of at most 5 MB", size=f"{len(data) / 1024 / 1024:.1f}")
        )
    if not data:
        raise BadImage(_("the file is empty"))
    _check_kind(data)
    image = _pixels(data)
    image.thumbnail((KEPT_SIDE, KEPT_SIDE), Image.Resampling.LANCZOS)
    file = encoded(image, small=False)
    return Picture(file, image.width, image.height, hashlib.sha256(file).hexdigest())


def _check_kind(data: bytes) -> None:
    head = data[:1024].lower()
    for mark, kind in _KNOWN_OTHERS:
        if mark.lower() in (head if mark.startswith((b"<", b"%", b"ftyp")) else head[: len(mark)]):
            raise BadImage(_("this is %(kind)s; send a PNG, JPEG or WebP picture", kind=kind))
    if zipfile.is_zipfile(io.BytesIO(data)) or _end(data) < len(data):
        raise BadImage(_("the file holds more than a picture; save the picture anew and send that"))


def _end(data: bytes) -> int:
    """Where the picture ends, for the kinds that say so."""
    if data[:4] == b"RIFF":
        length = int.from_bytes(data[4:8], "little")
        return 8 + length + length % 2
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return len(data)
    place = 8
    while place + 8 <= len(data) and data[place + 4 : place + 8] != b"IEND":
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return place + 12


def _pixels(data: bytes) -> Image.Image:
    try:
        return _plain(_loaded(data))
    except BadImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage(_(_TOO_LARGE, most=MOST_PIXELS // 1_000_000)) from None
    except Exception as error:  # Pillow's readers raise many kinds for what is damaged
        raise BadImage(_("the file can't be read as a PNG, JPEG or WebP picture; it may be damaged")) from error


def _loaded(data: bytes) -> Image.Image:
    """The picture as it came. Its size is looked at before room is made for it."""
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    _check_size(image)
    # What cameras add to a JPEG beside the picture (`MPO`) is no animation.
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise BadImage(_("this picture moves; send one that stands still"))
    image.draft("RGB", (KEPT_SIDE, KEPT_SIDE))
    image.load()
    return image


_TOO_LARGE = N_("the picture has too many pixels; send one of at most %(most)s million")


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise BadImage(_(_TOO_LARGE, most=MOST_PIXELS // 1_000_000))
    if min(image.size) < LEAST_SIDE:
        told = f"{image.width} × {image.height}"
        raise BadImage(
            _("the picture is %(size)s pixels; send one of at least %(least)s a side", size=told, least=LEAST_SIDE)
        )


def _plain(image: Image.Image) -> Image.Image:
    """As RGB or, if something shines through, RGBA; upright; with nothing but pixels."""
    profile = image.info.get("icc_profile")
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(("I", "F")):
        # Pillow would cut sixteen bits off at 255, which is nearly black.
        upright = upright.convert("I").point([value >> 8 for value in range(65536)], "L")
    clear = upright.has_transparency_data
    plain = _in_srgb(upright, profile) if profile and not clear else upright
    plain = plain.convert("RGBA" if clear else "RGB")
    made = Image.new(plain.mode, plain.size)
    made.paste(plain)
    return made


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The colours that were meant: cameras and designers save in wider ranges. A broken profile is passed over."""
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        made = ImageCms.profileToProfile(image, given, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return made or image


def encoded(image: Image.Image, *, small: bool = True) -> bytes:
    """As PNG; to make it as `small` as it can be takes several times as long."""
    file = io.BytesIO()
    image.save(file, "PNG", optimize=small)
    return file.getvalue()


def lighter(image: Image.Image) -> bytes:
    """As PNG, in 256 colours where the file would be heavy."""
    file = encoded(image, small=False)
    return file if len(file) <= HEAVY else encoded(image.convert("RGB").quantize(256), small=False)


def decoded(file: bytes) -> Image.Image:
    """A picture of ours."""
    return Image.open(io.BytesIO(file), formats=("PNG",))


# How a picture becomes one of a wallet's.


def trimmed(image: Image.Image) -> Image.Image:
    """Without empty margins, which many logos are saved with."""
    box = image.getchannel("A").getbbox() if image.mode == "RGBA" else None
    return image.crop(box) if box else image


def fitted(image: Image.Image, size: Size) -> Image.Image:
    """As large as it can be within a size, whole."""
    scale = min(size[0] / image.width, size[1] / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(inner, Image.Resampling.LANCZOS)


def covering(image: Image.Image, size: Size, background: Colour) -> Image.Image:
    """Filling a size; what juts out is cut off evenly."""
    return ImageOps.fit(_on(image, background), size, Image.Resampling.LANCZOS)


def centred(image: Image.Image, size: Size, background: Colour, share: float = 1.0) -> Image.Image:
    """Whole, in the middle of a coloured field, taking up a share of it."""
    field = Image.new("RGB", size, background)
    inner = fitted(image.convert("RGBA"), (round(size[0] * share), round(size[1] * share)))
    field.paste(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2), inner)
    return field


def _on(image: Image.Image, background: Colour) -> Image.Image:
    return centred(image, image.size, background) if image.mode == "RGBA" else image.convert("RGB")


# The pictures of a look. `files` has the shop's own by their digests; one that is missing there is drawn.

Files = Mapping[str, bytes]
Make = Callable[[Design, Files, Size], bytes]


def apple_files(design: Design, files: Files) -> dict[str, bytes]:
    """Every picture of an Apple card by its file name: `logo@2x.png`."""
    kinds: tuple[tuple[str, Size, Make], ...] = (
        ("icon", ICON, icon),
        ("logo", LOGO, logo),
        ("strip", STRIP, strip),
    )
    return {
        f"{name}{suffix}.png": make(design, files, (size[0] * density, size[1] * density))
        for name, size, make in kinds
        for suffix, density in DENSITIES
    }


def icon(design: Design, files: Files, size: Size) -> bytes:
    """A square: the shop's icon or logo, which a card's colour surrounds if it is no square; else its initial."""
    own = _first(files, design.pictures.icon, design.pictures.logo)
    if own is None:
        return drawing.mark(design, size)
    own = trimmed(own)
    square = _SQUARE[0] < own.width / own.height < _SQUARE[1]
    made = covering(own, size, design.background) if square else centred(own, size, design.background, _IN_SQUARE)
    return encoded(made)


def logo(design: Design, files: Files, size: Size) -> bytes:
    """The shop's logo as large as it may be, else its initial as a square of that height."""
    own = _first(files, design.pictures.logo)
    return encoded(fitted(trimmed(own), size)) if own else drawing.mark(design, (size[1], size[1]))


def strip(design: Design, files: Files, size: Size) -> bytes:
    """What lies behind the card's main field: the shop's strip or hero, else two quiet waves."""
    own = _first(files, design.pictures.strip, design.pictures.hero)
    return lighter(covering(own, size, design.background)) if own else drawing.waves(design, size)


def google_logo(design: Design, files: Files, size: Size = GOOGLE_LOGO) -> bytes:
    """What can be seen whole in a circle: the icon or logo on the card's colour, else the shop's initial."""
    own = _first(files, design.pictures.icon, design.pictures.logo)
    if own is None:
        return drawing.mark(design, size)
    own = trimmed(own)
    share = _IN_CIRCLE * max(own.size) / math.hypot(*own.size)
    return encoded(centred(own, size, design.background, share))


def google_hero(design: Design, files: Files, size: Size = GOOGLE_HERO) -> bytes:
    """The wide picture: the shop's hero or strip, else two quiet waves."""
    own = _first(files, design.pictures.hero, design.pictures.strip)
    return lighter(covering(own, size, design.background)) if own else drawing.waves(design, size)


def _first(files: Files, *digests: str) -> Image.Image | None:
    held = next((files[digest] for digest in digests if digest in files), None)
    return decoded(held) if held else None


# What can be asked for by address, and in which size.
KINDS: Mapping[str, Callable[[Design, Files], bytes]] = {
    "google-logo": google_logo,
    "google-hero": google_hero,
    "icon": functools.partial(icon, size=(ICON[0] * 3, ICON[1] * 3)),
    "logo": functools.partial(logo, size=(LOGO[0] * 3, LOGO[1] * 3)),
    "strip": functools.partial(strip, size=(STRIP[0] * 3, STRIP[1] * 3)),
}
