"""Orders as the database keeps them: read and locked by the set, written by the set."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from core.db import insert_rows, rows_by, update_rows
from loyalty import codec
from loyalty.earning.rules import Labels
from loyalty.models import Order
from loyalty.rules import OrderState, Refund

Key = tuple[int, int]


@dataclass(slots=True)
class KnownOrder:
    """An order as it is known. `member` owns its points; `pending` and `available` are what it has earned so far."""

    shop_id: int
    order_id: int
    exists: bool = False
    member: int | None = None
    guest_email: str | None = None
    state: OrderState | None = None
    refunds: dict[int, Refund] = field(default_factory=dict)
    deleted_at: datetime | None = None
    tier_key: str | None = None
    version: int | None = None
    settled: dict[str, Any] | None = None
    pending: int = 0
    available: int = 0
    count: int = 0
    release_at: datetime | None = None
    labels: dict[int, Labels] | None = None
    labels_wanted: bool = False

    @property
    def key(self) -> Key:
        return self.shop_id, self.order_id


_READ = """
    SELECT o.shop_id, o.order_id, o.member_id, o.guest_email, o.state::text, o.refunds::text, o.deleted_at, o.tier_key,
        o.program_version, o.settled::text, o.posted_pending, o.posted_available, o.posted_count, o.release_at,
        o.labels::text, o.labels_wanted
    FROM orders o JOIN {keys} AS k(shop_id, order_id) ON o.shop_id = k.shop_id AND o.order_id = k.order_id
    ORDER BY o.shop_id, o.order_id"""


def read_orders(session: Session, keys: Sequence[Key], *, lock: bool = False) -> list[KnownOrder]:
    """The orders of these (shop, order id) that exist, in that order; locked until the transaction ends if asked."""
    rows = rows_by(session, _READ + (" FOR UPDATE OF o" if lock else ""), ("bigint", "bigint"), keys)
    return [_known(*row) for row in rows]


def _known(
    shop_id: int,
    order_id: int,
    member: int | None,
    guest_email: str | None,
    state: str | None,
    refunds: str,
    deleted_at: datetime | None,
    tier_key: str | None,
    version: int | None,
    settled: str | None,
    pending: int,
    available: int,
    count: int,
    release_at: datetime | None,
    labels: str | None,
    labels_wanted: bool,
) -> KnownOrder:
    return KnownOrder(
        shop_id,
        order_id,
        True,
        member,
        guest_email,
        codec.decode_state(state),
        codec.decode_refunds(refunds),
        deleted_at,
        tier_key,
        version,
        None if settled is None else msgspec.json.decode(settled),
        pending,
        available,
        count,
        release_at,
        codec.decode_labels(labels),
        labels_wanted,
    )


_KEYS = ("shop_id", "order_id")
_COLUMNS = (
    "member_id",
    "guest_email",
    "processed_at",
    "state",
    "refunds",
    "deleted_at",
    "tier_key",
    "program_version",
    "settled",
    "posted_pending",
    "posted_available",
    "posted_count",
    "release_at",
    "labels",
    "labels_wanted",
    "settled_at",
)


def write_orders(session: Session, orders: Iterable[KnownOrder], now: datetime) -> None:
    """Insert the new ones and update the others. One that turned up meanwhile raises IntegrityError."""
    ordered = sorted(orders, key=lambda order: order.key)
    table: Any = Order.__table__
    insert_rows(session, table, _KEYS + _COLUMNS, [_row(order, now) for order in ordered if not order.exists])
    update_rows(session, table, _KEYS, _COLUMNS, [_row(order, now) for order in ordered if order.exists])


def _row(order: KnownOrder, now: datetime) -> tuple[Any, ...]:
    return (
        order.shop_id,
        order.order_id,
        order.member,
        order.guest_email,
        order.state.processed_at if order.state else None,
        codec.encode_state(order.state),
        codec.encode_refunds(order.refunds),
        order.deleted_at,
        order.tier_key,
        order.version,
        None if order.settled is None else msgspec.json.encode(order.settled).decode(),
        order.pending,
        order.available,
        order.count,
        order.release_at,
        codec.encode_labels(order.labels),
        order.labels_wanted,
        now,
    )


def guest_orders(session: Session, emails: Iterable[tuple[int, str]]) -> list[tuple[int, int, str]]:
    """Orders held for these (shop, e-mail): shop, order id, e-mail."""
    rows = rows_by(
        session,
        "SELECT o.shop_id, o.order_id, o.guest_email FROM {keys} AS k(shop_id, email) "
        "JOIN orders o ON o.shop_id = k.shop_id AND o.guest_email = k.email",
        ("bigint", "text"),
        sorted(set(emails)),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def later_orders(session: Session, asked: Sequence[tuple[int, int, datetime, datetime]]) -> Sequence[Any]:
    """Settled orders of (shop, member) placed after the first moment and not after the second.

    Rows of shop_id, order_id, member_id, processed_at, tier_key.
    """
    return rows_by(
        session,
        "SELECT o.shop_id, o.order_id, o.member_id, o.processed_at, o.tier_key "
        "FROM {keys} AS k(shop_id, member_id, first, last) "
        "JOIN orders o ON o.shop_id = k.shop_id AND o.member_id = k.member_id "
        "AND o.processed_at > k.first AND o.processed_at <= k.last WHERE o.tier_key IS NOT NULL",
        ("bigint", "bigint", "timestamptz", "timestamptz"),
        asked,
    )
