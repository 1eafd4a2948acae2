"""Members, postings and settled orders, read for pages and the API. Every query names its shop."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from core.errors import NotFound
from core.i18n import _
from loyalty.earning.rules import refusal
from loyalty.models import Member, Posting
from loyalty.orders import KnownOrder, read_orders
from loyalty.program import Program
from loyalty.programs import Programs, Version
from loyalty.rules import Spend, eligible_spend

# An order has a posting or two for each time it changed.
MAX_ORDER_POSTINGS = 200


def member(session: Session, shop_id: int, member_id: int) -> Member:
    """The member with this id; one that was merged is answered by whom it became. Raises NotFound, also when erased."""
    survivor = sa.select(sa.func.coalesce(Member.merged_into, Member.id)).where(
        Member.shop_id == shop_id, Member.id == member_id
    )
    found = session.scalar(_living(shop_id).where(Member.id == survivor.scalar_subquery()))
    if found is None:
        raise _no_member()
    return found


def require_member(session: Session, shop_id: int, member_id: int) -> None:
    """Raises NotFound unless a member with this id was ever enrolled (and perhaps merged) and not erased."""
    known = sa.select(Member.id).where(Member.shop_id == shop_id, Member.id == member_id, Member.erased_at.is_(None))
    if session.scalar(known) is None:
        raise _no_member()


def members(
    session: Session,
    shop_id: int,
    *,
    customer_id: int | None = None,
    email: str | None = None,
    after: int = 0,
    limit: int,
) -> Sequence[Member]:
    """Members with ids above `after`, in that order; merged and erased ones are left out.

    By customer or address, a member that was merged is answered by whom it became.
    """
    statement = _living(shop_id).where(Member.id > after).order_by(Member.id).limit(limit)
    known = aliased(Member)
    named = []
    if customer_id is not None:
        named.append(known.customer_id == customer_id)
    if email is not None:
        named.append(known.email == email)
    if named:
        survivors = sa.select(sa.func.coalesce(known.merged_into, known.id)).where(known.shop_id == shop_id, *named)
        statement = statement.where(Member.id.in_(survivors))
    return session.scalars(statement).all()


def _living(shop_id: int) -> sa.Select[Member]:
    return sa.select(Member).where(Member.shop_id == shop_id, Member.merged_into.is_(None), Member.erased_at.is_(None))


def _no_member() -> NotFound:
    return NotFound(_("there is no such member"), code="no_member")


def postings(
    session: Session, shop_id: int, member_id: int, *, before: int | None = None, limit: int
) -> Sequence[Posting]:
    """A member's postings, newest first, from those with ids below `before`.

    Postings are made under the member's lock, so their ids follow the order in which they became visible.
    """
    statement = sa.select(Posting).where(Posting.shop_id == shop_id, Posting.member_id == member_id)
    if before is not None:
        statement = statement.where(Posting.id < before)
    return session.scalars(statement.order_by(Posting.id.desc()).limit(limit)).all()


def posting_exists(session: Session, shop_id: int, key: str) -> bool:
    """Whether a business fact has been posted already."""
    statement = sa.select(sa.exists().where(Posting.shop_id == shop_id, Posting.key == key))
    return bool(session.scalar(statement))


class SettledOrder(NamedTuple):
    """An order and how it was settled. `spend` and `version` are None while only a refund of it is known."""

    order: KnownOrder
    version: Version | None
    spend: Spend | None
    not_earning: str | None
    postings: Sequence[Posting]


def order(session: Session, shop_id: int, order_id: int, programs: Programs) -> SettledOrder:
    """How an order was settled, under the program in force when it was placed. Raises NotFound."""
    known = read_orders(session, [(shop_id, order_id)])
    if not known:
        raise NotFound(_("there is no such order"), code="no_order")
    made = session.scalars(
        sa.select(Posting)
        .where(Posting.shop_id == shop_id, Posting.order_id == order_id)
        .order_by(Posting.id.desc())
        .limit(MAX_ORDER_POSTINGS)
    ).all()
    state = known[0].state
    if state is None:
        return SettledOrder(known[0], None, None, "order_unknown", made)
    version = programs.in_force(shop_id, state.processed_at)
    spend = eligible_spend(state, known[0].refunds, version.policy)
    return SettledOrder(known[0], version, spend, not_earning(known[0], version, spend), made)


def not_earning(order: KnownOrder, version: Version, spend: Spend) -> str | None:
    """Why an order has earned nothing, as a stable code, or None: a refusal, no member to earn, or nothing to count."""
    assert order.state is not None
    refused = refusal(order.state, version.terms("", version.program.rate), order.deleted_at)
    if refused:
        return refused
    if (order.settled or {}).get("refused") == "blocked":
        return "blocked"
    if order.member is None:
        return "guest_held" if order.guest_email else "no_customer"
    if spend.net <= 0:
        return "nothing_eligible"
    return None if (order.settled or {}).get("points") else "below_one_point"


def tier_names(program: Program) -> dict[str, str]:
    """Names of a program's tiers by key."""
    return {tier.key: tier.name for tier in program.ladder.tiers}
