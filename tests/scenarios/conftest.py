"""A shop with a story: one shopper, one timeline, deliveries as the store sends them."""

from collections.abc import Iterator

import pytest

from core.config import settings
from core.db import database
from tests.scenarios.story import Story
from tests.webhooks.rig import House


@pytest.fixture
def house(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A database of the test's own, which is the one that jobs work on."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    for cached in (settings, database):
        cached.cache_clear()
    house = House(database_url)
    yield house
    house.database.dispose()
    database().dispose()
    for cached in (settings, database):
        cached.cache_clear()


@pytest.fixture
def story(house: House) -> Story:
    return Story(house)
