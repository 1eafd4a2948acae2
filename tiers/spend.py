"""What qualifies for tiers in the database: the facts of each order, and a member's history of them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from core.db import delete_rows, insert_rows, rows_by
from loyalty.models import SpendFact
from loyalty.rules import Fact
from tiers.rules import Measure, SpendHistory, Years

Key = tuple[int, int]
Entries = list[tuple[datetime, int]]

_TABLE: Any = SpendFact.__table__
COLUMNS = {"eligible_spend": "amount", "points": "points", "orders": "orders"}
# Bounds are computed here and not in the query: under row-level security PostgreSQL only lets an index narrow rows by
# comparisons that cannot leak, and `since - length` could.
_RANGES = (
    "{keys} AS k(shop_id, member_id, first, last) JOIN spend_facts f "
    "ON f.shop_id = k.shop_id AND f.member_id = k.member_id AND f.at >= k.first AND f.at < k.last"
)
_TYPES = ("bigint", "bigint", "timestamptz", "timestamptz")
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class Changes(NamedTuple):
    """What a settlement is about to write: facts of the orders `without` (shop, order id) don't count, `fresh` do.

    `fresh` is by (shop, member). None of either may lie before the moments that are asked about.
    """

    without: frozenset[Key] = frozenset()
    fresh: Mapping[Key, Iterable[Fact]] = {}

    def entries(self, key: Key, metric: str) -> Entries:
        return [(fact.at, counted(fact, metric)) for fact in self.fresh.get(key, ())]


def counted(fact: Fact, metric: str) -> int:
    """What of a fact counts for a metric: minor units, points or orders."""
    return int(getattr(fact, COLUMNS[metric]))


def window_histories(
    session: Session, measure: Measure, since: Mapping[Key, datetime], until: datetime, changes: Changes
) -> dict[Key, SpendHistory]:
    """Histories of members that answer for the measure's window at moments from `since` to `until`."""
    window = measure.window
    bases = _sums(session, measure.metric, [(*key, at - window, at) for key, at in since.items()])
    coming = [(*key, at, _END_OF_TIME) for key, at in since.items()]
    leaving = [(*key, at - window, min(at, until - window)) for key, at in since.items()]
    entries = _entries(session, measure.metric, coming + leaving, changes)
    return {
        key: SpendHistory(
            at, bases.get((*key, at - window), 0), [*entries.get(key, ()), *changes.entries(key, measure.metric)]
        )
        for key, at in since.items()
    }


def year_histories(
    session: Session,
    measure: Measure,
    years: Mapping[Key, Years],
    since: Mapping[Key, datetime],
    changes: Changes,
) -> dict[Key, SpendHistory]:
    """Histories of members that answer for their years at moments from `since` on.

    What lies before is one entry for each stretch between a year's beginning and a decision, dated at its beginning.
    """
    cuts = _cuts(session, measure.grace, years, since)
    stretches = [(*key, first, end) for key, bounds in cuts.items() for first, end in pairwise(bounds)]
    past: dict[Key, Entries] = {}
    for (shop_id, member_id, at), amount in _sums(session, measure.metric, stretches).items():
        past.setdefault((shop_id, member_id), []).append((at, amount))
    coming = [(*key, at, _END_OF_TIME) for key, at in since.items()]
    entries = _entries(session, measure.metric, coming, changes)
    return {
        key: SpendHistory(at, 0, [*past.get(key, ()), *entries.get(key, ()), *changes.entries(key, measure.metric)])
        for key, at in since.items()
    }


def _cuts(
    session: Session, grace: timedelta, years: Mapping[Key, Years], since: Mapping[Key, datetime]
) -> dict[Key, list[datetime]]:
    """Bounds of the stretches of each member's past, the last of them `since`."""
    rows = rows_by(
        session,
        "SELECT k.shop_id, k.member_id, (SELECT min(f.at) FROM spend_facts f WHERE f.shop_id = k.shop_id "
        "AND f.member_id = k.member_id) FROM {keys} AS k(shop_id, member_id)",
        ("bigint", "bigint"),
        list(since),
    )
    firsts = {(row[0], row[1]): row[2] for row in rows}
    return {
        key: [*years[key].cuts(first, at, grace), at]
        for key, at in since.items()
        if (first := firsts.get(key)) and first < at
    }


def _sums(session: Session, metric: str, ranges: Sequence[Any]) -> dict[tuple[int, int, datetime], int]:
    """The sum of each range (shop, member, first, end) by its first three; ranges without facts are absent."""
    sql = f"SELECT k.shop_id, k.member_id, k.first, sum(f.{COLUMNS[metric]}) FROM {_RANGES} GROUP BY 1, 2, 3"
    return {(row[0], row[1], row[2]): int(row[3]) for row in rows_by(session, sql, _TYPES, ranges)}


def _entries(session: Session, metric: str, ranges: Sequence[Any], changes: Changes) -> dict[Key, Entries]:
    sql = f"SELECT k.shop_id, k.member_id, f.order_id, f.at, f.{COLUMNS[metric]} FROM {_RANGES}"
    entries: dict[Key, Entries] = {}
    for shop_id, member_id, order_id, at, amount in rows_by(session, sql, _TYPES, ranges):
        if (shop_id, order_id) not in changes.without:
            entries.setdefault((shop_id, member_id), []).append((at, amount))
    return entries


def read_facts(session: Session, keys: Sequence[Key]) -> dict[Key, tuple[Fact, ...]]:
    """The facts of these (shop, order id) as they are stored, in order of time; orders without any are absent."""
    rows = rows_by(
        session,
        "SELECT f.shop_id, f.order_id, f.cause, f.at, f.amount, f.orders, f.points "
        "FROM {keys} AS k(shop_id, order_id) JOIN spend_facts f "
        "ON f.shop_id = k.shop_id AND f.order_id = k.order_id ORDER BY f.at, f.cause",
        ("bigint", "bigint"),
        keys,
    )
    found: dict[Key, tuple[Fact, ...]] = {}
    for shop_id, order_id, *fact in rows:
        found[shop_id, order_id] = (*found.get((shop_id, order_id), ()), Fact(*fact))
    return found


def write_facts(session: Session, gone: Iterable[tuple[Key, Fact]], come: Iterable[tuple[Key, int, Fact]]) -> None:
    """Replace facts: `gone` by (shop, order id), `come` with the member they now belong to."""
    delete_rows(
        session,
        _TABLE,
        ("shop_id", "order_id", "cause"),
        sorted((*key, fact.cause) for key, fact in gone),
    )
    insert_rows(
        session,
        _TABLE,
        ("shop_id", "order_id", "cause", "member_id", "at", "amount", "orders", "points"),
        [(*key, fact.cause, member, fact.at, fact.amount, fact.orders, fact.points) for key, member, fact in come],
    )
