"""Charts that the server draws: one line a question, the time before as a thin one, exact numbers under the pointer."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import NamedTuple

from core.i18n import _, day

WIDTH, HEIGHT = 320, 110
_TOP, _BOTTOM = 8, 18  # room for the line's own width, and for the days below


class Column(NamedTuple):
    """The part of a chart that one day or week takes: where it stands, its point, and what it says."""

    x: float
    width: float
    middle: float
    y: float
    said: str


class Chart(NamedTuple):
    """A drawn line. `line` and `before` are SVG paths; labels stand at the ends, where a legend would be read."""

    line: str
    before: str
    columns: list[Column]
    first: str
    last: str
    table: list[tuple[str, int, int | None]]
    base: float


def line(days: Sequence[date], now: Sequence[int], before: Sequence[int], says: Callable[[int], str]) -> Chart:
    """The line of `now` over the days, with that of as many days before. `says` tells a number in words."""
    days, now, before = _thin(days, now, before)
    most, least = max([*now, *before, 1]), min([*now, *before, 0])
    usable = HEIGHT - _TOP - _BOTTOM

    def height(value: int) -> float:
        return round(_TOP + usable * (most - value) / (most - least), 1)

    width = WIDTH / max(1, len(now))
    columns = [
        Column(round(n * width, 2), round(width, 2), round((n + 0.5) * width, 2), height(value),
               _said(days, n, value, before, says))
        for n, value in enumerate(now)
    ]  # fmt: skip
    past = [before[n] if n < len(before) else None for n in range(len(now))]
    table = [(day(one), value, then) for one, value, then in zip(days, now, past, strict=True)]
    points = [(column.middle, column.y) for column in columns]
    then = [((n + 0.5) * width, height(value)) for n, value in enumerate(before[: len(now)])]
    return Chart(_path(points), _path(then), columns, day(days[0]), day(days[-1]), table, height(0))


def _said(days: Sequence[date], n: int, value: int, before: Sequence[int], says: Callable[[int], str]) -> str:
    if n < len(before):
        return _("%(day)s: %(value)s, before %(then)s", day=day(days[n]), value=says(value), then=says(before[n]))
    return _("%(day)s: %(value)s", day=day(days[n]), value=says(value))


def _thin(
    days: Sequence[date], now: Sequence[int], before: Sequence[int], most: int = 60
) -> tuple[Sequence[date], Sequence[int], Sequence[int]]:
    """Weeks instead of days where there are too many to tell apart."""
    if len(days) <= most:
        return days, now, before
    starts = range(0, len(days), 7)
    return [days[n] for n in starts], [sum(now[n : n + 7]) for n in starts], [sum(before[n : n + 7]) for n in starts]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{round(x, 1)} {y}" for x, y in points) if points else ""
