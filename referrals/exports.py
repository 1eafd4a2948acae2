"""Referrals as a table for a spreadsheet: ids, codes, moments and money, nobody's name or address."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.money import to_units
from referrals.numbers import Period

COLUMNS = (
    "id", "placed_at", "state", "order_id", "code", "referrer_id", "partner_id", "friend_id", "via", "score",
    "decision", "currency", "revenue", "discount", "rewards", "points", "rewarded_at",
)  # fmt: skip


def rows(session: Session, shop_id: int, asked: Period) -> list[tuple[Any, ...]]:
    """The values of COLUMNS for each referral whose order was placed in these days, oldest first.

    `rewards` holds what both sides were given and not taken back, commission too. Money in currency units.
    """
    begins, ends = asked.moments
    given = {"shop": shop_id, "begins": begins, "ends": ends}
    return [_row(row) for row in session.execute(_ROWS, given)]


def _row(row: Any) -> tuple[Any, ...]:
    money = [str(to_units(int(amount), row.currency)) for amount in (row.amount, row.discount, row.rewards)]
    return (
        row.id, _moment(row.at), row.state, row.order_id, _plain(row.code), row.referrer_member_id, row.partner_id,
        row.friend_member_id, row.via, row.score, row.decision, row.currency, *money, row.points,
        _moment(row.rewarded_at),
    )  # fmt: skip


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _plain(text: str) -> str:
    """Spreadsheets take words that begin like this for formulas."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


_ROWS = sa.text("""
    SELECT r.id, r.at, r.state, r.order_id, coalesce(c.code, r.code_key) AS code, r.referrer_member_id, r.partner_id,
           r.friend_member_id, r.via, r.score, r.decision, r.currency, r.amount, r.discount, r.rewarded_at,
           coalesce(w.amount, 0) AS rewards, coalesce(w.points, 0) AS points
    FROM referrals r
    LEFT JOIN referral_codes c ON c.shop_id = r.shop_id AND c.key = r.code_key
    LEFT JOIN (
        SELECT w.referral_id, sum(w.amount) AS amount, sum(w.points) AS points FROM referral_rewards w
        WHERE w.shop_id = :shop AND w.state IN ('given', 'kept') GROUP BY 1) w ON w.referral_id = r.id
    WHERE r.shop_id = :shop AND r.at >= :begins AND r.at < :ends ORDER BY r.at, r.id""")
