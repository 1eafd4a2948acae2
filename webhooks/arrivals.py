"""What is newly known of orders, and whose they are."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from loyalty.operations import Customer
from loyalty.orders import Key, guest_orders
from loyalty.rules import OrderState, Refund, as_told, merge_refunds, newer


class Arrival(NamedTuple):
    """What is newly known of one order; every part may be missing.

    `owner` names the member its points belong to (a claim, a merge); `again` settles it although nothing is new.
    """

    shop_id: int
    order_id: int
    state: OrderState | None = None
    refunds: tuple[Refund, ...] = ()
    deleted_at: datetime | None = None
    customer: Customer | None = None
    guest_email: str | None = None
    owner: int | None = None
    again: bool = False

    @property
    def key(self) -> Key:
        return self.shop_id, self.order_id


def by_telling(customer: Customer) -> tuple[bool, float]:
    """Sorts what is told of customers: the latest word comes last."""
    return customer.updated_at is not None, customer.updated_at.timestamp() if customer.updated_at else 0.0


def both(one: Arrival, other: Arrival) -> Arrival:
    """Two arrivals of one order as one: the newer state, all refunds, the earlier deletion."""
    state = one.state if other.state is None else newer(one.state, other.state)
    lead, follow = (other, one) if state is other.state else (one, other)
    return lead._replace(
        state=state and as_told(state, one.state, other.state),
        refunds=tuple(merge_refunds({r.id: r for r in one.refunds}, other.refunds).values()),
        deleted_at=earliest(one.deleted_at, other.deleted_at),
        customer=lead.customer or follow.customer,
        guest_email=lead.guest_email or follow.guest_email,
        owner=one.owner or other.owner,
        again=one.again or other.again,
    )


def earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment), default=None)


def claims_of(session: Session, customers: Iterable[Customer], members: Mapping[Key, int]) -> list[Arrival]:
    """Guest orders that wait for these customers' verified addresses, to be settled as theirs."""
    verified = {(c.shop_id, c.email): c for c in customers if c.email and c.email_verified}
    owners = {key: members.get((c.shop_id, c.customer_id)) for key, c in verified.items()}
    return [
        Arrival(shop_id, order_id, owner=owner, again=True)
        for shop_id, order_id, email in guest_orders(session, verified)
        if (owner := owners.get((shop_id, email)))
    ]


def owner_of(arrival: Arrival, members: Mapping[Key, int]) -> int | None:
    if arrival.owner or not arrival.customer:
        return arrival.owner
    return members.get((arrival.shop_id, arrival.customer.customer_id))
