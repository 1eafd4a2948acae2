"""A program tried on past orders must earn what settling those orders earns, for settlement is the yardstick."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from core import clock
from core.errors import NotFound
from loyalty.models import Member, Order
from loyalty.program import Bonus, Program, demo_program
from shops.models import Shop
from tests.scenarios.story import NOOR
from tests.scenarios.story import Story as Telling
from tests.webhooks.rig import House
from tests.webhooks.test_every_rule import LADDERS, NOW, QUIET, busy, everything, opened
from webhooks.backtest import Backtest, Difference, backtest

AGES = 3650  # days


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    with clock.fixed_at(NOW):
        yield


def tried(house: House, shop: int, program: Program, days: int = AGES, now: datetime = NOW, **how: Any) -> Backtest:
    with house.database.transaction(shop) as session:
        return backtest(session, shop, program, days=days, now=now, **how)


def posted(house: House, shop: int) -> int:
    """The points that the shop's orders of members have earned and kept."""
    with house.database.transaction(shop) as session:
        earned = sa.select(sa.func.sum(Order.posted_available + Order.posted_pending)).where(
            Order.member_id.is_not(None)
        )
        return session.scalar(earned) or 0


def tiers(house: House, shop: int) -> Counter[str]:
    with house.database.transaction(shop) as session:
        living = sa.select(Member.tier_key, sa.func.count()).where(
            Member.merged_into.is_(None), Member.last_order_at.is_not(None)
        )
        return Counter({row[0]: row[1] for row in session.execute(living.group_by(Member.tier_key))})


@pytest.mark.parametrize("kind", LADDERS)
@settings(max_examples=6, deadline=None, suppress_health_check=QUIET, phases=[Phase.generate])
@given(seed=st.integers(0, 10_000), stacking=st.sampled_from(["best", "stack"]))
def test_the_program_in_force_earns_what_was_posted(house: House, kind: str, seed: int, stacking: str) -> None:
    told, program = busy(seed), everything(kind, stacking, waiting=seed % 2 * 30)
    shop = opened(house, program)
    house.settle(shop, [one for story in told for one in story.deliveries])
    found = tried(house, shop, demo_program())
    assert found.before.points == posted(house, shop) == sum(found.before.by_rule.values())
    assert found.before.tiers == tiers(house, shop)
    assert found.unlabelled == 0
    # Another shop, where the other program was in force all along, earned what the trial says.
    elsewhere = house.open_shop()
    house.settle(elsewhere, [one for story in told for one in story.deliveries])
    assert found.after.points == posted(house, elsewhere) == sum(found.after.by_rule.values())
    assert found.after.tiers == tiers(house, elsewhere)


T0 = datetime(2026, 1, 5, 10, tzinfo=UTC)


@pytest.fixture
def noor(house: House) -> Telling:
    """Noor buys for $400, $200 and, as an Advocate, $100."""
    story = Telling(house)
    for day, dollars in ((0, 400), (10, 200), (20, 100)):
        story.buy(day, dollars)
    return story


def with_changes(**changes: Any) -> Program:
    return demo_program().model_copy(update=changes)


DOUBLE = Bonus(key="double", name="Double points", multiplier=Decimal(2), ends_at=T0 + timedelta(days=15))


def test_what_each_rule_brings_and_what_it_costs(house: House, noor: Telling) -> None:
    found = tried(house, noor.shop, with_changes(bonuses=(DOUBLE,)), now=T0 + timedelta(days=30))
    assert (found.members, found.of_members, found.orders, found.gain, found.lose) == (1, 1, 3, 1, 0)
    assert found.before.by_rule == {"order-points": 400 + 200 + 125}
    assert found.after.by_rule == {"order-points": 725, "double": 600}
    # $5 for 500 points: a point is worth a cent.
    assert (found.before.cost, found.after.cost) == (7_25, 13_25)
    assert found.top == [Difference(noor.member().id, 725, 1325)]
    assert found.before.tiers == found.after.tiers == Counter(advocate=1)
    # A tier that nobody would hold is told, too.
    assert list(found.after.tiers) == ["insider", "advocate", "ambassador"]


def test_only_the_last_days_count_but_all_of_the_past_decides(house: House, noor: Telling) -> None:
    found = tried(house, noor.shop, demo_program(), days=15, now=T0 + timedelta(days=30))
    # The order of day 20 alone; that Noor was an Advocate by then follows from the orders before.
    assert (found.orders, found.after.points) == (1, 125)


def test_a_steeper_ladder(house: House, noor: Telling) -> None:
    insider, advocate, ambassador = demo_program().ladder.tiers
    ladder = demo_program().ladder.model_copy(
        update={"tiers": (insider, advocate.model_copy(update={"threshold": 1000_00}), ambassador)}
    )
    found = tried(house, noor.shop, with_changes(ladder=ladder), now=T0 + timedelta(days=30))
    assert (found.before.points, found.after.points, found.lose) == (725, 700, 1)
    assert found.after.tiers == Counter(insider=1)


def test_tags_that_were_never_read_are_told(house: House, noor: Telling) -> None:
    tagged = Bonus(key="beans", name="Beans", points=5, tags=("beans",))
    found = tried(house, noor.shop, with_changes(bonuses=(tagged,)), now=T0 + timedelta(days=30))
    assert (found.unlabelled, found.after.points) == (3, found.before.points)


def test_a_sample_tries_the_same_members_each_time(house: House) -> None:
    story = Telling(house)
    for number in range(7):
        story.buy(number, 100, who=msgspec.structs.replace(NOOR, id=100 + number, email=f"noor{number}@example.com"))
    runs = [
        tried(house, story.shop, with_changes(bonuses=(DOUBLE,)), now=T0 + timedelta(days=9), sample=3) for _ in "ab"
    ]
    assert [(run.members, run.of_members, run.orders, len(run.top)) for run in runs] == [(3, 7, 3, 3)] * 2
    assert runs[0].top == runs[1].top


def test_nothing_is_written(house: House, noor: Telling) -> None:
    before = house.ledger(noor.shop)
    tried(house, noor.shop, with_changes(bonuses=(DOUBLE,)))
    assert house.ledger(noor.shop) == before
    assert house.differences(noor.shop) == []


def test_a_shop_without_a_program_has_nothing_to_compare_with(house: House) -> None:
    with house.database.transaction() as session:
        shop = Shop(domain="new.myshopify.com", name="New", currency="USD", timezone="UTC", installed_at=T0)
        session.add(shop)
        session.flush()
    with pytest.raises(NotFound):
        tried(house, shop.id, demo_program())
