"""Sending messages and taking them off again, a batch of members at a time, each in a transaction of its own.

What dies half-way goes on where it was. Batches wait while wallets have enough to do with the last ones: so a message
that is called off half-way has not been told to everybody yet.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, effects
from core.db import Database, insert_rows
from core.effects import Effect, Wanted
from core.events import Happened, record
from loyalty.models import Member
from shops.models import Shop
from wallet_passes.messages import operations, queries, rules
from wallet_passes.messages.audience import Audience, among, cards, holders
from wallet_passes.messages.models import MessageRecipient, WalletMessage
from wallet_passes.messages.rules import LEFT, LIMITED, SHOWN
from wallet_passes.rollouts import TELLING

# Cards that are looked at in one transaction.
BATCH = 1000
# Cards of a shop that wallets have still to be told of.
BACKLOG = 2000

# Two messages at once must not both be a member's last one under the limit.
_TURN = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('wallet messages ' || :shop_id, 0))")
_COLUMNS = ("shop_id", "message_id", "member_id", "outcome", "at")

# Does the next batch of a message; False when there is no more to do, or another is at it.
Step = Callable[[Session, int, int, datetime], bool]


def send(database: Database, shop_id: int, message_id: int) -> None:
    """Send a message as far as wallets keep up."""
    _go_on(database, shop_id, message_id, send_batch)


def end(database: Database, shop_id: int, message_id: int) -> None:
    """Have a message that is over leave the cards that show it, as far as wallets keep up."""
    _go_on(database, shop_id, message_id, end_batch)


def _go_on(database: Database, shop_id: int, message_id: int, step: Step) -> None:
    while True:
        with database.transaction(shop_id) as session:
            if busy(session, shop_id) or not step(session, shop_id, message_id, clock.now()):
                return


def busy(session: Session, shop_id: int) -> bool:
    """Whether wallets have enough to do with what a shop has asked for already."""
    untold = sa.select(Effect.target).where(
        Effect.shop_id == shop_id, Effect.kind.in_(TELLING), Effect.state == "waiting", Effect.attempts == 0
    )
    counted = sa.select(sa.func.count()).select_from(untold.limit(BACKLOG).subquery())
    return (session.scalar(counted) or 0) >= BACKLOG


def _taken(session: Session, shop_id: int, message_id: int, states: Sequence[str]) -> WalletMessage | None:
    """The message if it is in one of these states, locked; None also when another is at it."""
    here = WalletMessage
    this = sa.select(here).where(here.shop_id == shop_id, here.id == message_id, here.state.in_(states))
    return session.scalar(this.with_for_update(skip_locked=True).execution_options(populate_existing=True))


def send_batch(session: Session, shop_id: int, message_id: int, now: datetime) -> bool:
    """Put a message on the next cards. False when there is no more to do, or another is at it."""
    session.execute(_TURN, {"shop_id": str(shop_id)})
    row = _taken(session, shop_id, message_id, ("scheduled", "sending"))
    if row is None or row.send_at is None or row.send_at > now:
        return False
    audience = Audience.model_validate(row.audience)
    if row.state == "scheduled" and not _begin(session, row, audience, now):
        return False
    over = row.ends_at is not None and row.ends_at <= now
    ahead = [] if over else session.execute(cards(shop_id, audience, row.cursor, BATCH)).all()
    if ahead:
        found = among(shop_id, audience, sorted({one.member for one in ahead}), now)
        # Held still, in the order that all keep, so that none is merged away under the message.
        members = session.execute(found.order_by(Member.id).with_for_update(read=True))
        _put_on(session, row, {one.member: one.left for one in members}, now)
        row.cursor = ahead[-1].card
    if len(ahead) < BATCH:
        _finish(session, row, now)
    return row.finished_at is None


def _begin(session: Session, row: WalletMessage, audience: Audience, now: datetime) -> bool:
    """Whether it is sent at all."""
    assert row.send_at is not None
    if reason := rules.missed(row.send_at, row.ends_at, now):
        operations.call_off(session, row, now, actor="system", reason=reason)
        return False
    found = holders(row.shop_id, audience, now).subquery()
    row.total = session.scalar(sa.select(sa.func.count(found.c.member.distinct()))) or 0
    row.state, row.started_at, row.cursor = "sending", now, 0
    return True


def _put_on(session: Session, row: WalletMessage, members: dict[int, bool], now: datetime) -> None:
    limit = queries.limit_of(session.get_one(Shop, row.shop_id))
    recent = queries.recently_shown(session, row.shop_id, list(members), now - timedelta(days=limit.days))
    rows = [
        (row.shop_id, row.id, member, rules.outcome(left=left, recent=recent.get(member, 0), limit=limit), now)
        for member, left in sorted(members.items())
    ]
    once = "ON CONFLICT DO NOTHING RETURNING member_id, outcome"
    kept = insert_rows(session, MessageRecipient.__table__, _COLUMNS, rows, suffix=once)  # type: ignore[arg-type]
    new = [(row.member_id, row.outcome) for row in kept] if kept else []
    came = Counter(outcome for _, outcome in new)
    row.shown, row.limited, row.gone = row.shown + came[SHOWN], row.limited + came[LIMITED], row.gone + came[LEFT]
    _tell(session, row.shop_id, [member for member, outcome in new if outcome == SHOWN])


def _tell(session: Session, shop_id: int, members: Sequence[int]) -> None:
    """Have wallets look at these members' cards, after all that changed by itself."""
    kinds = [kind for kind in TELLING if effects.wired(kind)]
    wanted = [Wanted(shop_id, kind, str(member)) for member in members for kind in kinds]
    effects.request(session, wanted, patient=True)


def _finish(session: Session, row: WalletMessage, now: datetime) -> None:
    row.state, row.finished_at, row.cursor = "sent", now, 0
    told = {"message": row.id, "shown": row.shown, "limited": row.limited, "left": row.gone}
    record(session, [Happened(row.shop_id, "wallet.message_sent", told, now)])


def end_batch(session: Session, shop_id: int, message_id: int, now: datetime) -> bool:
    """Have the next cards that were given a message looked at again. False when there is no more to do."""
    row = _taken(session, shop_id, message_id, ("sent", "cancelled"))
    if row is None or row.ended_at is not None or row.ends_at is None or row.ends_at > now:
        return False
    found = queries.recipients(session, row, outcome=SHOWN, after=row.cursor, limit=BATCH)
    _tell(session, shop_id, [recipient.member_id for recipient in found])
    if found:
        row.cursor = found[-1].member_id
    if len(found) < BATCH:
        row.ended_at = now
    return row.ended_at is None
