"""Two members who become one have the gifts and the tiers by hand of both, and get none of them twice."""

from collections.abc import Iterator

import pytest

from loyalty.program import Ladder, demo_program
from sandbox.orders import Customer
from tests.scenarios.story import NOOR, Story
from tests.webhooks.rig import House
from tiers.operations import override

OMAR = Customer(78, "Omar", "Haddad", "omar@example.com", NOOR.created_at, NOOR.created_at)


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    house = House(database_url)
    yield house
    house.database.dispose()


@pytest.fixture
def story(house: House) -> Story:
    """Advocate brings a gift of 200."""
    told = Story(house)
    tiers = demo_program().ladder.tiers
    gifted = tuple(tier.model_copy(update={"entry_gift": 200 * (tier.key == "advocate")}) for tier in tiers)
    told.publish(-1, demo_program().model_copy(update={"ladder": Ladder(tiers=gifted)}))
    return told


def test_a_gift_that_one_of_them_had_is_not_given_again(story: Story) -> None:
    story.buy(1, 600, who=OMAR)
    story.buy(2, 100)
    assert story.member(OMAR).available == 50 + 600 + 200
    story.merge(30, NOOR, OMAR)
    kept = story.member()
    # The second order is placed by an Advocate now: 125 for 100.
    assert (kept.tier_key, kept.available) == ("advocate", 50 + 50 + 600 + 200 + 125)
    assert story.house.differences(story.shop) == []


def test_a_tier_by_hand_goes_on(story: Story) -> None:
    story.buy(1, 100, who=OMAR)
    story.buy(2, 100)
    with story.at(3), story.house.database.transaction(story.shop) as session:
        member = story.member(OMAR).id
        override(session, story.shop, member, "ambassador", reason="Our first", until=None, actor="test")
    story.merge(4, NOOR, OMAR)
    assert story.member().tier_key == "ambassador"
