"""Settlement with every kind of order rule on: limits, order numbers, campaigns, tags, waiting, tiers by points.

The yardstick is the same shop told everything once, in order and one by one; whatever else the order and number of
deliveries, the ledger must come out the same, and be proven by its postings.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core import clock
from loyalty import products
from loyalty.earning.rules import Labels
from loyalty.program import Bonus, Ladder, Limit, OrderRule, Program, Tier, demo_program
from sandbox.catalogue import PRODUCTS
from sandbox.traffic import Mix, Story, stories
from tests.scenarios.story import Story as Telling
from tests.webhooks.rig import House, Ledger, delivery
from tests.webhooks.test_convergence import deliveries_of, in_pieces

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
TAGGED = {item.product_id or 0: Labels(frozenset({"sale"}), frozenset({77})) for item in PRODUCTS[::2]}
PLAIN = {item.product_id or 0: Labels() for item in PRODUCTS[1::2]}
# A day by the shop's own clock.
on = datetime.fromisoformat

LADDERS: dict[str, dict[str, Any]] = {
    "spend": {},
    "points": {"metric": "points"},
    "orders": {"metric": "orders", "period": "lifetime"},
    "calendar year": {"metric": "eligible_spend", "period": "calendar_year"},
}


def ladder(kind: str) -> Ladder:
    steps = (0, 3, 6) if kind == "orders" else (0, 300, 900) if kind == "points" else (0, 300_00, 900_00)
    tiers = [
        Tier(key=key, name=key.title(), threshold=step, multiplier=Decimal(multiplier))
        for key, step, multiplier in zip(("one", "two", "three"), steps, ("1", "1.25", "1.5"), strict=True)
    ]
    return Ladder(tiers=tuple(tiers), **LADDERS[kind])


def everything(kind: str = "spend", stacking: str = "best", waiting: int = 0) -> Program:
    return Program(
        name="Everything",
        timezone="Pacific/Auckland",
        stacking=stacking,  # type: ignore[arg-type]
        orders=OrderRule(limit=Limit(points_per_day=400), waiting_days=waiting),
        ladder=ladder(kind),
        bonuses=(
            Bonus(key="first", name="First order", points=100, order_number=1),
            Bonus(key="third", name="Third order", points=30, order_number=3),
            Bonus(key="sale", name="On sale", multiplier=Decimal(2), tags=("Sale",), limit=Limit(points_ever=500)),
            Bonus(key="brew", name="Brewing", multiplier=Decimal("1.5"), collections=(77,)),
            Bonus(key="bags", name="By the bag", points=3, per="item", limit=Limit(times_per_day=1, times_ever=4)),
            Bonus(key="climbers", name="For climbers", points=20, tiers=("two", "three"), minimum_spend=20_00),
            Bonus(
                key="summer", name="Summer", multiplier=Decimal(3),
                starts_at=on("2026-01-01"), ends_at=on("2026-03-01"),
            ),
        ),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    with clock.fixed_at(NOW):
        yield


def busy(seed: int) -> list[Story]:
    """A few members who never rest."""
    mix = Mix(
        orders=16, seed=seed, members=2, hot=0.6, refunds=0.5, edits=0.3, cancels=0.2, unpaid=0.3, guests=0.1,
        now=int(NOW.timestamp()), days=(3, 60, 500)[seed % 3],
    )  # fmt: skip
    return list(stories(mix))


def opened(house: House, program: Program) -> int:
    """A shop whose products are known."""
    shop = house.open_shop(program=program)
    with house.database.transaction(shop) as session:
        products.keep(session, shop, TAGGED | PLAIN, NOW)
    return shop


def in_order(house: House, program: Program, told: list[Story]) -> Ledger:
    shop = opened(house, program)
    house.settle(shop, [one for story in told for one in story.deliveries])
    return house.ledger(shop)


@pytest.mark.parametrize("kind", LADDERS)
@settings(max_examples=8, deadline=None, suppress_health_check=QUIET, phases=[Phase.generate])
@given(seed=st.integers(0, 10_000), dice=st.integers(0, 2**32), stacking=st.sampled_from(["best", "stack"]))
def test_any_order_of_arrival_ends_the_same(house: House, kind: str, seed: int, dice: int, stacking: str) -> None:
    waiting, chance = seed % 2 * 30, random.Random(dice)
    program, told = everything(kind, stacking, waiting), busy(seed)
    finals = [Story(s.order, s.customer, [delivery("orders/updated", s.final)], s.final) for s in told]
    # Which state is the last tells all but when an order was paid.
    yardstick = sorted(told if waiting else finals, key=lambda story: story.final["processed_at"])
    wanted = in_order(house, program, yardstick)
    arriving = deliveries_of(told)
    arriving += chance.choices(arriving, k=len(arriving) // 4)
    chance.shuffle(arriving)
    shop = opened(house, program)
    house.settle(shop, *in_pieces(arriving, chance))
    assert house.ledger(shop) == wanted
    assert house.differences(shop) == []


# A few exact stories.


def bonus_program(*bonuses: Bonus, **other: Any) -> Program:
    return demo_program().model_copy(update={"bonuses": bonuses, **other})


def test_the_first_order_counts_once_even_when_an_earlier_one_turns_up(house: House) -> None:
    story = Telling(house)
    story.publish(-1, bonus_program(Bonus(key="first", name="First order", points=100, order_number=1)))
    story.buy(10, 50)
    assert story.member().available == 50 + 50 + 100
    late = story.buy(5, 20)
    assert story.member().available == 50 + 50 + 20 + 100
    story.cancel(6, late)
    # The order of day 10 is the first one again: the earlier was gone by then.
    assert story.member().available == 50 + 50 + 100
    assert house.differences(story.shop) == []


def test_a_daily_limit_is_by_the_shops_day(house: House) -> None:
    story = Telling(house)
    limited = OrderRule(limit=Limit(points_per_day=100))
    story.publish(-1, demo_program().model_copy(update={"orders": limited, "timezone": "America/New_York"}))
    story.buy(0, 80)  # 5 January, 10:00 UTC is 05:00 in New York
    story.buy(0.7, 80)  # 02:48 UTC on the 6th is still the 5th in New York
    assert story.member().available == 50 + 100
    story.buy(0.9, 80)  # 07:36 UTC is the 6th there, too
    assert story.member().available == 50 + 180


def test_a_refund_makes_room_for_the_order_after_it(house: House) -> None:
    story = Telling(house)
    story.publish(-1, demo_program().model_copy(update={"orders": OrderRule(limit=Limit(points_ever=100))}))
    first = story.buy(0, 80, pieces=2)
    story.buy(1, 80)
    assert story.member().available == 50 + 80 + 20
    story.refund(2, first, 1)
    assert story.member().available == 50 + 40 + 60
    assert house.differences(story.shop) == []


def test_a_campaign_runs_by_the_shops_clock(house: House) -> None:
    weekend = Bonus(
        key="weekend", name="Double points", multiplier=Decimal(2),
        starts_at=on("2026-01-10"), ends_at=on("2026-01-12"),
    )  # fmt: skip
    story = Telling(house)
    story.publish(-1, bonus_program(weekend, timezone="Asia/Tokyo"))
    start = (datetime(2026, 1, 9, 15, tzinfo=UTC) - datetime(2026, 1, 5, 10, tzinfo=UTC)) / timedelta(days=1)
    story.buy(start - 0.01, 10)
    assert story.member().available == 50 + 10
    story.buy(start, 10)
    assert story.member().available == 50 + 10 + 20
    story.buy(start + 2, 10)
    assert story.member().available == 50 + 10 + 20 + 10


def test_labels_are_frozen_when_an_order_is_first_settled(house: House) -> None:
    story = Telling(house)
    story.publish(-1, bonus_program(Bonus(key="sale", name="Sale", multiplier=Decimal(2), tags=("sale",))))
    with story.at(0), house.database.transaction(story.shop) as session:
        products.keep(session, story.shop, {1: Labels(frozenset({"sale"}))}, clock.now())
    order = story.buy(0, 40, pieces=2)
    assert story.member().available == 50 + 80
    with story.at(1), house.database.transaction(story.shop) as session:
        products.keep(session, story.shop, {1: Labels()}, clock.now())
    story.refund(1, order, 1)
    assert story.member().available == 50 + 40
    story.buy(1, 40)
    assert story.member().available == 50 + 40 + 40
