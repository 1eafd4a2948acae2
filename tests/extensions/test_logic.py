"""Extensions for the till, the checkout and customer accounts: their types hold against Shopify's own, and their logic
does what its tests say."""

import json
import re
import subprocess
import tomllib
from fractions import Fraction
from pathlib import Path

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from core import i18n
from core.money import minor_digits

ROOT = Path(__file__).parents[2]
SURFACES = ("pos", "customer-account", "checkout")


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("surface", SURFACES)
def test_types_hold(extensions: Path, node: str, surface: str) -> None:
    checked = run(node, extensions / "node_modules/typescript/bin/tsc", "-p", extensions / surface)
    assert checked.returncode == 0, checked.stdout


def test_types_are_looked_at(extensions: Path, node: str, tmp_path: Path) -> None:
    """The check above can fail: a property that no component of the till has is found out."""
    (tmp_path / "tsconfig.json").write_text(json.dumps({"extends": str(extensions / "tsconfig.base.json")}))
    (tmp_path / "node_modules").symlink_to(extensions / "node_modules")
    (tmp_path / "Bad.tsx").write_text(
        'import type { Api } from "@shopify/ui-extensions/pos.home.tile.render";\n'
        "declare const shopify: Api;\n"
        'export const bad = <s-tile headline="x" onClick={() => shopify.action.presentModal(1)} />;\n'
    )
    checked = run(node, extensions / "node_modules/typescript/bin/tsc", "-p", tmp_path)
    assert "headline" in checked.stdout
    assert "Expected 0 arguments" in checked.stdout


def test_logic(extensions: Path, node: str) -> None:
    tested = run(node, "--test", extensions / "common" / "test.mjs")
    assert tested.returncode == 0, tested.stdout


AMOUNTS = st.integers(0, 10**9)
DECIMALS = st.decimals(0, 100, places=4, allow_nan=False)


def test_points_are_counted_as_the_ledger_counts(extensions: Path, node: str) -> None:
    """Thousands of amounts, rates and currencies, against exact fractions."""
    cases: list[tuple[int, str, str, str]] = []

    @trying(max_examples=500, deadline=None, database=None)
    @given(AMOUNTS, DECIMALS, DECIMALS, st.sampled_from(["USD", "JPY", "KWD"]))
    def collect(minor: int, rate: object, multiplier: object, currency: str) -> None:
        cases.append((minor, f"{rate:f}", f"{multiplier:f}", currency))

    collect()
    asked = [
        [minor / 10 ** minor_digits(currency), {"rate": rate, "multiplier": times, "digits": minor_digits(currency)}]
        for minor, rate, times, currency in cases
    ]
    script = (
        f"import {{worth}} from {json.dumps((extensions / 'common/points.js').as_uri())};"
        "let all='';for await(const part of process.stdin)all+=part;"
        "console.log(JSON.stringify(JSON.parse(all).map(([a,e])=>worth(a,e))))"
    )
    counted = run(node, "--input-type=module", "-e", script, input=json.dumps(asked))
    assert json.loads(counted.stdout) == [exact(*case) for case in cases]


def exact(minor: int, rate: str, multiplier: str, currency: str) -> int:
    points = Fraction(minor, 10 ** minor_digits(currency)) * Fraction(rate) * Fraction(multiplier)
    return points.numerator // points.denominator


@pytest.mark.parametrize("surface", SURFACES)
def test_every_module_and_word_is_there(surface: str) -> None:
    folder = ROOT / "extensions" / surface
    config = tomllib.loads((folder / "shopify.extension.toml").read_text())
    targets = [target for extension in config["extensions"] for target in extension["targeting"]]
    assert all((folder / target["module"]).exists() for target in targets)
    source = "".join(path.read_text() for path in (folder / "src").iterdir()) + "".join(
        path.read_text() for path in (ROOT / "extensions" / "common").glob("s*.js")
    )
    words = json.loads((folder / "locales" / "en.default.json").read_text())
    assert [word for word in words if f'"{word}"' not in source] == []
    said = re.findall(r'(?:\bsay|translate)\(\s*"(\w+)"', source)
    assert [word for word in said if word not in words] == []


@pytest.mark.parametrize("language", sorted(i18n.LANGUAGES.keys() - {i18n.ENGLISH}))
@pytest.mark.parametrize("surface", SURFACES)
def test_every_surface_speaks_every_language(surface: str, language: str) -> None:
    """The same words, in each form the language counts in, with the same gaps; Shopify picks form and file."""
    folder = ROOT / "extensions" / surface / "locales"
    english = json.loads((folder / "en.default.json").read_text())
    said = json.loads((folder / f"{language}.json").read_text())
    assert list(said) == list(english)
    forms = Locale.parse(language).plural_form.tags | {"other"}
    for key, words in said.items():
        if isinstance(english[key], dict):
            # French and Spanish say millions their own way; nobody's points are counted so.
            assert set(words) == forms - ({"many"} if language in ("fr", "es") else set()), key
        else:
            assert gaps(words) == gaps(english[key]), key
    counted = [(key, words) for key, words in said.items() if isinstance(words, dict)]
    assert [key for key, words in counted if gaps(words["other"]) != gaps(english[key]["other"])] == []
    assert [key for key, words in counted for form in words.values() if gaps(form) - gaps(english[key]["other"])] == []


def gaps(text: str) -> set[str]:
    return set(re.findall(r"\{\{(\w+)\}\}", text))


def test_every_address_is_that_of_the_app() -> None:
    """One search and replace sets where Rapport runs."""
    (named,) = re.findall(r'APP = "(.+)"', (ROOT / "extensions/common/address.js").read_text())
    assert tomllib.loads((ROOT / "shopify.app.toml").read_text())["application_url"].startswith(named + "/")
