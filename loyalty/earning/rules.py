"""What an order should have earned, from its eligible spend, the terms of its time and its member's circumstances.

    what the lines come to x points per currency unit x the tier's multiplier
    + what bonuses bring
    = one floor, at the end

A multiplier bonus adds (multiplier - 1) times what its matching lines earn, the tier's multiplier included; a fixed
bonus adds its points once an order or once an item. Where the program says `best`, a line counts for one bonus only:
the bonus that brings most takes its lines, the next one what is left, and so on. Where it says `stack`, every bonus
counts. What a limited rule brings is floored by itself before its limit cuts it, for limits are in whole points.

Pure: no database, no HTTP, no clock. Money is minor units; exact integers of a tiny unit stand for fractions of points.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from loyalty.rules import HOLDING, PAID, Fact, OrderState, Policy, Refund, Refunds, Spend, eligible_spend

# Rates and multipliers have at most four decimals.
_EXACT = 10**4


class Limit(Struct, frozen=True):
    """How much a rule may bring one member, in points and in times (orders), on one day of the shop and ever.

    What the rule brought under versions in which it had no limit does not count.
    """

    points_per_day: int | None = None
    points_ever: int | None = None
    times_per_day: int | None = None
    times_ever: int | None = None


class Used(Struct, frozen=True):
    """How much of a limit is used already."""

    points_today: int = 0
    points_ever: int = 0
    times_today: int = 0
    times_ever: int = 0


def room(limit: Limit, used: Used) -> int | None:
    """The points that are left under a limit, 0 when its times are used up, None when there is no end of points."""
    if limit.times_per_day is not None and used.times_today >= limit.times_per_day:
        return 0
    if limit.times_ever is not None and used.times_ever >= limit.times_ever:
        return 0
    left = None if limit.points_per_day is None else max(0, limit.points_per_day - used.points_today)
    if limit.points_ever is not None:
        ever = max(0, limit.points_ever - used.points_ever)
        left = ever if left is None else min(left, ever)
    return left


class Bonus(Struct, frozen=True):
    """A bonus of a program version, ready for use. Empty sets match everything; words are compared without case."""

    rule: str
    name: str
    points: int = 0
    per_item: bool = False
    multiplier: Fraction | None = None
    products: frozenset[int] = frozenset()
    variants: frozenset[int] = frozenset()
    collections: frozenset[int] = frozenset()
    vendors: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    minimum_spend: int = 0
    order_number: int | None = None
    channel: str | None = None
    tiers: frozenset[str] = frozenset()
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    limit: Limit | None = None

    @property
    def is_for_all(self) -> bool:
        return not (self.products or self.variants or self.collections or self.vendors or self.tags)

    @property
    def wants_labels(self) -> bool:
        return bool(self.collections or self.tags)

    def runs(self, moment: datetime) -> bool:
        return (self.starts_at is None or moment >= self.starts_at) and (self.ends_at is None or moment < self.ends_at)


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
    ends_at: datetime | None = None
    tiers: frozenset[str] = frozenset()
    on_fulfilled: bool = False
    limit: Limit | None = None
    bonuses: tuple[Bonus, ...] = ()
    best: bool = True


class Labels(Struct, frozen=True):
    """What rules ask of a product: its tags in lower case, and the ids of its collections."""

    tags: frozenset[str] = frozenset()
    collections: frozenset[int] = frozenset()


class Circumstances(Struct, frozen=True):
    """What held for an order's member when it was placed: the how manieth order it is, and what limits have given.

    `used` is by rule, `labels` by product; a product whose labels are not known yet matches no tag and no collection.
    `blocked`: the shop had said that the member earns nothing.
    """

    order_number: int = 1
    used: Mapping[str, Used] = {}
    labels: Mapping[int, Labels] = {}
    blocked: bool = False


ORDINARY = Circumstances()


class Target(Struct, frozen=True):
    """What an order should have earned by now. `release_at` is when pending points become available, if by time.

    `uses` are the points that limited rules brought, by rule.
    """

    pending: int
    available: int
    release_at: datetime | None
    explanation: dict[str, Any]
    uses: tuple[tuple[str, int], ...] = ()


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
    return _outside(order, terms)


def _outside(order: OrderState, terms: Terms) -> str | None:
    if terms.starts_at is not None and order.processed_at < terms.starts_at:
        return "before_start"
    if terms.ends_at is not None and order.processed_at >= terms.ends_at:
        return "after_end"
    if terms.tiers and terms.tier_key not in terms.tiers:
        return "not_this_tier"
    return None


class Granted(NamedTuple):
    """What one bonus brings, in units of 1 / `scale` points."""

    bonus: Bonus
    amount: int


class Earned(NamedTuple):
    """The sum before the floor, in units of 1 / `scale` points: the base and each bonus."""

    scale: int
    base: int
    granted: tuple[Granted, ...]
    # Whether a limit took whole points off the base.
    cut: bool = False

    @property
    def points(self) -> int:
        return (self.base + sum(grant.amount for grant in self.granted)) // self.scale


class _Part(NamedTuple):
    """A part of an order that bonuses may match: the line in this place, or its shipping."""

    place: int
    net: int
    units: int
    product: int | None = None
    variant: int | None = None
    vendor: str | None = None


def earned(order: OrderState, spend: Spend, terms: Terms, circumstances: Circumstances = ORDINARY) -> Earned:
    """What the order's spend is worth under its terms, exact until the floor."""
    scale = 10**order.digits * _EXACT**3
    # Points of one minor unit, in 1 / scale.
    unit = _exact(terms.rate) * _exact(terms.multiplier) * _EXACT
    full = max(0, spend.net) * unit
    base = _cut(full, scale, terms.limit, circumstances.used.get(terms.rule))
    granted = tuple(_grants(order, spend, terms, circumstances, scale, unit)) if terms.bonuses else ()
    return Earned(scale, base, granted, cut=full // scale > base // scale)


def _exact(value: Fraction) -> int:
    return value.numerator * _EXACT // value.denominator


def _cut(amount: int, scale: int, limit: Limit | None, used: Used | None) -> int:
    """An amount as its limit leaves it."""
    if limit is None:
        return amount
    whole, left = amount // scale, room(limit, used or Used())
    return (whole if left is None else min(whole, left)) * scale


def _grants(
    order: OrderState, spend: Spend, terms: Terms, circumstances: Circumstances, scale: int, unit: int
) -> list[Granted]:
    parts, labels, used = _parts(order, spend), circumstances.labels, circumstances.used
    every = tuple(parts)
    offered = []
    for bonus in terms.bonuses:
        if _applies(bonus, order, spend, terms, circumstances):
            matched = every if bonus.is_for_all else tuple([part for part in every if _matches(bonus, part, labels)])
            if matched:
                amount = _cut(_worth(bonus, matched, scale, unit), scale, bonus.limit, used.get(bonus.rule))
                offered.append((amount, bonus, matched))
    if not terms.best:
        return [Granted(bonus, amount) for amount, bonus, _ in offered if amount > 0]
    offered.sort(key=_best_first)
    granted, taken = [], set[int]()
    for amount, bonus, matched in offered:
        left = tuple([part for part in matched if part.place not in taken]) if taken else matched
        if len(left) < len(matched):
            amount = _cut(_worth(bonus, left, scale, unit), scale, bonus.limit, used.get(bonus.rule)) if left else 0
        if amount > 0:
            granted.append(Granted(bonus, amount))
            taken.update([part.place for part in left])
    return granted


def _best_first(offer: tuple[int, Bonus, tuple["_Part", ...]]) -> tuple[int, str]:
    return -offer[0], offer[1].rule


def _parts(order: OrderState, spend: Spend) -> list[_Part]:
    """What is left of the order in parts. Shipping, where it counts, is no product, but earns what every line earns."""
    parts = [
        _Part(place, counted.net, counted.units, line.product_id, line.variant_id, line.vendor)
        for place, (line, counted) in enumerate(zip(order.lines, spend.lines, strict=True))
        if not counted.excluded and counted.units > 0
    ]
    shipping = spend.net - sum([part.net for part in parts])
    return [*parts, _Part(-1, shipping, 0)] if shipping > 0 else parts


def _applies(bonus: Bonus, order: OrderState, spend: Spend, terms: Terms, circumstances: Circumstances) -> bool:
    return (
        spend.net >= bonus.minimum_spend
        and bonus.runs(order.processed_at)
        and (bonus.channel is None or bonus.channel == channel(order))
        and (not bonus.tiers or terms.tier_key in bonus.tiers)
        and (bonus.order_number is None or bonus.order_number == circumstances.order_number)
    )


def channel(order: OrderState) -> str:
    """`pos` for Shopify's point of sale (`source_name` "pos"), else `online`."""
    return "pos" if order.source_name == "pos" else "online"


def _matches(bonus: Bonus, part: _Part, labels: Mapping[int, Labels]) -> bool:
    if part.product in bonus.products or part.variant in bonus.variants:
        return True
    if bonus.vendors and part.vendor is not None and part.vendor.casefold() in bonus.vendors:
        return True
    known = labels.get(part.product or 0)
    if known is None:
        return False
    return not (known.tags.isdisjoint(bonus.tags) and known.collections.isdisjoint(bonus.collections))


def _worth(bonus: Bonus, parts: tuple[_Part, ...], scale: int, unit: int) -> int:
    if bonus.multiplier is not None:
        return sum([part.net for part in parts]) * unit * (_exact(bonus.multiplier) - _EXACT) // _EXACT
    if bonus.per_item:
        return bonus.points * sum([part.units for part in parts]) * scale
    # Shipping has no units and comes last.
    return bonus.points * scale if parts[0].units else 0


def target(
    order: OrderState,
    spend: Spend,
    terms: Terms,
    *,
    now: datetime,
    deleted_at: datetime | None = None,
    circumstances: Circumstances = ORDINARY,
) -> Target:
    """What the order should have earned, with the inputs and the arithmetic that say why."""
    refused = refusal(order, terms, deleted_at) or ("blocked" if circumstances.blocked else None)
    sums = None if refused else earned(order, spend, terms, circumstances)
    points = sums.points if sums else 0
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
    if sums is None:
        explanation["refused"] = refused
        return Target(0, 0, None, explanation)
    _explain_sums(explanation, sums)
    release_at, waits = _release(order, terms, now)
    if waits:
        explanation["waits"] = waits
    if release_at:
        explanation["available_at"] = release_at.isoformat()
    uses = _uses(terms, sums)
    return Target(points, 0, release_at, explanation, uses) if waits else Target(0, points, None, explanation, uses)


def _explain_sums(explanation: dict[str, Any], sums: Earned) -> None:
    """Only what is out of the ordinary is told: bonuses, and a base that a limit cut."""
    if sums.granted:
        explanation["bonuses"] = [_told(grant, sums.scale) for grant in sums.granted]
    if sums.cut:
        explanation["limited_to"] = sums.base // sums.scale


def _told(grant: Granted, scale: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "rule": grant.bonus.rule,
        "name": grant.bonus.name,
        "points": decimal_text(Fraction(grant.amount, scale)) if grant.amount % scale else str(grant.amount // scale),
    }
    if grant.bonus.multiplier is not None:
        told["multiplier"] = decimal_text(grant.bonus.multiplier)
    return told


def _release(order: OrderState, terms: Terms, now: datetime) -> tuple[datetime | None, str | None]:
    """When pending points become available if that is known, and what they wait for: payment, fulfilment, days."""
    if order.status in HOLDING:
        return None, "payment"
    begins = order.paid_at
    if terms.on_fulfilled:
        if order.fulfilled_at is None:
            return None, "fulfilment"
        begins = max(begins, order.fulfilled_at)
    release_at = begins + terms.waiting
    return (release_at, "days") if terms.waiting and release_at > now else (None, None)


def _uses(terms: Terms, sums: Earned) -> tuple[tuple[str, int], ...]:
    base = [(terms.rule, sums.base // sums.scale)] if terms.limit is not None and sums.base else []
    bonuses = [
        (grant.bonus.rule, grant.amount // sums.scale) for grant in sums.granted if grant.bonus.limit is not None
    ]
    return (*base, *bonuses)


def with_points(
    facts: Iterable[Fact], order: OrderState, refunds: Refunds, terms: Terms, circumstances: Circumstances
) -> tuple[Fact, ...]:
    """An order's facts with the points that each brought or took, for ladders that go by points earned.

    The sum after any fact is what the order was worth at that moment.
    """
    had, counted, told = 0, dict[int, Refund](), []
    outside = _outside(order, terms)
    for fact in sorted(facts, key=lambda fact: (fact.at, fact.cause != "order")):
        if fact.cause.startswith("refund:"):
            refund = int(fact.cause.removeprefix("refund:"))
            counted[refund] = refunds[refund]
        worth = 0
        if fact.cause != "cancel" and not outside:
            then = _before(order, [refund for number, refund in refunds.items() if number not in counted])
            worth = earned(then, eligible_spend(then, counted, terms.policy), terms, circumstances).points
        told.append(replace(fact, points=worth - had))
        had = worth
    return tuple(told)


def _before(order: OrderState, refunds: Iterable[Refund]) -> OrderState:
    """The order as it stood before these refunds: what they took off its lines was still there."""
    taken = Counter[int]()
    for refund in refunds:
        taken.update({part.line_id: part.quantity for part in refund.lines})
    lines = [
        line if line.current is None or not taken[line.id] else replace(line, current=line.current + taken[line.id])
        for line in order.lines
    ]
    return replace(order, lines=tuple(lines))


@functools.lru_cache(maxsize=4096)
def decimal_text(value: Fraction) -> str:
    """A rate or multiplier as people write it: 5/4 is "1.25", 1 is "1"."""
    return f"{value.numerator / value.denominator:.4f}".rstrip("0").rstrip(".")


def why(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> str:
    """What changed between two explanations of one order, as a stable code that the portal puts in words."""
    if before is None or not before.get("points"):
        return "earned"
    if after.get("refused"):
        return str(after["refused"])
    for field, code in (
        ("refunded", "refund"),
        ("spend", "edit"),
        ("multiplier", "tier"),
        ("status", "payment"),
        ("bonuses", "bonus"),
        ("limited_to", "limit"),
    ):
        if before.get(field) != after.get(field):
            return code
    return "settled_again"
