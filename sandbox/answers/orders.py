"""Orders as the Admin API shows them."""

from collections.abc import Callable
from functools import partial

from sandbox.answers.area import Node
from sandbox.answers.customers import Customers, address_node
from sandbox.answers.products import Products
from sandbox.nodes import camel, graph_money, number, paged, user_error
from sandbox.orders import Card, Customer, Discount, Line, Order, Payment, Refund, RefundLine
from sandbox.payloads import (
    current_totals,
    discount_value,
    gateways,
    gid,
    money_set,
    original_totals,
    outstanding,
    tax_lines,
    utc,
)
from sandbox.world import NotFound

ONLINE_STORE = {"id": gid("App", 580_111), "name": "Online Store"}
POINT_OF_SALE = {"id": gid("App", 129_785), "name": "Point of Sale"}


def fulfilment_status(order: Order) -> str:
    some = any(line.fulfilled for line in order.lines)
    return "FULFILLED" if order.fulfilled_at else "PARTIALLY_FULFILLED" if some else "UNFULFILLED"


def paid(order: Order) -> list[Payment]:
    """How an order was paid; unless that was noted, through the store's own gateway."""
    return order.payments or [Payment("shopify_payments", order.received)]


def transaction_node(payment: Payment, card: Card | None) -> Node:
    """Only what was paid by card tells more than its gateway. Digits in the middle of a number are never told."""
    details = card and {
        "__typename": "CardPaymentDetails",
        "bin": card.bin,
        "company": card.company,
        "number": f"•••• •••• •••• {card.last}",
        "expirationMonth": card.month,
        "expirationYear": card.year,
    }
    return {"gateway": payment.gateway, "paymentDetails": details if payment.gateway == "shopify_payments" else None}


class Orders(Customers, Products):
    def root(self) -> Node:
        return super().root() | {"order": self.order, "orders": self.orders}

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
            "displayFulfillmentStatus": fulfilment_status(order),
            "sourceName": order.source,
            "app": POINT_OF_SALE if order.source == "pos" else ONLINE_STORE,
            "paymentGatewayNames": gateways(order),
            "currencyCode": self.shop.currency,
            "presentmentCurrencyCode": order.presentment[0] if order.presentment else self.shop.currency,
            "taxesIncluded": self.shop.taxes_included,
            "tags": sorted(order.tags),
            "customAttributes": [{"key": key, "value": value} for key, value in order.attributes.items()],
            "discountCodes": [discount.code for discount in order.discounts if not discount.automatic],
            "discountApplications": lambda first=50, after=None: paged(self.applications(order), first, after),
            "customer": self.customer_node(buyer) if buyer else None,
            "phone": order.phone,
            "clientIp": order.ip,
            "shippingAddress": address_node(order.ships_to),
            "billingAddress": address_node(order.bills_to or order.ships_to),
            "transactions": lambda first=None: [transaction_node(payment, order.card) for payment in paid(order)],
            "lineItems": lambda first=50, after=None: paged(self.line_nodes(order), first, after),
            "shippingLines": lambda first=50, after=None: paged(self.shipping_nodes(order), first, after),
            "fulfillments": lambda first=None: [
                {"id": gid("Fulfillment", sent.id), "createdAt": utc(sent.at), "status": "SUCCESS"}
                for sent in order.shipments[:first]
            ],
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
        line_id = gid("ShippingLine", order.id * 1000 + 999)
        return [
            {
                "__typename": "ShippingLine",
                "id": line_id,
                "title": "Standard",
                "code": "Standard",
                "taxLines": [],
                **sets,
            }
        ]

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
            "product": lambda: self.product(gid("Product", item.product_id or 0)),
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
        return [self.application(index, discount) for index, discount in enumerate(order.discounts)]

    def application(self, index: int, discount: Discount) -> Node:
        named = {"__typename": "AutomaticDiscountApplication", "title": discount.code}
        coded = {"__typename": "DiscountCodeApplication", "code": discount.code}
        return {
            "index": index,
            "allocationMethod": "ACROSS" if discount.target == "line_item" else "EACH",
            "targetSelection": "ENTITLED" if discount.entitled else "ALL",
            "targetType": discount.target.upper(),
            "value": self.discount_value(discount),
            **(named if discount.automatic else coded),
        }

    def discount_value(self, discount: Discount) -> Node:
        value = discount_value(self.shop, discount)
        if discount.kind == "percentage" or discount.target == "shipping_line":
            return {"__typename": "PricingPercentageValue", "percentage": float(value)}
        return {"__typename": "MoneyV2", **self.amount(int(discount.value))}

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

    def orders_by_time(
        self, customer: Customer, first: int = 50, sort_key: str = "PROCESSED_AT", reverse: bool = False
    ) -> Node:
        if sort_key != "PROCESSED_AT":
            raise ValueError("The sandbox store sorts a customer's orders by PROCESSED_AT only.")
        theirs = sorted(self.world.orders_of(self.domain, customer.id), key=lambda order: order.processed_at)
        return paged([self.order_node(order) for order in (theirs[::-1] if reverse else theirs)], first)

    def customer_node(self, customer: Customer) -> Node:
        return super().customer_node(customer) | {"orders": partial(self.orders_by_time, customer)}

    def tagged(self, owner: str, change: Callable[[set[str]], set[str]]) -> Node:
        order_id = number(owner, "Order")
        return self.tag_order(order_id, change) if order_id else super().tagged(owner, change)

    def tag_order(self, order_id: int, change: Callable[[set[str]], set[str]]) -> Node:
        def retag(order: Order, at: int) -> tuple[str, ...]:
            order.tags, order.updated_at = sorted(change(set(order.tags))), at
            return ("orders/updated",)

        try:
            order = self.world.alter(self.domain, order_id, retag)
        except NotFound:
            return {"node": None, "userErrors": [user_error(["id"], "Order does not exist")]}
        return {"node": self.order_node(order), "userErrors": []}
