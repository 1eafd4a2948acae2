"""Badges that lead to the page, drawn by us: a black pill with a wallet and the wallet's name. Pure.

Each is 48 high, with a tenth of that left clear around it: the least that both brands ask for. The SVG says it all in
its reader's language. The PNG is for mail programs that show no SVG and has no words to translate; its `alt` has them.
"""

import io
import unicodedata
from html import escape

from PIL import Image, ImageDraw, ImageFont

from wallet_passes.adding.visitors import APPLE, GOOGLE
from wallet_passes.adding.wording import words
from wallet_passes.languages import RIGHT_TO_LEFT

NAMES = {APPLE: "Apple Wallet", GOOGLE: "Google Wallet"}

HEIGHT = 48
CLEAR = 5
GLYPH = 24
_PAD = 18
_TEXT = 17
_EDGE = "#8e8e93"
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
# On a field of 24 by 24: an open wallet with a card in it.
GLYPH_PATHS = (
    "M5.5 8.5V6.2A1.7 1.7 0 0 1 7.2 4.5h9.6a1.7 1.7 0 0 1 1.7 1.7v2.3",
    "M3 10.2a1.7 1.7 0 0 1 1.7-1.7h14.6a1.7 1.7 0 0 1 1.7 1.7v7.6a1.7 1.7 0 0 1-1.7 1.7H4.7A1.7 1.7 0 0 1 3 17.8z",
    "M21 12.2h-4.4a1.8 1.8 0 0 0 0 3.6H21",
)


def label(wallet: str, language: str) -> str:
    """What a badge says: "Add to Apple Wallet"."""
    return words(language).add.format(wallet=NAMES[wallet])


def svg(wallet: str, language: str) -> str:
    """A badge as SVG. Widths of letters are estimated with room to spare, for the reader's font is not known."""
    text = label(wallet, language)
    width = round(_PAD * 2 + GLYPH + 10 + _width(text))
    right = language in RIGHT_TO_LEFT
    glyph_x = CLEAR + (width - _PAD - GLYPH if right else _PAD)
    middle = CLEAR + (width - GLYPH - 10) / 2 + (0 if right else GLYPH + 10)
    paths = "".join(f'<path d="{path}"/>' for path in GLYPH_PATHS)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 2 * CLEAR}" height="{HEIGHT + 2 * CLEAR}"'
        f' role="img" aria-label="{escape(text)}" lang="{language}"><title>{escape(text)}</title>'
        f'<rect x="{CLEAR + 0.5}" y="{CLEAR + 0.5}" width="{width - 1}" height="{HEIGHT - 1}" rx="{HEIGHT / 2 - 0.5}"'
        f' fill="#000" stroke="{_EDGE}"/>'
        f'<g transform="translate({glyph_x} {CLEAR + (HEIGHT - GLYPH) / 2})" fill="none" stroke="#fff"'
        f' stroke-width="1.6" stroke-linejoin="round">{paths}</g>'
        f'<text x="{middle}" y="{CLEAR + HEIGHT / 2 + _TEXT * 0.35:.1f}" text-anchor="middle" fill="#fff"'
        f' direction="{"rtl" if right else "ltr"}"'
        f' font-family="{_FONTS}" font-size="{_TEXT}" font-weight="600">{escape(text)}</text></svg>'
    )


def _width(text: str) -> float:
    """In the SVG's units, rather too much than too little."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return _TEXT * (wide * 1.02 + (len(text) - wide) * 0.585)


def png(wallet: str) -> bytes:
    """A badge as PNG at twice its size, for sharp screens: show it 58 high."""
    scale = 8  # drawn large and made smaller, for smooth edges
    font = ImageFont.load_default(_TEXT * scale)
    width = round(_PAD * 2 + GLYPH + 10 + font.getlength(NAMES[wallet]) / scale)
    image = Image.new("RGBA", ((width + 2 * CLEAR) * scale, (HEIGHT + 2 * CLEAR) * scale))
    draw = ImageDraw.Draw(image)
    box = (CLEAR * scale, CLEAR * scale, (CLEAR + width) * scale, (CLEAR + HEIGHT) * scale)
    draw.rounded_rectangle(box, HEIGHT / 2 * scale, fill="black", outline=_EDGE, width=scale)
    _draw_glyph(draw, CLEAR + _PAD, CLEAR + (HEIGHT - GLYPH) / 2, scale)
    place = ((CLEAR + _PAD + GLYPH + 10) * scale, (CLEAR + HEIGHT / 2) * scale)
    draw.text(place, NAMES[wallet], fill="white", font=font, anchor="lm", stroke_width=scale / 5, stroke_fill="white")
    out = io.BytesIO()
    image.resize((image.width * 2 // scale, image.height * 2 // scale), Image.Resampling.LANCZOS).save(out, "PNG")
    return out.getvalue()


def _draw_glyph(draw: ImageDraw.ImageDraw, left: float, top: float, scale: int) -> None:
    """The wallet of the SVG in rectangles: Pillow draws no paths."""

    def box(x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        return (left + x0) * scale, (top + y0) * scale, (left + x1) * scale, (top + y1) * scale

    line = round(1.6 * scale)
    draw.rounded_rectangle(box(5.5, 4.5, 18.5, 12), 1.7 * scale, outline="white", width=line)
    draw.rounded_rectangle(box(3, 8.5, 21, 19.5), 1.7 * scale, fill="black", outline="white", width=line)
    draw.rounded_rectangle(box(14.8, 12.2, 21, 15.8), 1.8 * scale, fill="black", outline="white", width=line)
