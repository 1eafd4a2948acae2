"""A shop with a story: one shopper, one timeline, deliveries as the store sends them."""

from collections.abc import Iterator

import pytest

from tests.scenarios.story import Story
from tests.webhooks.rig import House


@pytest.fixture
def story(database_url: str) -> Iterator[Story]:
    house = House(database_url)
    yield Story(house)
    house.database.dispose()
