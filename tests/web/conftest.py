"""The app over a database of its own, and two shops in it."""

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
def own_app(app: Flask) -> Flask:
    """An app over the same database that only this test has, to put faults in."""
    from app import create_app

    return create_app()


@pytest.fixture
def store(app: Flask) -> Store:
    return open_store(app, "roastery.myshopify.com")


@pytest.fixture
def other_store(app: Flask) -> Store:
    return open_store(app, "bakery.myshopify.com")
