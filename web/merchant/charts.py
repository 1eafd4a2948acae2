"""Charts that the server draws: one line a question, the time before as a thin one, exact numbers under the pointer."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import NamedTuple

from core.i18n import _, day

WIDTH, HEIGHT = 320, 124
_TOP, _BOTTOM = 20, 18  # room for the label of the highest point, and for the days below
_LEAST_ROOM = 16  # so far apart are two labels that can both be read
_EDGE = 28  # a label that stands closer to a side is written away from it


class Column(NamedTuple):
    """The part of a chart that one day or week takes: where it stands, its point, and what it says."""

    x: float
    width: float
    middle: float
    y: float
    said: str


class Label(NamedTuple):
    """Words beside the point they are about. `anchor` as SVG has it."""

    x: float
    y: float
    anchor: str
    text: str


class Chart(NamedTuple):
    """A drawn line. `line`, `area` and `before` are SVG paths; labels stand where a legend would be looked for.

    `most` says the highest point in words. `table` has a line for each column: its day, its number, the one before.
    """

    line: str
    area: str
    before: str
    columns: list[Column]
    labels: list[Label]
    most: str
    first: str
    last: str
    table: list[tuple[str, str, str]]
    base: float


Says = Callable[[int], str]


def line(days: Sequence[date], now: Sequence[int], before: Sequence[int], says: Says, *, held: bool = False) -> Chart:
    """The line of `now` over the days, with that of as many days before. `says` tells a number in words.

    `held` are numbers that stand at each day's end and don't add up. Nothing but zeros has no labels and an empty line.
    """
    days, now, before = _thin(days, now, before, held)
    most, least = max([*now, *before, 1]), min([*now, *before, 0])
    usable, width = HEIGHT - _TOP - _BOTTOM, WIDTH / max(1, len(now))

    def point(n: int, value: int) -> tuple[float, float]:
        return round((n + 0.5) * width, 1), round(_TOP + usable * (most - value) / (most - least), 1)

    points, then = ([point(n, value) for n, value in enumerate(values)] for values in (now, before[: len(now)]))
    columns = [
        Column(round(n * width, 2), round(width, 2), *at, _said(days, n, now, before, says))
        for n, at in enumerate(points)
    ]
    past = [says(before[n]) if n < len(before) else "–" for n in range(len(now))]
    table = [(day(one), says(value), was) for one, value, was in zip(days, now, past, strict=True)]
    top = max(range(len(now)), key=now.__getitem__)
    base = point(0, 0)[1]
    return Chart(
        _path(points), _area(points, base), _path(then) if any(before) else "", columns,
        _labels(points, then, says(now[top]), top) if any(now) or any(before) else [],
        columns[top].said if any(now) else "", day(days[0], year=False), day(days[-1], year=False), table, base,
    )  # fmt: skip


def _said(days: Sequence[date], n: int, now: Sequence[int], before: Sequence[int], says: Says) -> str:
    told = {"day": day(days[n]), "value": says(now[n])}
    if n < len(before):
        return _("%(day)s: %(value)s, before %(then)s", **told, then=says(before[n]))
    return _("%(day)s: %(value)s", **told)


def _labels(points: list[tuple[float, float]], then: list[tuple[float, float]], most: str, top: int) -> list[Label]:
    """The highest point's number, and which line is the time before, told where it stands furthest above."""
    labels = [_label(points[top], most)]
    above = [(now[1] - was[1], was) for now, was in zip(points, then, strict=False)]
    far, where = max(above, default=(0.0, (0.0, 0.0)))
    clear = abs(where[0] - points[top][0]) > WIDTH / 4 or abs(where[1] - points[top][1]) > _LEAST_ROOM
    return [*labels, _label(where, _("before"))] if far > _LEAST_ROOM and clear else labels


def _label(at: tuple[float, float], text: str) -> Label:
    anchor = "start" if at[0] < _EDGE else "end" if at[0] > WIDTH - _EDGE else "middle"
    return Label(at[0], round(at[1] - 6, 1), anchor, text)


def _thin(
    days: Sequence[date], now: Sequence[int], before: Sequence[int], held: bool, most: int = 60
) -> tuple[Sequence[date], Sequence[int], Sequence[int]]:
    """Weeks instead of days where there are too many to tell apart."""
    if len(days) <= most:
        return days, now, before
    starts = range(0, len(days), 7)

    def weeks(values: Sequence[int]) -> list[int]:
        each = [values[n : n + 7] for n in starts]
        return [week[-1] if held else sum(week) for week in each if week]

    return [days[n] for n in starts], weeks(now), weeks(before)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in points) if points else ""


def _area(points: Sequence[tuple[float, float]], base: float) -> str:
    return f"{_path(points)}L{points[-1][0]} {base}L{points[0][0]} {base}Z" if points else ""
