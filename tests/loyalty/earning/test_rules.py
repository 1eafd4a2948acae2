"""Bonuses, limits and waiting: tables of money in, points out. Prices in dollars, a point per dollar unless said."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from loyalty.earning.rules import Bonus, Circumstances, Labels, Limit, Terms, Used, earned, room, target, with_points
from loyalty.rules import Line, OrderState, Policy, Refund, RefundLine, eligible_spend, spend_facts

T0 = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY = timedelta(days=1)

# A basket of three things: $40 beans (two bags), a $30 mug, a $10 filter.
BEANS = Line(1, "Beans", 2, None, 2000, 0, 0, product_id=11, variant_id=111, vendor="North Pier")
MUG = Line(2, "Mug", 1, None, 3000, 0, 0, product_id=12, variant_id=121, vendor="Kiln")
FILTER = Line(3, "Filter", 1, None, 1000, 0, 0, product_id=13, variant_id=131, vendor="north pier")
LABELS = {
    11: Labels(frozenset({"coffee", "sale"}), frozenset({501})),
    12: Labels(frozenset({"ceramics"}), frozenset({502})),
    13: Labels(frozenset(), frozenset({501})),
}


def basket(*lines: Line, **other: Any) -> OrderState:
    values: dict[str, Any] = {
        "order_id": 7, "name": "#7", "processed_at": T0, "updated_at": T0, "status": "paid", "cancelled_at": None,
        "test": False, "currency": "USD", "digits": 2, "taxes_included": False, "shipping": 0, "shipping_tax": 0,
        "lines": lines or (BEANS, MUG, FILTER), "source_name": "web",
    } | other  # fmt: skip
    return OrderState(**values)


def terms(*bonuses: Bonus, multiplier: str = "1", rate: str = "1", **other: Any) -> Terms:
    return Terms(1, "order-points", Fraction(rate), "insider", Fraction(multiplier), Policy(), bonuses=bonuses, **other)


def times(rule: str, multiplier: str = "2", **other: Any) -> Bonus:
    return Bonus(rule, rule.title(), multiplier=Fraction(multiplier), **other)


def plus(rule: str, points: int = 50, **other: Any) -> Bonus:
    return Bonus(rule, rule.title(), points=points, **other)


def points(order: OrderState, terms: Terms, *refunds: Refund, **circumstances: Any) -> int:
    spend = eligible_spend(order, {refund.id: refund for refund in refunds}, terms.policy)
    return earned(order, spend, terms, Circumstances(**{"labels": LABELS} | circumstances)).points


# The basket of $80 with one bonus each.
ONE_BONUS = [
    ("double everything", times("weekend"), 160),
    ("one and a half on a product", times("beans", "1.5", products=frozenset({11})), 100),
    ("double a variant", times("mug", variants=frozenset({121})), 110),
    ("double a collection", times("brew", collections=frozenset({501})), 130),
    ("double a vendor, however it is written", times("pier", vendors=frozenset({"north pier"})), 130),
    ("double a tag", times("sale", tags=frozenset({"sale"})), 120),
    ("a tag nothing has", times("new", tags=frozenset({"new"})), 80),
    ("fixed points an order", plus("fifty"), 130),
    (
        "fixed points an item: two bags and a filter",
        plus("bags", 5, per_item=True, vendors=frozenset({"north pier"})),
        95,
    ),
    ("from $80 on", plus("big", minimum_spend=8000), 130),
    ("from $80.01 on", plus("bigger", minimum_spend=8001), 80),
    ("first order", plus("first", order_number=1), 130),
    ("third order", plus("third", order_number=3), 80),
    ("online", plus("web", channel="online"), 130),
    ("at the till", plus("till", channel="pos"), 80),
    ("for another tier", plus("gold", tiers=frozenset({"gold"})), 80),
    ("for this tier", plus("mine", tiers=frozenset({"insider"})), 130),
    ("running", times("now", starts_at=T0, ends_at=T0 + DAY), 160),
    ("just over", times("over", starts_at=T0 - DAY, ends_at=T0), 80),
    ("not yet", times("soon", starts_at=T0 + timedelta(seconds=1)), 80),
]


@pytest.mark.parametrize(("story", "bonus", "expected"), ONE_BONUS, ids=[row[0] for row in ONE_BONUS])
def test_one_bonus(story: str, bonus: Bonus, expected: int) -> None:
    assert points(basket(), terms(bonus)) == expected


# What two overlapping bonuses bring together: only the best for each line, or all of them.
WEEKEND, PIER, FIFTY = times("weekend"), times("pier", "3", vendors=frozenset({"north pier"})), plus("fifty")
STACKING = [
    # pier takes beans and filter (+100), the weekend what is left: the mug (+30)
    ((WEEKEND, PIER), 210, 80 + 80 + 100),
    ((times("a", "3"), times("b", "2")), 240, 80 + 160 + 80),  # the better campaign wins
    ((WEEKEND, FIFTY), 160, 80 + 80 + 50),  # doubling brings 80, so the fifty finds no line left
    ((PIER, FIFTY), 230, 80 + 100 + 50),  # pier leaves the mug to the fifty
    ((times("same"), times("twin")), 160, 80 + 80 + 80),
]


@pytest.mark.parametrize(("bonuses", "best", "stack"), STACKING)
def test_overlapping_bonuses(bonuses: tuple[Bonus, ...], best: int, stack: int) -> None:
    assert points(basket(), terms(*bonuses)) == best
    assert points(basket(), terms(*reversed(bonuses))) == best
    assert points(basket(), terms(*bonuses, best=False)) == stack


def test_a_multiplier_multiplies_what_the_tier_made_of_it() -> None:
    assert points(basket(), terms(multiplier="1.25")) == 100
    assert points(basket(), terms(times("weekend"), multiplier="1.25")) == 200
    assert points(basket(), terms(plus("fifty"), multiplier="1.25")) == 150


def test_there_is_one_floor_at_the_end() -> None:
    two = (Line(1, "A", 1, None, 333, 0, 0, product_id=11), Line(2, "B", 1, None, 333, 0, 0, product_id=12))
    half = times("half", "1.5", products=frozenset({11}))
    # 6.66 + 1.665 = 8.325; floors on the way would make 6 + 1.
    assert points(basket(*two), terms(half)) == 8


def test_shipping_that_counts_earns_what_every_line_earns() -> None:
    order = basket(MUG, shipping=500)
    shipped = Policy(include_shipping=True)
    everything = Terms(1, "order-points", Fraction(1), "insider", Fraction(1), shipped, bonuses=(times("all"),))
    vendor = Terms(1, "order-points", Fraction(1), "insider", Fraction(1), shipped, bonuses=(PIER,))
    assert (points(order, everything), points(order, vendor)) == (70, 35)


REFUNDS = [
    # One of two bags comes back: $60 left, and a bag less for the bonus on items.
    (plus("bags", 5, per_item=True, products=frozenset({11})), 60 + 5),
    (times("beans", products=frozenset({11})), 60 + 20),
    # What the bonus asked for is not met any more.
    (plus("big", minimum_spend=7000), 60),
]


@pytest.mark.parametrize(("bonus", "expected"), REFUNDS)
def test_a_refund_takes_its_part_of_the_bonus(bonus: Bonus, expected: int) -> None:
    back = Refund(1, T0 + DAY, (RefundLine(1, 1, 2000, 0),))
    assert points(basket(), terms(bonus), back) == expected


def test_a_refunded_product_no_longer_brings_its_bonus() -> None:
    back = Refund(1, T0 + DAY, (RefundLine(2, 1, 3000, 0),))
    assert points(basket(), terms(plus("mug", products=frozenset({12}))), back) == 50


LIMITS: list[tuple[Limit, Used, int | None]] = [
    (Limit(), Used(500, 500, 5, 5), None),
    (Limit(points_per_day=100), Used(points_today=40), 60),
    (Limit(points_per_day=100), Used(points_today=100), 0),
    (Limit(points_per_day=100), Used(points_today=130), 0),
    (Limit(points_per_day=100, points_ever=1000), Used(points_today=0, points_ever=950), 50),
    (Limit(times_per_day=2), Used(times_today=1), None),
    (Limit(times_per_day=2), Used(times_today=2), 0),
    (Limit(times_ever=1, points_ever=500), Used(times_ever=1), 0),
]


@pytest.mark.parametrize(("limit", "used", "left"), LIMITS)
def test_room(limit: Limit, used: Used, left: int | None) -> None:
    assert room(limit, used) == left


CUT: list[tuple[Terms, Mapping[str, Used], int]] = [
    (terms(limit=Limit(points_per_day=50)), {}, 50),
    (terms(limit=Limit(points_per_day=50)), {"order-points": Used(points_today=20)}, 30),
    # The base is used up, the bonus is not.
    (terms(plus("fifty"), limit=Limit(points_ever=10)), {"order-points": Used(points_ever=10)}, 50),
    (terms(times("double", limit=Limit(points_ever=25))), {}, 80 + 25),
    (terms(times("double", limit=Limit(times_ever=1))), {"double": Used(times_ever=1)}, 80),
    # A bonus that its limit leaves nothing lets the next best have the lines.
    (terms(times("double", limit=Limit(times_ever=1)), plus("fifty")), {"double": Used(times_ever=1)}, 80 + 50),
]


@pytest.mark.parametrize(("limited", "used", "expected"), CUT)
def test_limits_cut(limited: Terms, used: Mapping[str, Used], expected: int) -> None:
    assert points(basket(), limited, used=used) == expected


def test_limited_rules_tell_what_they_used() -> None:
    order = basket()
    limited = terms(
        times("double", limit=Limit(points_ever=25)), plus("five", 5), limit=Limit(points_per_day=50), best=False
    )
    wanted = target(order, eligible_spend(order, {}, Policy()), limited, now=T0)
    assert wanted.uses == (("order-points", 50), ("double", 25))
    assert wanted.available == 50 + 25 + 5
    assert wanted.explanation["limited_to"] == 50
    assert wanted.explanation["bonuses"] == [
        {"rule": "double", "name": "Double", "points": "25", "multiplier": "2"},
        {"rule": "five", "name": "Five", "points": "5"},
    ]


WAITING: list[tuple[dict[str, Any], dict[str, Any], timedelta, tuple[int, int, str | None]]] = [
    # order, terms, looked at so long after T0 -> pending, available, what it waits for
    ({}, {}, timedelta(), (0, 80, None)),
    ({"status": "pending"}, {}, timedelta(), (80, 0, "payment")),
    ({}, {"waiting": 14 * DAY}, 13 * DAY, (80, 0, "days")),
    ({}, {"waiting": 14 * DAY}, 14 * DAY, (0, 80, None)),
    # known to have been unpaid, and paid on the tenth day; or never heard of as unpaid
    ({"was_unpaid": True, "first_paid": T0 + 10 * DAY}, {"waiting": 14 * DAY}, 23 * DAY, (80, 0, "days")),
    ({"was_unpaid": True, "first_paid": T0 + 10 * DAY}, {"waiting": 14 * DAY}, 24 * DAY, (0, 80, None)),
    ({"first_paid": T0 + 10 * DAY}, {"waiting": 14 * DAY}, 14 * DAY, (0, 80, None)),
    ({}, {"on_fulfilled": True}, 90 * DAY, (80, 0, "fulfilment")),
    ({"fulfilled_at": T0 + 2 * DAY}, {"on_fulfilled": True}, 2 * DAY, (0, 80, None)),
    ({"fulfilled_at": T0 + 2 * DAY}, {"on_fulfilled": True, "waiting": 7 * DAY}, 8 * DAY, (80, 0, "days")),
    ({"fulfilled_at": T0 + 2 * DAY}, {"on_fulfilled": True, "waiting": 7 * DAY}, 9 * DAY, (0, 80, None)),
    ({"fulfilled_at": T0, "status": "pending"}, {"on_fulfilled": True}, DAY, (80, 0, "payment")),
    ({"cancelled_at": T0 + DAY}, {"waiting": 14 * DAY}, 2 * DAY, (0, 0, None)),
]


@pytest.mark.parametrize(("order", "waits", "later", "expected"), WAITING)
def test_when_points_become_available(
    order: dict[str, Any], waits: dict[str, Any], later: timedelta, expected: tuple[int, int, str | None]
) -> None:
    state = basket(**order)
    wanted = target(state, eligible_spend(state, {}, Policy()), terms(**waits), now=T0 + later)
    assert (wanted.pending, wanted.available, wanted.explanation.get("waits")) == expected
    told = wanted.explanation.get("available_at")
    assert told == (wanted.release_at.isoformat() if wanted.release_at else None)


@pytest.mark.parametrize("current", [(None, None), (1, 0)], ids=["quantities left untold", "quantities left told"])
def test_facts_with_points_add_up_to_what_the_order_is_worth_at_each_moment(current: tuple[int | None, ...]) -> None:
    beans, mug = (replace(line, current=left) for line, left in zip((BEANS, MUG), current, strict=True))
    order = basket(beans, mug, FILTER)
    refunds = {
        1: Refund(1, T0 + DAY, (RefundLine(1, 1, 2000, 0),)),
        2: Refund(2, T0 + 3 * DAY, (RefundLine(2, 1, 3000, 0),)),
    }
    doubled = terms(times("double", minimum_spend=7000))
    facts = spend_facts(order, eligible_spend(order, refunds, Policy()))
    assert [fact.points for fact in with_points(facts, order, refunds, doubled, Circumstances())] == [160, -100, -30]


bonuses = st.builds(
    Bonus,
    rule=st.sampled_from("abcdef"),
    name=st.just("A bonus"),
    points=st.integers(1, 500),
    per_item=st.booleans(),
    multiplier=st.none() | st.fractions(1, 5, max_denominator=4),
    vendors=st.sampled_from([frozenset(), frozenset({"kiln"}), frozenset({"north pier"})]),
    minimum_spend=st.sampled_from([0, 5000, 9000]),
    limit=st.none() | st.builds(Limit, points_per_day=st.integers(1, 100)),
)


@given(st.lists(bonuses, max_size=6, unique_by=lambda bonus: bonus.rule), st.permutations(range(6)))
def test_best_never_brings_more_than_all_and_knows_no_order(offered: list[Bonus], turns: list[int]) -> None:
    base = points(basket(), terms())
    best, everything = points(basket(), terms(*offered)), points(basket(), terms(*offered, best=False))
    turned = [offered[turn] for turn in turns if turn < len(offered)]
    assert base <= best <= everything
    assert points(basket(), terms(*turned)) == best
    alone = max((points(basket(), terms(bonus)) for bonus in offered), default=base)
    assert alone <= best
