"""What Wallet draws of a pass: words in the phone's language, dates by its calendar, the code as a picture. Pure."""

import base64
from datetime import UTC, datetime
from typing import Any

import segno
from babel import Locale
from babel.dates import format_date, format_time
from markupsafe import Markup

from sandbox.apple.passfile import PassFile

# The languages of its settings, by their own names. Those that a card has no words for show it as it is.
LANGUAGES = {tag: Locale.parse(tag).get_display_name(tag) for tag in ("en", "fr", "de", "es", "ja", "ar", "pt")}
RIGHT_TO_LEFT = frozenset({"ar"})
_STYLES = {"PKDateStyleShort": "short", "PKDateStyleMedium": "medium", "PKDateStyleLong": "long"}


def shown(held: PassFile, language: str) -> dict[str, Any]:
    """What the page draws: the parts of `pass.json` by their places, the images as data, the barcodes as drawings."""
    placed = held.placed(language)
    return held.told | {
        "style": {place: [_drawn(field, language) for field in fields] for place, fields in placed.items()},
        "images": _images(held),
        "codes": [_code(code) for code in held.told.get("barcodes", [])],
        "direction": "rtl" if language in RIGHT_TO_LEFT else "ltr",
    }


def _drawn(field: dict[str, Any], language: str) -> dict[str, Any]:
    if "dateStyle" in field or "timeStyle" in field:
        return field | {"text": _dated(field, language)}
    # Checked when it came: links and nothing else.
    return field | {"text": Markup(field["attributedValue"]) if "attributedValue" in field else field["value"]}


def _dated(field: dict[str, Any], language: str) -> str:
    moment = datetime.fromisoformat(field["value"]).astimezone()
    parts = []
    if field.get("dateStyle") in _STYLES:
        parts.append(format_date(moment, _STYLES[field["dateStyle"]], locale=language))
    if field.get("timeStyle") in _STYLES:
        parts.append(format_time(moment, _STYLES[field["timeStyle"]], locale=language))
    return " ".join(parts)


def spelled(at: float, language: str) -> str:
    """A time of day, from seconds of the epoch."""
    return format_time(datetime.fromtimestamp(at, UTC).astimezone(), "short", locale=language)


def _images(held: PassFile) -> dict[str, str]:
    return {
        name.removesuffix("@2x.png"): "data:image/png;base64," + base64.b64encode(data).decode()
        for name, data in held.images.items()
        if name.endswith("@2x.png")
    }


def _code(told: dict[str, Any]) -> dict[str, Any]:
    drawing = segno.make(told["message"], micro=False).svg_inline(scale=4, border=0, omitsize=True)
    return told | {"drawing": Markup(drawing) if told["format"] == "PKBarcodeFormatQR" else ""}
