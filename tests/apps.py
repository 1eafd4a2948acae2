"""The app for tests: made once, for that takes longer than most tests, and given the settings of each."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask

from core import jobs, logs
from core.config import settings
from core.db import database

CACHED: tuple[Any, ...] = (settings, database, jobs.connection)
# All that the making of an app reads. Everything else is read when a request needs it.
READ = ("rapport_env", "log_level", "secret_key", "trusted_proxies", "demo_shop")


def current_app() -> Flask:
    """The app over the database and under the settings of now."""
    from app import wire

    logs.configure(settings().log_level)
    wire()
    return _made(*(getattr(settings(), name) for name in READ))


@functools.cache
def _made(*_: Any) -> Flask:
    from app import create_app

    return create_app()


def forget() -> None:
    """What was read under other settings."""
    for cached in CACHED:
        cached.cache_clear()


@contextmanager
def opened(database_url: str, redis_url: str) -> Iterator[Flask]:
    """The app over these, until the end of the block."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DATABASE_URL", database_url)
        patched.setenv("REDIS_URL", redis_url)
        forget()
        yield current_app()
        database().dispose()
    forget()
