"""Members at risk: who used to buy and has not for a while. Each is found once for each such spell."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.db import Database
from core.events import Event, Happened, record
from loyalty.models import Member
from shops import connections
from shops.models import Shop
from shops.operations import quiet_days
from shops.queries import installed_shop_ids

# Who has been away for longer than this when a shop connects is gone, not at risk.
LOOK_BACK = timedelta(days=7)
BATCH = 500


def find(database: Database) -> int:
    """Note whose last order is as long ago now as their shop chose, in shops that are connected. Returns how many."""
    shops = installed_shop_ids(database)
    with database.transaction(*shops) as session:
        wanted = {one for channel in connections.CHANNELS for one in connections.connected(session, channel, shops)}
    found = 0
    for shop_id in sorted(wanted):
        while True:
            with database.transaction(shop_id) as session:
                noted = note(session, shop_id, clock.now())
            found += noted
            if noted < BATCH:
                break
    return found


def note(session: Session, shop_id: int, now: datetime) -> int:
    """Record `member.at_risk` of some more members. Returns of how many."""
    since = now - timedelta(days=quiet_days(session.get_one(Shop, shop_id)))
    said = sa.select(Event.id).where(
        Event.shop_id == shop_id, Event.member_id == Member.id, Event.kind == "member.at_risk",
        Event.occurred_at > Member.last_order_at,
    )  # fmt: skip
    quiet = session.execute(
        sa.select(Member.id, Member.last_order_at)
        .where(
            Member.shop_id == shop_id, Member.last_order_at <= since,
            Member.last_order_at > since - LOOK_BACK, Member.merged_into.is_(None),
            Member.closed_at.is_(None), Member.erased_at.is_(None), ~said.exists(),
        )
        .order_by(Member.id)
        .limit(BATCH)
    ).all()  # fmt: skip
    days = {who: (now - at).days for who, at in quiet if at}
    record(session, [Happened(shop_id, "member.at_risk", {"days": n}, now, who) for who, n in days.items()])
    return len(quiet)
