"""Messages: what cards show, whom one would reach, how one has come along, and what followed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from core.db import Database, rows_by
from core.errors import NotFound
from core.i18n import _
from loyalty.models import Member, Order
from shops.models import Shop
from shops.queries import installed_shop_ids
from wallet_passes.messages.audience import Audience, at_their_limit, holders, is_live
from wallet_passes.messages.models import MessageRecipient, WalletMessage
from wallet_passes.messages.rules import FOLLOWING, LIMITED, SHOWN, Limit, Shown
from wallet_passes.models import Pass

# The key of a shop's own limit among its settings.
LIMIT = "wallet_message_limit"
SAMPLE = 5

Key = tuple[int, int]

# A member's newest message alone is asked about: when it ends, an older one does not come back.
_LATEST = """
    SELECT k.shop_id, k.member_id, m.id, m.title, m.body, m.link, m.ends_at, m.quiet
    FROM {keys} AS k(shop_id, member_id)
    CROSS JOIN LATERAL (
        SELECT r.message_id FROM wallet_message_recipients r
        WHERE r.shop_id = k.shop_id AND r.member_id = k.member_id AND r.outcome = 'shown'
        ORDER BY r.at DESC, r.message_id DESC LIMIT 1) AS latest
    JOIN wallet_messages m ON m.shop_id = k.shop_id AND m.id = latest.message_id
    WHERE m.state IN ('sending', 'sent') AND (m.ends_at IS NULL OR m.ends_at > %s)"""


def latest_message(session: Session, keys: Sequence[Key], now: datetime) -> dict[Key, Shown]:
    """What the cards of these members (shop id, member id) show now; those without a message are left out."""
    rows = rows_by(session, _LATEST, ("bigint", "bigint"), sorted(set(keys)), now)
    return {(row.shop_id, row.member_id): Shown(*row[2:]) for row in rows}


def find(session: Session, shop_id: int, message_id: int) -> WalletMessage:
    """Raises NotFound."""
    return _found(session.get(WalletMessage, (shop_id, message_id), populate_existing=True))


def locked(session: Session, shop_id: int, message_id: int) -> WalletMessage:
    """The message, for nobody else to change until the commit. Raises NotFound."""
    return _found(session.get(WalletMessage, (shop_id, message_id), populate_existing=True, with_for_update=True))


def _found(row: WalletMessage | None) -> WalletMessage:
    if row is None:
        raise NotFound(_("there is no such message"), code="no_message")
    return row


def messages(
    session: Session, shop_id: int, *, state: str | None = None, before: int | None = None, limit: int
) -> Sequence[WalletMessage]:
    """A shop's messages, newest first, from those with ids below `before`."""
    wanted = sa.select(WalletMessage).where(WalletMessage.shop_id == shop_id)
    if state is not None:
        wanted = wanted.where(WalletMessage.state == state)
    if before is not None:
        wanted = wanted.where(WalletMessage.id < before)
    return session.scalars(wanted.order_by(WalletMessage.id.desc()).limit(limit)).all()


def recipients(
    session: Session, row: WalletMessage, *, outcome: str | None = None, after: int = 0, limit: int
) -> Sequence[MessageRecipient]:
    """What became of a message for each member, by their ids, from those above `after`."""
    here = MessageRecipient
    wanted = sa.select(here).where(here.shop_id == row.shop_id, here.message_id == row.id, here.member_id > after)
    if outcome is not None:
        wanted = wanted.where(here.outcome == outcome)
    return session.scalars(wanted.order_by(here.member_id).limit(limit)).all()


def limit_of(shop: Shop) -> Limit:
    """How many messages a member of the shop may get."""
    return Limit(**(shop.settings or {}).get(LIMIT, {}))


# Before it is sent.


class Reach(NamedTuple):
    """Whom a message would reach: members with a card, those whose card is in a wallet, those held back by the limit.

    `sample` holds a few of those it would be shown to.
    """

    members: int
    live: int
    limited: int
    sample: Sequence[Member]


def reach(session: Session, shop: Shop, audience: Audience, at: datetime) -> Reach:
    """Whom a message would reach at a moment, as things stand now."""
    limited = at_their_limit(shop.id, limit_of(shop), at)
    found = holders(shop.id, audience, at).add_columns(is_live().label("live")).subquery()
    here = sa.select(found.c.member, sa.func.bool_or(found.c.live).label("live")).where(~found.c.left)
    each = here.group_by(found.c.member).subquery()
    held = each.c.member.in_(limited)
    count, first = sa.func.count(), sa.func.array_agg(aggregate_order_by(each.c.member, each.c.member))
    counted = sa.select(count, count.filter(each.c.live), count.filter(held), first.filter(~held)[1:SAMPLE])
    members, live, held_back, ids = session.execute(counted.select_from(each)).one()
    sample = sa.select(Member).where(Member.shop_id == shop.id, Member.id.in_(ids or ())).order_by(Member.id)
    return Reach(members, live, held_back, session.scalars(sample).all())


def any_card(session: Session, shop_id: int) -> bool:
    """Whether anybody has a card at all."""
    return bool(session.scalar(sa.select(sa.exists().where(Pass.shop_id == shop_id))))


# After it was sent.


class Response(NamedTuple):
    """Some members, and how many of them have ordered within the days after."""

    members: int
    ordered: int


class Results(NamedTuple):
    """What followed from a message.

    `told`: those of whom a wallet took the change; `fetched`: those whose card a phone fetched since. `after` sets
    beside each other what those who were told and those who were held back ordered within `FOLLOWING`, each from
    their own moment on, until `until`.
    """

    told: int
    fetched: int
    after_told: Response
    after_limited: Response
    until: datetime | None


def results(session: Session, row: WalletMessage) -> Results:
    """What has followed from a message so far."""
    here = MessageRecipient
    fetched = sa.exists().where(
        Pass.shop_id == here.shop_id, Pass.member_id == here.member_id, Pass.fetched_at >= here.at
    )
    told, held = (here.outcome == SHOWN) & here.told_at.is_not(None), here.outcome == LIMITED
    count = sa.func.count()
    groups = (told, (here.outcome == SHOWN) & fetched, told & _ordered(), held, held & _ordered())
    counted = sa.select(*(count.filter(group) for group in groups))
    tally: Any = session.execute(counted.where(here.shop_id == row.shop_id, here.message_id == row.id)).one()
    until = row.finished_at + FOLLOWING if row.started_at and row.finished_at else None
    return Results(tally[0], tally[1], Response(tally[0], tally[2]), Response(tally[3], tally[4]), until)


def _ordered() -> sa.ColumnElement[bool]:
    """Whether a recipient has placed an order within the days after that stands, and is no test."""
    here = MessageRecipient
    return sa.exists().where(
        Order.shop_id == here.shop_id,
        Order.member_id == here.member_id,
        Order.processed_at >= here.at,
        Order.processed_at < here.at + sa.literal(FOLLOWING),
        Order.deleted_at.is_(None),
        Order.state["cancelled_at"].astext.is_(None),
        Order.state["test"].astext.is_distinct_from("true"),
    )


# Work that is due.


def due_to_send(database: Database, now: datetime) -> list[Key]:
    """The (shop, message) of all that is to be sent, oldest first."""
    waiting = WalletMessage.state.in_(("scheduled", "sending")), WalletMessage.send_at <= now
    return _due(database, waiting, WalletMessage.send_at)


def due_to_end(database: Database, now: datetime) -> list[Key]:
    """The (shop, message) of all that is to leave the cards that still show it, oldest first."""
    over = WalletMessage.state.in_(("sent", "cancelled")), WalletMessage.ended_at.is_(None)
    return _due(
        database, (*over, WalletMessage.ends_at.is_not(None), WalletMessage.ends_at <= now), WalletMessage.ends_at
    )


def _due(database: Database, which: tuple[sa.ColumnElement[bool], ...], order: Any) -> list[Key]:
    wanted = sa.select(WalletMessage.shop_id, WalletMessage.id).where(*which).order_by(order)
    with database.transaction(*installed_shop_ids(database)) as session:
        return [(row.shop_id, row.id) for row in session.execute(wanted)]


def recently_shown(session: Session, shop_id: int, members: Sequence[int], since: datetime) -> dict[int, int]:
    """How many messages each of these members was shown after a moment; those who were shown none are left out."""
    read = (
        "SELECT r.member_id, count(*) FROM {keys} AS k(member_id) JOIN wallet_message_recipients r "
        "ON r.shop_id = %s AND r.member_id = k.member_id AND r.outcome = 'shown' AND r.at > %s GROUP BY r.member_id"
    )
    rows = rows_by(session, read, ("bigint",), [(member,) for member in members], shop_id, since)
    return {row[0]: row[1] for row in rows}
