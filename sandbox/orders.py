"""What happens to an order in a store, as plain functions over its state.

Times are epoch seconds, money is integer minor units of the shop's currency. Every function that changes an order
returns the webhook topics Shopify emits for that change, in Shopify's order. Nothing here does input or output.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from msgspec import Struct, field

from sandbox.money import half_up

PAID = ("paid", "partially_refunded", "refunded")


class OrderError(Exception):
    """The store would refuse this change; the message says why."""


class Shop(Struct, frozen=True):
    domain: str
    id: int
    name: str
    email: str
    currency: str
    timezone: str
    country_code: str
    country: str
    city: str
    tax_basis_points: int = 0
    taxes_included: bool = False
    shipping: int = 0


class Address(Struct, frozen=True):
    """Names as in Shopify; `country` is the two-letter code."""

    name: str = ""
    address1: str = ""
    address2: str = ""
    city: str = ""
    zip: str = ""
    country: str = "US"
    phone: str | None = None


class Card(Struct, frozen=True):
    """A payment card as a store sees it: `bin` is its first digits, `last` its last four."""

    bin: str
    last: str
    company: str = "Visa"
    month: int = 12
    year: int = 2030


class Customer(Struct):
    id: int
    first_name: str
    last_name: str
    email: str | None
    created_at: int
    updated_at: int
    phone: str | None = None
    state: str = "enabled"
    tags: list[str] = field(default_factory=list)
    note: str | None = None
    locale: str = "en"
    address: Address | None = None
    # What they said of news by mail: Shopify's `marketingState`, in lower case.
    marketing: str = "not_subscribed"


class Item(NamedTuple):
    """A variant as it goes into a basket. `price` is per unit."""

    product_id: int | None
    variant_id: int | None
    title: str
    variant_title: str | None
    sku: str | None
    vendor: str | None
    price: int
    grams: int = 0
    gift_card: bool = False


TIP = Item(None, None, "Tip", None, None, None, 0)


class Line(Struct):
    id: int
    item: Item
    quantity: int
    # (index of the discount, amount) as Shopify allocates it to the whole line.
    allocations: list[tuple[int, int]] = field(default_factory=list)
    tax: int = 0
    removed: int = 0
    refunded: int = 0
    # What refunds gave back, before tax, and their tax.
    refunded_amount: int = 0
    refunded_tax: int = 0
    fulfilled: int = 0

    @property
    def tip(self) -> bool:
        return self.item.product_id is None and self.item.title == "Tip"

    @property
    def current(self) -> int:
        return self.quantity - self.removed - self.refunded

    @property
    def gross(self) -> int:
        return self.item.price * self.quantity

    @property
    def discount(self) -> int:
        return sum(amount for _, amount in self.allocations)

    @property
    def net(self) -> int:
        return self.gross - self.discount

    def kept(self, amount: int) -> int:
        """The part of a whole line's amount that edits left in the order (floored to the minor unit)."""
        return amount * (self.quantity - self.removed) // self.quantity


class Discount(Struct, frozen=True):
    """A code or automatic discount. `value` is a percentage for `percentage`, minor units for `fixed_amount`.

    `products` and `variants` name what it is for; both empty is everything. An automatic one has its title as `code`.
    """

    code: str
    kind: str = "percentage"
    value: int | float = 0
    target: str = "line_item"
    products: tuple[int, ...] = ()
    variants: tuple[int, ...] = ()
    automatic: bool = False

    @property
    def entitled(self) -> bool:
        return bool(self.products or self.variants)

    def covers(self, item: Item) -> bool:
        return not self.entitled or item.product_id in self.products or item.variant_id in self.variants

    def off(self, basis: int) -> int:
        """Minor units off goods worth `basis`, floored."""
        if self.kind == "percentage":
            return math.floor(basis * Fraction(str(self.value)) / 100)
        return min(int(self.value), basis)


class Payment(NamedTuple):
    """Money received through a gateway by its Shopify name: `shopify_payments`, `gift_card`, `shopify_store_credit`."""

    gateway: str
    amount: int


class Shipment(NamedTuple):
    """A fulfilment: which lines left, each with its quantity."""

    id: int
    at: int
    lines: list[tuple[int, int]]


class RefundLine(NamedTuple):
    id: int
    line_id: int
    quantity: int
    subtotal: int
    tax: int
    restock: str


class Refund(Struct, frozen=True):
    id: int
    created_at: int
    lines: list[RefundLine]
    amount: int
    note: str | None = None


class Edit(Struct, frozen=True):
    id: int
    at: int
    additions: list[tuple[int, int]]
    removals: list[tuple[int, int]]


class Order(Struct):
    id: int
    number: int
    created_at: int
    processed_at: int
    updated_at: int
    email: str
    customer_id: int | None
    lines: list[Line]
    status: str = "pending"
    discounts: list[Discount] = field(default_factory=list)
    shipping: int = 0
    shipping_discount: int = 0
    received: int = 0
    payments: list[Payment] = field(default_factory=list)
    shipments: list[Shipment] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    cancelled_at: int | None = None
    cancel_reason: str | None = None
    fulfilled_at: int | None = None
    test: bool = False
    source: str = "web"
    tags: list[str] = field(default_factory=list)
    # What the storefront noted in the cart.
    attributes: dict[str, str] = field(default_factory=dict)
    # The buyer's currency and how many of its minor units make 10,000 of the shop's.
    presentment: tuple[str, int] | None = None
    issued_ids: int = 0
    # Who was at the checkout, as far as the store noted it.
    ip: str | None = None
    phone: str | None = None
    ships_to: Address | None = None
    bills_to: Address | None = None
    card: Card | None = None

    def next_id(self) -> int:
        self.issued_ids += 1
        return self.id * 1000 + self.issued_ids

    def line(self, line_id: int) -> Line:
        for line in self.lines:
            if line.id == line_id:
                return line
        raise OrderError(f"Order #{self.number} has no line {line_id}.")


class Basket(NamedTuple):
    """What is bought: items with quantities, discounts, a tip, and the buyer's currency."""

    items: Sequence[tuple[Item, int]]
    discounts: Sequence[Discount] = ()
    tip: int = 0
    presentment: tuple[str, int] | None = None


def place(
    shop: Shop,
    order_id: int,
    number: int,
    basket: Basket,
    at: int,
    *,
    customer: Customer | None = None,
    email: str = "",
    status: str = "paid",
    test: bool = False,
    source: str = "web",
    attributes: Mapping[str, str] | None = None,
) -> tuple[Order, tuple[str, ...]]:
    """A new order, `paid`, `authorized` or `pending`. Without a customer it is a guest's.

    At the counter (`source` is `pos`) nothing is shipped, and what is paid for is handed over at once.
    """
    order = Order(
        order_id,
        number,
        at,
        at,
        at,
        (customer.email if customer else email) or "",
        customer.id if customer else None,
        [],
        status,
        list(basket.discounts),
        test=test,
        source=source,
        attributes=dict(attributes or {}),
        presentment=basket.presentment,
    )
    order.lines = [Line(order.next_id(), item, quantity) for item, quantity in basket.items]
    for index, discount in enumerate(order.discounts):
        allocate(shop, order, index, discount)
    if basket.tip:
        order.lines.append(Line(order.next_id(), TIP._replace(price=basket.tip), 1))
    order.shipping = shop.shipping if source != "pos" and any(ships(line) for line in order.lines) else 0
    for discount in order.discounts:
        if discount.target == "shipping_line":
            order.shipping_discount = order.shipping
    for line in order.lines:
        line.tax = tax(shop, line)
    topics: tuple[str, ...] = ("orders/create",)
    if status == "paid":
        order.received = total(shop, order)
        topics = ("orders/create", "orders/paid")
    return order, (*topics, *fulfil(order, at)[:1]) if source == "pos" and status == "paid" else topics


def ships(line: Line) -> bool:
    return not (line.item.gift_card or line.tip)


def allocate(shop: Shop, order: Order, index: int, discount: Discount) -> None:
    """Spread an order discount over the lines it may touch: floors, then the remainder unit by unit."""
    lines = [line for line in order.lines if ships(line) and line.net > 0 and discount.covers(line.item)]
    basis = sum(line.net for line in lines)
    if discount.target != "line_item" or not basis:
        return
    whole = discount.off(basis)
    shares = [whole * line.net // basis for line in lines]
    for position in range(whole - sum(shares)):
        shares[position % len(shares)] += 1
    for line, share in zip(lines, shares, strict=True):
        line.allocations.append((index, share))


def tax(shop: Shop, line: Line) -> int:
    rate = shop.tax_basis_points
    if not rate or not ships(line):
        return 0
    return half_up(line.net * rate, 10_000 + rate if shop.taxes_included else 10_000)


def basis(shop: Shop, line: Line) -> int:
    """What the whole line cost before tax, after discounts."""
    return line.net - line.tax if shop.taxes_included else line.net


def remaining(shop: Shop, line: Line) -> int:
    """What the line still costs before tax, after edits and refunds."""
    return max(0, line.kept(basis(shop, line)) - line.refunded_amount) if line.current else 0


def remaining_tax(line: Line) -> int:
    return max(0, line.kept(line.tax) - line.refunded_tax) if line.current else 0


def total(shop: Shop, order: Order) -> int:
    """What the order costs as it stands: lines after edits (not refunds), tax, shipping, tip."""
    lines = sum(line.kept(basis(shop, line)) + line.kept(line.tax) for line in order.lines)
    return lines + order.shipping - order.shipping_discount


def pay(shop: Shop, order: Order, at: int) -> tuple[str, ...]:
    """Capture or mark as paid what is outstanding."""
    if order.cancelled_at or order.status in (*PAID, "voided"):
        raise OrderError(f"Order #{order.number} is {order.status}; there is nothing to pay.")
    order.received = total(shop, order)
    order.status, order.updated_at = "paid", at
    refresh_status(shop, order)
    return "orders/paid", "orders/updated"


def refund(
    shop: Shop, order: Order, quantities: Mapping[int, int], at: int, *, note: str | None = None
) -> tuple[str, ...]:
    """Give back `{line id: quantity}` with its tax. Raises OrderError when more than is left."""
    if order.status not in ("paid", "partially_refunded", "partially_paid"):
        raise OrderError(f"Order #{order.number} is {order.status}; only a paid order can be refunded.")
    record_refund(shop, order, quantities, at, restock="return", note=note)
    refresh_status(shop, order)
    return "refunds/create", "orders/updated"


def record_refund(
    shop: Shop,
    order: Order,
    quantities: Mapping[int, int],
    at: int,
    *,
    restock: str,
    amount: int | None = None,
    note: str | None = None,
) -> None:
    """`amount` is the money that moves; by default what the lines cost with their tax."""
    require_quantities(order, quantities)
    lines = [refund_line(shop, order, order.line(line_id), n, restock) for line_id, n in quantities.items()]
    if amount is None:
        amount = sum(line.subtotal + line.tax for line in lines)
    order.refunds.append(Refund(order.next_id(), at, lines, amount, note))
    order.updated_at = at


def require_quantities(order: Order, quantities: Mapping[int, int]) -> None:
    """Checked before anything changes, so that a refused refund or edit leaves the order untouched."""
    if not quantities:
        raise OrderError("Choose at least one line.")
    for line_id, quantity in quantities.items():
        left = order.line(line_id).current
        if not 0 < quantity <= left:
            raise OrderError(f"Line {line_id} of order #{order.number} has {left} left, not {quantity}.")


def refund_line(shop: Shop, order: Order, line: Line, quantity: int, restock: str) -> RefundLine:
    # What is left is split so that refunding every unit, in any steps, gives back exactly what was paid.
    after = line.current - quantity
    subtotal = remaining(shop, line) - remaining(shop, line) * after // line.current
    tax_back = remaining_tax(line) - remaining_tax(line) * after // line.current
    line.refunded += quantity
    line.refunded_amount += subtotal
    line.refunded_tax += tax_back
    return RefundLine(order.next_id(), line.id, quantity, subtotal, tax_back, restock)


def refresh_status(shop: Shop, order: Order) -> None:
    """Shopify's financial status from what was received and what went back."""
    if order.status in ("pending", "authorized", "voided"):
        return
    returned = sum(refund.amount for refund in order.refunds)
    if returned and (returned >= order.received or not any(line.current for line in order.lines)):
        order.status = "refunded"
    elif order.received < total(shop, order):
        order.status = "partially_paid"
    else:
        order.status = "partially_refunded" if returned else "paid"


def edit(
    shop: Shop,
    order: Order,
    at: int,
    *,
    add: Sequence[tuple[Item, int]] = (),
    remove: Mapping[int, int] | None = None,
    as_refund: bool = False,
) -> tuple[str, ...]:
    """Add lines, remove quantities. Shopify records some removals as a refund that moves no money: `as_refund`."""
    if order.cancelled_at:
        raise OrderError(f"Order #{order.number} is cancelled; it can't be edited.")
    if remove:
        require_quantities(order, remove)
    elif not add:
        raise OrderError("Say what to add or remove.")
    added = [Line(order.next_id(), item, quantity) for item, quantity in add]
    for line in added:
        line.tax = tax(shop, line)
    order.lines.extend(added)
    order.edits.append(
        Edit(order.next_id(), at, [(line.id, line.quantity) for line in added], list((remove or {}).items()))
    )
    topics: tuple[str, ...] = ("orders/edited", "orders/updated")
    if remove and as_refund:
        record_refund(shop, order, remove, at, restock="no_restock", amount=0)
        topics = ("orders/edited", "refunds/create", "orders/updated")
    for line_id, quantity in (remove or {}).items():
        order.line(line_id).removed += 0 if as_refund else quantity
    order.updated_at = at
    refresh_status(shop, order)
    return topics


def refundable(order: Order) -> int:
    """Money received and not yet given back."""
    return order.received - sum(refund.amount for refund in order.refunds)


def cancel(shop: Shop, order: Order, at: int, reason: str = "customer") -> tuple[str, ...]:
    """Cancel what is left: paid money goes back, an open payment is voided. Shopify records both as a refund."""
    if order.cancelled_at:
        raise OrderError(f"Order #{order.number} is already cancelled.")
    left = {line.id: line.current for line in order.lines if line.current}
    if left:
        record_refund(shop, order, left, at, restock="cancel", amount=refundable(order))
    order.status = "refunded" if order.received else "voided"
    order.cancelled_at = order.updated_at = at
    order.cancel_reason = reason
    return (*(("refunds/create",) if left else ()), "orders/cancelled", "orders/updated")


def fulfil(order: Order, at: int, quantities: Mapping[int, int] | None = None) -> tuple[str, ...]:
    """Ship everything that is left, or only `{line id: quantity}`."""
    if order.cancelled_at:
        raise OrderError(f"Order #{order.number} is cancelled; it can't be fulfilled.")
    sent = [
        (line.id, min(left, quantities.get(line.id, 0) if quantities else left))
        for line in order.lines
        if (left := line.current - line.fulfilled) > 0
    ]
    for line_id, quantity in sent:
        order.line(line_id).fulfilled += quantity
    if packed := [(line_id, quantity) for line_id, quantity in sent if quantity]:
        order.shipments.append(Shipment(order.next_id(), at, packed))
    whole = all(line.fulfilled >= line.current for line in order.lines)
    order.fulfilled_at = at if whole else order.fulfilled_at
    order.updated_at = at
    return ("orders/fulfilled" if whole else "orders/partially_fulfilled"), "orders/updated"
