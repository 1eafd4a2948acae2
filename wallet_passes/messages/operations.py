"""Messages are written, scheduled, cancelled, and follow members who are merged. Each takes a session, none commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from core import clock
from core.db import rows_by
from core.errors import Conflict, InvalidInput
from core.events import Happened, record
from core.i18n import _
from loyalty import programs
from loyalty.models import Member
from loyalty.program import instant
from shops.models import Shop
from wallet_passes.messages import queries, rules
from wallet_passes.messages.audience import Audience
from wallet_passes.messages.composing import Composed
from wallet_passes.messages.models import WalletMessage
from wallet_passes.messages.queries import LIMIT, Key
from wallet_passes.messages.rules import BadTime, Limit

# A refusal names so many ids at most.
NAMED_IN_REFUSAL = 20


def draft(session: Session, shop_id: int, composed: Composed, *, actor: str) -> WalletMessage:
    """Keep a new message, which is not sent until it is told to be.

    Raises InvalidInput: `unknown_tiers`, `unknown_members` (with `members`), `bad_time`.
    """
    row = WalletMessage(shop_id=shop_id, state="draft", actor=actor, created_at=clock.now(), edits=0)
    _say(session, row, composed)
    session.add(row)
    session.flush()
    return row


def edit(
    session: Session, shop_id: int, message_id: int, composed: Composed, *, edits: int, actor: str
) -> WalletMessage:
    """Change a message that is not being sent yet; a scheduled one stays so, at its new moment.

    Raises what `draft` raises, NotFound, and Conflict: `message_changed` unless `edits` is the newest, `message_state`.
    """
    row = _open(session, shop_id, message_id, edits)
    _say(session, row, composed)
    if row.state == "scheduled":
        _schedule(session, row, actor)
    session.flush()
    return row


def send(session: Session, shop_id: int, message_id: int, *, edits: int | None, actor: str) -> WalletMessage:
    """Have a draft sent at its moment, or at once. With `edits`, only if it still says what was read.

    Raises NotFound, InvalidInput as `draft`, and Conflict: `message_changed`, `message_state`, and `nobody` when it is
    to be sent at once and nobody would get it.
    """
    row = _open(session, shop_id, message_id, edits)
    audience = Audience.model_validate(row.audience)
    check_audience(session, shop_id, audience)
    now = clock.now()
    if row.send_at is None and not queries.reach(session, session.get_one(Shop, shop_id), audience, now).members:
        raise Conflict(_("nobody with a card is in this audience"), code="nobody")
    _schedule(session, row, actor)
    session.flush()
    return row


def cancel(session: Session, shop_id: int, message_id: int, *, actor: str) -> WalletMessage:
    """Send a message no further, and have it leave the cards that show it. Again is fine.

    Raises NotFound, and Conflict (`message_state`) for a draft, which is deleted instead.
    """
    row = queries.locked(session, shop_id, message_id)
    if row.state == "draft":
        raise _wrong_state(row, "this message is a draft; delete it instead")
    if row.state != "cancelled":
        call_off(session, row, clock.now(), actor=actor)
    return row


def call_off(session: Session, row: WalletMessage, now: datetime, *, actor: str, **why: str) -> None:
    """Cancel a message whose row is locked. `why` goes into the record."""
    over = row.ends_at is not None and row.ends_at <= now
    if row.started_at is None:
        row.ended_at = now
    elif row.state == "sending" or not over:
        # The work of taking it off begins where sending it did.
        row.ends_at, row.cursor = now, 0
    row.state, row.finished_at = "cancelled", row.finished_at or now
    told = {"message": row.id, "shown": row.shown, **why}
    record(session, [Happened(row.shop_id, "wallet.message_cancelled", told, now, actor=actor)])


def delete(session: Session, shop_id: int, message_id: int) -> None:
    """Forget a message that nobody got: a draft, or one that was cancelled in time. Raises NotFound, Conflict."""
    row = queries.locked(session, shop_id, message_id)
    if row.state == "scheduled":
        raise _wrong_state(row, "this message is scheduled; cancel it first")
    if row.state != "draft" and row.started_at is not None:
        raise _wrong_state(row, "this message was sent, and its results are kept")
    session.delete(row)
    session.flush()


def set_limit(session: Session, shop_id: int, limit: Limit, *, actor: str) -> None:
    """How many messages each member of the shop gets at most, from the next batch on."""
    shop = session.get_one(Shop, shop_id, with_for_update=True, populate_existing=True)
    shop.settings = {**(shop.settings or {}), LIMIT: limit._asdict()}
    session.flush()
    record(session, [Happened(shop_id, "wallet.message_limit_changed", limit._asdict(), clock.now(), actor=actor)])


def _open(session: Session, shop_id: int, message_id: int, edits: int | None) -> WalletMessage:
    """A message that may still be changed, locked."""
    row = queries.locked(session, shop_id, message_id)
    if row.state not in ("draft", "scheduled"):
        raise _wrong_state(row, "this message can't be changed any more: it is being sent, was sent, or was cancelled")
    if edits is not None and edits != row.edits:
        detail = _("the message was changed meanwhile: read it again, then make your change")
        raise Conflict(detail, code="message_changed", edits=row.edits)
    return row


def _wrong_state(row: WalletMessage, detail: str) -> Conflict:
    return Conflict(detail, code="message_state", state=row.state)


def _say(session: Session, row: WalletMessage, composed: Composed) -> None:
    zone = ZoneInfo(session.get_one(Shop, row.shop_id).timezone)
    check_audience(session, row.shop_id, composed.audience)
    row.send_at, row.ends_at = instant(composed.send_at, zone), instant(composed.ends_at, zone)
    _sending_time(row)
    row.title, row.body, row.link, row.quiet = composed.title, composed.body, composed.link, composed.quiet
    row.audience = composed.audience.stored(zone)
    row.edits += 1


def _schedule(session: Session, row: WalletMessage, actor: str) -> None:
    row.send_at, row.state = _sending_time(row), "scheduled"
    told = {"message": row.id, "edits": row.edits, "send_at": row.send_at}
    record(session, [Happened(row.shop_id, "wallet.message_scheduled", told, clock.now(), actor=actor)])


def _sending_time(row: WalletMessage) -> datetime:
    try:
        return rules.sending_time(row.send_at, row.ends_at, clock.now())
    except BadTime as bad:
        raise InvalidInput(str(bad), code="bad_time") from None


def check_audience(session: Session, shop_id: int, audience: Audience) -> None:
    """Raises InvalidInput for tiers and members that there are not: `unknown_tiers`, `unknown_members`."""
    if audience.tiers:
        ladder = programs.load(session, [shop_id]).in_force(shop_id, clock.now()).program.ladder
        unknown = sorted(set(audience.tiers) - {tier.key for tier in ladder.tiers})
        if unknown:
            raise InvalidInput(f"the ladder has no tier {', '.join(unknown)}", code="unknown_tiers")
    if audience.members:
        _check_members(session, shop_id, {int(member) for member in audience.members})


def _check_members(session: Session, shop_id: int, members: set[int]) -> None:
    possible = sa.literal([member for member in members if member < 2**63], ARRAY(sa.BigInteger))
    known = sa.select(Member.id).where(Member.shop_id == shop_id, Member.id == sa.any_(possible))
    unknown = sorted(members - set(session.scalars(known.where(Member.erased_at.is_(None)))))
    if unknown:
        first = ", ".join(map(str, unknown[:NAMED_IN_REFUSAL]))
        more = f" and {len(unknown) - NAMED_IN_REFUSAL} more" if len(unknown) > NAMED_IN_REFUSAL else ""
        named = [str(member) for member in unknown]
        raise InvalidInput(f"there are no such members: {first}{more}", code="unknown_members", members=named)


# What became of messages.

# A wallet takes a whole card, so of a member's messages only the newest is told.
_TOLD = """
    UPDATE wallet_message_recipients AS t SET told_at = moment.told
    FROM {keys} AS k(shop_id, member_id)
    CROSS JOIN (SELECT %s::timestamptz AS seen, %s::timestamptz AS told) AS moment
    CROSS JOIN LATERAL (
        SELECT r.message_id FROM wallet_message_recipients r
        WHERE r.shop_id = k.shop_id AND r.member_id = k.member_id AND r.outcome = 'shown'
        ORDER BY r.at DESC, r.message_id DESC LIMIT 1) AS latest
    WHERE t.shop_id = k.shop_id AND t.message_id = latest.message_id AND t.member_id = k.member_id
    AND t.told_at IS NULL AND t.at <= moment.seen RETURNING t.member_id"""


def note_told(session: Session, keys: Sequence[Key], seen_at: datetime, now: datetime) -> None:
    """A wallet has taken the cards of these members (shop id, member id) as they were at `seen_at`."""
    rows_by(session, _TOLD, ("bigint", "bigint"), sorted(set(keys)), seen_at, now)


# A message that both got counts once, and as shown if it was shown to either.
_MERGES = tuple(
    sa.text(statement)
    for statement in (
        """INSERT INTO wallet_message_recipients (shop_id, message_id, member_id, outcome, at, told_at)
        SELECT shop_id, message_id, :kept, outcome, at, told_at FROM wallet_message_recipients
        WHERE shop_id = :shop_id AND member_id = :deleted
        ON CONFLICT (shop_id, message_id, member_id) DO UPDATE
        SET outcome = 'shown', at = excluded.at, told_at = excluded.told_at
        WHERE wallet_message_recipients.outcome <> 'shown' AND excluded.outcome = 'shown'""",
        "DELETE FROM wallet_message_recipients WHERE shop_id = :shop_id AND member_id = :deleted",
    )
)


def merge_messages(session: Session, shop_id: int, deleted: int, kept: int) -> None:
    """Give the kept member the messages of both. The caller has locked both. Doing it again changes nothing."""
    told: dict[str, Any] = {"shop_id": shop_id, "deleted": deleted, "kept": kept}
    for statement in _MERGES:
        session.execute(statement, told)
