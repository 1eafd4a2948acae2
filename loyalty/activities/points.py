"""Points that bring members up a ladder that goes by points, other than those of orders."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.db import insert_rows, rows_by
from loyalty.models import SpendFact
from loyalty.programs import Programs

_TABLE: Any = SpendFact.__table__
_COLUMNS = ("shop_id", "order_id", "cause", "member_id", "at", "amount", "points")
# Facts of orders have their order's id; Shopify numbers from 1.
NO_ORDER = 0


class Earned(NamedTuple):
    """Points a member earned at a moment; `key` is the key of their posting."""

    shop_id: int
    member_id: int
    key: str
    at: datetime
    points: int


def note_points(session: Session, programs: Programs, earned: Sequence[Earned]) -> None:
    """Have points count for the tier, in shops with any version whose ladder goes by points.

    A tier is another room's to change: the members are marked for its next review, within a minute.
    """
    counting = [e for e in earned if e.points and any(version.by_points for version in programs.of(e.shop_id))]
    rows = [(e.shop_id, NO_ORDER, e.key, e.member_id, e.at, 0, e.points) for e in counting]
    insert_rows(session, _TABLE, _COLUMNS, rows, suffix="ON CONFLICT DO NOTHING")
    now = clock.now()
    rows_by(
        session,
        "UPDATE members m SET tier_review_at = least(m.tier_review_at, k.now) FROM {keys} AS k(shop_id, id, now) "
        "WHERE m.shop_id = k.shop_id AND m.id = k.id RETURNING m.id",
        ("bigint", "bigint", "timestamptz"),
        sorted({(e.shop_id, e.member_id, now) for e in counting}),
    )


_ALL = sa.text("""
    INSERT INTO spend_facts (shop_id, order_id, cause, member_id, at, amount, points)
    SELECT p.shop_id, 0, p.key, coalesce(m.merged_into, m.id), p.occurred_at, 0, p.points
    FROM postings p JOIN members m ON m.shop_id = p.shop_id AND m.id = p.member_id
    WHERE p.shop_id = :shop_id AND p.kind = 'bonus' AND p.source = 'issued' AND p.rule <> 'entry-gift'
    ON CONFLICT DO NOTHING""")


def note_all(session: Session, shop_id: int) -> None:
    """The same for all that was earned so far: for a shop whose ladder goes by points from now on."""
    session.execute(_ALL, {"shop_id": shop_id})
