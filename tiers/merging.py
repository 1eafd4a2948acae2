"""Tiers of two members who become one."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

# A tier by hand goes on for the one who stays; a gift that either of them had is not given again.
_MERGES = tuple(
    sa.text(statement)
    for statement in (
        "UPDATE tier_overrides SET member_id = :kept WHERE shop_id = :shop_id AND member_id = :deleted",
        "INSERT INTO tier_gifts (shop_id, member_id, tier_key, points, count) "
        "SELECT shop_id, :kept, tier_key, points, count FROM tier_gifts "
        "WHERE shop_id = :shop_id AND member_id = :deleted ON CONFLICT (shop_id, member_id, tier_key) DO NOTHING",
        "DELETE FROM tier_gifts WHERE shop_id = :shop_id AND member_id = :deleted",
    )
)


def merge_tiers(session: Session, shop_id: int, deleted: int, kept: int) -> None:
    """Give the kept member the overrides and gifts of both, before their orders are settled as one member's.

    The caller has locked both. Doing it again changes nothing.
    """
    for statement in _MERGES:
        session.execute(statement, {"shop_id": shop_id, "deleted": deleted, "kept": kept})
