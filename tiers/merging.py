"""Tiers of two members who become one."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

# A tier by hand goes on for the one who stays. A gift that only the other holds is not given again; one that both hold
# stays where it is, and is taken back there when the orders that brought it leave.
_MERGES = tuple(
    sa.text(statement)
    for statement in (
        "UPDATE tier_overrides SET member_id = :kept WHERE shop_id = :shop_id AND member_id = :deleted",
        """WITH moved AS (
            DELETE FROM tier_gifts d WHERE d.shop_id = :shop_id AND d.member_id = :deleted AND NOT EXISTS (
                SELECT FROM tier_gifts k WHERE k.shop_id = d.shop_id AND k.member_id = :kept
                AND k.tier_key = d.tier_key AND k.points > 0)
            RETURNING d.shop_id, d.tier_key, d.points, d.count)
        INSERT INTO tier_gifts (shop_id, member_id, tier_key, points, count)
        SELECT shop_id, :kept, tier_key, points, count FROM moved
        ON CONFLICT (shop_id, member_id, tier_key) DO UPDATE
        SET points = excluded.points, count = greatest(tier_gifts.count, excluded.count)""",
    )
)


def merge_tiers(session: Session, shop_id: int, deleted: int, kept: int) -> None:
    """Give the kept member the overrides and gifts of both, before their orders are settled as one member's.

    The caller has locked both. Doing it again changes nothing.
    """
    for statement in _MERGES:
        session.execute(statement, {"shop_id": shop_id, "deleted": deleted, "kept": kept})
