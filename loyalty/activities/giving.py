"""Gifts: points for one member, for some, for tiers or for everybody, given in batches that can be taken up again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from core import clock
from core.db import Database
from core.errors import Conflict, InvalidInput, NotFound
from core.events import Happened, record
from loyalty import programs
from loyalty.activities.models import Gift
from loyalty.activities.points import Earned, note_points
from loyalty.models import Member
from loyalty.operations import Entry, post_many
from loyalty.program.parts import MOST_POINTS
from loyalty.rules import Move

BATCH = 500
MOST_NAMED = 10_000
MAX_ID = 2**63 - 1
# A refusal names so many ids at most.
NAMED_IN_REFUSAL = 20


def gift(
    session: Session,
    shop_id: int,
    *,
    points: int,
    reason: str,
    actor: str,
    key: str,
    members: Sequence[int] = (),
    tiers: Sequence[str] = (),
    everybody: bool = False,
) -> Gift:
    """Decide on a gift of `points` to each of some members, to all of some tiers, or to everybody; a job gives it.

    One of the three. Members of tiers are those who hold them when the gift reaches them; everybody is who is a
    member now. The reason is shown to them. `key` makes it count once in the shop. Raises InvalidInput (bad_points,
    bad_recipients, unknown_members with `members`, unknown_tiers), Conflict (idempotency_key_expired).
    """
    if not 1 <= points <= MOST_POINTS:
        raise InvalidInput(f"points must be from 1 to {MOST_POINTS:,}", code="bad_points")
    if bool(members) + bool(tiers) + everybody != 1:
        raise InvalidInput("name members, or tiers, or all of them", code="bad_recipients")
    if session.scalar(sa.select(Gift.id).where(Gift.shop_id == shop_id, Gift.key == key)):
        raise Conflict("this Idempotency-Key made a gift long ago", code="idempotency_key_expired")
    recipients = _recipients(session, shop_id, members, tiers)
    row = Gift(
        shop_id=shop_id, points=points, reason=reason, recipients=recipients, actor=actor, key=key, total=0,
        given=0, cursor=0, created_at=clock.now(),
    )  # fmt: skip
    row.total = session.scalar(sa.select(sa.func.count()).select_from(_receiving(row).subquery())) or 0
    session.add(row)
    session.flush()
    told = {"gift": row.id, "points": points, "members": row.total}
    record(session, [Happened(shop_id, "gift.decided", told, row.created_at, actor=actor)])
    return row


def _recipients(session: Session, shop_id: int, members: Sequence[int], tiers: Sequence[str]) -> dict[str, Any]:
    if members:
        return {"members": _survivors(session, shop_id, sorted(set(members)))}
    if tiers:
        _check_tiers(session, shop_id, tiers)
        return {"tiers": sorted(set(tiers))}
    # Who joins while it is being given was not meant.
    newest = session.scalar(sa.select(sa.func.max(Member.id)).where(Member.shop_id == shop_id))
    return {"all": True, "newest": newest or 0}


def _survivors(session: Session, shop_id: int, members: list[int]) -> list[int]:
    """These members, a merged one as whom it became. Raises InvalidInput with those that are none."""
    if len(members) > MOST_NAMED:
        raise InvalidInput(f"name at most {MOST_NAMED:,} members", code="bad_recipients")
    possible = [member for member in members if member <= MAX_ID]
    rows = session.execute(
        sa.select(Member.id, sa.func.coalesce(Member.merged_into, Member.id).label("survivor")).where(
            Member.shop_id == shop_id, Member.id == _any(possible), Member.erased_at.is_(None)
        )
    ).all()
    unknown = sorted(set(members) - {row.id for row in rows})
    if unknown:
        first = ", ".join(map(str, unknown[:NAMED_IN_REFUSAL]))
        more = f" and {len(unknown) - NAMED_IN_REFUSAL} more" if len(unknown) > NAMED_IN_REFUSAL else ""
        named = [str(member) for member in unknown]
        raise InvalidInput(f"there are no such members: {first}{more}", code="unknown_members", members=named)
    return sorted({row.survivor for row in rows})


def _any(values: Sequence[int]) -> Any:
    """As one array, for a statement may not have so many parameters."""
    return sa.any_(sa.literal(list(values), ARRAY(sa.BigInteger)))


def _check_tiers(session: Session, shop_id: int, tiers: Sequence[str]) -> None:
    program = programs.load(session, [shop_id]).in_force(shop_id, clock.now()).program
    known = {tier.key for tier in program.ladder.tiers}
    unknown = sorted(set(tiers) - known)
    if unknown:
        raise InvalidInput(f"the ladder has no tier {', '.join(unknown)}", code="unknown_tiers")


def _receiving(row: Gift) -> sa.Select[int, int]:
    """Whom a gift is for beyond its cursor, in order: the member meant, and who has become of them since."""
    recipients = row.recipients
    meant = (
        sa.select(Member.id, sa.func.coalesce(Member.merged_into, Member.id).label("receiver"))
        .where(Member.shop_id == row.shop_id, Member.id > row.cursor, Member.erased_at.is_(None))
        .order_by(Member.id)
    )
    if "members" in recipients:
        return meant.where(Member.id == _any(recipients["members"]))
    living = meant.where(Member.merged_into.is_(None))
    if "tiers" in recipients:
        return living.where(Member.tier_key.in_(recipients["tiers"]))
    return living.where(Member.id <= recipients["newest"])


def open_gifts(session: Session) -> list[tuple[int, int]]:
    """The (shop, gift) of the opened shops that are not given in full, oldest first."""
    rows = session.execute(sa.select(Gift.shop_id, Gift.id).where(Gift.finished_at.is_(None)).order_by(Gift.created_at))
    return [(row.shop_id, row.id) for row in rows]


def give(database: Database, shop_id: int, gift_id: int) -> None:
    """Give a gift to all who have not had it, one transaction a batch. Stopped half-way, it goes on where it was."""
    while True:
        with database.transaction(shop_id) as session:
            if not give_batch(session, shop_id, gift_id, clock.now()):
                return


def give_batch(session: Session, shop_id: int, gift_id: int, now: datetime) -> bool:
    """Give a gift to the next members. False when there is no more to do, or another is at it."""
    row = session.scalar(
        sa.select(Gift)
        .where(Gift.shop_id == shop_id, Gift.id == gift_id, Gift.finished_at.is_(None))
        .with_for_update(skip_locked=True)
    )
    if row is None:
        return False
    members, posted = _give_next(session, row, now)
    if len(posted) < len(members):
        # A merge may have come between reading and locking: whom they are now has not had it.
        posted += _give_next(session, row, now)[1]
    earned = [Earned(e.shop_id, e.member_id, e.key, e.occurred_at, e.move.points) for e in posted]
    note_points(session, programs.load(session, [shop_id]), earned)
    row.given += len(posted)
    if members:
        row.cursor = members[-1].id
    if len(members) < BATCH:
        row.finished_at = now
    return row.finished_at is None


def _give_next(session: Session, row: Gift, now: datetime) -> tuple[Sequence[sa.Row[int, int]], list[Entry]]:
    """The members of the next batch, and what was posted: nobody gets it twice."""
    members = session.execute(_receiving(row).limit(BATCH)).all()
    return members, post_many(session, [_entry(row, member.receiver, now) for member in members])


def _entry(row: Gift, member_id: int, now: datetime) -> Entry:
    told = {"rule": "gift", "reason": "gift", "points": row.points, "gift": row.id}
    if row.reason:
        told["reason_given"] = row.reason
    move = Move("bonus", "issued", "available", row.points)
    return Entry(row.shop_id, member_id, move, f"gift:{row.id}:{member_id}", "gift", told, row.actor, now)


def find(session: Session, shop_id: int, gift_id: int) -> Gift:
    """Raises NotFound."""
    found = session.get(Gift, (shop_id, gift_id))
    if found is None:
        raise NotFound("there is no such gift", code="no_gift")
    return found
