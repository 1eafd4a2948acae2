"""Members whose tier is about to end: noted once for each such end, in shops whose members are told of it."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.db import Database
from core.events import Event, Happened, record
from loyalty import programs
from loyalty.models import Member
from shops import mailings
from shops.queries import installed_shop_ids
from tiers.queries import Standing, standings

KIND = "tier.ending"
AHEAD = timedelta(days=30)
# An end that moves by a few days with every order is told once.
AGAIN = timedelta(days=60)
BATCH = 500


def find(database: Database) -> int:
    """Note everybody whose tier ends within 30 days unless they order. Returns how many."""
    shops = installed_shop_ids(database)
    with database.transaction(*shops) as session:
        wanted = mailings.sending(session, shops, mailings.ENDING)
    found = 0
    for shop_id in sorted(wanted):
        after: int | None = 0
        while after is not None:
            with database.transaction(shop_id) as session:
                noted, after = note(session, shop_id, after, clock.now())
            found += noted
    return found


def note(session: Session, shop_id: int, after: int, now: datetime) -> tuple[int, int | None]:
    """Record `tier.ending` of members with ids beyond `after`. Returns of how many, and where to go on, if anywhere."""
    told = sa.select(Event.id).where(
        Event.shop_id == shop_id, Event.member_id == Member.id, Event.kind == KIND, Event.occurred_at > now - AGAIN
    )
    looked = session.scalars(
        sa.select(Member)
        .where(
            Member.shop_id == shop_id, Member.id > after, Member.tier_review_at > now,
            Member.tier_review_at <= now + AHEAD, Member.merged_into.is_(None), Member.closed_at.is_(None),
            Member.erased_at.is_(None), Member.blocked_at.is_(None), ~told.exists(),
        )
        .order_by(Member.id)
        .limit(BATCH)
    ).all()  # fmt: skip
    version = programs.load(session, [shop_id]).in_force(shop_id, now)
    held = standings(session, looked, version, now)
    ending = [member for member in looked if ends_soon(held[member.id], now)]
    record(session, [
        Happened(shop_id, KIND, _told(held[member.id]), now, member.id, None, version.number) for member in ending
    ])  # fmt: skip
    return len(ending), looked[-1].id if len(looked) == BATCH else None


def ends_soon(standing: Standing, now: datetime) -> bool:
    """Whether a tier ends within 30 days unless something is done, or because it was given until then."""
    if standing.until is None or not now < standing.until <= now + AHEAD:
        return False
    return standing.by_hand or standing.missing > 0


def _told(standing: Standing) -> dict[str, object]:
    return {"tier": standing.key, "until": standing.until, "missing": standing.missing, "metric": standing.metric}
