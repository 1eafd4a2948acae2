"""What Rapport says in each language: the chosen one, its words from the catalogs, and numbers, money and days by CLDR.

Messages are whole English sentences with named places: `_("%(points)s for %(order)s.", points=…, order=…)`. A catalog a
language and domain stands in `locales/<language>/LC_MESSAGES/<domain>.po`; `core.catalogs` keeps them.
"""

import functools
import io
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import flask_babel
from babel import Locale
from babel.dates import format_date, format_skeleton, format_timedelta
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal
from babel.support import Translations
from flask import Blueprint, Flask, g, has_app_context, has_request_context, request
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from core import clock
from core.money import minor_digits, money_text, to_units


class Language(NamedTuple):
    """What its speakers call it, which way it runs (`ltr` or `rtl`), and whose numbers and days it follows (CLDR)."""

    code: str
    name: str
    direction: str
    locale: str


ENGLISH = "en"
LANGUAGES = {
    language.code: language
    for language in (
        # Plain English stands for the American kind of it: "$5.00".
        Language(ENGLISH, "English", "ltr", "en_US"),
        Language("fr", "Français", "ltr", "fr"),
        Language("de", "Deutsch", "ltr", "de"),
        Language("es", "Español", "ltr", "es"),
        Language("ja", "日本語", "ltr", "ja"),
        Language("ar", "العربية", "rtl", "ar"),
    )
}
# One for what all share, and one for each face, so that their authors don't meet in a file. The first that has it wins.
DOMAINS = ("words", "portal", "merchant", "staff")
FOLDER = Path(__file__).parents[1] / "locales"

_speaking: ContextVar[str | None] = ContextVar("speaking", default=None)


def init(app: Flask) -> None:
    """Have templates speak: `_()`, `ngettext()`, the filters number, points, money, day and ago."""
    babel = flask_babel.Babel(app, locale_selector=lambda: LANGUAGES[language()].locale)
    domain = flask_babel.Domain()
    domain.get_translations = lambda: translations(language())
    babel.domain_instance = domain
    app.jinja_env.globals |= {
        "ngettext": _ngettext_in_template,
        "get_locale": language,
        "direction": direction,
        "languages": LANGUAGES,
    }
    app.jinja_env.filters |= {"number": number, "points": points, "money": money, "day": day, "ago": ago}


# Which language.


def language() -> str:
    """The code of the language spoken now: that of `speaking`, else of the request, else English."""
    if inside := _speaking.get():
        return inside
    if not has_request_context():
        return ENGLISH
    if "language" not in g:
        g.language = spoken(*(tag for tag, quality in request.accept_languages if quality))
    return str(g.language)


def direction() -> str:
    """Which way the language spoken now runs: `ltr` or `rtl`."""
    return LANGUAGES[language()].direction


def spoken(*wanted: str | None) -> str:
    """The first of the languages wanted that we speak, whatever its region (`fr-CA` is French); else English."""
    codes = (tag.replace("_", "-").split("-")[0].lower() for tag in wanted if tag)
    return next((code for code in codes if code in LANGUAGES), ENGLISH)


def choose(*wanted: str | None) -> None:
    """Have the rest of this request speak the first of these that we speak."""
    g.language = spoken(*wanted)
    flask_babel.refresh()


def speaks(face: Blueprint, selector: Callable[[], str | None]) -> None:
    """Have a face ask `selector` for its language before each request; None leaves it to Accept-Language."""

    @face.before_request
    def _choose() -> None:
        if wanted := selector():
            choose(wanted)


@contextmanager
def speaking(wanted: str | None) -> Iterator[None]:
    """Speak a language for a while, in a job, a mail or a part of a request."""
    code = spoken(wanted)
    token = _speaking.set(code)
    try:
        if has_app_context():
            with flask_babel.force_locale(LANGUAGES[code].locale):
                yield
        else:
            yield
    finally:
        _speaking.reset(token)


# Words.


@functools.cache
def translations(code: str) -> Translations:
    """A language's words of all domains. English needs none: its messages are their own keys."""
    merged = Translations()
    for domain in reversed(DOMAINS if code != ENGLISH else ()):
        with (FOLDER / code / "LC_MESSAGES" / f"{domain}.po").open("rb") as file:
            compiled = io.BytesIO()
            write_mo(compiled, read_po(file))
        compiled.seek(0)
        loaded = Translations(compiled)
        merged.merge(loaded)
        merged.plural = loaded.plural
    return merged


def load() -> None:
    """Read every catalog now, so that no visitor waits for it."""
    for code in LANGUAGES:
        translations(code)


def gettext(message: str, /, **values: Any) -> str:
    """A message in the language spoken now, with its places filled in."""
    text = translations(language()).ugettext(message)
    return text % values if values else text


def ngettext(one: str, many: str, count: int, /, **values: Any) -> str:
    """The plural form that `count` takes. `%(num)s` is the count with its groups."""
    text = translations(language()).ungettext(one, many, count)
    return text % ({"num": number(count)} | values)


def pgettext(context: str, message: str, /, **values: Any) -> str:
    """`gettext` for a message that means different things in different places."""
    text = translations(language()).upgettext(context, message)
    return str(text) % values if values else str(text)


def mark(message: str) -> str:
    """A message in a table, kept as it is: `make words` finds it, and `_()` translates it when it is said."""
    return message


def mark_plural(one: str, many: str) -> tuple[str, str]:
    """The same for a message with plural forms: `ngettext(*pair, count)`."""
    return one, many


_ = gettext
N_ = mark
NN_ = mark_plural


@pass_context
def _ngettext_in_template(context: Context, one: str, many: str, count: int, /, **values: Any) -> str:
    text = translations(language()).ungettext(one, many, count)
    text = Markup(text) if context.eval_ctx.autoescape else text
    return text % ({"num": number(count)} | values)


# Numbers, money and time.


def locale() -> Locale:
    """The CLDR locale of the language spoken now."""
    return _locale(language())


@functools.cache
def _locale(code: str) -> Locale:
    return Locale.parse(LANGUAGES[code].locale)


# Balances and amounts repeat, and CLDR's patterns cost more than the sentence they stand in.
@functools.lru_cache(maxsize=8192)
def _number(value: int | Decimal, code: str) -> str:
    return format_decimal(value, locale=_locale(code))


@functools.lru_cache(maxsize=8192)
def _money(minor: int, currency: str, code: str) -> str:
    return money_text(minor, currency, LANGUAGES[code].locale)


def number(value: int | Decimal) -> str:
    """A number with its groups and decimal mark: "12,403", "1.25"."""
    return _number(value, language())


def points(value: int) -> str:
    """So many points: "1 point", "12,403 points"."""
    return ngettext("%(num)s point", "%(num)s points", value)


def money(minor: int, currency: str) -> str:
    """An amount in minor units: "$120.00"."""
    return _money(minor, currency, language())


def price(minor: int, currency: str) -> str:
    """An amount without decimals where there are none: "$10", "$10.50"."""
    if minor % 10 ** minor_digits(currency):
        return money(minor, currency)
    whole = locale().currency_formats["standard"].pattern.replace(".00", "")
    return format_currency(to_units(minor, currency), currency, whole, locale(), currency_digits=False)


def decimal(value: Decimal) -> str:
    """All of a decimal's places: "1.0625"."""
    return format_decimal(value, locale=locale(), decimal_quantization=False)


def percent(value: Decimal) -> str:
    """12.50 is "12.5%"."""
    return str(locale().percent_formats[None].apply(value / 100, locale(), decimal_quantization=False))


def day(moment: datetime | date, zone: ZoneInfo | None = None, *, year: bool = True) -> str:
    """A day on the calendar of `zone`: "14 March 2026", without its year "14 March"."""
    if isinstance(moment, datetime):
        moment = moment.astimezone(zone).date() if zone else moment.date()
    if language() == ENGLISH:
        return format_date(moment, "d MMMM y" if year else "d MMMM", locale=locale())
    return format_skeleton("yMMMMd" if year else "MMMMd", moment, locale=locale())


def isolated(name: str) -> str:
    """A name in plain text, which keeps the sentence in order where it runs the other way."""
    against = ("L",) if direction() == "rtl" else ("R", "AL")
    turns = any(unicodedata.bidirectional(character) in against for character in name)
    return f"\u2068{name}\u2069" if turns else name


def listed(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    if language() == ENGLISH:
        return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))
    return format_list(parts, locale=locale())


def ago(moment: datetime) -> str:
    """How long ago, or until when, in one unit: "4 minutes ago", "in 3 days"."""
    past = moment - clock.now()
    if abs(past) < timedelta(minutes=1):
        return gettext("just now")
    return format_timedelta(past, granularity="minute", add_direction=True, locale=locale())
