"""How much of their limits members have used on orders: read for a batch, added to while it is settled, written back.

Uses are derived from orders and rewritten with them, so a late order that takes room from later ones is settled as if
it had come in time.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from core.db import delete_rows, insert_rows, rows_by
from loyalty.earning.rules import Used
from loyalty.models import OrderUse

Key = tuple[int, int]
# A shop's day is at most this long, the change to winter time included.
LONGEST_DAY = timedelta(hours=25)

_TABLE: Any = OrderUse.__table__


class Use(NamedTuple):
    """The points a limited rule brought one order; the order's number parts two of the same second."""

    at: datetime
    order_id: int
    points: int


class Uses:
    """The uses of several members, each rule's in a list and, for those long past, a sum."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, int, str], tuple[int, int]] = {}
        self._single: dict[tuple[int, int, str], list[Use]] = {}

    def before(self, member: Key, rule: str, at: datetime, order_id: int, zone: ZoneInfo) -> Used:
        """What a member had used of a rule before this order, ever and on its day in the zone."""
        points, times = self._sums.get((*member, rule), (0, 0))
        earlier = [use for use in self._single.get((*member, rule), ()) if (use.at, use.order_id) < (at, order_id)]
        today = [use.points for use in earlier if use.at.astimezone(zone).date() == at.astimezone(zone).date()]
        return Used(sum(today), points + sum(use.points for use in earlier), len(today), times + len(earlier))

    def add(self, member: Key, rule: str, use: Use) -> None:
        self._single.setdefault((*member, rule), []).append(use)

    def add_sum(self, member: Key, rule: str, points: int, times: int) -> None:
        self._sums[*member, rule] = (points, times)


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
