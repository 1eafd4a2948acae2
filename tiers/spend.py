"""Qualifying spend in the database: the facts of each order, and a member's history of them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from core.db import delete_rows, insert_rows, rows_by
from loyalty.models import SpendFact
from loyalty.rules import Fact
from tiers.rules import SpendHistory

Key = tuple[int, int]
# (shop, member, window): a program change may alter the window, and an old order keeps the old one.
HistoryKey = tuple[int, int, timedelta]

_TABLE: Any = SpendFact.__table__
# Bounds are computed here and not in the query: under row-level security PostgreSQL only lets an index narrow rows by
# comparisons that cannot leak, and `since - length` could.
_RANGES = (
    "{keys} AS k(shop_id, member_id, length, first, last) JOIN spend_facts f "
    "ON f.shop_id = k.shop_id AND f.member_id = k.member_id AND f.at >= k.first AND f.at < k.last"
)
_TYPES = ("bigint", "bigint", "interval", "timestamptz", "timestamptz")
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


def histories(
    session: Session,
    since: Mapping[HistoryKey, datetime],
    until: datetime,
    *,
    without: frozenset[Key] = frozenset(),
    fresh: Mapping[Key, Iterable[tuple[datetime, int]]] | None = None,
) -> dict[HistoryKey, SpendHistory]:
    """Histories that answer for moments from `since` to `until`.

    Facts of the orders `without` (shop, order id) are left out and those in `fresh`, by (shop, member), counted in
    their stead: what a settlement is about to write. None of theirs may lie before `since`.
    """
    bases = {(row[0], row[1], row[2]): int(row[3]) for row in _sums(session, since)}
    entries: dict[HistoryKey, list[tuple[datetime, int]]] = {key: [] for key in since}
    for shop_id, member_id, window, order_id, at, amount in _entries(session, since, until):
        if (shop_id, order_id) not in without:
            entries[shop_id, member_id, window].append((at, amount))
    return {
        key: SpendHistory(at, bases.get(key, 0), [*entries[key], *(fresh or {}).get(key[:2], ())])
        for key, at in since.items()
    }


def _sums(session: Session, since: Mapping[HistoryKey, datetime]) -> Sequence[Any]:
    windows = [(*key, at - key[2], at) for key, at in since.items()]
    sql = f"SELECT k.shop_id, k.member_id, k.length, sum(f.amount) FROM {_RANGES} GROUP BY 1, 2, 3"
    return rows_by(session, sql, _TYPES, windows)


def _entries(session: Session, since: Mapping[HistoryKey, datetime], until: datetime) -> Sequence[Any]:
    coming = [(*key, at, _END_OF_TIME) for key, at in since.items()]
    leaving = [(*key, at - key[2], min(at, until - key[2])) for key, at in since.items()]
    sql = f"SELECT k.shop_id, k.member_id, k.length, f.order_id, f.at, f.amount FROM {_RANGES}"
    return rows_by(session, sql, _TYPES, coming + leaving)


def read_facts(session: Session, keys: Sequence[Key]) -> dict[Key, tuple[Fact, ...]]:
    """The facts of these (shop, order id) as they are stored, in order of time; orders without any are absent."""
    rows = rows_by(
        session,
        "SELECT f.shop_id, f.order_id, f.cause, f.at, f.amount FROM {keys} AS k(shop_id, order_id) "
        "JOIN spend_facts f ON f.shop_id = k.shop_id AND f.order_id = k.order_id ORDER BY f.at, f.cause",
        ("bigint", "bigint"),
        keys,
    )
    found: dict[Key, tuple[Fact, ...]] = {}
    for shop_id, order_id, cause, at, amount in rows:
        found[shop_id, order_id] = (*found.get((shop_id, order_id), ()), Fact(cause, at, amount))
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
        ("shop_id", "order_id", "cause", "member_id", "at", "amount"),
        [(*key, fact.cause, member, fact.at, fact.amount) for key, member, fact in come],
    )
