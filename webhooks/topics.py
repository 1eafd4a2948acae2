"""From a topic to what it means. Orders and refunds of a batch are settled together; every other topic by itself."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import InvalidInput
from core.events import Happened, record
from loyalty import merging, privacy, products
from loyalty.operations import Customer
from loyalty.orders import Key
from loyalty.program.document import time_zones
from shops import operations as shops
from shops import plans
from shops.models import Shop
from webhooks import backfill, payloads, people, redaction, settlement
from webhooks.arrivals import Arrival
from webhooks.payloads import CustomerPayload, OrderPayload, parse
from webhooks.redaction import Told

Outcome = tuple[str, str | None]


class News(NamedTuple):
    """What a batch of deliveries says of orders and customers, to be settled together."""

    arrivals: list[Arrival]
    customers: list[Customer]
    told: list[Told]


class Context(NamedTuple):
    """A delivery being handled: its session, its row and its shop."""

    session: Session
    delivery: Any
    shop: Any

    @property
    def key(self) -> Key:
        return self.delivery.shop_id, self.delivery.id

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
    the caller's to undo. What acts on whole people and shops comes last, when the batch's orders are theirs.
    """
    known = _shops(session, {d.shop_id for d in deliveries})
    contexts = [Context(session, delivery, known[delivery.shop_id]) for delivery in deliveries]
    batch = News([], [], [])
    outcomes = {context.key: _outcome(context, partial(_collect, batch)) for context in contexts}
    settlement.settle(session, batch.arrivals, batch.customers)
    redaction.blank_late(session, batch.told)
    acting = [context for context in contexts if context.delivery.topic in _ACTS]
    return outcomes | {context.key: _outcome(context, _act) for context in acting}


def _outcome(context: Context, step: Callable[[Context], Outcome]) -> Outcome:
    try:
        return step(context)
    except InvalidInput as error:
        return "failed", error.detail


def _shops(session: Session, ids: Iterable[int]) -> dict[int, Any]:
    rows = session.execute(sa.select(Shop.id, Shop.domain, Shop.currency).where(Shop.id.in_(sorted(ids))))
    return {row.id: row for row in rows}


def _collect(batch: News, context: Context) -> Outcome:
    topic = context.delivery.topic
    if topic in _NEWS:
        arrivals = _NEWS[topic](context)
        batch.arrivals.extend(arrivals)
        batch.told.extend(_told(context, a.customer, a.guest_email) for a in arrivals)
    elif topic in _CUSTOMERS:
        customer = _customer(context, parse(context.delivery.body, CustomerPayload), context.at)
        batch.customers.append(customer)
        batch.told.append(_told(context, customer, None))
    return "done" if topic in TOPICS else "ignored", None


def _told(context: Context, customer: Customer | None, email: str | None) -> Told:
    """Whom a delivery speaks of."""
    known = (customer.customer_id, customer.email) if customer else (None, email)
    return Told(context.shop_id, context.delivery.id, *known)


def _act(context: Context) -> Outcome:
    _ACTS[context.delivery.topic](context)
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
        email_verified=payload.verified_email is True,
        name=payloads.person_name(payload),
        seen_at=min(created_at or seen_at, seen_at),
        updated_at=payload.updated_at and payloads.moment(payload.updated_at, "customer updated_at"),
    )


# What acts on a customer or a shop as a whole.


def _customer_deleted(context: Context) -> None:
    payload = parse(context.delivery.body, payloads.CustomerDeleted)
    merging.close_member(context.session, context.shop_id, payload.id, at=context.at)


def _customers_merged(context: Context) -> None:
    payload = parse(context.delivery.body, payloads.CustomerMerge)
    if payload.status not in (None, "completed"):
        return  # Shopify also tells of merges that are under way or failed
    people.merge_customers(
        context.session,
        context.shop_id,
        payloads.gid_number(payload.admin_graphql_api_customer_kept_id),
        payloads.gid_number(payload.admin_graphql_api_customer_deleted_id),
        at=context.at,
    )


def _data_requested(context: Context) -> None:
    request = parse(context.delivery.body, payloads.DataRequest)
    people.answer(context.session, context.shop_id, context.delivery.id, request)


def _customer_redacted(context: Context) -> None:
    request = parse(context.delivery.body, payloads.DataRequest)
    people.redact(context.session, context.shop_id, context.delivery.id, request)


def _shop_redacted(context: Context) -> None:
    # Sent two days after an uninstall. A shop that came back in the meantime keeps its members' points.
    # Asked anew: the uninstall itself may stand earlier in this batch.
    came_back = sa.select(Shop.returned & Shop.uninstalled_at.is_(None)).where(Shop.id == context.shop_id)
    if context.session.scalar(came_back):
        _note(context, "shop.redact_declined", {"reason": "installed again"})
    else:
        privacy.erase_shop(context.session, context.shop_id)


def _uninstalled(context: Context) -> None:
    # The body's domain is null: the shop is the one whose header opened the door.
    if shops.uninstall(context.session, context.shop_id, context.at):
        _note(context, "shop.uninstalled", {})


def _scopes(context: Context) -> None:
    payload = parse(context.delivery.body, payloads.ScopesUpdate)
    scopes = [scope for raw in payload.current[:200] if (scope := payloads.text(raw, 80))]
    shops.set_scopes(context.session, context.shop_id, scopes)
    _note(context, "shop.scopes_changed", {"scopes": scopes})


def _shop_updated(context: Context) -> None:
    payload = parse(context.delivery.body, payloads.ShopUpdate)
    zone = payloads.text(payload.iana_timezone, 80)
    told = shops.Details(
        payload.id,
        payloads.text(payload.myshopify_domain, 255),
        payloads.text(payload.name, 255),
        zone if zone in time_zones() else None,
    )
    if before := shops.update_details(context.session, context.shop_id, told):
        _note(context, "shop.moved", {"from": before, "to": told.domain})


def _plan_changed(context: Context) -> None:
    # Deliveries come in any order: what the plan is now is asked of Shopify.
    plans.request(context.session, context.shop_id)


def _bulk_finished(context: Context) -> None:
    payload = parse(context.delivery.body, payloads.BulkFinished)
    backfill.finished(context.session, context.shop_id, payload.admin_graphql_api_id)
    _note(
        context,
        "bulk.finished",
        {
            "id": payloads.text(payload.admin_graphql_api_id, 80),
            "status": payloads.text(payload.status, 40),
        },
    )


def _product_changed(context: Context) -> None:
    products.forget(context.session, context.shop_id, parse(context.delivery.body, payloads.ProductPayload).id)


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
    "customers/delete": _customer_deleted,
    "customers/merge": _customers_merged,
    "customers/data_request": _data_requested,
    "customers/redact": _customer_redacted,
    "shop/redact": _shop_redacted,
    "app/uninstalled": _uninstalled,
    "app/scopes_update": _scopes,
    "app_subscriptions/update": _plan_changed,
    "shop/update": _shop_updated,
    "bulk_operations/finish": _bulk_finished,
    **dict.fromkeys(("products/update", "products/delete"), _product_changed),
}

TOPICS = frozenset(_NEWS) | _CUSTOMERS | frozenset(_ACTS)
