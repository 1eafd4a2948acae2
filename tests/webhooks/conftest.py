"""A database with shops for each test of the door."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import make_url

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


@pytest.fixture(scope="module")
def module_database_url(servers: Any, copies: Any) -> Iterator[str]:
    """One database for all tests of a module, for those that leave it as it was or dirty only shops of their own."""
    name = copies.make()
    url = make_url(servers["database_url"]).set(drivername="postgresql", database=name)
    yield url.render_as_string(hide_password=False)
    copies.finish(name)
