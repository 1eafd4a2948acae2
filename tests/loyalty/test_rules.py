"""Money in, points out: tables of exact examples, then properties that hold for every order."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.earning.rules import Terms, earned, target, why
from loyalty.rules import (
    Balance,
    Fact,
    Line,
    Move,
    OrderState,
    Policy,
    Refund,
    RefundLine,
    eligible_spend,
    merge_refunds,
    moves,
    newer,
    spend_facts,
)

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def line(id: int = 1, quantity: int = 1, price: int = 8000, **other: Any) -> Line:
    values = {"title": "Beans", "current": None, "discount": 0, "tax": 0} | other
    return Line(id=id, quantity=quantity, price=price, **values)


def order(*lines: Line, **other: Any) -> OrderState:
    values: dict[str, Any] = {
        "order_id": 1043, "name": "#1043", "processed_at": T0, "updated_at": T0, "status": "paid",
        "cancelled_at": None, "test": False, "currency": "USD", "digits": 2, "taxes_included": False,
        "shipping": 0, "shipping_tax": 0, "lines": lines or (line(),),
    } | other  # fmt: skip
    return OrderState(**values)


def refund(id: int = 1, *lines: RefundLine, at: datetime = T0 + DAY, shipping: int = 0) -> Refund:
    return Refund(id, at, lines, shipping)


def terms(multiplier: str = "1", rate: str = "1", **other: Any) -> Terms:
    return Terms(1, "order-points", Fraction(rate), "insider", Fraction(multiplier), Policy(), **other)


def spend(state: OrderState, *refunds: Refund, policy: Policy | None = None) -> int:
    return eligible_spend(state, {r.id: r for r in refunds}, policy or Policy()).net


@pytest.mark.parametrize(
    ("eligible", "digits", "rate", "multiplier", "points"),
    [
        (8000, 2, "1", "1", 80),
        (8000, 2, "1", "1.25", 100),  # $80 as an Advocate
        (8000, 2, "1", "1.5", 120),
        (1999, 2, "1", "1", 19),  # one floor, at the end
        (1999, 2, "1", "1.5", 29),  # 29.985: never rounded up, never rounded twice
        (99, 2, "1", "1", 0),
        (0, 2, "1", "1.5", 0),
        (-500, 2, "1", "1", 0),
        (3333, 0, "0.01", "1", 33),  # JPY has no decimals
        (12345, 3, "10", "1.25", 154),  # KWD has three
        (1, 2, "100", "1", 1),
        (10, 2, "0.1", "100", 1),  # exact: 0.1 is a tenth, not the nearest float
    ],
)
def test_points_for(eligible: int, digits: int, rate: str, multiplier: str, points: int) -> None:
    state = order(line(price=eligible), digits=digits)
    counted = eligible_spend(state, {}, Policy())
    assert earned(state, counted, terms(multiplier, rate)).points == points


@pytest.mark.parametrize(
    ("what", "state", "minor"),
    [
        ("one line", order(line()), 8000),
        ("two of one and one of another", order(line(quantity=2), line(2, price=500)), 16500),
        ("a discount on the line", order(line(discount=1000)), 7000),
        ("a discount over the price", order(line(discount=9000)), 0),
        ("a gift card earns when it is spent, not when it is bought", order(line(excluded="gift_card")), 0),
        ("a tip", order(line(), line(2, price=300, excluded="tip")), 8000),
        ("tax on top is not spend", order(line(tax=640)), 8000),
        ("tax within the price is taken out", order(line(tax=1277), taxes_included=True), 6723),
        ("shipping is not merchandise", order(line(), shipping=900), 8000),
        ("nothing ordered", order(line(quantity=0)), 0),
        ("an edit took one of two off", order(line(quantity=2, current=1)), 8000),
        ("an edit took all off", order(line(quantity=2, current=0)), 0),
        ("an edit of a discounted line", order(line(quantity=3, current=2, price=1000, discount=100)), 1933),
    ],
)
def test_eligible_spend(what: str, state: OrderState, minor: int) -> None:
    assert spend(state) == minor, what


def test_a_refund_where_prices_include_tax() -> None:
    """Two at 119.00 with 19.00 tax in each; one comes back, told as 100.00 and 19.00 tax."""
    state = order(line(quantity=2, price=11900, tax=3800), taxes_included=True)
    returned = refund(1, RefundLine(1, 1, 10000, 1900))
    assert spend(state, returned) == 10000
    assert spend(state, returned, policy=Policy(include_tax=True)) == 11900


def test_tax_and_shipping_count_when_the_program_says_so() -> None:
    both = Policy(include_tax=True, include_shipping=True)
    on_top = order(line(tax=640), shipping=900, shipping_tax=72)
    assert spend(on_top, policy=both) == 8000 + 640 + 900 + 72
    within = order(line(tax=1277), shipping=900, shipping_tax=144, taxes_included=True)
    assert spend(within, policy=both) == 8000 + 900
    assert spend(on_top, refund(1, shipping=900), policy=both) == 8000 + 640 + 72


@pytest.mark.parametrize(
    ("what", "state", "refunds", "minor"),
    [
        ("part of the money", order(), [refund(1, RefundLine(1, 0, 2000, 0))], 6000),
        ("one of two", order(line(quantity=2)), [refund(1, RefundLine(1, 1, 8000, 0))], 8000),
        ("all, however it was rounded", order(line(quantity=3, price=333)), [refund(1, RefundLine(1, 3, 998, 0))], 0),
        ("more than was paid", order(), [refund(1, RefundLine(1, 1, 99_999, 0))], 0),
        ("no subtotal told: by share", order(line(quantity=4, price=100)), [refund(1, RefundLine(1, 1, None, 0))], 300),
        ("a line that is not in the order", order(), [refund(1, RefundLine(99, 1, 8000, 0))], 8000),
        ("a gift card", order(line(excluded="gift_card")), [refund(1, RefundLine(1, 1, 8000, 0))], 0),
        ("money without lines is not a claw-back", order(), [refund(1)], 8000),
        (
            "the quantity left already says so: counted once",
            order(line(quantity=2, current=1)),
            [refund(1, RefundLine(1, 1, 8000, 0))],
            8000,
        ),
        (
            "one edited off and one refunded",
            order(line(quantity=3, current=1)),
            [refund(1, RefundLine(1, 1, 8000, 0))],
            8000,
        ),
        (
            "in two steps",
            order(line(quantity=2)),
            [refund(1, RefundLine(1, 1, 8000, 0)), refund(2, RefundLine(1, 1, 8000, 0))],
            0,
        ),
    ],
)
def test_refunds(what: str, state: OrderState, refunds: list[Refund], minor: int) -> None:
    assert spend(state, *refunds) == minor, what


@pytest.mark.parametrize(
    ("status", "pending", "available"),
    [
        ("pending", 80, 0),
        ("authorized", 80, 0),
        ("partially_paid", 80, 0),
        ("paid", 0, 80),
        ("partially_refunded", 0, 80),
        ("refunded", 0, 80),
        ("voided", 0, 0),
        ("expired", 0, 0),
        ("something_new", 0, 0),
    ],
)
def test_where_points_are_by_payment(status: str, pending: int, available: int) -> None:
    state = order(status=status)
    wanted = target(state, eligible_spend(state, {}, Policy()), terms(), now=T0)
    assert (wanted.pending, wanted.available) == (pending, available)


def test_waiting_days_hold_points_until_they_are_over() -> None:
    state = order()
    counted = eligible_spend(state, {}, Policy())
    waits = terms(waiting=timedelta(days=14))
    early = target(state, counted, waits, now=T0 + timedelta(days=13))
    assert (early.pending, early.available, early.release_at) == (80, 0, T0 + timedelta(days=14))
    late = target(state, counted, waits, now=T0 + timedelta(days=14))
    assert (late.pending, late.available, late.release_at) == (0, 80, None)


@pytest.mark.parametrize(
    ("state", "deleted_at", "code"),
    [
        (order(test=True), None, "test_order"),
        (order(cancelled_at=T0), None, "cancelled"),
        (order(status="voided"), None, "voided"),
        (order(status="something_new"), None, "unknown_status"),
        (order(), T0, "deleted"),
        (order(processed_at=T0 - 400 * DAY), None, "before_start"),
    ],
)
def test_why_an_order_earns_nothing(state: OrderState, deleted_at: datetime | None, code: str) -> None:
    from_then = terms(starts_at=T0 - DAY)
    wanted = target(state, eligible_spend(state, {}, Policy()), from_then, now=T0, deleted_at=deleted_at)
    assert (wanted.available, wanted.explanation["refused"]) == (0, code)


def test_an_explanation_holds_the_whole_arithmetic() -> None:
    state = order()
    returned = {1: refund(1, RefundLine(1, 0, 2000, 0))}
    told = target(state, eligible_spend(state, returned, Policy()), terms("1.25"), now=T0).explanation
    assert told["spend"] - told["refunded"] == told["eligible"] == 6000
    assert Fraction(told["eligible"], 100) * Fraction(told["rate"]) * Fraction(told["multiplier"]) == told["points"]


def test_facts_each_count_at_their_own_moment() -> None:
    state = order(line(quantity=2), cancelled_at=T0 + 9 * DAY)
    returned = {7: refund(7, RefundLine(1, 1, 8000, 0), at=T0 + DAY)}
    facts = spend_facts(state, eligible_spend(state, returned, Policy()))
    assert facts == (
        Fact("order", T0, 16000, 1),
        Fact("refund:7", T0 + DAY, -8000),
        Fact("cancel", T0 + 9 * DAY, -8000, -1),
    )


@pytest.mark.parametrize("state", [order(status="pending"), order(status="voided"), order(test=True)])
def test_only_paid_orders_count_for_tiers(state: OrderState) -> None:
    assert spend_facts(state, eligible_spend(state, {}, Policy())) == ()


@pytest.mark.parametrize(
    ("has", "wanted", "made"),
    [
        ((0, 0), (0, 80), [Move("earn", "issued", "available", 80)]),
        ((0, 0), (80, 0), [Move("earn", "issued", "pending", 80)]),
        ((80, 0), (0, 80), [Move("release", "pending", "available", 80)]),
        ((80, 0), (0, 60), [Move("release", "pending", "available", 60), Move("reversal", "pending", "issued", 20)]),
        ((80, 0), (0, 90), [Move("release", "pending", "available", 80), Move("earn", "issued", "available", 10)]),
        ((0, 80), (0, 55), [Move("reversal", "available", "issued", 25)]),
        ((80, 0), (0, 0), [Move("reversal", "pending", "issued", 80)]),
        ((0, 80), (90, 0), [Move("reversal", "available", "pending", 80), Move("earn", "issued", "pending", 10)]),
        ((0, 80), (0, 80), []),
    ],
)
def test_moves(has: tuple[int, int], wanted: tuple[int, int], made: list[Move]) -> None:
    assert list(moves(*has, *wanted)) == made


points = st.integers(0, 10**6)


@given(points, points, points, points)
def test_moves_always_arrive_and_are_always_legal(has_p: int, has_a: int, want_p: int, want_a: int) -> None:
    balance = Balance(has_a, has_p, has_a + has_p)
    for move in moves(has_p, has_a, want_p, want_a):
        assert move.points > 0
        balance = balance.after(move)
    assert balance == Balance(want_a, want_p, want_a + want_p)
    assert len(moves(has_p, has_a, want_p, want_a)) <= 2


quantities = st.integers(0, 5)
lines = st.builds(
    lambda id, quantity, gone, price, off: line(id, quantity, price, current=max(0, quantity - gone), discount=off),
    st.integers(1, 3), quantities, quantities, st.integers(0, 10_000), st.integers(0, 3_000),
)  # fmt: skip
refund_lines = st.builds(RefundLine, st.integers(1, 4), quantities, st.none() | st.integers(-10, 20_000), st.just(0))
some_refunds = st.lists(st.tuples(st.integers(1, 5), st.lists(refund_lines, max_size=3)), max_size=4).map(
    lambda told: {id: refund(id, *parts, at=T0 + id * DAY) for id, parts in told}
)


@given(st.lists(lines, min_size=1, max_size=3, unique_by=lambda one: one.id), some_refunds)
def test_spend_never_grows_by_a_refund_and_never_falls_below_zero(of: list[Line], returned: dict[int, Refund]) -> None:
    state = order(*of)
    whole, less = eligible_spend(state, {}, Policy()), eligible_spend(state, returned, Policy())
    assert 0 <= less.net <= less.gross
    assert less.net <= whole.gross + sum(
        one.gross - two.gross for one, two in zip(less.lines, whole.lines, strict=True)
    )
    assert less.refunded == sum(one.refunded for one in less.lines)
    facts = spend_facts(state, less)
    assert sum(fact.amount for fact in facts) == less.net


snapshots = st.builds(
    lambda second, status, current, cancelled: order(
        line(quantity=3, current=current),
        updated_at=T0 + timedelta(seconds=second),
        status=status,
        cancelled_at=T0 if cancelled else None,
    ),
    st.integers(0, 1), st.sampled_from(["pending", "paid", "refunded", "odd"]), st.integers(0, 3), st.booleans(),
)  # fmt: skip


@given(st.lists(snapshots, min_size=1, max_size=5), st.randoms())
def test_the_newest_snapshot_wins_whatever_the_order_of_arrival(told: list[OrderState], chance: Any) -> None:
    def last(states: list[OrderState]) -> OrderState | None:
        known: OrderState | None = None
        for state in states:
            known = newer(known, state)
        return known

    shuffled = chance.sample(told, len(told))
    assert last(told) == last(shuffled)


def test_an_edit_in_the_same_second_as_the_payment_is_the_later_state() -> None:
    """An edit that adds a line makes a paid order partially paid again: the status falls back, the order grows."""
    paid, edited = order(), order(line(), line(2), status="partially_paid")
    assert newer(paid, edited) is newer(edited, paid) is edited


@given(some_refunds, some_refunds)
def test_refunds_merge_alike_in_either_order(one: dict[int, Refund], other: dict[int, Refund]) -> None:
    assert merge_refunds(one, other.values()) == merge_refunds(other, one.values())


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (None, {"points": 80}, "earned"),
        ({"points": 80, "refunded": 0}, {"points": 60, "refunded": 2000}, "refund"),
        ({"points": 80, "spend": 8000}, {"points": 90, "spend": 9000}, "edit"),
        ({"points": 80, "multiplier": "1"}, {"points": 100, "multiplier": "1.25"}, "tier"),
        ({"points": 80, "status": "pending"}, {"points": 80, "status": "paid"}, "payment"),
        ({"points": 80}, {"points": 0, "refused": "cancelled"}, "cancelled"),
    ],
)
def test_why_it_changed(before: dict[str, Any] | None, after: dict[str, Any], code: str) -> None:
    assert why(before, after) == code
