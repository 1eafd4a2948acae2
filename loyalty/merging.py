"""Customers that become one, and customers that go."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import Conflict
from core.events import Happened, record
from core.i18n import _
from loyalty import operations, programs
from loyalty.accounts import lock_accounts
from loyalty.activities.operations import merge_activities
from loyalty.models import Member, Order
from loyalty.operations import Customer, post
from loyalty.rewards.operations import move_rewards
from loyalty.rules import Move

# Settles these orders of one member (the second argument) again as another's. That spans rooms: it is done above.
Resettle = Callable[[list[int], int, int], None]


class MembersMoved(Conflict):
    """Another transaction merged one of the two just now; the delivery is tried again."""

    code = "members_moved"


def merge_members(
    session: Session,
    shop_id: int,
    kept_customer_id: int,
    deleted_customer_id: int,
    *,
    at: datetime,
    resettle: Resettle,
    actor: str = "shopify",
) -> int | None:
    """Make two customers one member: orders are earned anew by the kept one, all other points move over to it.

    Returns the member who stays, or None when there is nothing to merge.

    Either may be unknown so far and is enrolled first, so that it makes no difference whether its deliveries come
    before or after the merge. Doing it again changes nothing. An erased customer is not merged. Raises MembersMoved.
    """
    kept, deleted = _pair(session, shop_id, kept_customer_id, deleted_customer_id, at)
    if kept is None or deleted is None or kept == deleted:
        return None
    lock_accounts(session, [(shop_id, kept), (shop_id, deleted)])
    _point(session, shop_id, deleted, kept, at)
    resettle(_orders_of(session, shop_id, deleted), deleted, kept)
    points = _move_rest(session, shop_id, deleted, kept, at, actor)
    move_rewards(session, shop_id, deleted, kept)
    merge_activities(session, shop_id, deleted, kept)
    merged = [(kept, {"from": deleted, "points": points}), (deleted, {"into": kept, "points": -points})]
    record(session, [Happened(shop_id, "member.merged", told, at, member, actor=actor) for member, told in merged])
    return kept


def _pair(
    session: Session, shop_id: int, kept_customer_id: int, deleted_customer_id: int, at: datetime
) -> tuple[int | None, int | None]:
    """The member that stays, at the end of its chain of merges, and the one that goes: None when there is none."""
    both = [Customer(shop_id, customer, None, False, None, at) for customer in (kept_customer_id, deleted_customer_id)]
    found = operations.enrol(session, both, programs.load(session, {shop_id})).members
    kept, deleted = (found.get((shop_id, customer.customer_id)) for customer in both)
    goes = session.scalar(
        sa.select(Member.id).where(
            Member.shop_id == shop_id, Member.customer_id == deleted_customer_id, Member.merged_into.is_(None)
        )
    )
    return kept, deleted and goes


def _point(session: Session, shop_id: int, deleted: int, kept: int, at: datetime) -> None:
    """Point the deleted member, and all that point at it, at the kept one: a chain never has two links."""
    table: Any = Member.__table__
    free = session.scalar(
        sa.select(sa.func.count()).where(
            table.c.shop_id == shop_id, table.c.id.in_((kept, deleted)), table.c.merged_into.is_(None)
        )
    )
    if free != 2:
        raise MembersMoved(_("one of these members was merged with another just now"))
    of_shop = sa.update(table).where(table.c.shop_id == shop_id)
    session.execute(of_shop.where(table.c.merged_into == deleted).values(merged_into=kept))
    session.execute(
        of_shop.where(table.c.id == deleted).values(
            merged_into=kept, closed_at=at, customer_updated_at=sa.func.greatest(table.c.customer_updated_at, at)
        )
    )


def _orders_of(session: Session, shop_id: int, member_id: int) -> list[int]:
    return list(
        session.scalars(sa.select(Order.order_id).where(Order.shop_id == shop_id, Order.member_id == member_id))
    )


def _move_rest(session: Session, shop_id: int, deleted: int, kept: int, at: datetime, actor: str) -> int:
    """Move what orders don't explain (the joining bonus, adjustments, what was spent). Returns the points moved.

    What was earned passes through `issued`, so that the lifetime total moves with it.
    """
    rows = session.scalars(
        sa.select(Member)
        .where(Member.shop_id == shop_id, Member.id.in_((deleted, kept)))
        .order_by(Member.id)
        .with_for_update()
        .execution_options(populate_existing=True)  # settling wrote past the session's objects
    )
    members = {member.id: member for member in rows}
    source = members[deleted]
    points, earned = source.available + source.pending, source.lifetime - source.pending
    rest = [
        ("pending", "issued", source.pending),
        ("available", "issued", earned),
        ("available", "adjusted", source.available - earned),
    ]
    for bucket, through, amount in rest:
        _pass_on(session, source, members[kept], Move("adjustment", bucket, through, amount), at, actor)
    return points


def _pass_on(session: Session, source: Member, sink: Member, move: Move, at: datetime, actor: str) -> None:
    """One pair of postings: out of the one member, and the same points into the other."""
    if not move.points:
        return
    key = f"merge:{source.id}:{sink.id}:{move.source}:{move.target}"
    for member, other, step, points in (
        (source, sink, _forward(move), -move.points),
        (sink, source, _forward(_turned(move)), move.points),
    ):
        explanation: dict[str, Any] = {"rule": "merge", "points": points, "reason": "merged", "member": other.id}
        end = "out" if member is source else "in"
        post(
            session, member, step, rule="merge", explanation=explanation, actor=actor, key=f"{key}:{end}",
            occurred_at=at,
        )  # fmt: skip


def _turned(move: Move) -> Move:
    return Move(move.kind, move.target, move.source, move.points)


def _forward(move: Move) -> Move:
    """A posting's points are positive: fewer than none one way are so many the other way."""
    return move if move.points > 0 else Move(move.kind, move.target, move.source, -move.points)


def close_member(session: Session, shop_id: int, customer_id: int, *, at: datetime, actor: str = "shopify") -> None:
    """customers/delete: the member keeps their points but is no longer known by name or address.

    What the shop said of them before `at` is not taken over any more. An unknown customer is fine.
    """
    table: Any = Member.__table__
    closed = session.execute(
        sa.update(table)
        .where(
            table.c.shop_id == shop_id,
            table.c.customer_id == customer_id,
            table.c.closed_at.is_(None) | table.c.email.is_not(None) | table.c.name.is_not(None),
            sa.func.coalesce(table.c.customer_updated_at, at) <= at,
        )
        .values(email=None, email_verified=False, name=None, closed_at=at, customer_updated_at=at)
        .returning(table.c.id)
    ).scalars()
    record(session, [Happened(shop_id, "member.closed", {}, at, member, actor=actor) for member in closed])
