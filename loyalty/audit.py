"""The proof: cached balances against the ledger, and a member's points explained line by line."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from loyalty.models import Posting


class Difference(NamedTuple):
    """A cached number that the ledger does not confirm."""

    shop_id: int
    what: str
    id: int
    bucket: str
    cached: int
    ledger: int


# Each bucket of a member is one sum over two columns; lifetime is what was issued and not taken back.
_MEMBERS = """
    SELECT m.shop_id, 'member' AS what, m.id, b.bucket, b.cached, b.ledger
    FROM members m
    LEFT JOIN (
        SELECT shop_id, member_id,
            sum(CASE WHEN target = 'available' THEN points WHEN source = 'available' THEN -points ELSE 0 END)
                AS available,
            sum(CASE WHEN target = 'pending' THEN points WHEN source = 'pending' THEN -points ELSE 0 END) AS pending,
            sum(CASE WHEN source = 'issued' THEN points WHEN target = 'issued' THEN -points ELSE 0 END) AS lifetime
        FROM postings GROUP BY shop_id, member_id
    ) p ON p.shop_id = m.shop_id AND p.member_id = m.id
    CROSS JOIN LATERAL (VALUES
        ('available', m.available, coalesce(p.available, 0)),
        ('pending', m.pending, coalesce(p.pending, 0)),
        ('lifetime', m.lifetime, coalesce(p.lifetime, 0))
    ) AS b(bucket, cached, ledger)
    WHERE b.cached <> b.ledger"""

_ORDERS = """
    SELECT o.shop_id, 'order' AS what, o.order_id, b.bucket, b.cached, b.ledger
    FROM orders o
    LEFT JOIN (
        SELECT shop_id, order_id, member_id,
            sum(CASE WHEN target = 'available' THEN points WHEN source = 'available' THEN -points ELSE 0 END)
                AS available,
            sum(CASE WHEN target = 'pending' THEN points WHEN source = 'pending' THEN -points ELSE 0 END) AS pending
        FROM postings WHERE order_id IS NOT NULL AND kind <> 'adjustment' GROUP BY shop_id, order_id, member_id
    ) p ON p.shop_id = o.shop_id AND p.order_id = o.order_id AND p.member_id = o.member_id
    CROSS JOIN LATERAL (VALUES
        ('available', o.posted_available, coalesce(p.available, 0)),
        ('pending', o.posted_pending, coalesce(p.pending, 0))
    ) AS b(bucket, cached, ledger)
    WHERE b.cached <> b.ledger"""

# What an order posted to members who do not own it (any more) must have been taken back whole.
_ELSEWHERE = """
    SELECT p.shop_id, 'order' AS what, p.order_id, 'elsewhere' AS bucket, 0 AS cached,
        sum(CASE WHEN p.target IN ('available', 'pending') THEN p.points ELSE 0 END
            - CASE WHEN p.source IN ('available', 'pending') THEN p.points ELSE 0 END) AS ledger
    FROM postings p JOIN orders o ON o.shop_id = p.shop_id AND o.order_id = p.order_id
    WHERE p.member_id IS DISTINCT FROM o.member_id AND p.kind <> 'adjustment'
    GROUP BY p.shop_id, p.order_id, p.member_id
    HAVING sum(CASE WHEN p.target IN ('available', 'pending') THEN p.points ELSE 0 END
            - CASE WHEN p.source IN ('available', 'pending') THEN p.points ELSE 0 END) <> 0"""

_FACTS = """
    SELECT f.shop_id, 'order' AS what, f.order_id, 'spend owner' AS bucket, f.member_id AS cached,
        coalesce(o.member_id, 0) AS ledger
    FROM spend_facts f LEFT JOIN orders o ON o.shop_id = f.shop_id AND o.order_id = f.order_id
    WHERE f.order_id <> 0 AND o.member_id IS DISTINCT FROM f.member_id"""

_MERGED = """
    SELECT m.shop_id, 'merged member' AS what, m.id, 'available' AS bucket, m.available + m.pending AS cached,
        0 AS ledger
    FROM members m WHERE m.merged_into IS NOT NULL AND (m.available <> 0 OR m.pending <> 0)"""

# A posting whose member does not exist would escape the sums above.
_STRAYS = """
    SELECT p.shop_id, 'posting' AS what, p.id, 'member' AS bucket, 0 AS cached, p.points AS ledger
    FROM postings p LEFT JOIN members m ON m.shop_id = p.shop_id AND m.id = p.member_id WHERE m.id IS NULL"""


def differences(session: Session) -> list[Difference]:
    """Every cached balance of the opened shops that differs from the sum of its postings. Empty is the proof."""
    return [
        Difference(*row)
        for query in (_MEMBERS, _ORDERS, _ELSEWHERE, _FACTS, _MERGED, _STRAYS)
        for row in session.execute(sa.text(query)).all()
    ]


def counted(session: Session) -> dict[str, int]:
    """How much the proof covered: members, orders, postings, and the shops' outstanding points."""
    row = session.execute(
        sa.text(
            "SELECT (SELECT count(*) FROM members) AS members, (SELECT count(*) FROM orders) AS orders, "
            "(SELECT count(*) FROM postings) AS postings, "
            "(SELECT coalesce(sum(available + pending), 0) FROM members) AS outstanding"
        )
    ).one()
    return {name: int(value) for name, value in row._mapping.items()}


def history(session: Session, shop_id: int, member_id: int) -> Iterator[Any]:
    """A member's postings, oldest first."""
    yield from session.scalars(
        sa.select(Posting).where(Posting.shop_id == shop_id, Posting.member_id == member_id).order_by(Posting.id)
    )
