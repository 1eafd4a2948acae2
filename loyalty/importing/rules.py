"""Reading the spreadsheet: which columns it has, and what each row says. Pure.

A row names a member by e-mail or by Shopify customer id, and says what they bring: points (added to what they have), a
tier, a birthday. Columns may stand in any order and under the names that other programs use.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from core.i18n import N_, _

MOST_ROWS = 100_000
MOST_BYTES = 20 * 1024 * 1024
MOST_POINTS = 2**31 - 1

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "email": ("email", "e-mail", "email address", "customer email", "mail"),
    "customer_id": ("customer id", "customer_id", "shopify customer id", "shopify id", "id"),
    "points": ("points", "balance", "points balance", "point balance", "current points", "points_balance"),
    "tier": ("tier", "vip tier", "vip_tier", "level", "tier name"),
    "birthday": ("birthday", "birth date", "birthdate", "date of birth", "dob"),
}

NO_COLUMNS = N_("The first line has to name the columns. There must be one for e-mail or customer id.")
NOTHING_BROUGHT = N_("There is no column for points, tier or birthday, so there is nothing to import.")
NOT_TEXT = N_("This is no CSV file. Save the spreadsheet as CSV (UTF-8) and choose it again.")
TOO_MANY = N_("A file may have 100,000 rows. Split it, and import the parts one after another.")


class BadFile(ValueError):
    """The file as a whole can't be read; the message says why, for translation."""


class Row(NamedTuple):
    """What a row says. `number` is its line in the file; `birthday` is month, day and perhaps year."""

    number: int
    email: str | None
    customer_id: int | None
    points: int = 0
    tier: str | None = None
    birthday: tuple[int, int, int | None] | None = None


class Fault(NamedTuple):
    """What is wrong with a row, in a sentence."""

    number: int
    text: str


def rows(data: bytes, tiers: Mapping[str, str]) -> Iterator[Row | Fault]:
    """What each row says, or what is wrong with it, in order. `tiers` holds the ladder's names by key.

    Raises BadFile.
    """
    lines = csv.reader(io.StringIO(_text(data)), delimiter=_delimiter(data))
    try:
        named = _columns(next(lines, []))
        for number, cells in enumerate(lines, 2):
            if number > MOST_ROWS + 1:
                raise BadFile(TOO_MANY)
            if any(cell.strip() for cell in cells):
                yield _row(number, {name: cells[at].strip() for name, at in named.items() if at < len(cells)}, tiers)
    except csv.Error:
        raise BadFile(NOT_TEXT) from None


def _text(data: bytes) -> str:
    if b"\x00" in data[:4096]:
        raise BadFile(NOT_TEXT)
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding).replace("\x00", "")
        except UnicodeDecodeError:
            continue
    raise BadFile(NOT_TEXT)


def _delimiter(data: bytes) -> str:
    """Spreadsheets of half the world write semicolons."""
    first = data.split(b"\n", 1)[0]
    return max(",;\t", key=lambda sign: first.count(sign.encode()))


def _columns(head: Sequence[str]) -> dict[str, int]:
    said = {" ".join(cell.split()).casefold(): at for at, cell in reversed(list(enumerate(head)))}
    named = {
        column: next(said[name] for name in names if name in said)
        for column, names in COLUMNS.items()
        if any(name in said for name in names)
    }
    if "email" not in named and "customer_id" not in named:
        raise BadFile(NO_COLUMNS)
    if not named.keys() & {"points", "tier", "birthday"}:
        raise BadFile(NOTHING_BROUGHT)
    return named


def _row(number: int, cells: Mapping[str, str], tiers: Mapping[str, str]) -> Row | Fault:
    try:
        return Row(
            number,
            cells.get("email", "").casefold() or None,
            _customer(cells.get("customer_id", "")),
            _points(cells.get("points", "")),
            _tier(cells.get("tier", ""), tiers),
            _birthday(cells.get("birthday", "")),
        )
    except ValueError as wrong:
        return Fault(number, str(wrong))


def _customer(text: str) -> int | None:
    digits = text.removeprefix("gid://shopify/Customer/").strip("'")
    if not digits:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", digits):
        raise ValueError(_("“%(text)s” is no customer id.", text=text[:40]))
    return int(digits)


def _points(text: str) -> int:
    digits = re.sub(r"[\s,.'’](?=\d{3}(\D|$))", "", text)
    if not digits:
        return 0
    if not re.fullmatch(r"-?[0-9]{1,12}(\.0+)?", digits) or abs(int(float(digits))) > MOST_POINTS:
        raise ValueError(_("“%(text)s” is no whole number of points.", text=text[:40]))
    if digits.startswith("-"):
        raise ValueError(_("Points below zero can’t be imported."))
    return int(float(digits))


def _tier(text: str, tiers: Mapping[str, str]) -> str | None:
    if not text:
        return None
    known = {name.casefold(): key for key, name in tiers.items()} | {key.casefold(): key for key in tiers}
    if text.casefold() not in known:
        names = ", ".join(tiers.values())
        raise ValueError(
            _("The program has no tier “%(text)s”. Its tiers are: %(names)s.", text=text[:40], names=names)
        )
    return known[text.casefold()]


def _birthday(text: str) -> tuple[int, int, int | None] | None:
    if not text:
        return None
    if found := re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", text):
        year, month, day = map(int, found.groups())
    elif found := re.fullmatch(r"(?:--)?(\d{1,2})-(\d{1,2})", text):
        year, (month, day) = 2000, tuple(map(int, found.groups()))
    else:
        raise ValueError(_("“%(text)s” is no birthday. Write it as 1990-03-14 or 03-14.", text=text[:40]))
    try:
        date(year, month, day)
    except ValueError:
        raise ValueError(_("There is no such day: %(text)s.", text=text[:40])) from None
    return month, day, None if year == 2000 and len(text) < 8 else year
