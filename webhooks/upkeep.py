"""What time does to orders: waiting points are released, and guests' points find the member who enrolled meanwhile."""

from typing import Any

import sqlalchemy as sa

from core import clock
from core.db import Database, open_shops
from loyalty.models import Member, Order
from shops.queries import all_shop_ids
from webhooks.settlement import Arrival, settle

BATCH = 200


def release_points(database: Database) -> int:
    """Settle again the orders whose waiting days are over. Returns how many."""
    due = sa.select(Order.shop_id, Order.order_id).where(Order.release_at <= clock.now())
    return _settle_again(database, due)


def claim_guest_orders(database: Database) -> int:
    """Settle guest orders whose address a verified member has. Makes up for the race between the two arriving."""
    claimable = sa.select(Order.shop_id, Order.order_id, sa.func.min(Member.id).label("owner")).where(
        Order.guest_email == Member.email,
        Order.shop_id == Member.shop_id,
        Order.member_id.is_(None),
        Member.email_verified,
        Member.merged_into.is_(None),
    )
    return _settle_again(database, claimable.group_by(Order.shop_id, Order.order_id))


def _settle_again(database: Database, orders: Any) -> int:
    shops = all_shop_ids(database)
    settled = 0
    while True:
        with database.transaction(*shops) as session:
            rows = session.execute(orders.limit(BATCH)).all()
            open_shops(session, {row.shop_id for row in rows})
            settle(
                session,
                [Arrival(row.shop_id, row.order_id, owner=getattr(row, "owner", None), again=True) for row in rows],
            )
        settled += len(rows)
        if len(rows) < BATCH:
            return settled
