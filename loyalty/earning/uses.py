"""How much of their limits members have used on orders: read for a batch, added to while it is settled, written back.

Uses are derived from orders and rewritten with them, so a late order that takes room from later ones is settled as if
it had come in time.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from core.db import delete_rows, insert_rows, rows_by
from loyalty.earning.rules import Used
from loyalty.models import OrderUse

Key = tuple[int, int]
# When an order was placed, and its number, which parts two of the same second.
Turn = tuple[datetime, int]
# A shop's day is at most this long, the change to winter time included.
LONGEST_DAY = timedelta(hours=25)

_TABLE: Any = OrderUse.__table__


class Use(NamedTuple):
    """The points a limited rule brought one order."""

    at: datetime
    order_id: int
    points: int


class _Course:
    """What one rule brought one member: orders in turn with the sum before each, after what is long past in sum."""

    __slots__ = ("_sums", "_times_past", "_turns")

    def __init__(self, points: int = 0, times: int = 0) -> None:
        self._times_past = times
        self._turns: list[Turn] = []
        self._sums = [points]

    def used(self, day: Turn, turn: Turn) -> Used:
        """What was used before a turn, on its day and ever."""
        begins, end = bisect_left(self._turns, day), bisect_left(self._turns, turn)
        return Used(self._sums[end] - self._sums[begins], self._sums[end], end - begins, self._times_past + end)

    def add(self, use: Use) -> None:
        turn = (use.at, use.order_id)
        place = bisect_left(self._turns, turn)
        self._turns.insert(place, turn)
        self._sums[place + 1 :] = [self._sums[place] + use.points, *(s + use.points for s in self._sums[place + 1 :])]


class Uses:
    """The uses of several members, each rule's one by one and, for those long past, in sum."""

    def __init__(self) -> None:
        self._courses: dict[tuple[int, int, str], _Course] = {}

    def before(self, member: Key, rule: str, at: datetime, order_id: int, zone: ZoneInfo) -> Used:
        """What a member had used of a rule before this order, ever and on its day in the zone."""
        course = self._courses.get((*member, rule))
        return Used() if course is None else course.used((_day(at, zone), 0), (at, order_id))

    def add(self, member: Key, rule: str, use: Use) -> None:
        self._courses.setdefault((*member, rule), _Course()).add(use)

    def add_sum(self, member: Key, rule: str, points: int, times: int) -> None:
        """What was used long before all that is added: comes first."""
        self._courses[*member, rule] = _Course(points, times)


def _day(at: datetime, zone: ZoneInfo) -> datetime:
    """When the moment's day began there."""
    local = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return local.astimezone(UTC)


def load(session: Session, since: Mapping[Key, datetime], *, without: Iterable[Key]) -> Uses:
    """The uses of members (shop, id), one by one from the day of the moment given for each, and summed before it.

    Uses of the orders `without` (shop, order id), which are about to be settled again, are left out. None of those may
    lie before its member's moment.
    """
    uses, skipped = Uses(), set(without)
    asked = [(*member, at - LONGEST_DAY) for member, at in sorted(since.items())]
    source = (
        "{keys} AS k(shop_id, member_id, at) JOIN order_uses u ON u.shop_id = k.shop_id AND u.member_id = k.member_id"
    )
    types = ("bigint", "bigint", "timestamptz")
    sums = (
        f"SELECT u.shop_id, u.member_id, u.rule, sum(u.points), count(*) FROM {source} AND u.at < k.at GROUP BY 1, 2, 3"
    )
    for shop_id, member_id, rule, points, times in rows_by(session, sums, types, asked):
        uses.add_sum((shop_id, member_id), rule, int(points), times)
    single = f"SELECT u.shop_id, u.member_id, u.rule, u.at, u.order_id, u.points FROM {source} AND u.at >= k.at"
    for shop_id, member_id, rule, at, order_id, points in rows_by(session, single, types, asked):
        if (shop_id, order_id) not in skipped:
            uses.add((shop_id, member_id), rule, Use(at, order_id, points))
    return uses


def write(session: Session, orders: Sequence[Key], rows: Sequence[tuple[int, int, str, int, datetime, int]]) -> None:
    """Replace the uses of these orders by `rows` of (shop, order, rule, member, at, points)."""
    delete_rows(session, _TABLE, ("shop_id", "order_id"), sorted(orders))
    insert_rows(session, _TABLE, ("shop_id", "order_id", "rule", "member_id", "at", "points"), rows)
