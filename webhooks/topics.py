"""From a topic to what it means. Orders and refunds of a batch are settled together; every other topic by itself."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import InvalidInput
from core.events import Happened, record
from loyalty.operations import Customer
from loyalty.orders import Key
from shops import operations as shops
from shops.models import Shop
from webhooks import payloads, settlement
from webhooks.payloads import CustomerPayload, OrderPayload, parse
from webhooks.settlement import Arrival

Outcome = tuple[str, str | None]


class News(NamedTuple):
    """What a batch of deliveries says of orders and customers, to be settled together."""

    arrivals: list[Arrival]
    customers: list[Customer]


class Context(NamedTuple):
    """A delivery being handled: its session, its row and its shop."""

    session: Session
    delivery: Any
    shop: Any

    @property
    def shop_id(self) -> int:
        shop_id: int = self.delivery.shop_id
        return shop_id

    @property
    def at(self) -> datetime:
        """When Shopify says it happened, else when it arrived."""
        at: datetime = self.delivery.at
        return at


def handle(session: Session, deliveries: Sequence[Any]) -> dict[Key, Outcome]:
    """Handle claimed deliveries and return each one's state and error, by (shop, delivery id).

    A delivery that says what cannot be is `failed` by itself, an unknown topic is `ignored`; any other exception is
    the caller's to undo.
    """
    known = _shops(session, {d.shop_id for d in deliveries})
    outcomes: dict[Key, Outcome] = {}
    batch = News([], [])
    for delivery in deliveries:
        context = Context(session, delivery, known[delivery.shop_id])
        try:
            outcomes[delivery.shop_id, delivery.id] = _sort(context, batch)
        except InvalidInput as error:
            outcomes[delivery.shop_id, delivery.id] = ("failed", error.detail)
    settlement.settle(session, batch.arrivals, batch.customers)
    return outcomes


def _shops(session: Session, ids: Iterable[int]) -> dict[int, Any]:
    rows = session.execute(
        sa.select(Shop.id, Shop.domain, Shop.currency, Shop.uninstalled_at).where(Shop.id.in_(sorted(ids)))
    )
    return {row.id: row for row in rows}


def _sort(context: Context, batch: News) -> Outcome:
    topic = context.delivery.topic
    if topic in _NEWS:
        batch.arrivals.extend(_NEWS[topic](context))
    elif topic in _CUSTOMERS:
        batch.customers.append(_customer(context, parse(context.delivery.body, CustomerPayload), context.at))
    elif topic in _ACTS:
        _ACTS[topic](context)
    else:
        return "ignored", None
    return "done", None


# Orders and refunds: what is newly known, for the settlement of the whole batch.


def _order(context: Context) -> list[Arrival]:
    payload = parse(context.delivery.body, OrderPayload)
    state = payloads.order_state(payload, context.shop.currency)
    customer = _customer(context, payload.customer, state.processed_at) if payload.customer else None
    guest = None if payload.customer else payloads.guest_email(payload)
    refunds = tuple(payloads.refunds(payload.refunds, state.currency))
    return [Arrival(context.shop_id, payload.id, state, refunds, customer=customer, guest_email=guest)]


def _order_edited(context: Context) -> list[Arrival]:
    # Its body holds only the difference. The state comes with the orders/updated that Shopify sends beside it.
    return []


def _order_deleted(context: Context) -> list[Arrival]:
    payload = parse(context.delivery.body, payloads.OrderDeleted)
    return [Arrival(context.shop_id, payload.id, deleted_at=context.at)]


def _refund(context: Context) -> list[Arrival]:
    payload = parse(context.delivery.body, payloads.RefundPayload)
    if payload.order_id is None:
        raise InvalidInput("the refund names no order", code="missing_field")
    refund = payloads.refund(payload, context.shop.currency)
    return [Arrival(context.shop_id, payload.order_id, refunds=(refund,))]


def _customer(context: Context, payload: CustomerPayload, seen_at: datetime) -> Customer:
    created_at = payload.created_at and payloads.moment(payload.created_at, "customer created_at")
    return Customer(
        shop_id=context.shop_id,
        customer_id=payload.id,
        email=payloads.email_address(payload.email),
        email_verified=payload.verified_email is not False,
        name=payloads.person_name(payload),
        seen_at=min(created_at or seen_at, seen_at),
        updated_at=payload.updated_at and payloads.moment(payload.updated_at, "customer updated_at"),
    )


# Everything else.


def _uninstalled(context: Context) -> None:
    # The body's domain is null: the shop is the one whose header opened the door.
    shops.uninstall(context.session, context.shop_id)
    _note(context, "shop.uninstalled", {})


def _scopes(context: Context) -> None:
    payload = parse(context.delivery.body, payloads.ScopesUpdate)
    shops.set_scopes(context.session, context.shop_id, payload.current)
    _note(context, "shop.scopes_changed", {"scopes": payload.current[:100]})


def _bulk_finished(context: Context) -> None:
    payload = parse(context.delivery.body, payloads.BulkFinished)
    _note(context, "bulk.finished", {"id": payload.admin_graphql_api_id, "status": payload.status})


def _note(context: Context, kind: str, data: dict[str, Any]) -> None:
    record(context.session, [Happened(context.shop_id, kind, data, context.at, actor="shopify")])


_NEWS: dict[str, Callable[[Context], list[Arrival]]] = {
    **dict.fromkeys(
        (
            "orders/create",
            "orders/updated",
            "orders/paid",
            "orders/fulfilled",
            "orders/partially_fulfilled",
            "orders/cancelled",
        ),
        _order,
    ),
    "orders/edited": _order_edited,
    "orders/delete": _order_deleted,
    "refunds/create": _refund,
}

_CUSTOMERS = frozenset({"customers/create", "customers/update"})

_ACTS: dict[str, Callable[[Context], None]] = {
    "app/uninstalled": _uninstalled,
    "app/scopes_update": _scopes,
    "bulk_operations/finish": _bulk_finished,
}

TOPICS = frozenset(_NEWS) | _CUSTOMERS | frozenset(_ACTS)
