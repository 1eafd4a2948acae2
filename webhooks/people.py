"""What is done to a person across all rooms: two customers become one member, a person is told all, or forgotten."""

from datetime import datetime
from functools import partial

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.events import record
from loyalty import merging, operations, programs
from loyalty.models import Member, Order
from loyalty.privacy import Person, erase_person, export_person, find_person
from referrals import operations as referring
from referrals import privacy as referrals
from referrals.merging import merge_referrals
from referrals.models import Referral
from tiers.merging import merge_tiers
from tiers.operations import review
from wallet_passes.messages.operations import merge_messages
from wallet_passes.operations import merge_cards
from webhooks import settlement
from webhooks.arrivals import Arrival
from webhooks.payloads import DataRequest
from webhooks.redaction import blank_bodies, deliveries_of, empty, person_named


def merge_customers(
    session: Session, shop_id: int, kept: int, deleted: int, *, at: datetime, actor: str = "shopify"
) -> int | None:
    """Make two customers (Shopify ids) one member, and give that member the tier that is theirs now.

    Returns the member, or None when there was nothing to merge. Raises MembersMoved.
    """
    settle = partial(_settle_as, session, shop_id)
    merged = merging.merge_members(session, shop_id, kept, deleted, at=at, resettle=settle, actor=actor)
    if merged:
        known = programs.load(session, [shop_id])
        record(session, review(session, [(shop_id, merged)], known, clock.now()))
    return merged


def _settle_as(session: Session, shop_id: int, order_ids: list[int], deleted: int, owner: int) -> None:
    merge_tiers(session, shop_id, deleted, owner)
    merge_cards(session, shop_id, deleted, owner)
    merge_messages(session, shop_id, deleted, owner)
    arrivals = [Arrival(shop_id, order_id, owner=owner, again=True) for order_id in order_ids]
    settlement.settle(session, arrivals)
    merge_referrals(session, shop_id, deleted, owner)


def unblock(session: Session, shop_id: int, member_id: int, *, actor: str) -> bool:
    """Let a blocked member earn and redeem again, also for what they did meanwhile. False if they were not blocked."""
    since = operations.unblock(session, shop_id, member_id, actor=actor)
    if since is None:
        return False
    session.flush()
    meanwhile = sa.select(Order.order_id).where(
        Order.shop_id == shop_id, Order.member_id == member_id, Order.processed_at >= since
    )
    arrivals = [Arrival(shop_id, order_id, again=True) for order_id in session.scalars(meanwhile)]
    settlement.settle(session, arrivals)
    theirs = sa.or_(Referral.referrer_member_id == member_id, Referral.friend_member_id == member_id)
    waiting = sa.select(Referral.order_id).where(Referral.shop_id == shop_id, theirs)
    referring.request(session, shop_id, session.scalars(waiting).all())
    return True


def person_of(session: Session, member: Member) -> Person:
    """Everything that points at the person behind a member."""
    if member.customer_id or member.email:
        return find_person(session, member.shop_id, customer_id=member.customer_id, email=member.email)
    return Person(members=frozenset((member.id,)))


def redact(session: Session, shop_id: int, delivery_id: int, request: DataRequest) -> None:
    """customers/redact: forget the person everywhere, also in the delivery that asks for it. Raises BodiesInUse."""
    forget(session, shop_id, person_named(session, shop_id, request, request.orders_to_redact))
    empty(session, [(shop_id, delivery_id)])


def answer(session: Session, shop_id: int, delivery_id: int, request: DataRequest) -> str:
    """customers/data_request: store everything we keep of the person. Returns the id to read the export by."""
    request_id = str(request.data_request.id or f"delivery-{delivery_id}")
    person = person_named(session, shop_id, request, request.orders_requested)
    tell(session, shop_id, person, request_id=request_id)
    return request_id


def forget(session: Session, shop_id: int, person: Person, *, actor: str = "shopify") -> None:
    """Forget who a person was, in the inbox, too. Doing it again is fine. Raises BodiesInUse."""
    blank_bodies(session, shop_id, person)
    erase_person(session, shop_id, person, actor=actor)
    referrals.forget(session, shop_id, person)


def tell(session: Session, shop_id: int, person: Person, *, request_id: str, actor: str = "shopify") -> None:
    """Store everything we keep of a person, to be read under the request's id."""
    more = {"deliveries": deliveries_of(session, shop_id, person), **referrals.told(session, shop_id, person)}
    export_person(session, shop_id, person, request_id=request_id, actor=actor, **more)
