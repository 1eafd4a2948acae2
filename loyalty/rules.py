"""The thinking behind orders and balances: what of an order counts, and which moves lead to what it should have.

What it should have earned is in `loyalty.earning.rules`.

Pure functions over frozen values: no database, no HTTP, no clock. Money is minor units, points are integers.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

# How far an order's payment has come; breaks ties between two snapshots of the same second.
STATUS_RANK = {
    "pending": 0,
    "authorized": 1,
    "partially_paid": 2,
    "paid": 3,
    "partially_refunded": 4,
    "refunded": 5,
    "expired": 6,
    "voided": 7,
}
HOLDING = frozenset({"pending", "authorized", "partially_paid"})
PAID = frozenset({"paid", "partially_refunded", "refunded"})


class Line(Struct, frozen=True, omit_defaults=True):
    """One line of an order. `price` is per unit, `discount` and `tax` are for the whole line, all in minor units.

    `current` is the quantity left after edits and refunds, as Shopify counts it; None when the payload lacks it.
    `excluded` names why the line never earns (`gift_card`, `tip`).
    """

    id: int
    title: str
    quantity: int
    current: int | None
    price: int
    discount: int
    tax: int
    excluded: str | None = None
    product_id: int | None = None
    variant_id: int | None = None
    vendor: str | None = None


class RefundLine(Struct, frozen=True):
    """What was refunded of one line. `subtotal` is net of discounts; None when the payload lacks it."""

    line_id: int
    quantity: int
    subtotal: int | None
    tax: int


class Refund(Struct, frozen=True):
    id: int
    created_at: datetime
    lines: tuple[RefundLine, ...]
    shipping: int = 0


class OrderState(Struct, frozen=True, omit_defaults=True):
    """A snapshot of an order as far as points care; refunds are kept beside it, for they come on their own too.

    Shopify does not say when an order was paid. `first_paid` is the earliest moment at which we heard that it was, and
    `was_unpaid` whether we ever heard that it was not: both of all snapshots, see `as_told`. `referral` is the code of
    whoever brought the buyer, as the storefront noted it.
    """

    order_id: int
    name: str
    processed_at: datetime
    updated_at: datetime
    status: str
    cancelled_at: datetime | None
    test: bool
    currency: str
    digits: int
    taxes_included: bool
    shipping: int
    shipping_tax: int
    lines: tuple[Line, ...]
    discount_codes: tuple[str, ...] = ()
    source_name: str | None = None
    fulfilled_at: datetime | None = None
    first_paid: datetime | None = None
    was_unpaid: bool = False
    referral: str | None = None

    @property
    def paid_at(self) -> datetime:
        """When it was paid: as it was placed, unless we know that it was not."""
        return max(self.processed_at, self.first_paid) if self.first_paid and self.was_unpaid else self.processed_at


Refunds = Mapping[int, Refund]


def newer(known: OrderState | None, arrived: OrderState) -> OrderState:
    """The snapshot that describes the later state, whichever of the two arrived last.

    Shopify's `updated_at` has one-second precision, so equal times are ordered by how far the order has come, and
    snapshots that agree in all of that by their content: never by arrival.
    """
    if known is None or arrived == known:
        return arrived
    before, after = _progress(known), _progress(arrived)
    if after != before:
        return arrived if after > before else known
    return max(known, arrived, key=repr)


def as_told(state: OrderState, *told: OrderState | None) -> OrderState:
    """The snapshot with what all that was told says of its payment and its referral, whichever came last."""
    snapshots = [state, *filter(None, told)]
    first_paid = min((one.first_paid for one in snapshots if one.first_paid), default=None)
    was_unpaid = any(one.was_unpaid for one in snapshots)
    referral = max((one.referral for one in snapshots if one.referral), default=None)
    if (first_paid, was_unpaid, referral) == (state.first_paid, state.was_unpaid, state.referral):
        return state
    return replace(state, first_paid=first_paid, was_unpaid=was_unpaid, referral=referral)


def _progress(state: OrderState) -> tuple[Any, ...]:
    """What only ever grows in an order's life comes first; its payment status may fall back when an edit adds to it."""
    ordered = sum(line.quantity for line in state.lines)
    left = sum(line.quantity if line.current is None else line.current for line in state.lines)
    cancelled = state.cancelled_at is not None
    return state.updated_at, ordered, ordered - left, cancelled, STATUS_RANK.get(state.status, -1)


def merge_refunds(known: Refunds, arrived: Iterable[Refund]) -> dict[int, Refund]:
    """Refunds by id. One that comes twice is the same refund; the fuller telling of it stays."""
    merged = dict(known)
    for refund in arrived:
        held = merged.get(refund.id)
        if held is None or (len(refund.lines), repr(refund)) > (len(held.lines), repr(held)):
            merged[refund.id] = refund
    return merged


class Policy(Struct, frozen=True):
    """Which money of an order counts."""

    include_tax: bool = False
    include_shipping: bool = False


class LineSpend(Struct, frozen=True):
    """What one line counts, in minor units: `gross` as the order stands after edits, `refunded` of it since.

    `units` are those left after both.
    """

    line_id: int
    title: str
    gross: int
    refunded: int
    excluded: str | None
    units: int = 0

    @property
    def net(self) -> int:
        return self.gross - self.refunded


class Spend(Struct, frozen=True):
    """Eligible spend of an order. `refunds` holds (refund id, when, amount) with amounts that sum to `refunded`."""

    lines: tuple[LineSpend, ...]
    gross: int
    refunds: tuple[tuple[int, datetime, int], ...]
    refunded: int

    @property
    def net(self) -> int:
        return self.gross - self.refunded


def eligible_spend(order: OrderState, refunds: Refunds, policy: Policy) -> Spend:
    """Merchandise net of discounts, less what was refunded; gift cards and tips out, tax and shipping by policy."""
    in_order = sorted(refunds.values(), key=lambda refund: (refund.created_at, refund.id))
    given_back: dict[int, int] = {}
    lines = [_line_spend(line, order, in_order, policy, given_back) for line in order.lines]
    gross = sum(line.gross for line in lines)
    if policy.include_shipping:
        gross += _refund_shipping(order, in_order, policy, given_back)
    dated = tuple(
        (r.id, max(r.created_at, order.processed_at), amount) for r in in_order if (amount := given_back.get(r.id))
    )
    return Spend(tuple(lines), gross, dated, sum(given_back.values()))


def _line_spend(
    line: Line, order: OrderState, refunds: list[Refund], policy: Policy, given_back: dict[int, int]
) -> LineSpend:
    if line.excluded or line.quantity <= 0:
        return LineSpend(line.id, line.title, 0, 0, line.excluded)
    net = max(0, line.price * line.quantity - line.discount + _tax_effect(line.tax, order, policy))
    parts = [(refund.id, part) for refund in refunds for part in refund.lines if part.line_id == line.id]
    refunded_units = sum(part.quantity for _, part in parts)
    # Units gone without a refund of theirs were taken off by an edit: the order is what it was edited to.
    edited_units = max(0, line.quantity - line.current - refunded_units) if line.current is not None else 0
    gross = net * (line.quantity - min(edited_units, line.quantity)) // line.quantity
    left = gross
    for refund_id, part in parts:
        whole = refunded_units + edited_units >= line.quantity and part is parts[-1][1]
        amount = left if whole else min(left, _refunded_amount(part, line, net, policy))
        given_back[refund_id] = given_back.get(refund_id, 0) + amount
        left -= amount
    units = max(0, line.quantity - edited_units - refunded_units)
    return LineSpend(line.id, line.title, gross, gross - left, None, units)


def _refunded_amount(part: RefundLine, line: Line, net: int, policy: Policy) -> int:
    """A refunded line's subtotal is without tax, also where prices include it; its tax is told beside it."""
    if part.subtotal is None:
        return net * min(part.quantity, line.quantity) // line.quantity
    return max(0, part.subtotal + (part.tax if policy.include_tax else 0))


def _tax_effect(tax: int, order: OrderState, policy: Policy) -> int:
    """Prices hold the tax where taxes are included, and lack it elsewhere; the policy says which is wanted."""
    if order.taxes_included:
        return 0 if policy.include_tax else -tax
    return tax if policy.include_tax else 0


def _refund_shipping(order: OrderState, refunds: list[Refund], policy: Policy, given_back: dict[int, int]) -> int:
    shipping = max(0, order.shipping + _tax_effect(order.shipping_tax, order, policy))
    left = shipping
    for refund in refunds:
        amount = min(left, max(0, refund.shipping))
        given_back[refund.id] = given_back.get(refund.id, 0) + amount
        left -= amount
    return shipping


class Fact(Struct, frozen=True):
    """A change of what qualifies for tiers at a moment: in minor units, in orders and, where asked for, in points.

    `cause` is `order`, `refund:<id>` or `cancel`.
    """

    cause: str
    at: datetime
    amount: int
    orders: int = 0
    points: int = 0


def spend_facts(order: OrderState, spend: Spend, deleted_at: datetime | None = None) -> tuple[Fact, ...]:
    """What an order adds to and takes from its member's qualifying spend, each at its own moment.

    Only paid orders count. A refund counts from the refund on and a cancel from the cancel on, so neither takes back
    the tier under which another order was placed in between.
    """
    if order.status not in PAID or order.test:
        return ()
    ended_at = min((moment for moment in (order.cancelled_at, deleted_at) if moment), default=None)
    if ended_at is not None:
        ended_at = max(ended_at, order.processed_at)
    refunds = [entry for entry in spend.refunds if ended_at is None or entry[1] <= ended_at]
    facts = [Fact("order", order.processed_at, spend.gross, 1)]
    facts += [Fact(f"refund:{refund_id}", at, -amount) for refund_id, at, amount in refunds]
    if ended_at is not None:
        facts.append(Fact("cancel", ended_at, -(spend.gross - sum(amount for _, _, amount in refunds)), -1))
    return tuple(fact for fact in facts if fact.amount or fact.orders)


def orders_at(facts: Iterable[Fact], moment: datetime) -> int:
    """How many orders these facts add at one moment."""
    return sum(fact.orders for fact in facts if fact.at == moment)


class Move(Struct, frozen=True):
    """A posting about to be made: points from one bucket to another."""

    kind: str
    source: str
    target: str
    points: int


def moves(pending: int, available: int, wanted_pending: int, wanted_available: int) -> tuple[Move, ...]:
    """The fewest moves from what an order has earned to what it should have earned.

    What can pass between pending and available does (a release, or a release undone); only the rest is earned anew
    or reversed.
    """
    more_pending, more_available = wanted_pending - pending, wanted_available - available
    passed = max(0, min(-more_pending, more_available))
    held = max(0, min(more_pending, -more_available))
    more_pending += passed - held
    more_available += held - passed
    made = [
        Move("release", "pending", "available", passed),
        Move("reversal", "available", "pending", held),
        Move("earn", "issued", "pending", more_pending),
        Move("earn", "issued", "available", more_available),
        Move("reversal", "pending", "issued", -more_pending),
        Move("reversal", "available", "issued", -more_available),
    ]
    return tuple(move for move in made if move.points > 0)


class Balance(Struct, frozen=True):
    """A member's points: what can be spent, what is on its way, and all that was ever earned and kept."""

    available: int = 0
    pending: int = 0
    lifetime: int = 0

    def after(self, move: Move) -> "Balance":
        """The balance once `move` is posted."""
        points = move.points
        return Balance(
            self.available + points * ((move.target == "available") - (move.source == "available")),
            self.pending + points * ((move.target == "pending") - (move.source == "pending")),
            self.lifetime + points * ((move.source == "issued") - (move.target == "issued")),
        )
