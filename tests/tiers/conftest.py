"""A database with a shop, and members whose facts are written straight into it."""

from collections.abc import Iterator

import pytest

from tests.scenarios.story import Story
from tests.tiers.members import Club
from tests.webhooks.rig import House


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    house = House(database_url)
    yield house
    house.database.dispose()


@pytest.fixture
def club(house: House) -> Club:
    return Club(house, house.open_shop())


@pytest.fixture
def story(house: House) -> Story:
    return Story(house)
