"""A shop of the app without phones: most of what messages do needs none."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.apps import opened
from tests.web.stores import Store, open_store


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[Flask]:
    with opened(database_url, redis_url) as app:
        yield app


@pytest.fixture
def store(app: Flask) -> Store:
    return open_store(app, "roastery.myshopify.com")


@pytest.fixture
def neighbour(app: Flask) -> Store:
    return open_store(app, "bakery.myshopify.com")
