"""The thinking behind points: what of an order counts, what it should have earned, and which moves get there.

Pure functions over frozen values: no database, no HTTP, no clock. Money is minor units, points are integers.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from msgspec import Struct

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


class Line(Struct, frozen=True):
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


class OrderState(Struct, frozen=True):
    """A snapshot of an order as far as points care; refunds are kept beside it, for they come on their own too."""

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
    """What one line counts, in minor units: `gross` as the order stands after edits, `refunded` of it since."""

    line_id: int
    title: str
    gross: int
    refunded: int
    excluded: str | None


class Spend(Struct, frozen=True):
    """Eligible spend of an order. `refunds` holds (refund id, when, amount) with amounts that sum to `refunded`."""

    lines: tuple[LineSpend, ...]
    gross: int
    refunds: tuple[tuple[int, datetime, int], ...]

    @property
    def refunded(self) -> int:
        return sum(amount for _, _, amount in self.refunds)

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
    dated = tuple((r.id, max(r.created_at, order.processed_at), given_back.get(r.id, 0)) for r in in_order)
    return Spend(tuple(lines), gross, tuple(entry for entry in dated if entry[2]))


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
    return LineSpend(line.id, line.title, gross, gross - left, None)


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
    """A change of qualifying spend at a moment, in minor units. `cause` is `order`, `refund:<id>` or `cancel`."""

    cause: str
    at: datetime
    amount: int


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
    facts = [Fact("order", order.processed_at, spend.gross)]
    facts += [Fact(f"refund:{refund_id}", at, -amount) for refund_id, at, amount in refunds]
    if ended_at is not None:
        facts.append(Fact("cancel", ended_at, -(spend.gross - sum(amount for _, _, amount in refunds))))
    return tuple(fact for fact in facts if fact.amount)


class Terms(Struct, frozen=True):
    """What an order is settled under: the program version in force when it was placed, and its member's tier then."""

    version: int
    rule: str
    rate: Fraction
    tier_key: str
    multiplier: Fraction
    policy: Policy
    waiting: timedelta = timedelta()
    starts_at: datetime | None = None


class Target(Struct, frozen=True):
    """What an order should have earned by now. `release_at` is when pending points become available, if by time."""

    pending: int
    available: int
    release_at: datetime | None
    explanation: dict[str, Any]


def points_for(eligible: int, digits: int, rate: Fraction, multiplier: Fraction) -> int:
    """Eligible spend in currency units x rate x multiplier, exact until the one floor at the end."""
    exact = Fraction(max(0, eligible), 10**digits) * rate * multiplier
    return exact.numerator // exact.denominator


def refusal(order: OrderState, terms: Terms, deleted_at: datetime | None) -> str | None:
    """Why an order earns nothing at all, as a stable code, or None."""
    if order.test:
        return "test_order"
    if deleted_at is not None:
        return "deleted"
    if order.cancelled_at is not None:
        return "cancelled"
    if order.status in ("voided", "expired"):
        return order.status
    if order.status not in HOLDING and order.status not in PAID:
        return "unknown_status"
    if terms.starts_at is not None and order.processed_at < terms.starts_at:
        return "before_start"
    return None


def target(
    order: OrderState, spend: Spend, terms: Terms, *, now: datetime, deleted_at: datetime | None = None
) -> Target:
    """What the order should have earned, with the inputs and the arithmetic that say why."""
    refused = refusal(order, terms, deleted_at)
    points = 0 if refused else points_for(spend.net, order.digits, terms.rate, terms.multiplier)
    explanation = {
        "rule": terms.rule,
        "order": order.name,
        "currency": order.currency,
        "spend": spend.gross,
        "refunded": spend.refunded,
        "eligible": 0 if refused else spend.net,
        "rate": decimal_text(terms.rate),
        "tier": terms.tier_key,
        "multiplier": decimal_text(terms.multiplier),
        "status": order.status,
        "points": points,
    }
    if refused:
        explanation["refused"] = refused
        return Target(0, 0, None, explanation)
    if order.status in HOLDING:
        return Target(points, 0, None, explanation)
    release_at = order.processed_at + terms.waiting
    if terms.waiting and release_at > now:
        return Target(points, 0, release_at, explanation)
    return Target(0, points, None, explanation)


def decimal_text(value: Fraction) -> str:
    """A rate or multiplier as people write it: 5/4 is "1.25", 1 is "1"."""
    return f"{value.numerator / value.denominator:.4f}".rstrip("0").rstrip(".")


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


def why(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> str:
    """What changed between two explanations of one order, as a stable code that the portal puts in words."""
    if before is None or not before.get("points"):
        return "earned"
    if after.get("refused"):
        return str(after["refused"])
    for field, code in (("refunded", "refund"), ("spend", "edit"), ("multiplier", "tier"), ("status", "payment")):
        if before.get(field) != after.get(field):
            return code
    return "settled_again"
