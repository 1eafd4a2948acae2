"""The app over a database of its own, and two shops in it."""

from collections.abc import Iterator

import pytest
from flask import Flask

from core import jobs
from core.config import settings
from core.db import database
from tests.web.stores import Store, open_store

CACHED = (settings, database, jobs.connection)


@pytest.fixture
def app(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    for cached in CACHED:
        cached.cache_clear()
    from app import create_app

    yield create_app()
    database().dispose()
    for cached in CACHED:
        cached.cache_clear()


@pytest.fixture
def store(app: Flask) -> Store:
    return open_store(app, "roastery.myshopify.com")


@pytest.fixture
def other_store(app: Flask) -> Store:
    return open_store(app, "bakery.myshopify.com")
