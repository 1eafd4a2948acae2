"""A shop of its own for each test."""

from collections.abc import Iterator

import pytest

from tests.loyalty.activities.rig import World


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    world = World(database_url)
    yield world
    world.database.dispose()
