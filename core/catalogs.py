"""The catalogs of `locales/`: `python -m core.catalogs` gives every message of the code its place in them.

Files hold no places, dates or fuzzy guesses and are sorted, so that two people's changes seldom meet.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from core.i18n import DOMAINS, ENGLISH, FOLDER, LANGUAGES

ROOT = FOLDER.parent
FACES = DOMAINS[1:]
CODE = ("app.py", "core", "shops", "loyalty", "tiers", "referrals", "wallet_passes", "webhooks", "web")
TRANSLATED = tuple(code for code in LANGUAGES if code != ENGLISH)

# In CLDR's order; Babel's own table has Arabic's last two the wrong way round.
_PLURALS = {
    "fr": (2, "(n > 1)"),
    "de": (2, "(n != 1)"),
    "es": (2, "(n != 1)"),
    "ja": (1, "0"),
    "ar": (6, "(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5)"),
}
# How many of its first arguments are the message.
_KEYWORDS = {"_": 1, "N_": 1, "gettext": 1, "NN_": 2, "ngettext": 2, "pgettext": 2, "npgettext": 3}
Extracted = tuple[Any, str | None]
_HEADER = """msgid ""
msgstr ""
"Language: {code}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals={number}; plural={rule};\\n"

"""


def path(code: str, domain: str) -> Path:
    """Where a catalog stands."""
    return FOLDER / code / "LC_MESSAGES" / f"{domain}.po"


def read(code: str, domain: str) -> Catalog:
    """A catalog as it stands; an empty one where there is none yet."""
    if not path(code, domain).exists():
        return Catalog(locale=code)
    with path(code, domain).open("rb") as file:
        return read_po(file)


def found() -> dict[str, Catalog]:
    """Every message of the code by its domain. What the shared words have, no face's catalog repeats."""
    catalogs = {domain: Catalog() for domain in DOMAINS}
    for file in _sources():
        for message, context in (_said if file.suffix == ".py" else _shown)(file):
            catalogs[_domain(file)].add(message, context=context)
    for face in FACES:
        for shared in catalogs[DOMAINS[0]]:
            catalogs[face].delete(shared.id, shared.context)
    return catalogs


def _said(file: Path) -> Iterator[Extracted]:
    """What Python says. Its own parser sees into calls within calls and f-strings, where Babel's looks away."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        called = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and called in _KEYWORDS:
            texts = [str(part.value) for part in node.args[: _KEYWORDS[called]] if isinstance(part, ast.Constant)]
            if len(texts) == _KEYWORDS[called]:
                context = texts.pop(0) if called in ("pgettext", "npgettext") else None
                yield texts[0] if len(texts) == 1 else tuple(texts), context


def _shown(file: Path) -> Iterator[Extracted]:
    """What a template shows."""
    options = {"silent": "false"}
    for _line, message, _comments, context in extract_from_file("jinja2", file, options=options):
        yield message, context


def _sources() -> Iterator[Path]:
    for name in CODE:
        yield from sorted((ROOT / name).rglob("*.py")) if (ROOT / name).is_dir() else [ROOT / name]
    yield from sorted((ROOT / "templates").rglob("*.html"))
    yield from sorted((ROOT / "templates").rglob("*.txt"))


def _domain(file: Path) -> str:
    """`web/portal/…` and `templates/portal/…` are the portal's; what is no face's is everybody's."""
    top, *rest = file.relative_to(ROOT).parts
    name = rest[0].split(".")[0] if top in ("web", "templates") else ""
    return name if name in FACES else DOMAINS[0]


def updated(code: str, domain: str, messages: Catalog) -> Catalog:
    """A catalog with exactly these messages, and what it has of their translations."""
    before, after = read(code, domain), Catalog(locale=code)
    for message in messages:
        if message.id:
            known = before.get(message.id, message.context)
            after.add(message.id, known.string if known else "", context=message.context)
    return after


def write(code: str, domain: str, catalog: Catalog) -> None:
    """Store a catalog in its one form."""
    number, rule = _PLURALS[code]
    path(code, domain).parent.mkdir(parents=True, exist_ok=True)
    with path(code, domain).open("wb") as file:
        file.write(_HEADER.format(code=code, number=number, rule=rule).encode())
        write_po(file, catalog, width=110, omit_header=True, no_location=True, sort_output=True)


def main() -> None:
    """Bring every catalog up to date, and say what still waits for its words."""
    for domain, messages in found().items():
        for code in TRANSLATED:
            catalog = updated(code, domain, messages)
            write(code, domain, catalog)
            missing = sum(1 for message in catalog if message.id and not has_words(message.string))
            if missing:
                print(f"{domain:9} {code}: {missing} of {len(catalog)} to translate")


def has_words(string: Any) -> bool:
    """Whether a translation says something in each of its forms."""
    return all(string) if isinstance(string, tuple | list) else bool(string)


if __name__ == "__main__":
    main()
