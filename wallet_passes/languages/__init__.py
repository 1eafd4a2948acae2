"""What cards say in each language: the fixed words from a catalogue a language, numbers and money by CLDR. Pure.

A catalogue is a TOML file of this folder. `{braces}` are filled in, `%@` is where a phone puts a field's new text.
"""

import functools
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_decimal

from core.money import money_text

ENGLISH = "en"
LANGUAGES = (ENGLISH, "fr", "de", "es", "ja", "ar")
RIGHT_TO_LEFT = frozenset({"ar"})

# Plain English stands for the American kind of it: "$5.00", "March 14, 2026".
_LOCALES = {ENGLISH: "en_US"}
_FOLDER = Path(__file__).parent


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The words of one language.

    `labels` and `changes` (what a phone announces; `point` for a balance of one) are by the key of a field, `whys` by
    the kind of a posting, `points` and `orders` by CLDR's plural category.
    """

    about: str
    ahead: str
    ready: str
    pending: str
    expiring: str
    until: str
    code: str
    open: str
    quiet: str
    near: str
    labels: Mapping[str, str]
    changes: Mapping[str, str]
    points: Mapping[str, str]
    orders: Mapping[str, str]
    whys: Mapping[str, str]


@functools.cache
def catalogue(language: str) -> Catalogue:
    """The words of one of LANGUAGES."""
    return msgspec.convert(tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8")), Catalogue)


def chosen(*wanted: str | None) -> str:
    """The first of the languages wanted that cards speak, whatever its region (`fr-CA` is French); else English."""
    spoken = (tag.replace("_", "-").split("-")[0].lower() for tag in wanted if tag)
    return next((language for language in spoken if language in LANGUAGES), ENGLISH)


@functools.cache
def _locale(language: str) -> Locale:
    return Locale.parse(_LOCALES.get(language, language))


# Balances and amounts repeat, and CLDR's patterns cost more than the rest of a card.
@functools.lru_cache(maxsize=8192)
def number(value: int, language: str) -> str:
    """A whole number with its groups: "12,403"."""
    return format_decimal(value, locale=_locale(language))


@functools.lru_cache(maxsize=8192)
def money(minor: int, currency: str, language: str) -> str:
    """An amount in minor units: "$120.00"."""
    return money_text(minor, currency, str(_locale(language)))


@functools.lru_cache(maxsize=8192)
def counted(value: int, noun: Literal["points", "orders"], language: str) -> str:
    """So many of them: "75 points"."""
    forms: Mapping[str, str] = getattr(catalogue(language), noun)
    return forms[_locale(language).plural_form(abs(value))].format(n=number(value, language))


def day(moment: datetime, zone: ZoneInfo, language: str) -> str:
    """The day of a moment on the shop's calendar: "March 14, 2026"."""
    return _day(moment.astimezone(zone).date(), "long", language)


def day_and_time(moment: datetime, zone: ZoneInfo, language: str) -> str:
    """A moment by the shop's clock: "Mar 14, 2026 · 10:30 AM"."""
    local = moment.astimezone(zone)
    clock = format_time(local.time(), "short", locale=_locale(language))
    return f"{_day(local.date(), 'medium', language)} · {clock}"


@functools.lru_cache(maxsize=2048)
def _day(day: date, width: Literal["medium", "long"], language: str) -> str:
    return format_date(day, width, locale=_locale(language))
