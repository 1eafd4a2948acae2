"""Orders as the Admin API tells them, on their way into the inbox in the shape of the webhooks Shopify would have sent.

There is one way into the ledger: what reconcile and backfill bring is stored and settled as if it had been delivered.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from core import clock
from core.db import insert_rows
from shops.admin import Admin
from webhooks.models import Delivery
from webhooks.payloads import gid_number

ORDER = "orders/updated"
CUSTOMER = "customers/update"
_COLUMNS = ("shop_id", "webhook_id", "topic", "triggered_at", "body", "next_try_at")
# A state that is on its way already stays; one whose delivery failed is given another chance.
_AGAIN_IF_FAILED = (
    "ON CONFLICT (shop_id, webhook_id) DO UPDATE SET state = 'pending', attempts = 0, error = NULL, "
    "body = excluded.body, next_try_at = now() WHERE inbox.state = 'failed'"
)


def store(session: Session, shop_id: int, bodies: Iterable[tuple[str, str, dict[str, Any]]]) -> int:
    """Put (webhook id, topic, body) into the inbox and return how many were not there already."""
    now = clock.now()
    encode = msgspec.json.encode
    rows = {name: (shop_id, name, topic, now, encode(body), now) for name, topic, body in bodies}
    table: Any = Delivery.__table__
    stored = insert_rows(session, table, _COLUMNS, [rows[name] for name in sorted(rows)], suffix=_AGAIN_IF_FAILED)
    return int(stored.rowcount) if stored else 0


def updated_at(node: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(node["updatedAt"])


def whole(admin: Admin, order_id: int) -> dict[str, Any] | None:
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
        "customer": order["customer"] and customer_as_webhook(order["customer"]),
        "discount_codes": [{"code": code} for code in order["discountCodes"]],
        "note_attributes": [{"name": one["key"], "value": one["value"]} for one in order["customAttributes"]],
        "line_items": [_line(line) for line in order["lineItems"]["nodes"]],
        "shipping_lines": [_shipping(line) for line in order["shippingLines"]["nodes"]],
        "refunds": [_refund(refund) for refund in order["refunds"]],
    }


def customer_as_webhook(customer: dict[str, Any]) -> dict[str, Any]:
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
