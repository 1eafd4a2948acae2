"""Stories of one shopper on a named timeline. Above each, what she can spend."""

from decimal import Decimal

import pytest

from loyalty.program import OrderRule, demo_program
from sandbox.orders import Customer
from sandbox.signing import Delivery
from tests.scenarios.story import NOOR, T0, Story
from webhooks import upkeep


def test_from_first_order_to_advocate_and_back(story: Story) -> None:
    """
    points    50──────130───────────────530────────────655──────630─────────────────────────▶
               joined  $80     $400 paid │  $100 × 1.25 │  $20 back
    tier      Insider ───────────────────│ $480         ╰─ Advocate from $580 … … … Insider
              T0      +1d             +30d            +40d      +45d                +1y
    """
    story.enrol(0, NOOR)
    assert story.member().available == 50
    story.buy(1, 80)
    story.buy(30, 430)  # 510 spent: Advocate from here on
    assert (story.member().available, story.member().tier_key) == (560, "advocate")
    last = story.buy(40, 100, pieces=5)
    assert story.ledger()[-1] == ("earn", 125)
    story.refund(45, last, pieces=1)
    assert story.ledger()[-1] == ("reversal", -25)
    assert (story.member().available, story.member().tier_key) == (660, "advocate")

    story.review_tier(366.5)  # the first $80 have left the window; $510 are still in it
    assert story.member().tier_key == "advocate"
    due = story.member().tier_review_at
    assert due is not None
    assert (due - T0).days == 395
    story.review_tier(396)  # and now the $430 have left too
    assert story.member().tier_key == "insider"
    assert story.member().available == 660  # a tier never takes points away
    assert story.tiers() == ["advocate", "insider"]


def test_a_refund_after_the_rule_changed_is_undone_by_the_old_rule(story: Story) -> None:
    """
    points    50───130────────────────────────────────90─────▶
               $80 at 1 │  the rate becomes 3  │  half back: −40, not −120
              T0       +1d                   +10d
    """
    order = story.buy(0, 80, pieces=2)
    program = demo_program()
    story.publish(1, program.model_copy(update={"orders": OrderRule(points_per_unit=Decimal(3))}))
    story.refund(10, order, pieces=1)
    assert story.ledger() == [("bonus", 50), ("earn", 80), ("reversal", -40)]
    story.buy(11, 10)
    assert story.ledger()[-1] == ("earn", 30)


def test_points_wait_until_the_order_is_paid(story: Story) -> None:
    """
    pending   ───80────0──────▶      available   50────────130────▶
    """
    order = story.buy(0, 80, status="authorized")
    assert (story.member().pending, story.member().available) == (80, 50)
    story.pay(2, order)
    assert story.ledger() == [("bonus", 50), ("earn", 80), ("release", 80)]
    assert (story.member().pending, story.member().available) == (0, 130)


@pytest.mark.parametrize("status", ["paid", "authorized"])
def test_a_cancelled_order_leaves_nothing(story: Story, status: str) -> None:
    order = story.buy(0, 80, status=status)
    story.cancel(1, order)
    assert (story.member().pending, story.member().available) == (0, 50)


def test_a_refund_next_month_does_not_take_back_todays_multiplier(story: Story) -> None:
    """
    T0 $600 ─ Advocate     +1d $100 × 1.25     +30d all $600 back ─ Insider again, the 125 stay
    """
    first = story.buy(0, 600)
    story.buy(1, 100)
    story.refund(30, first, pieces=1)
    assert story.member().tier_key == "insider"
    assert story.member().available == 50 + 125


def test_an_older_order_that_arrives_late_lifts_the_later_one(story: Story) -> None:
    """The order of day 0 is heard of on day 5: the $100 of day 1 were an Advocate's after all."""
    story.buy(1, 100)
    assert story.ledger()[-1] == ("earn", 100)
    story.buy(0, 600)
    assert sorted(story.ledger()) == sorted([("bonus", 50), ("earn", 100), ("earn", 600), ("earn", 25)])


def test_a_guests_points_wait_for_their_address(story: Story) -> None:
    guest = Customer(78, "Rosa", "Lima", "rosa@example.com", int(T0.timestamp()), int(T0.timestamp()))
    story.buy(0, 80, who=None, email="Rosa@Example.com")
    story.buy(3, 20, who=None, email="rosa@example.com")
    story.enrol(9, guest)
    assert story.member(guest).available == 50 + 80 + 20
    story.buy(10, 10, who=None, email="rosa@example.com")  # and so do those that come after
    assert story.member(guest).available == 50 + 80 + 20 + 10


def test_two_customers_become_one_without_losing_a_posting(story: Story) -> None:
    other = same_person(NOOR, 79)
    story.buy(0, 300)
    story.buy(1, 300, who=other)
    story.merge(2, NOOR, other)
    kept = story.member()
    assert kept.available == 50 + 50 + 300 + 300
    assert kept.tier_key == "advocate"
    assert story.member(other).available == 0
    order = story.buy(3, 100, who=other, pieces=2)  # late deliveries still name the one that is gone
    assert story.member().available == 700 + 125
    story.refund(4, order, pieces=1, who=other)
    assert story.member().available == 700 + 62  # 62.5, floored


def same_person(customer: Customer, id: int) -> Customer:
    return Customer(
        id, customer.first_name, customer.last_name, "noor@work.example.com", customer.created_at, customer.updated_at
    )


def test_points_that_were_spent_are_owed(story: Story) -> None:
    """
    points    130 ──── 10 ─────── −70 ───▶ the next order pays it back
              +$80     −120 spent  cancelled
    """
    order = story.buy(0, 80)
    story.spend(1, 120)
    story.cancel(2, order)
    assert story.member().available == -70
    story.buy(3, 100)
    assert story.member().available == 30


def test_points_that_were_spent_are_forgiven_where_the_program_says_so(story: Story) -> None:
    """
    points    130 ──── 10 ─────── 0 ───▶ all 80 reversed, the 70 that were gone forgiven
    """
    story.publish(-1, demo_program().model_copy(update={"clawback": "clamp"}))
    order = story.buy(0, 80)
    story.spend(1, 120)
    story.cancel(2, order)
    assert story.ledger()[-2:] == [("reversal", -80), ("adjustment", 70)]
    assert story.member().available == 0


def test_waiting_days_release_by_the_clock(story: Story) -> None:
    """
    pending   80 ─────────────── 0 ──▶     available   50 ────────────── 130 ──▶
              T0                +14d
    """
    waits = demo_program().model_copy(update={"orders": OrderRule(waiting_days=14)})
    story.publish(-1, waits)
    story.buy(0, 80)
    for day, pending in ((13.9, 80), (14.1, 0)):
        with story.at(day):
            upkeep.release_points(story.house.database)
        assert story.member().pending == pending
    assert story.ledger() == [("bonus", 50), ("earn", 80), ("release", 80)]


def test_the_tier_at_any_past_moment(story: Story) -> None:
    """
    T0 $600 ─ Advocate ──── +10d all back ─ Insider ──── +20d $2,000 ─ Ambassador
    """
    first = story.buy(0, 600)
    story.refund(10, first, pieces=1)
    story.buy(20, 2000)
    assert [story.tier_at(day) for day in (0, 0.1, 9.9, 10.1, 20, 20.1)] == [
        "insider",  # at the very moment of the first order nothing has happened before it
        "advocate",
        "advocate",
        "insider",
        "insider",
        "ambassador",
    ]


def test_a_year_of_orders_in_one_batch_leaves_every_step_in_the_history(story: Story) -> None:
    """
    +0d $600 ─ Advocate ── +10d $900 ─ Ambassador ── +20d the first comes back ─ Advocate
    """
    told: list[Delivery] = []
    with story.kept_back(told):
        first = story.buy(0, 600)
        story.buy(10, 900)
        story.refund(20, first, pieces=1)
    story.send(30, told)
    assert story.moves() == [("advocate", 0), ("ambassador", 10), ("advocate", 20)]
