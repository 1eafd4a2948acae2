"""Faults of the engine that were found by looking for them, each told as the story that brought it to light."""

from decimal import Decimal

import pytest

from loyalty.program import Bonus, Ladder, Limit, OrderRule, Program, Tier, demo_program
from sandbox.orders import Customer
from sandbox.signing import Delivery
from tests.scenarios.story import T0, Story
from tests.webhooks.rig import House, delivery
from webhooks.upkeep import release_points

MAYA = Customer(78, "Maya", "Okafor", "maya@example.com", int(T0.timestamp()), int(T0.timestamp()))


@pytest.fixture
def story(house: House) -> Story:
    return Story(house)


def demo(**other: object) -> Program:
    return demo_program().model_copy(update=other)


# Two orders of one second: imports often know the day alone.


@pytest.mark.parametrize("late", [0, 1], ids=["the second arrives last", "the first arrives last"])
def test_two_orders_of_one_second_share_a_limit(story: Story, late: int) -> None:
    story.publish(-1, demo(orders=OrderRule(limit=Limit(points_ever=100))))
    told: list[list[Delivery]] = [[], []]
    for one in told:
        with story.kept_back(one):
            story.buy(0, 80)
    story.send(1, told[late])
    story.send(1, told[1 - late])
    assert story.member().available == 50 + 100


@pytest.mark.parametrize("late", [0, 1], ids=["the second arrives last", "the first arrives last"])
def test_only_one_of_two_orders_of_one_second_is_the_first(story: Story, late: int) -> None:
    bonuses = (
        Bonus(key="first", name="First order", points=100, order_number=1),
        Bonus(key="second", name="Second order", points=1000, order_number=2),
    )
    story.publish(-1, demo(bonuses=bonuses))
    told: list[list[Delivery]] = [[], []]
    for one in told:
        with story.kept_back(one):
            story.buy(0, 80)
    story.send(1, told[late])
    assert story.member().available == 50 + 80 + 100
    story.send(1, told[1 - late])
    assert story.member().available == 50 + 160 + 100 + 1000


def points_ladder() -> Ladder:
    steps = (("one", 0, "1"), ("two", 120, "2"))
    tiers = tuple(Tier(key=key, name=key.title(), threshold=at, multiplier=Decimal(m)) for key, at, m in steps)
    return Ladder(metric="points", tiers=tiers)


def test_a_refund_does_not_take_back_a_multiplier_where_tiers_go_by_points(story: Story) -> None:
    story.publish(-1, demo(ladder=points_ladder()))
    first = story.buy(0, 100, pieces=2)
    story.buy(1, 10)
    assert story.member().available == 50 + 100 + 20
    story.refund(2, first, 1)
    assert story.member().available == 50 + 50 + 20


def test_a_deleted_order_gives_back_the_reward_it_used(story: Story) -> None:
    story.publish(-1, demo())
    story.buy(0, 600)
    code = story.issue(1, story.redeem(1, "5-off"))
    order = story.buy(2, 40, code=code)
    before = story.member().available
    with story.at(3):
        story.house.settle(story.shop, [delivery("orders/delete", {"id": order.id})])
    assert story.member().available == before - 35 - 8 + 500


# When points wait for days, the days begin with the payment.


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "the payment arrives first"])
@pytest.mark.parametrize("together", [True, False])
def test_waiting_days_begin_when_an_order_is_paid(story: Story, order: tuple[int, int], together: bool) -> None:
    story.publish(-1, demo(orders=OrderRule(waiting_days=14)))
    told: list[list[Delivery]] = [[], []]
    with story.kept_back(told[0]):
        placed = story.buy(0, 80, status="pending")
    with story.kept_back(told[1]):
        story.pay(10, placed)
    arriving = [told[place] for place in order]
    for deliveries in [arriving[0] + arriving[1]] if together else arriving:
        story.send(11, deliveries)
    assert (story.member().pending, story.member().available) == (80, 50)
    story.fulfil(12, placed)
    assert story.order(placed).release_at == story.moment(24)
    with story.at(23.9):
        assert release_points(story.house.database) == 0
    with story.at(24):
        assert release_points(story.house.database) == 1
    assert (story.member().pending, story.member().available) == (0, 130)


# What "clamp" forgives: what was taken back and spent already, and nothing else.


def test_points_that_only_wait_again_are_not_forgiven(story: Story) -> None:
    """$80: 80 ── all spent ── edited to $100 and partly paid: the 80 wait again ── paid: 100 for one order."""
    story.publish(-1, demo(clawback="clamp"))
    order = story.buy(0, 80)
    story.spend(1, 130)
    story.enlarge(2, order, 20)
    assert (story.member().pending, story.member().available) == (100, -80)
    story.pay(3, order)
    assert (story.member().pending, story.member().available) == (0, 20)


def test_a_gift_that_was_spent_is_forgiven_with_the_promotion(story: Story) -> None:
    tiers = (Tier(key="one", name="One", threshold=0), Tier(key="two", name="Two", threshold=100_00, entry_gift=70))
    story.publish(-1, demo(clawback="clamp", ladder=Ladder(tiers=tiers)))
    order = story.buy(0, 100)
    assert story.member().available == 50 + 100 + 70
    story.spend(1, 220)
    story.refund(2, order, 1)
    assert (story.member().tier_key, story.member().available) == ("one", 0)
    assert story.told()[-1] == "70 points for reaching Two were spent already, so you keep what you got for them."


def test_an_order_that_goes_to_another_customer_leaves_no_debt_where_the_program_forgives(story: Story) -> None:
    story.publish(-1, demo(clawback="clamp"))
    order = story.buy(0, 100)
    story.spend(1, 150)
    order.updated_at += 86_400
    story.tell(1, order, ("orders/updated",), MAYA)
    assert (story.member().available, story.member(MAYA).available) == (0, 50 + 100)


def test_room_that_comes_back_is_told_as_such(story: Story) -> None:
    story.publish(-1, demo(orders=OrderRule(limit=Limit(points_ever=100))))
    first = story.buy(0, 80, pieces=2)
    story.buy(1, 80)
    story.refund(2, first, 1)
    assert story.told()[-1] == "Your limit has room again, so for order #1002 40 points came in."
