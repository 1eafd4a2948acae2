"""What the Admin API answers: the store's state as GraphQL nodes (dicts of values, and functions for arguments)."""

from collections.abc import Callable
from typing import Any

from sandbox.admin_api import digest
from sandbox.money import decimal
from sandbox.nodes import (
    Discount,
    Metafield,
    Node,
    camel,
    connection,
    cursor,
    discount_node,
    graph_money,
    metafield_node,
    number,
    paged,
    position,
    short,
    updated_between,
    user_error,
)
from sandbox.orders import Customer, Line, Order, Refund, RefundLine
from sandbox.payloads import (
    current_totals,
    discount_value,
    gid,
    money_set,
    original_totals,
    outstanding,
    tax_lines,
    utc,
)
from sandbox.world import SCOPES, NotFound, World


def roots(world: World) -> Callable[[str], Node]:
    return lambda domain: Answers(world, domain).root()


class Answers:
    """One shop's answers."""

    def __init__(self, world: World, domain: str) -> None:
        self.world = world
        self.domain = domain
        self.shop = world.shop(domain)

    def root(self) -> Node:
        return {
            "shop": self.shop_node,
            "customer": self.customer,
            "customers": self.customers,
            "customerByIdentifier": self.customer_by_identifier,
            "order": self.order,
            "orders": self.orders,
            "node": self.node,
            "codeDiscountNode": self.code_discount,
            "codeDiscountNodeByCode": self.code_discount_by_code,
            "publicApiVersions": [{"handle": "2026-10", "supported": True, "displayName": "2026-10 (Latest)"}],
            "currentAppInstallation": self.installation,
            "tagsAdd": self.tags_add,
            "tagsRemove": self.tags_remove,
            "metafieldsSet": self.metafields_set,
            "discountCodeBasicCreate": self.basic_create,
            "discountCodeFreeShippingCreate": self.free_shipping_create,
            "discountCodeDeactivate": self.discount_deactivate,
            "discountCodeDelete": self.discount_delete,
        }

    # Shop

    def shop_node(self) -> Node:
        shop = self.shop
        return {
            "id": gid("Shop", shop.id),
            "name": shop.name,
            "myshopifyDomain": shop.domain,
            "primaryDomain": {"host": shop.domain, "url": f"https://{shop.domain}"},
            "url": f"https://{shop.domain}",
            "email": shop.email,
            "contactEmail": shop.email,
            "currencyCode": shop.currency,
            "enabledPresentmentCurrencies": [shop.currency],
            "ianaTimezone": shop.timezone,
            "taxesIncluded": shop.taxes_included,
            "plan": {"partnerDevelopment": True, "shopifyPlus": False, "publicDisplayName": "Basic"},
            "customerAccountsV2": {"customerAccountsVersion": "NEW_CUSTOMER_ACCOUNTS"},
            "shopAddress": {"countryCodeV2": shop.country_code, "country": shop.country, "city": shop.city},
            "billingAddress": {"countryCodeV2": shop.country_code, "country": shop.country, "city": shop.city},
            "metafield": self.metafield_of(gid("Shop", shop.id)),
        }

    def installation(self) -> Node:
        scopes = [{"handle": scope} for scope in SCOPES.split(",")]
        return {"id": gid("AppInstallation", 1), "accessScopes": scopes}

    def node(self, id: str) -> Node | None:
        return self.customer(id) or self.order(id) or self.code_discount(id)

    # Customers

    def customer(self, id: str) -> Node | None:
        try:
            return self.customer_node(self.world.customer(self.domain, number(id, "Customer") or 0))
        except NotFound:
            return None

    def customer_by_identifier(self, identifier: dict[str, Any]) -> Node | None:
        if "emailAddress" in identifier:
            found = self.world.customer_by_email(self.domain, identifier["emailAddress"])
            return self.customer_node(found) if found else None
        if "id" in identifier:
            return self.customer(identifier["id"])
        raise ValueError(f"The sandbox store can't look customers up by {', '.join(identifier)}.")

    def customers(
        self, first: int = 50, after: str | None = None, query: str | None = None, sort_key: str = "UPDATED_AT"
    ) -> Node:
        if sort_key != "UPDATED_AT":
            raise ValueError("The sandbox store sorts customers by UPDATED_AT only.")
        return self.ranked("customer", Customer, self.customer_node, first, after, query)

    def customer_node(self, customer: Customer) -> Node:
        def mine() -> list[Order]:
            return self.world.orders_of(self.domain, customer.id)

        address = {"emailAddress": customer.email, "marketingState": "NOT_SUBSCRIBED"}
        return {
            "__typename": "Customer",
            "id": gid("Customer", customer.id),
            "legacyResourceId": str(customer.id),
            "firstName": customer.first_name,
            "lastName": customer.last_name,
            "displayName": f"{customer.first_name} {customer.last_name}".strip() or customer.email,
            "locale": customer.locale,
            "note": customer.note,
            "state": customer.state.upper(),
            "verifiedEmail": True,
            "createdAt": utc(customer.created_at),
            "updatedAt": utc(customer.updated_at),
            "tags": sorted(customer.tags),
            "numberOfOrders": lambda: str(len(mine())),
            "amountSpent": lambda: self.amount(sum(order.received for order in mine())),
            "defaultEmailAddress": address if customer.email else None,
            "defaultPhoneNumber": {"phoneNumber": customer.phone} if customer.phone else None,
            "metafield": self.metafield_of(gid("Customer", customer.id)),
        }

    def ranked(
        self, kind: str, type_: type[Any], node: Callable[[Any], Node], first: int, after: str | None, query: str | None
    ) -> Node:
        """A page in order of `updated_at`; a change moves a document to the end, as in Shopify."""
        low, high = updated_between(query)
        found = self.world.store.page(self.domain, kind, type_, position(after), low, high, first + 1)
        page = found[:first]
        cursors = [cursor(document.updated_at, document.id) for document in page]
        return connection([node(document) for document in page], more=len(found) > first, cursors=cursors)

    # Orders

    def order(self, id: str) -> Node | None:
        try:
            return self.order_node(self.world.order(self.domain, number(id, "Order") or 0))
        except NotFound:
            return None

    def orders(
        self, first: int = 50, after: str | None = None, query: str | None = None, sort_key: str = "PROCESSED_AT"
    ) -> Node:
        if sort_key != "UPDATED_AT":
            raise ValueError("The sandbox store sorts orders by UPDATED_AT only.")
        return self.ranked("order", Order, self.order_node, first, after, query)

    def amount(self, minor: int, currency: str | None = None) -> Node:
        """MoneyV2, with Shopify's shortest form of at least one decimal: `12.5`, `1200.0`."""
        currency = currency or self.shop.currency
        return {"amount": short(decimal(minor, currency)), "currencyCode": currency}

    def bag(self, order: Order) -> Callable[[int], Node]:
        money = money_set(self.shop, order)
        return lambda minor: graph_money(money(minor))

    def order_node(self, order: Order) -> Node:
        buyer = self.world.buyer(self.domain, order)
        closed = order.cancelled_at or order.fulfilled_at
        return {
            "__typename": "Order",
            "id": gid("Order", order.id),
            "legacyResourceId": str(order.id),
            "name": f"#{order.number}",
            "number": order.number,
            "email": order.email or None,
            "createdAt": utc(order.created_at),
            "processedAt": utc(order.processed_at),
            "updatedAt": utc(order.updated_at),
            "cancelledAt": order.cancelled_at and utc(order.cancelled_at),
            "cancelReason": order.cancel_reason and order.cancel_reason.upper(),
            "closedAt": closed and utc(closed),
            "test": order.test,
            "confirmed": True,
            "edited": bool(order.edits),
            "note": None,
            "displayFinancialStatus": order.status.upper(),
            "displayFulfillmentStatus": "FULFILLED" if order.fulfilled_at else "UNFULFILLED",
            "sourceName": order.source,
            "app": {"id": gid("App", 580111), "name": "Online Store"},
            "currencyCode": self.shop.currency,
            "presentmentCurrencyCode": order.presentment[0] if order.presentment else self.shop.currency,
            "taxesIncluded": self.shop.taxes_included,
            "tags": sorted(order.tags),
            "discountCodes": [discount.code for discount in order.discounts],
            "discountApplications": lambda first=50, after=None: paged(self.applications(order), first, after),
            "customer": self.customer_node(buyer) if buyer else None,
            "lineItems": lambda first=50, after=None: paged(self.line_nodes(order), first, after),
            "shippingLines": lambda first=50, after=None: paged(self.shipping_nodes(order), first, after),
            "refunds": lambda first=None: [self.refund_node(order, refund) for refund in order.refunds[:first]],
            **self.order_money(order),
        }

    def order_money(self, order: Order) -> Node:
        """Every `…_set` of the webhook body under its GraphQL name, and the sums only GraphQL has."""
        money, bag = money_set(self.shop, order), self.bag(order)
        totals = original_totals(self.shop, order, money) | current_totals(self.shop, order, money)
        sets = {camel(name.removesuffix("_set")): value for name, value in totals.items() if name.endswith("_set")}
        tip = sum(line.gross for line in order.lines if line.tip)
        back = sum(refund.amount for refund in order.refunds)
        return {f"{name}Set": graph_money(value) for name, value in sets.items()} | {
            "totalReceivedSet": bag(order.received),
            "totalRefundedSet": bag(back),
            "totalTipReceivedSet": bag(tip),
            "totalOutstandingSet": bag(outstanding(self.shop, order)),
            "netPaymentSet": bag(order.received - back),
        }

    def shipping_nodes(self, order: Order) -> list[Node]:
        if not order.shipping:
            return []
        paid = self.bag(order)(order.shipping - order.shipping_discount)
        whole = self.bag(order)(order.shipping)
        sets = {"originalPriceSet": whole, "discountedPriceSet": paid}
        return [{"__typename": "ShippingLine", "title": "Standard", "code": "Standard", "taxLines": [], **sets}]

    def line_nodes(self, order: Order) -> list[Node]:
        return [self.line_node(order, line) for line in order.lines]

    def line_node(self, order: Order, line: Line) -> Node:
        bag, item = self.bag(order), line.item
        return {
            "__typename": "LineItem",
            "id": gid("LineItem", line.id),
            "title": item.title,
            "name": f"{item.title} - {item.variant_title}" if item.variant_title else item.title,
            "variantTitle": item.variant_title,
            "sku": item.sku,
            "vendor": item.vendor,
            "quantity": line.quantity,
            "currentQuantity": line.current,
            "refundableQuantity": line.current,
            "isGiftCard": item.gift_card,
            "requiresShipping": not (item.gift_card or line.tip),
            "taxable": not (item.gift_card or line.tip),
            "product": {"id": gid("Product", item.product_id)} if item.product_id else None,
            "variant": {"id": gid("ProductVariant", item.variant_id)} if item.variant_id else None,
            "originalUnitPriceSet": bag(item.price),
            "originalTotalSet": bag(line.gross),
            "discountedTotalSet": lambda with_code_discounts=False: bag(
                line.net if with_code_discounts else line.gross
            ),
            "discountAllocations": lambda: self.allocation_nodes(order, line),
            "taxLines": lambda first=None: [
                {"title": tax["title"], "rate": tax["rate"], "priceSet": graph_money(tax["price_set"])}
                for tax in tax_lines(self.shop, line.tax, money_set(self.shop, order))
            ],
        }

    def allocation_nodes(self, order: Order, line: Line) -> list[Node]:
        bag, applications = self.bag(order), self.applications(order)
        return [
            {"allocatedAmountSet": bag(amount), "discountApplication": applications[index]}
            for index, amount in line.allocations
        ]

    def applications(self, order: Order) -> list[Node]:
        return [
            {
                "__typename": "DiscountCodeApplication",
                "index": index,
                "code": discount.code,
                "allocationMethod": "ACROSS" if discount.target == "line_item" else "EACH",
                "targetSelection": "ALL",
                "targetType": discount.target.upper(),
                "value": self.discount_value(discount),
            }
            for index, discount in enumerate(order.discounts)
        ]

    def discount_value(self, discount: Any) -> Node:
        value = discount_value(self.shop, discount)
        if discount.kind == "percentage" or discount.target == "shipping_line":
            return {"__typename": "PricingPercentageValue", "percentage": float(value)}
        return {"__typename": "MoneyV2", **self.amount(discount.value)}

    def refund_node(self, order: Order, refund: Refund) -> Node:
        bag = self.bag(order)
        return {
            "__typename": "Refund",
            "id": gid("Refund", refund.id),
            "legacyResourceId": str(refund.id),
            "createdAt": utc(refund.created_at),
            "updatedAt": utc(refund.created_at),
            "note": refund.note,
            "order": lambda: self.order_node(order),
            "totalRefundedSet": bag(refund.amount),
            "refundLineItems": lambda first=50, after=None: paged(
                [self.refund_line_node(order, line) for line in refund.lines], first, after
            ),
            "orderAdjustments": lambda first=50, after=None: paged([], first, after),
        }

    def refund_line_node(self, order: Order, line: RefundLine) -> Node:
        bag = self.bag(order)
        return {
            "__typename": "RefundLineItem",
            "id": gid("RefundLineItem", line.id),
            "quantity": line.quantity,
            "restockType": line.restock.upper(),
            "lineItem": self.line_node(order, order.line(line.line_id)),
            "subtotalSet": bag(line.subtotal),
            "totalTaxSet": bag(line.tax),
        }

    # Tags and metafields

    def tags_add(self, id: str, tags: list[str]) -> Node:
        return self.tagged(id, lambda old: old | set(tags))

    def tags_remove(self, id: str, tags: list[str]) -> Node:
        return self.tagged(id, lambda old: old - set(tags))

    def tagged(self, owner: str, change: Callable[[set[str]], set[str]]) -> Node:
        with self.world.store.transaction():
            if customer_id := number(owner, "Customer"):
                return self.tag_customer(customer_id, change)
            if order_id := number(owner, "Order"):
                return self.tag_order(order_id, change)
        raise ValueError(f"The sandbox store can't tag {owner}.")

    def tag_customer(self, customer_id: int, change: Callable[[set[str]], set[str]]) -> Node:
        try:
            customer = self.world.customer(self.domain, customer_id)
        except NotFound:
            return {"node": None, "userErrors": [user_error(["id"], "Customer does not exist")]}
        tags = change(set(customer.tags))
        if tags != set(customer.tags):
            customer = self.world.update_customer(self.domain, customer_id, {"tags": sorted(tags)})
        return {"node": self.customer_node(customer), "userErrors": []}

    def tag_order(self, order_id: int, change: Callable[[set[str]], set[str]]) -> Node:
        def retag(order: Order, at: int) -> tuple[str, ...]:
            order.tags, order.updated_at = sorted(change(set(order.tags))), at
            return ("orders/updated",)

        try:
            order = self.world.alter(self.domain, order_id, retag)
        except NotFound:
            return {"node": None, "userErrors": [user_error(["id"], "Order does not exist")]}
        return {"node": self.order_node(order), "userErrors": []}

    def metafields_set(self, metafields: list[dict[str, Any]]) -> Node:
        """Up to 25, all or nothing; a `compareDigest` that no longer fits refuses them all."""
        if len(metafields) > 25:
            error = user_error(
                ["metafields"], "Exceeded the maximum metafields input limit of 25.", "LESS_THAN_OR_EQUAL_TO"
            )
            return {"metafields": None, "userErrors": [error]}
        with self.world.store.transaction():
            stale = [index for index, entry in enumerate(metafields) if self.is_stale(entry)]
            if stale:
                text = "The metafield changed since it was read; read its `compareDigest` again."
                errors = [
                    user_error(["metafields", str(index)], text, "STALE_OBJECT", elementIndex=index) for index in stale
                ]
                return {"metafields": None, "userErrors": errors}
            stored = [self.store_metafield(entry) for entry in metafields]
        return {"metafields": [metafield_node(field) for field in stored], "userErrors": []}

    def is_stale(self, entry: dict[str, Any]) -> bool:
        if "compareDigest" not in entry:
            return False
        old = self.find_metafield(entry["ownerId"], entry.get("namespace") or "$app", entry["key"])
        return bool(entry["compareDigest"] != (digest(old.value) if old else None))

    def store_metafield(self, entry: dict[str, Any]) -> Metafield:
        namespace = entry.get("namespace") or "$app"
        old = self.find_metafield(entry["ownerId"], namespace, entry["key"])
        key = old.id if old else self.world.store.count(self.domain, "metafields")
        kind = entry.get("type") or (old.type if old else "single_line_text_field")
        field = Metafield(key, entry["ownerId"], namespace, entry["key"], kind, entry["value"])
        self.world.store.put(self.domain, "metafield", f"{field.owner} {namespace}.{field.key}", field)
        return field

    def find_metafield(self, owner: str, namespace: str, key: str) -> Metafield | None:
        return self.world.store.get(self.domain, "metafield", f"{owner} {namespace}.{key}", Metafield)

    def metafield_of(self, owner: str) -> Callable[..., Node | None]:
        def metafield(key: str, namespace: str = "$app") -> Node | None:
            found = self.find_metafield(owner, namespace, key)
            return metafield_node(found) if found else None

        return metafield

    # Discounts

    def basic_create(self, basic_code_discount: dict[str, Any]) -> Node:
        return self.create_discount("DiscountCodeBasic", "basicCodeDiscount", basic_code_discount)

    def free_shipping_create(self, free_shipping_code_discount: dict[str, Any]) -> Node:
        return self.create_discount("DiscountCodeFreeShipping", "freeShippingCodeDiscount", free_shipping_code_discount)

    def create_discount(self, kind: str, argument: str, given: dict[str, Any]) -> Node:
        """Codes are unique without regard to case, as in Shopify: a second one is TAKEN."""
        with self.world.store.transaction():
            if self.find_discount(given["code"]):
                error = user_error([argument, "code"], "Code must be unique. Please try a different code.", "TAKEN")
                return {"codeDiscountNode": None, "userErrors": [error]}
            discount = Discount(
                1_420_000_000_000 + self.world.store.count(self.domain, "discounts"),
                given["code"],
                kind,
                given.get("title") or given["code"],
                given["startsAt"],
                given.get("endsAt"),
                given.get("usageLimit"),
                bool(given.get("appliesOncePerCustomer")),
            )
            self.world.store.put(self.domain, "discount", discount.code.lower(), discount)
        return {"codeDiscountNode": discount_node(discount), "userErrors": []}

    def find_discount(self, code: str) -> Discount | None:
        return self.world.store.get(self.domain, "discount", code.lower(), Discount)

    def discount_by_id(self, global_id: str) -> Discount | None:
        wanted = number(global_id, "DiscountCodeNode")
        return next((d for d in self.world.store.all(self.domain, "discount", Discount) if d.id == wanted), None)

    def code_discount(self, id: str) -> Node | None:
        found = self.discount_by_id(id)
        return discount_node(found) if found else None

    def code_discount_by_code(self, code: str) -> Node | None:
        found = self.find_discount(code)
        return discount_node(found) if found else None

    def discount_deactivate(self, id: str) -> Node:
        found = self.discount_by_id(id)
        if found is None:
            error = user_error(["id"], "Code discount does not exist.", "INVALID")
            return {"codeDiscountNode": None, "userErrors": [error]}
        found.active = False
        self.world.store.put(self.domain, "discount", found.code.lower(), found)
        return {"codeDiscountNode": discount_node(found), "userErrors": []}

    def discount_delete(self, id: str) -> Node:
        found = self.discount_by_id(id)
        if found is None:
            return {"deletedCodeDiscountId": None, "userErrors": [user_error(["id"], "Code discount does not exist.")]}
        self.world.store.remove(self.domain, "discount", found.code.lower())
        return {"deletedCodeDiscountId": id, "userErrors": []}
