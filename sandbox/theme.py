"""The storefront's theme: renders the app's theme blocks as an online store does, with Liquid, locales and settings.

Source: https://shopify.dev/docs/apps/build/online-store/theme-app-extensions
"""

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liquid import Environment, FileSystemLoader
from markupsafe import Markup

FOLDER = Path(__file__).parents[1] / "extensions" / "theme"
ASSETS = FOLDER / "assets"
ENGLISH = "en"
LANGUAGES = (ENGLISH, *sorted(path.stem for path in (FOLDER / "locales").glob("??.json")))
_SCHEMA = re.compile(r"\{%\s*schema\s*%\}(.*?)\{%\s*endschema\s*%\}", re.S)
_GAP = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def render(block: str, settings: Mapping[str, Any] | None = None, language: str = ENGLISH, **objects: Any) -> Markup:
    """A block's markup. `settings` are a merchant's, over the schema's defaults; `objects` are Liquid's."""
    schema, template = _block(block, language)
    chosen = {field["id"]: field.get("default") for field in schema["settings"] if "id" in field} | dict(settings or {})
    given = {"settings": chosen, "shopify_attributes": Markup(f'data-shopify-editor-block="{block}"')}
    return Markup(template.render(block=given, **objects))


def schema(block: str) -> dict[str, Any]:
    """What a block's `{% schema %}` says."""
    return _block(block)[0]


@functools.cache
def _block(name: str, language: str = ENGLISH) -> tuple[dict[str, Any], Any]:
    source = (FOLDER / "blocks" / f"{name}.liquid").read_text()
    found = _SCHEMA.search(source)
    if found is None:
        raise ValueError(f"{name} has no schema")
    return json.loads(found[1]), _liquid(language).from_string(_SCHEMA.sub("", source))


@functools.cache
def _liquid(language: str) -> Environment:
    environment = Environment(loader=FileSystemLoader(FOLDER / "snippets", ext=".liquid"))
    environment.add_filter("t", functools.partial(_translated, words(language)))
    environment.add_filter("color_brightness", _brightness)
    return environment


@functools.cache
def words(language: str = ENGLISH) -> dict[str, Any]:
    """The words of the blocks in one of `LANGUAGES`."""
    file = f"{language}.default.json" if language == ENGLISH else f"{language}.json"
    known: dict[str, Any] = json.loads((FOLDER / "locales" / file).read_text())
    return known


def _translated(text: Any, key: str, **values: Any) -> str:
    for part in key.split("."):
        text = text[part]
    return _GAP.sub(lambda gap: str(values.get(gap[1], gap[0])), text)


def _brightness(colour: str) -> float:
    """The W3C's weighted brightness of a colour such as #0f5c5a, from 0 to 255."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return (299 * red + 587 * green + 114 * blue) / 1000
