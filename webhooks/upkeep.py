"""What time does to orders: waiting points are released, and guests' points find the member who enrolled meanwhile."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from core import batches, clock
from core.db import Database
from loyalty.models import Member, Order
from shops.queries import all_shop_ids
from webhooks.arrivals import Arrival
from webhooks.settlement import settle

BATCH = 200
NOT_SETTLED = "orders not settled again"


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


def count_points(database: Database, shop_id: int, _: str) -> None:
    """Settle all orders of a shop again, for a ladder that goes by points from now on. An effect: may be repeated."""
    settle_all_again(database, shop_id)


def settle_all_again(database: Database, shop_id: int, *which: Any) -> None:
    """Settle a shop's orders again, those that meet all of `which` at their turn, each once. One that fails is left."""
    last = 0
    while True:
        with database.transaction(shop_id) as session:
            orders = sa.select(Order.order_id).where(Order.shop_id == shop_id, Order.order_id > last, *which)
            found = session.scalars(orders.order_by(Order.order_id).limit(BATCH)).all()
        if not found:
            return
        arrivals = [Arrival(shop_id, order_id, again=True) for order_id in found]
        batches.apart(arrivals, partial(_settle, database), what=NOT_SETTLED)
        last = found[-1]


def _settle(database: Database, arrivals: Sequence[Arrival]) -> None:
    with database.transaction(*{arrival.shop_id for arrival in arrivals}) as session:
        settle(session, arrivals)


def _settle_again(database: Database, orders: Any) -> int:
    """Settle again what the query finds, batch by batch; an order that fails is left out, and for the next time."""
    shops = all_shop_ids(database)

    def due(limit: int) -> list[Arrival]:
        with database.transaction(*shops) as session:
            rows = session.execute(orders.limit(limit)).all()
        return [Arrival(row.shop_id, row.order_id, owner=getattr(row, "owner", None), again=True) for row in rows]

    return batches.all_due(due, partial(_settle, database), size=BATCH, what=NOT_SETTLED)
