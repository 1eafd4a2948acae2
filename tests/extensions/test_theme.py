"""The theme app extension: accepted by Shopify's own theme check, small, translated, and never in the shop's way."""

import gzip
import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from core import i18n
from sandbox import theme

BLOCKS = sorted(path.stem for path in (theme.FOLDER / "blocks").glob("*.liquid"))
# Source: https://shopify.dev/docs/apps/build/online-store/theme-app-extensions/configuration
TARGETS = {"body", "head", "compliance_head", "section"}
LOCALES = theme.FOLDER / "locales"
MOST_COMPRESSED = 10_000  # bytes, of all assets together


def keys(words: dict[str, Any], prefix: str = "") -> set[str]:
    """The dotted names of all words."""
    found: set[str] = set()
    for name, value in words.items():
        found |= keys(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name}
    return found


def source(block: str) -> str:
    return (theme.FOLDER / "blocks" / f"{block}.liquid").read_text()


def test_shopifys_theme_check_finds_nothing(extensions: Path, node: str) -> None:
    checked = subprocess.run([node, extensions / "check-theme.mjs"], capture_output=True, text=True, check=True)
    assert json.loads(checked.stdout) == []


def test_theme_check_does_look(extensions: Path, node: str, tmp_path: Path) -> None:
    """The check above can fail: a copy with a fault in it is found out."""
    copy = tmp_path / "extensions"
    (copy / "theme" / "blocks").mkdir(parents=True)
    for name in ("check-theme.mjs", "package.json"):
        (copy / name).write_text((extensions / name).read_text())
    (copy / "node_modules").symlink_to(extensions / "node_modules")
    (copy / "theme" / "blocks" / "bad.liquid").write_text('{% if x %}<a href="{{ y }">{% schema %}{ {% endschema %}')
    checked = subprocess.run([node, copy / "check-theme.mjs"], capture_output=True, text=True, check=True)
    assert json.loads(checked.stdout)


def test_all_assets_together_are_small() -> None:
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in theme.ASSETS.iterdir()}
    assert sum(sizes.values()) < MOST_COMPRESSED, sizes


@pytest.mark.parametrize("block", BLOCKS)
def test_a_blocks_schema_is_whole(block: str) -> None:
    schema = theme.schema(block)
    assert schema["target"] in TARGETS
    assert schema["stylesheet"] == "rapport.css"
    # A schema's script is loaded with `defer`, once a page for all blocks.
    assert schema["javascript"] == "rapport.js"
    assert len(schema["name"]) <= 25
    named = [field["id"] for field in schema["settings"]]
    assert len(named) == len(set(named))
    assert set(re.findall(r"block\.settings\.(\w+)", source(block))) <= set(named)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_word_is_translated(block: str) -> None:
    editors = keys(json.loads((LOCALES / "en.default.schema.json").read_text()))
    assert set(re.findall(r'"t:([\w.]+)"', source(block))) <= editors
    assert set(re.findall(r"'([\w.]+)' \| t\b", source(block))) <= keys(theme.words())


def test_no_word_is_left_over() -> None:
    everything = "".join(source(block) for block in BLOCKS)
    assert {key for key in keys(theme.words()) if f"'{key}' | t" not in everything} == set()
    editors = keys(json.loads((LOCALES / "en.default.schema.json").read_text()))
    assert {key for key in editors if f'"t:{key}"' not in everything} == set()


def test_six_languages() -> None:
    assert set(theme.LANGUAGES) == set(i18n.LANGUAGES)
    assert {path.name.split(".")[0] for path in LOCALES.glob("*.schema.json")} == set(i18n.LANGUAGES)


@pytest.mark.parametrize("language", theme.LANGUAGES)
def test_blocks_speak_every_language(language: str) -> None:
    shown = theme.render("rewards", {"page": "/"}, language, routes={"account_login_url": "/in"}, customer=None)
    assert html.escape(theme.words(language)["rewards"]["join"]) in html.escape(html.unescape(shown))
    assert "[points]" in shown


def test_names_of_blocks_fit_the_editor() -> None:
    """Source: https://shopify.dev/docs/apps/build/online-store/theme-app-extensions/configuration"""
    for path in LOCALES.glob("*.schema.json"):
        names = [said["name"] for said in json.loads(path.read_text()).values() if "name" in said]
        assert [name for name in names if len(name) > 25] == [], path.name


def test_no_class_is_one_of_the_apps_own() -> None:
    """The app's pages stand in the shop's theme, too, under `.rapport`: one's rules must not reach into the other."""
    assert not re.search(r"\.rapport(?![\w-])", (theme.ASSETS / "rapport.css").read_text())
    assert not any(re.search(r'class="([^"]* )?rapport[ "]', source(block)) for block in BLOCKS)


@pytest.mark.parametrize("path", sorted(LOCALES.glob("*.json")), ids=lambda path: path.stem)
def test_every_language_says_all_of_it(path: Path) -> None:
    english = LOCALES / ("en.default.schema.json" if path.name.endswith(".schema.json") else "en.default.json")
    assert keys(json.loads(path.read_text())) == keys(json.loads(english.read_text()))


@pytest.mark.parametrize("path", sorted(LOCALES.glob("??.json")), ids=lambda path: path.stem)
def test_every_gap_is_filled_in_every_language(path: Path) -> None:
    def gaps(words: dict[str, Any]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for section, said in words.items():
            found |= {f"{section}.{name}": set(re.findall(r"\{\{ (\w+) \}\}", text)) for name, text in said.items()}
        return found

    assert gaps(json.loads(path.read_text())) == gaps(theme.words())


def test_the_script_asks_only_the_shop_itself() -> None:
    script = (theme.ASSETS / "rapport.js").read_text()
    assert not re.search(r"https?://", script)
    assert not re.search(r"innerHTML|eval\(", script)
