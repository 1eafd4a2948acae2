"""Telling a channel what it has not heard of a member: in order, one after the other, each marked once it was taken.

What was taken but not marked, because we died in between, is told again: Klaviyo counts it once by its `unique_id`,
Flow twice. Old orders that a backfill brings are no news, and are not told.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import clock
from core import events as outbox
from core.db import Database
from core.effects import Wanted
from loyalty import programs
from loyalty.models import Member
from loyalty.queries import tier_names
from loyalty.telling import rules
from loyalty.telling.models import ToldMark
from loyalty.telling.rules import Event, Signal, Standing
from shops import connections
from shops.connections import Connection

# What happened longer ago is no news: a workflow that thanks for an order of last year would puzzle people.
NEWS = timedelta(days=2)
BATCH = 50
FLOW_EFFECT, KLAVIYO_EFFECT = "flow.member", "klaviyo.member"

# Tells one signal; raises when it was not taken.
Tell = Callable[[Event, Signal, Standing], None]


class News(NamedTuple):
    """What a channel has not heard of a member: signals, the newest event they come from, and how the member stands."""

    signals: list[tuple[Event, Signal]]
    upto: int
    standing: Standing | None


def connected(channel: str) -> Callable[[Session, Sequence[Wanted]], list[Wanted]]:
    """Which effects concern a shop that has connected the channel."""

    def concern(session: Session, wanted: Sequence[Wanted]) -> list[Wanted]:
        shops = connections.connected(session, channel, {one.shop_id for one in wanted})
        return [one for one in wanted if one.shop_id in shops]

    return concern


def tell(database: Database, shop_id: int, member_id: int, connection: Connection, send: Tell) -> None:
    """Tell a channel all it has not heard of a member."""
    while True:
        with database.transaction(shop_id) as session:
            news = _unheard(session, shop_id, member_id, connection)
        for event, signal in news.signals if news.standing else ():
            assert news.standing
            send(event, signal, news.standing)
            _mark(database, shop_id, member_id, connection.channel, event.id)
        if not news.upto:
            return
        _mark(database, shop_id, member_id, connection.channel, news.upto)


def _unheard(session: Session, shop_id: int, member_id: int, connection: Connection) -> News:
    mark = session.get(ToldMark, (shop_id, connection.channel, member_id))
    now, kept = clock.now(), outbox.Event
    rows = session.scalars(
        sa.select(kept)
        .where(
            kept.shop_id == shop_id, kept.member_id == member_id, kept.id > (mark.event_id if mark else 0),
            kept.kind.in_(rules.KINDS), kept.recorded_at >= connection.since,
            kept.occurred_at > max(now - NEWS, connection.since - NEWS),
        )
        .order_by(kept.id)
        .limit(BATCH)
    ).all()  # fmt: skip
    events = [Event(row.id, row.kind, row.data, row.order_id, row.occurred_at) for row in rows]
    member = session.get(Member, (shop_id, member_id))
    names = tier_names(programs.load(session, [shop_id]).in_force(shop_id, now).program)
    signals = [(event, signal) for event in events if (signal := rules.told(event, names))]
    return News(signals, events[-1].id if events else 0, standing_of(member, names.get) if member else None)


def standing_of(member: Member, named: Callable[[str, str], str | None]) -> Standing | None:
    """How a member stands; None for who is no customer any more."""
    if member.customer_id is None or member.merged_into or member.closed_at or member.erased_at:
        return None
    tier = named(member.tier_key, member.tier_key) or member.tier_key
    return Standing(member.customer_id, member.email, member.available, member.pending, member.tier_key, tier)


def _mark(database: Database, shop_id: int, member_id: int, channel: str, event_id: int) -> None:
    row = insert(ToldMark).values(shop_id=shop_id, channel=channel, member_id=member_id, event_id=event_id)
    with database.transaction(shop_id) as session:
        session.execute(
            row.on_conflict_do_update(
                index_elements=["shop_id", "channel", "member_id"], set_={"event_id": event_id},
                where=ToldMark.event_id < event_id,
            )
        )  # fmt: skip
