"""A shop of the app without phones: most of what messages do needs none."""

from collections.abc import Iterator

import pytest
from flask import Flask

from core.db import database
from tests.wallet_passes.conftest import forget
from tests.web.stores import Store, open_store


@pytest.fixture
def app(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    forget()
    from app import create_app

    yield create_app()
    database().dispose()
    forget()


@pytest.fixture
def store(app: Flask) -> Store:
    return open_store(app, "roastery.myshopify.com")


@pytest.fixture
def neighbour(app: Flask) -> Store:
    return open_store(app, "bakery.myshopify.com")
