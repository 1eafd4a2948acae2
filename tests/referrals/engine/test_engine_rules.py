"""The thinking behind give and get, as tables."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.program.referring import Benefit, Referral
from loyalty.rules import Line, OrderState, Refund, RefundLine
from referrals.fraud.rules import Verdict
from referrals.rules import (
    VIAS,
    Bought,
    Candidate,
    Known,
    attribute,
    choose,
    decide,
    give,
    milestones_due,
    month_of,
    paid_at,
    within,
    worth,
)

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CLEAR, REVIEW, BLOCK = (Verdict(score, (), outcome) for score, outcome in ((0, "clear"), (50, "review"), (90, "block")))  # type: ignore[arg-type]
TERMS = Referral(holding_days=7)
KNOWN = Known(stands=True, paid_at=T0, goods=5000, minimum=3000, first=True, own=False, rewarded=False)
EARLY, LATE = T0 + DAY, T0 + 7 * DAY


def known(**changes: Any) -> Known:
    return Known(**{name: getattr(KNOWN, name) for name in KNOWN.__struct_fields__} | changes)


@pytest.mark.parametrize(
    ("changes", "verdict", "decision", "now", "state", "why"),
    [
        ({}, CLEAR, None, EARLY, "holding", "holding"),
        ({}, CLEAR, None, LATE, "rewarded", "stood"),
        ({"paid_at": None}, None, None, LATE, "waiting", "unpaid"),
        ({"paid_at": None}, BLOCK, None, LATE, "blocked", "checks"),
        ({"stands": False}, None, None, LATE, "void", "undone"),
        ({"goods": 2999}, CLEAR, None, LATE, "void", "below_minimum"),
        ({"stands": False, "rewarded": True}, CLEAR, None, LATE, "reversed", "undone"),
        ({"stands": False, "rewarded": True}, CLEAR, "refuse", LATE, "blocked", "refused"),
        ({"stands": False}, REVIEW, "approve", LATE, "void", "undone"),
        ({}, REVIEW, None, EARLY, "review", "review"),
        ({}, REVIEW, None, T0 + 9999 * DAY, "review", "review"),
        ({}, REVIEW, "approve", EARLY, "holding", "holding"),
        ({}, REVIEW, "approve", LATE, "rewarded", "stood"),
        ({}, BLOCK, "approve", LATE, "rewarded", "stood"),
        ({}, CLEAR, "refuse", LATE, "blocked", "refused"),
        ({}, BLOCK, None, LATE, "blocked", "checks"),
        ({"first": False}, None, None, LATE, "blocked", "not_new"),
        ({"own": True}, None, None, LATE, "blocked", "own"),
        ({"first": False}, None, "approve", LATE, "rewarded", "stood"),
        # What came is not put in question again by checks that ask for a look, nor waited for a second time.
        ({"rewarded": True}, REVIEW, None, EARLY, "rewarded", "stood"),
        ({"rewarded": True}, BLOCK, None, LATE, "blocked", "checks"),
    ],
)
def test_what_a_referral_should_be(
    changes: dict[str, Any], verdict: Verdict | None, decision: str | None, now: datetime, state: str, why: str
) -> None:
    wanted = decide(known(**changes), verdict, decision, TERMS, now)
    assert (wanted.state, wanted.why, wanted.kept) == (state, why, False)


def test_without_clawback_what_came_stays() -> None:
    fallen = known(stands=False, rewarded=True)
    wanted = decide(fallen, CLEAR, None, TERMS.model_copy(update={"clawback": False}), LATE)
    assert (wanted.state, wanted.kept) == ("rewarded", True)


@given(st.builds(Known, stands=st.booleans(), paid_at=st.sampled_from([None, T0]), goods=st.sampled_from([0, 5000]),
                 minimum=st.just(3000), first=st.booleans(), own=st.booleans(), rewarded=st.just(False)))  # fmt: skip
def test_nothing_is_given_in_review_at_any_time(facts: Known) -> None:
    wanted = [decide(facts, REVIEW, None, TERMS, T0 + days * DAY) for days in (0, 7, 9999)]
    assert not any(one.referrer_gets or one.friend_gets for one in wanted)


def candidate(via: str, member: int = 1, told_at: datetime | None = None) -> Candidate:
    return Candidate(via, f"KEY{member}", member, None, told_at=told_at)


def test_the_surest_word_wins_and_of_equals_the_latest() -> None:
    each = [candidate(via, member) for member, via in enumerate(VIAS)]
    assert attribute(each) == each[0]
    assert attribute(each[1:]) == each[1]
    old, new = candidate("email", 1, T0), candidate("email", 2, T0 + DAY)
    assert attribute([new, old]) == attribute([old, new]) == new
    assert attribute([]) is None


def test_a_word_holds_for_so_many_days() -> None:
    assert within(T0, T0 + 30 * DAY, 30)
    assert not within(T0, T0 + 31 * DAY, 30)
    assert within(T0, T0 - timedelta(minutes=5), 30)
    assert not within(T0, T0 - DAY, 30)


ORDERS = st.lists(
    st.builds(
        Bought,
        order_id=st.integers(1, 9),
        at=st.integers(0, 5).map(lambda day: T0 + day * DAY),
        stands=st.booleans(),
        candidate=st.sampled_from([None, candidate("cart", 1), candidate("email", 2)]),
    ),
    max_size=6,
    unique_by=lambda one: one.order_id,
)


@given(ORDERS, st.randoms())
def test_the_order_that_counts_does_not_depend_on_hearing(orders: list[Bought], random: Any) -> None:
    turned = random.sample(orders, len(orders))
    chosen = choose(turned)
    assert chosen == choose(orders)
    if chosen is None:
        assert not any(one.candidate for one in orders)
        return
    first = min((one for one in orders if one.candidate), key=lambda one: one.turn)
    assert chosen.order.candidate == first.candidate
    assert chosen.first == (not any(one.stands and one.turn < chosen.order.turn for one in orders))


def order(*prices: int, discount: int = 0, **more: Any) -> OrderState:
    lines = tuple(Line(n, "Thing", 1, 1, price, discount if n == 0 else 0, 0) for n, price in enumerate(prices))
    return OrderState(1, "#1", T0, T0, more.pop("status", "paid"), None, False, "USD", 2, False, 0, 0, lines, **more)


TEN = Benefit(kind="amount_off", amount=1000)


@pytest.mark.parametrize(
    ("state", "own", "left", "goods"),
    [
        (order(3000, discount=1000), TEN, 2000, 3000),
        (order(3000, discount=1000), None, 2000, 2000),
        (order(3000, discount=1900), TEN, 1100, 2100),
        (order(4000, discount=1000), Benefit(kind="percentage", percentage="25"), 3000, 4000),  # type: ignore[arg-type]
        (order(4000, discount=400), Benefit(kind="free_shipping"), 3600, 3600),
        (order(500, discount=500), TEN, 0, 0),
    ],
)
def test_what_counts_for_the_minimum(state: OrderState, own: Benefit | None, left: int, goods: int) -> None:
    found = worth(state, {}, own)
    assert (found.left, found.goods) == (left, goods)


def test_what_is_refunded_takes_its_part_of_the_discount_along() -> None:
    back = {7: Refund(7, T0 + DAY, (RefundLine(1, 1, 2000, 0),))}
    found = worth(order(2000, 2000, discount=1000), back, TEN)
    assert (found.left, found.goods) == (1000, 1333)


def test_an_edit_does_not_make_a_paid_order_unpaid() -> None:
    assert paid_at(order(1, status="pending", was_unpaid=True)) is None
    assert paid_at(order(1)) == T0
    edited = order(1, status="partially_paid", was_unpaid=True, first_paid=T0 + DAY)
    assert paid_at(edited) == T0 + DAY


@pytest.mark.parametrize(
    ("benefit", "member", "points", "amount"),
    [
        ({"kind": "points", "points": 70}, 1, 70, 0),
        ({"kind": "amount_off", "amount": 500}, 1, 0, 500),
        ({"kind": "percentage", "percentage": "10"}, 1, 0, 0),
        ({"kind": "commission", "percentage": "12.5"}, 1, 0, 999),
        ({"kind": "commission", "percentage": "12.5"}, None, 0, 999),
        ({"kind": "commission", "amount": 300}, None, 0, 300),
        ({"kind": "commission", "percentage": "0.001"}, 1, None, None),
        ({"kind": "amount_off", "amount": 500}, None, None, None),
        ({"kind": "none"}, 1, None, None),
    ],
)
def test_what_a_benefit_brings(benefit: dict[str, Any], member: int | None, points: Any, amount: Any) -> None:
    made = give("referrer", Benefit.model_validate(benefit), member, None if member else 5, 7999)
    assert (made and made.points, made and made.amount) == (points, amount)


@pytest.mark.parametrize(
    ("moment", "zone", "begins", "ends"),
    [
        ("2026-02-01T04:30Z", "America/New_York", "2026-01-01T05:00Z", "2026-02-01T05:00Z"),
        ("2026-02-01T04:30Z", "UTC", "2026-02-01T00:00Z", "2026-03-01T00:00Z"),
        ("2026-12-31T23:30Z", "UTC", "2026-12-01T00:00Z", "2027-01-01T00:00Z"),
        ("2026-03-29T12:00Z", "Europe/Berlin", "2026-02-28T23:00Z", "2026-03-31T22:00Z"),
    ],
)
def test_months_are_those_of_the_shop(moment: str, zone: str, begins: str, ends: str) -> None:
    found = month_of(datetime.fromisoformat(moment), ZoneInfo(zone))
    assert found == (datetime.fromisoformat(begins), datetime.fromisoformat(ends))


@pytest.mark.parametrize(
    ("reached", "held", "offered", "due"),
    [
        (4, [], [5], ([], [])),
        (5, [], [5], ([5], [])),
        (6, [5], [5], ([], [])),
        (4, [5], [5], ([], [5])),
        (10, [5], [5, 10], ([10], [])),
        (3, [5, 10], [], ([], [5, 10])),
    ],
)
def test_milestones_are_held_while_as_many_friends_count(
    reached: int, held: list[int], offered: list[int], due: tuple[list[int], list[int]]
) -> None:
    assert milestones_due(reached, held, offered) == due
