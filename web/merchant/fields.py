"""How a program's values stand in the fields of a form, and how they are read back.

A field that still says what it was opened with leaves its value as it is, whatever that was. What can't be read as a
number is kept as it was written, so that the document's own check says what is wrong with it.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from core.errors import InvalidInput
from core.money import minor_digits, to_minor, to_units

# A checkbox that is not set is not sent: this stands beside it and says that it was asked for.
ASKED = ""
_GROUPED = re.compile(r"-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_EXACT = re.compile(r"-?[0-9]{1,15}(\.[0-9]+)?")
_BETWEEN_KEYS = r"[,\s،、]+"
_ID = re.compile(r"(?:\S*/)?([0-9]{1,19})(?:\?\S*)?")


class Setting(NamedTuple):
    """What values are to be understood by: the currency, the shop's clock, and whether tiers go by money."""

    currency: str
    zone: ZoneInfo
    by_money: bool = True


def plain(text: str) -> str:
    """A field's text as it is read: without the character zero, and with one kind of line end."""
    return text.replace("\x00", "").replace("\r\n", "\n").strip()


def _in_a_line(given: Sequence[str]) -> Any:
    """Browsers take line ends out of fields that have one line."""
    return [plain(text).replace("\n", "") for text in given]


def _in_lines(given: Sequence[str]) -> Any:
    return [plain(text) for text in given]


class Kind(NamedTuple):
    """`show` makes a value what its fields say; `read` makes of that a value again, None where nothing was said.

    `core` is what of the fields' texts tells whether they still say the same.
    """

    show: Callable[[Any, Setting], Sequence[str]]
    read: Callable[[Sequence[str], Setting], Any]
    core: Callable[[Sequence[str]], Any] = _in_a_line


def _digits(text: str) -> str:
    """A number without spaces, in the digits of every script, with a point for the decimal mark."""
    spaced = re.sub(r"[\s\u00a0\u202f\u066c'’]", "", text).replace("\u066b", ".").replace("，", ",")
    return "".join(str(unicodedata.decimal(sign, sign)) for sign in spaced)


def whole(text: str) -> Any:
    """ "1,000" is 1000, "" is None; other words are left for the check."""
    found = _digits(text)
    found = found.replace(",", "") if _GROUPED.fullmatch(found) else found
    return int(found) if _WHOLE.fullmatch(found) else (text or None)


def minor(text: str, currency: str) -> Any:
    """ "5", "5.00" or "5,00" in minor units; what is finer than those is left for the check."""
    found = _digits(text)
    found = found.replace(",", "") if _GROUPED.fullmatch(found) else found.replace(",", ".")
    places = len(found.partition(".")[2].rstrip("0"))
    if not _EXACT.fullmatch(found) or places > minor_digits(currency):
        return text or None
    try:
        return to_minor(found, currency)
    except InvalidInput:
        return text


def exact(text: str) -> str | None:
    """A decimal as text: "1,25" is "1.25"."""
    return _digits(text).replace(",", ".") if text else None


def units(value: Any, currency: str) -> str:
    """Minor units as they stand in a field: 500 is "5", 550 is "5.50"."""
    if not isinstance(value, int) or isinstance(value, bool):
        return _written(value)
    amount = to_units(value, currency)
    return f"{amount:.0f}" if amount == amount.to_integral_value() else f"{amount:.{minor_digits(currency)}f}"


def _written(value: Any) -> str:
    return "" if value is None else str(value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str | dict) else []


def _identified(text: str) -> Any:
    """A Shopify id, also out of an address ("…/products/8072401") or a gid."""
    found = _ID.fullmatch(text)
    return int(found[1]) if found else text


def _parted(given: Sequence[str], marks: str) -> list[str]:
    parts = (plain(part) for text in given for part in re.split(marks, text))
    return list(dict.fromkeys(part for part in parts if part))


def moment(value: Any, zone: ZoneInfo) -> str:
    """A moment as a browser's field for dates and times has it, on the shop's clock; other words as they are."""
    try:
        found = datetime.fromisoformat(value)
        found = found.astimezone(zone) if found.tzinfo else found
    except (TypeError, ValueError, OverflowError):
        return _written(value)
    return found.strftime("%Y-%m-%dT%H:%M") if found.year >= 1000 else value


def is_moment(text: str) -> bool:
    """Whether a browser's field for dates and times can show this text."""
    return not text or re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}", text) is not None


def _one(show: Callable[[Any, Setting], str], read: Callable[[str, Setting], Any]) -> Kind:
    """A kind with one field."""
    return Kind(lambda value, setting: [show(value, setting)], lambda given, setting: read(plain(given[-1]), setting))


def _unless_zero(kind: Kind) -> Kind:
    """Nothing stands in the field for 0."""
    return kind._replace(show=lambda value, setting: [""] if value == 0 else kind.show(value, setting))


def _measured(value: Any, setting: Setting) -> str:
    return units(value, setting.currency) if setting.by_money else _written(value)


def _measure(text: str, setting: Setting) -> Any:
    return minor(text, setting.currency) if setting.by_money else whole(text)


TEXT = _one(lambda value, _: _written(value), lambda text, _: text or None)
AREA = TEXT._replace(core=_in_lines)
WHOLE = _one(lambda value, _: _written(value), lambda text, _: whole(text))
MONEY = _one(lambda value, setting: units(value, setting.currency), lambda text, setting: minor(text, setting.currency))
EXACT = _one(lambda value, _: _written(value), lambda text, _: exact(text))
MOMENT = _one(lambda value, setting: moment(value, setting.zone), lambda text, _: text or None)
# What a tier takes: money, points or orders, as the ladder goes.
MEASURE = _one(_measured, _measure)
SOME = _unless_zero(WHOLE)
SOME_MONEY = _unless_zero(MONEY)
# One checkbox.
FLAG = Kind(lambda value, _: [ASKED, "1"] if value else [ASKED], lambda given, _: "1" in given)
# Checkboxes of one name, and a field beside them for what has none.
MANY = Kind(
    lambda value, _: [ASKED, *map(str, _listed(value))],
    lambda given, _: _parted(given, _BETWEEN_KEYS),
    lambda given: set(_parted(given, _BETWEEN_KEYS)),
)
# A list in one field: words with commas, ids, or lines.
WORDS = Kind(lambda value, _: [", ".join(map(str, _listed(value)))], lambda given, _: _parted(given, r"[,،、\n]"))
IDS = Kind(
    lambda value, _: [", ".join(map(str, _listed(value)))],
    lambda given, _: [_identified(text) for text in _parted(given, r"[,،、\s]+")],
)
LINES = Kind(
    lambda value, _: ["\n".join(map(str, _listed(value)))],
    lambda given, _: _parted(given, r"\n"),
    _in_lines,
)
