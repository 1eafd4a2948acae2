"""Reconcile: ask the shop which orders changed, and bring in those we don't know in that state.

What is missing or older goes through the same inbox as a delivery, as the body Shopify would have sent, so there is one
way into the ledger and nothing is settled twice. Backfill is the same walk from an earlier moment.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from core import clock
from core.db import Database, insert_rows
from loyalty.models import Order
from shops.admin import Admin
from webhooks.models import Delivery
from webhooks.payloads import gid_number

PAGE = 100
TOPIC = "orders/updated"
# A state that is on its way already stays; one whose delivery failed is given another chance.
_AGAIN_IF_FAILED = (
    "ON CONFLICT (shop_id, webhook_id) DO UPDATE SET state = 'pending', attempts = 0, error = NULL, "
    "body = excluded.body, next_try_at = now() WHERE inbox.state = 'failed'"
)


@dataclass(slots=True)
class Summary:
    """How many orders the shop named, and how many of them we did not know in that state and have sent for."""

    seen: int = 0
    repaired: int = 0


def reconcile(database: Database, shop_id: int, since: datetime) -> Summary:
    """Compare the shop's orders updated since a moment with ours. Raises what `shops.admin.Admin` raises."""
    summary = Summary()
    with Admin.of(database, shop_id) as admin:
        for page in _pages(admin, since):
            summary.seen += len(page)
            for order_id in _unknown(database, shop_id, page):
                summary.repaired += _send_for(database, admin, shop_id, order_id)
    return summary


def _pages(admin: Admin, since: datetime) -> Iterator[list[dict[str, Any]]]:
    after = None
    while True:
        query = f"updated_at:>='{since:%Y-%m-%dT%H:%M:%SZ}'"
        orders = admin.call("orders_page", first=PAGE, after=after, query=query)["orders"]
        yield orders["nodes"]
        after = orders["pageInfo"]["endCursor"]
        if not orders["pageInfo"]["hasNextPage"]:
            return


def _unknown(database: Database, shop_id: int, page: Sequence[dict[str, Any]]) -> list[int]:
    """The orders of a page that we lack, or know in an older state."""
    named = {gid_number(node["id"]): datetime.fromisoformat(node["updatedAt"]) for node in page}
    updated_at = sa.cast(Order.state["updated_at"].astext, sa.DateTime(timezone=True))
    with database.transaction(shop_id) as session:
        rows = session.execute(
            sa.select(Order.order_id, updated_at).where(Order.shop_id == shop_id, Order.order_id.in_(named))
        )
        known = {order_id: at for order_id, at in rows if at is not None}
    return [order_id for order_id, at in named.items() if order_id not in known or known[order_id] < at]


def _send_for(database: Database, admin: Admin, shop_id: int, order_id: int) -> bool:
    order = _whole(admin, order_id)
    if order is None:
        return False
    body = msgspec.json.encode(as_webhook(order))
    table: Any = Delivery.__table__
    # Named by the state it brings: reconciling again before it is worked off stores nothing new.
    row = (shop_id, f"reconcile:{order_id}:{order['updatedAt']}", TOPIC, clock.now(), body)
    with database.transaction(shop_id) as session:
        columns = ("shop_id", "webhook_id", "topic", "triggered_at", "body")
        stored = insert_rows(session, table, columns, [row], suffix=_AGAIN_IF_FAILED)
    return bool(stored and stored.rowcount)


def _whole(admin: Admin, order_id: int) -> dict[str, Any] | None:
    """An order with all of its lines; None when the shop has it no more."""
    gid = f"gid://shopify/Order/{order_id}"
    order: dict[str, Any] | None = admin.call("order_full", id=gid, linesAfter=None)["order"]
    lines = order and order["lineItems"]
    while order and lines and lines["pageInfo"]["hasNextPage"]:
        more = admin.call("order_full", id=gid, linesAfter=lines["pageInfo"]["endCursor"])["order"]
        if more is None:
            return None
        lines = more["lineItems"]
        order["lineItems"]["nodes"] += lines["nodes"]
    return order


def as_webhook(order: dict[str, Any]) -> dict[str, Any]:
    """The Admin API's order in the shape of a webhook body, as far as `webhooks.payloads` reads one."""
    return {
        "id": gid_number(order["id"]),
        "name": order["name"],
        "email": order["email"],
        "currency": order["currencyCode"],
        "created_at": order["createdAt"],
        "processed_at": order["processedAt"],
        "updated_at": order["updatedAt"],
        "cancelled_at": order["cancelledAt"],
        "financial_status": (order["displayFinancialStatus"] or "").lower() or None,
        "fulfillment_status": (order["displayFulfillmentStatus"] or "").lower() or None,
        "fulfillments": [_parcel(parcel) for parcel in order["fulfillments"]],
        "source_name": order["sourceName"],
        "test": order["test"],
        "taxes_included": order["taxesIncluded"],
        "total_tip_received": order["totalTipReceivedSet"]["shopMoney"]["amount"],
        "customer": order["customer"] and _customer(order["customer"]),
        "discount_codes": [{"code": code} for code in order["discountCodes"]],
        "note_attributes": [{"name": one["key"], "value": one["value"]} for one in order["customAttributes"]],
        "line_items": [_line(line) for line in order["lineItems"]["nodes"]],
        "shipping_lines": [_shipping(line) for line in order["shippingLines"]["nodes"]],
        "refunds": [_refund(refund) for refund in order["refunds"]],
    }


def _customer(customer: dict[str, Any]) -> dict[str, Any]:
    address = customer["defaultEmailAddress"]
    return {
        "id": gid_number(customer["id"]),
        "first_name": customer["firstName"],
        "last_name": customer["lastName"],
        "email": address and address["emailAddress"],
        "verified_email": customer["verifiedEmail"],
        "created_at": customer["createdAt"],
        "updated_at": customer["updatedAt"],
    }


def _line(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": gid_number(line["id"]),
        "title": line["title"],
        "quantity": line["quantity"],
        "current_quantity": line["currentQuantity"],
        "gift_card": line["isGiftCard"],
        "product_id": line["product"] and gid_number(line["product"]["id"]),
        "variant_id": line["variant"] and gid_number(line["variant"]["id"]),
        "vendor": line["vendor"],
        "price_set": _money(line["originalUnitPriceSet"]),
        "discount_allocations": [{"amount_set": _money(a["allocatedAmountSet"])} for a in line["discountAllocations"]],
        "tax_lines": _taxes(line),
    }


def _parcel(parcel: dict[str, Any]) -> dict[str, Any]:
    return {"created_at": parcel["createdAt"], "status": parcel["status"].lower()}


def _shipping(line: dict[str, Any]) -> dict[str, Any]:
    return {"discounted_price_set": _money(line["discountedPriceSet"]), "tax_lines": _taxes(line)}


def _taxes(line: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"price_set": _money(tax["priceSet"])} for tax in line["taxLines"]]


def _refund(refund: dict[str, Any]) -> dict[str, Any]:
    # A refund of more lines than a page holds still counts: the order's `current_quantity` tells the rest.
    return {
        "id": gid_number(refund["id"]),
        "created_at": refund["createdAt"],
        "refund_line_items": [
            {
                "line_item_id": gid_number(line["lineItem"]["id"]),
                "quantity": line["quantity"],
                "subtotal_set": _money(line["subtotalSet"]),
                "total_tax_set": _money(line["totalTaxSet"]),
            }
            for line in refund["refundLineItems"]["nodes"]
        ],
    }


def _money(both: dict[str, Any]) -> dict[str, Any]:
    return {"shop_money": {"amount": both["shopMoney"]["amount"]}}
