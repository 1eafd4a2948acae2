"""Uploads that are pictures and become one of ours, and the many that are not."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, PngImagePlugin

from wallet_passes.design import Pictures, contrast, design
from wallet_passes.designs import images
from wallet_passes.designs.images import BadImage, checked

RED, GREEN, BLUE = (200, 30, 40), (20, 160, 60), (30, 60, 200)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def plain(size: tuple[int, int] = (64, 40), colour: Any = RED, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size, colour)


def corners(mode: str = "RGB") -> Image.Image:
    """Red at the top left, green at the top right, blue below."""
    image = plain((60, 40), BLUE)
    image.paste(RED, (0, 0, 30, 20))
    image.paste(GREEN, (30, 0, 60, 20))
    return image.convert(mode)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(checked(data).file))


def near(one: Any, other: Any, most: int = 12) -> bool:
    return all(abs(a - b) <= most for a, b in zip(one[:3], other[:3], strict=True))


def turned(degrees: int) -> bytes:
    """What a camera notes when it was held so."""
    exif = Image.Exif()
    exif[0x0112] = {90: 6, 180: 3}[degrees]
    return exif.tobytes()


# What is a picture.


GOOD: dict[str, bytes] = {
    "PNG": saved(corners()),
    "JPEG": saved(corners(), "JPEG", quality=95),
    "progressive JPEG": saved(corners(), "JPEG", quality=95, progressive=True),
    "WebP": saved(corners(), "WEBP", lossless=True),
    "palette": saved(corners().quantize(8)),
    "CMYK": saved(corners("CMYK"), "JPEG", quality=95),
    "with alpha": saved(corners("RGBA")),
    "upside down by EXIF": saved(corners().rotate(180), "JPEG", quality=95, exif=turned(180)),
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
def test_pictures_are_redrawn_as_they_were_meant(case: str) -> None:
    made = opened(GOOD[case])
    assert (made.format, made.size, made.info) == ("PNG", (60, 40), {})
    found = made.convert("RGB")
    for place, colour in (((5, 5), RED), ((54, 5), GREEN), ((30, 34), BLUE)):
        assert near(found.getpixel(place), colour, 45 if case == "CMYK" else 12), (place, found.getpixel(place))


def sixteen_bits(grey: int) -> bytes:
    return saved(Image.frombytes("I;16", (20, 20), struct.pack("<H", grey) * 400))


@pytest.mark.parametrize(("grey", "shown"), [(0, 0), (0x8000, 0x80), (0xFFFF, 0xFF)])
def test_sixteen_bits_keep_their_shades(grey: int, shown: int) -> None:
    assert near(opened(sixteen_bits(grey)).convert("RGB").getpixel((3, 3)), (shown,) * 3, 1)


def test_transparency_stays() -> None:
    for data in (saved(plain(colour=(*RED, 0), mode="RGBA")), saved(plain(mode="P", colour=0), transparency=0)):
        assert opened(data).convert("RGBA").getpixel((3, 3))[3] == 0


def test_nothing_but_pixels_is_kept() -> None:
    secret = b"52.5200 north, 13.4050 east"
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", secret.decode())
    exif = Image.Exif()
    exif[0x010E] = secret.decode()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for data in (
        saved(plain(), pnginfo=text, exif=exif.tobytes(), icc_profile=profile),
        saved(plain(), "JPEG", exif=exif.tobytes(), comment=secret),
    ):
        assert secret in data
        assert secret not in checked(data).file
        assert opened(data).info == {}


def test_a_wider_range_of_colours_is_brought_to_srgb() -> None:
    """The same numbers mean another red under a profile that has them so."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert opened(saved(plain(), icc_profile=profile)).getpixel((3, 3)) == RED  # no profile of RGB: passed over
    assert opened(saved(plain(), icc_profile=b"no profile")).getpixel((3, 3)) == RED


def test_the_same_picture_has_the_same_name_however_it_came() -> None:
    names = {checked(saved(corners(), **options)).digest for options in ({}, {"compress_level": 0}, {"dpi": (9, 9)})}
    assert len(names) == 1


def test_a_photo_of_a_phone_is_brought_to_size() -> None:
    photo = saved(plain((4000, 3000)), "JPEG")
    made = checked(photo)
    assert (made.width, made.height) == (images.KEPT_SIDE, images.KEPT_SIDE * 3 // 4)


# What is none.


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it has so many pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("index.html", "<script>alert(1)</script>")
    return file.getvalue()


def text_bomb() -> bytes:
    """A PNG whose compressed text would take fifty megabytes."""
    good = saved(plain())
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b" " * 50_000_000))
    return good[:33] + text + good[33:]


def moving(kind: str) -> bytes:
    frames = [plain(colour=colour) for colour in (RED, GREEN, BLUE)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)


NOISE = bytes(range(256)) * 300
PNG, JPEG, WEBP = (saved(plain(), kind) for kind in ("PNG", "JPEG", "WEBP"))
DAMAGED = "can't be read"
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "is empty"),
    "noise": (lambda: NOISE, DAMAGED),
    "text": (lambda: b"hello " * 50, DAMAGED),
    "an SVG": (lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "an SVG"),
    "an SVG after much white space": (lambda: b" " * 500 + b"<SVG onload='x()'/>", "an SVG"),
    "a web page": (lambda: b"<!DOCTYPE html><script>alert(1)</script>", "a web page"),
    "a PDF": (lambda: b"%PDF-1.7\n" + NOISE, "a PDF"),
    "a GIF": (lambda: saved(plain(), "GIF"), "a GIF"),
    "a moving GIF": (lambda: moving("GIF"), "a GIF"),
    "a TIFF": (lambda: saved(plain(), "TIFF"), "a TIFF"),
    "a BMP": (lambda: saved(plain(), "BMP"), DAMAGED),
    "an icon file": (lambda: saved(plain((32, 32)), "ICO"), DAMAGED),
    "a PostScript file": (lambda: saved(plain(), "EPS"), DAMAGED),
    "an archive": (zipped, "an archive"),
    "a HEIC": (lambda: b"\0\0\0\x18ftypheic" + NOISE, "a HEIC photo"),
    "a moving PNG": (lambda: moving("PNG"), "moves"),
    "a moving WebP": (lambda: moving("WEBP"), "moves"),
    "PNG and archive": (lambda: PNG + zipped(), "more than a picture"),
    "JPEG and archive": (lambda: JPEG + zipped(), "more than a picture"),
    "WebP and archive": (lambda: WEBP + zipped(), "more than a picture"),
    "PNG and script": (lambda: PNG + b"<script>alert(1)</script>", "more than a picture"),
    "JPEG and PDF": (lambda: JPEG[:2] + b"\xff\xfe\x00\x0a%PDF-1.4" + JPEG[2:], "a PDF"),
    "half a PNG": (lambda: PNG[: len(PNG) // 2], DAMAGED),
    "half a JPEG": (lambda: saved(corners().resize((600, 400)), "JPEG")[:2000], DAMAGED),
    "half a WebP": (lambda: WEBP[: len(WEBP) // 2], DAMAGED),
    "a PNG's head alone": (lambda: PNG[:8], DAMAGED),
    "a PNG that breaks off in a chunk": (lambda: PNG[:33], DAMAGED),
    "a bomb": (lambda: bomb(50_000, 50_000), "too many pixels"),
    "a bomb that Pillow only warns of": (lambda: bomb(6000, 5000), "too many pixels"),
    "a bomb in a text": (text_bomb, DAMAGED),
    "a bomb of one line": (lambda: bomb(20_000_000, 1), "20000000 × 1 pixels"),
    "no pixels": (lambda: bomb(0, 10), DAMAGED),
    "few pixels": (lambda: saved(plain((5, 200))), "5 × 200 pixels"),
    "huge": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(images.MOST_BYTES), "5.0 MB"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_picture_is_refused_in_a_sentence(case: str) -> None:
    make, said = HOSTILE[case]
    with pytest.raises(BadImage) as refused:
        checked(make())
    assert said in refused.value.detail
    assert refused.value.code == "bad_image"


@given(st.binary(max_size=400), st.sampled_from([PNG, JPEG, WEBP]), st.integers(0, 300), st.integers(0, 255))
def test_no_damage_is_a_fault_of_ours(tail: bytes, good: bytes, place: int, byte: int) -> None:
    """Whatever comes is a picture, or is refused as none."""
    hurt = bytearray(good)
    hurt[place % len(good)] = byte
    for data in (tail, good[: place % len(good)] + tail, bytes(hurt)):
        try:
            made = checked(data)
        except BadImage:
            continue
        assert Image.open(io.BytesIO(made.file)).format == "PNG"


# What wallets take.


LOOK = design("North Pier")
WIDE, SQUARE = saved(plain((900, 200))), saved(plain((300, 300)))
SIZES = {
    "icon": images.ICON,
    "logo": images.LOGO,
    "strip": images.STRIP,
}


def with_pictures(**pictures: bytes) -> tuple[Any, dict[str, bytes]]:
    kept = {name: checked(data) for name, data in pictures.items()}
    names = Pictures(**{name: picture.digest for name, picture in kept.items()})
    return LOOK._replace(pictures=names), {picture.digest: picture.file for picture in kept.values()}


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


@pytest.mark.parametrize("own", ["none", "wide", "square"])
def test_apple_s_sizes(own: str) -> None:
    given = {"none": None, "wide": WIDE, "square": SQUARE}[own]
    look, files = with_pictures(logo=given, icon=given, strip=given) if given else (LOOK, {})
    made = {name: size_of(data) for name, data in images.apple_files(look, files).items()}
    for suffix, density in images.DENSITIES:
        assert made[f"icon{suffix}.png"] == (29 * density, 29 * density)
        assert made[f"strip{suffix}.png"] == (375 * density, 144 * density)
        width, height = made[f"logo{suffix}.png"]
        assert (width <= 160 * density, height <= 50 * density) == (True, True)
        assert width == 160 * density if own == "wide" else width == height == 50 * density
    assert len(made) == 9


def test_google_s_sizes() -> None:
    for look, files in ((LOOK, {}), with_pictures(logo=WIDE, hero=WIDE)):
        assert size_of(images.google_logo(look, files)) == (660, 660)
        assert size_of(images.google_hero(look, files)) == (1032, 336)


@pytest.mark.parametrize("size", [(900, 200), (300, 300), (200, 900), (1400, 16)])
def test_google_s_round_logo_shows_all_of_ours(size: tuple[int, int]) -> None:
    look, files = with_pictures(logo=saved(plain(size)))
    made = Image.open(io.BytesIO(images.google_logo(look, files))).convert("RGB")
    box = ImageChops.difference(made, Image.new("RGB", made.size, look.background)).getbbox()
    assert box is not None
    assert all(((x - 330) ** 2 + (y - 330) ** 2) ** 0.5 <= 330 for x in (box[0], box[2]) for y in (box[1], box[3]))


def test_empty_margins_take_no_room() -> None:
    drawn = plain((600, 600), (0, 0, 0, 0), "RGBA")
    drawn.paste(RED, (200, 250, 400, 300))
    look, files = with_pictures(logo=saved(drawn))
    assert size_of(images.logo(look, files, (160, 50))) == (160, 40)


def test_what_shines_through_lies_on_the_card_s_colour() -> None:
    look, files = with_pictures(icon=saved(plain((100, 100), (*RED, 0), "RGBA")))
    for data in (images.icon(look, files, (87, 87)), images.google_logo(look, files)):
        assert Image.open(io.BytesIO(data)).convert("RGB").getpixel((40, 40)) == look.background


def test_photos_on_a_card_weigh_little() -> None:
    photo = saved(Image.effect_noise((1400, 600), 90).convert("RGB"), "JPEG")
    look, files = with_pictures(strip=photo)
    heavy = images.encoded(images.covering(images.decoded(files[look.pictures.strip]), (1125, 432), look.background))
    assert len(images.strip(look, files, (1125, 432))) < len(heavy)
    assert sum(map(len, images.apple_files(look, files).values())) < 1_000_000


def test_a_picture_that_is_gone_is_drawn() -> None:
    look = LOOK._replace(pictures=Pictures(logo="0" * 64, strip="1" * 64))
    assert images.apple_files(look, {}) == images.apple_files(LOOK, {})


def test_the_drawn_mark_can_be_read() -> None:
    assert contrast(LOOK.foreground, LOOK.background) > 4.5
    shades = Image.open(io.BytesIO(images.google_logo(LOOK, {}))).convert("RGB").getcolors(100_000)
    assert shades is not None
    assert len(shades) > 2
