"""A database with shops for each test of the door."""

from collections.abc import Iterator

import pytest

from sandbox.catalogue import DEMO
from tests.webhooks.rig import House


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    house = House(database_url)
    yield house
    house.database.dispose()


@pytest.fixture
def shop(house: House) -> int:
    """The id of the installed shop `DEMO.domain`."""
    return house.open_shop(DEMO.domain)
