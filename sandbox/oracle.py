"""What members should have under the demo program, worked out from the store's final orders alone.

Shares no code with the app or with the rest of the sandbox, so that agreement means something. Input is order
payloads in their final state (dicts as in `orders/updated`) and customer payloads. The rules:

- Eligible spend of an order: its lines less discount allocations, without gift cards and tips, without tax where
  prices include it; a line from which edits removed units counts in proportion, floored to the minor unit. Refunded
  lines take their `subtotal` off. Never below zero.
- Points: eligible spend x rate x the multiplier of the tier the member held when the order was placed, one floor.
  Paid orders hold theirs in `available`, unpaid ones in `pending`; voided, cancelled and test orders earn nothing.
- Tier at a moment: the ladder applied to the spend of other paid orders placed in the 365 days before it (the moment
  itself not included), less refunds and cancellations that happened in those days.
- A guest's order (no customer) belongs to the customer with the same e-mail address; until there is one it is held.
"""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

YEAR = 365 * 86_400
PAID = {"paid", "partially_refunded", "refunded"}
UNPAID = {"pending", "authorized", "partially_paid"}
DIGITS = defaultdict(lambda: 2, JPY=0, KRW=0, VND=0, CLP=0, KWD=3, BHD=3, JOD=3, OMR=3, TND=3)


class Program(NamedTuple):
    """Ladder: (tier, spend from which it holds in currency units, numerator and denominator of its multiplier)."""

    joining: int = 50
    rate: int = 1
    ladder: tuple[tuple[str, int, int, int], ...] = (
        ("insider", 0, 1, 1),
        ("advocate", 500, 5, 4),
        ("ambassador", 1500, 3, 2),
    )


class Fact(NamedTuple):
    """Spend that arose (or, negative, went back) at a moment, in minor units."""

    at: float
    order: int
    amount: int


@dataclass
class Member:
    """`points` and `tiers` are per order id: what the order holds, and the tier it was placed in."""

    customer_id: int | None
    email: str
    available: int = 0
    pending: int = 0
    tier: str = "insider"
    points: dict[int, int] = field(default_factory=dict)
    tiers: dict[int, str] = field(default_factory=dict)


class Books(NamedTuple):
    """`members` by customer id; `held` by e-mail address: guests' orders nobody has claimed."""

    members: dict[int, Member]
    held: dict[str, Member]

    @property
    def available(self) -> int:
        return sum(member.available for member in self.members.values())

    @property
    def pending(self) -> int:
        return sum(member.pending for member in self.members.values())


def books(
    orders: Iterable[dict[str, Any]],
    customers: Iterable[dict[str, Any]] = (),
    *,
    at: float | None = None,
    program: Program | None = None,
) -> Books:
    """Points and tier of every customer. `at` (epoch seconds) is the moment of `Member.tier`; default: after all."""
    program = program or Program()
    members: dict[int, Member] = {}
    for customer in customers:
        enrol(members, customer)
    kept = [summary(order) for order in orders]
    for order in kept:
        if order.customer:
            enrol(members, order.customer)
    by_email = {member.email: member for member in members.values() if member.email}
    held: dict[str, Member] = {}
    owned: dict[int, tuple[Member, list[Summary]]] = {}
    for order in kept:
        member = owner(order, members, by_email, held)
        owned.setdefault(id(member), (member, []))[1].append(order)
    for member, theirs in owned.values():
        settle(member, theirs, at, program)
    for member in members.values():
        member.available += program.joining
    return Books(members, held)


def enrol(members: dict[int, Member], customer: dict[str, Any]) -> None:
    members.setdefault(customer["id"], Member(customer["id"], (customer.get("email") or "").lower()))


class Summary(NamedTuple):
    """The few numbers of an order that matter. `spend` is before, `left` after refunds."""

    id: int
    placed_at: float
    status: str
    cancelled: bool
    test: bool
    customer: dict[str, Any] | None
    email: str
    digits: int
    spend: int
    left: int
    facts: list[Fact]


def summary(order: dict[str, Any]) -> Summary:
    digits = DIGITS[order["currency"]]
    placed = moment(order["processed_at"])
    lines = {line["id"]: line for line in order["line_items"] if not line["gift_card"] and not is_tip(line)}
    back = [(moment(refund["created_at"]), refunded(refund, lines, digits)) for refund in order["refunds"]]
    spend = sum(line_spend(order, line, digits) for line in lines.values())
    left = max(0, spend - sum(amount for _, amount in back))
    facts = []
    if order["financial_status"] in PAID and not order["test"]:
        facts = [Fact(placed, order["id"], spend), *(Fact(when, order["id"], -amount) for when, amount in back)]
        if order["cancelled_at"]:
            facts.append(Fact(moment(order["cancelled_at"]), order["id"], -left))
    return Summary(
        order["id"],
        placed,
        order["financial_status"],
        bool(order["cancelled_at"]),
        order["test"],
        order["customer"],
        (order["email"] or "").lower(),
        digits,
        spend,
        left,
        facts,
    )


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def minor(pair: dict[str, Any], digits: int) -> int:
    return int(Decimal(pair["shop_money"]["amount"]).scaleb(digits))


def is_tip(line: dict[str, Any]) -> bool:
    return line["product_id"] is None and line["title"] == "Tip"


def line_spend(order: dict[str, Any], line: dict[str, Any], digits: int) -> int:
    quantity: int = line["quantity"]
    amount = minor(line["price_set"], digits) * quantity
    amount -= sum(minor(share["amount_set"], digits) for share in line["discount_allocations"])
    if order["taxes_included"]:
        amount -= sum(minor(tax["price_set"], digits) for tax in line["tax_lines"])
    back = [entry for refund in order["refunds"] for entry in refund["refund_line_items"]]
    refunded_units: int = sum(entry["quantity"] for entry in back if entry["line_item_id"] == line["id"])
    return amount * (int(line["current_quantity"]) + refunded_units) // quantity


def refunded(refund: dict[str, Any], lines: dict[int, dict[str, Any]], digits: int) -> int:
    back = (entry for entry in refund["refund_line_items"] if entry["line_item_id"] in lines)
    return sum(minor(entry["subtotal_set"], digits) for entry in back)


def owner(order: Summary, members: dict[int, Member], by_email: dict[str, Member], held: dict[str, Member]) -> Member:
    if order.customer:
        return members[order.customer["id"]]
    if order.email in by_email:
        return by_email[order.email]
    return held.setdefault(order.email, Member(None, order.email))


def settle(member: Member, orders: list[Summary], at: float | None, program: Program) -> None:
    facts = sorted(fact for order in orders for fact in order.facts)
    window = Window(facts)
    for order in orders:
        others = window.spend(order.placed_at) - own(order)
        tier, _, up, down = rung(program, others, order.digits)
        member.tiers[order.id] = tier
        if order.test or order.cancelled or order.status not in PAID | UNPAID:
            continue
        points = order.left * program.rate * up // (down * 10**order.digits)
        member.points[order.id] = points
        if order.status in PAID:
            member.available += points
        else:
            member.pending += points
    latest = at if at is not None else max(fact.at for fact in facts) + 1 if facts else 0
    member.tier = rung(program, window.spend(latest), orders[0].digits)[0]


def own(order: Summary) -> int:
    """The order's own facts inside its window, for a clock that put a refund before the order."""
    start = order.placed_at - YEAR
    return sum(fact.amount for fact in order.facts if start <= fact.at < order.placed_at)


class Window:
    """Sums of the 365 days before a moment, from running totals."""

    def __init__(self, facts: list[Fact]) -> None:
        self.times = [fact.at for fact in facts]
        self.totals = [0]
        for fact in facts:
            self.totals.append(self.totals[-1] + fact.amount)

    def spend(self, at: float) -> int:
        return self.totals[bisect_left(self.times, at)] - self.totals[bisect_left(self.times, at - YEAR)]


def rung(program: Program, spend: int, digits: int) -> tuple[str, int, int, int]:
    reached = [step for step in program.ladder if spend >= step[1] * 10**digits]
    return reached[-1] if reached else program.ladder[0]


def manifest(result: Books) -> dict[str, Any]:
    """The books as plain data for a JSON file."""
    return {
        "available": result.available,
        "pending": result.pending,
        "members": {str(key): vars(member) for key, member in sorted(result.members.items())},
        "held": {key: vars(member) for key, member in sorted(result.held.items())},
    }


def read_lines(path: str) -> Iterator[dict[str, Any]]:
    """Orders from a file with one JSON object a line."""
    with open(path, encoding="utf-8") as lines:
        yield from map(json.loads, lines)
