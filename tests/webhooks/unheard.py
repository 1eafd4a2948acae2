"""A store that answers and is never heard, for tests of what the app asks and makes in Shopify."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core import config
from sandbox.outbox import Weather
from sandbox.testing import Running, in_process
from shops import admin, tokens


@contextmanager
def unheard_store(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A sandbox store that the app asks, and whose webhooks all get lost: nobody listens at the app's address."""
    with in_process(state, "http://127.0.0.1:1", weather=Weather(withhold=1.0)) as running:
        answer_from(running, monkeypatch)
        yield running


def answer_from(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the app ask this store."""
    chosen = config.Settings(_env_file=None, shopify_store_url=running.url + "/{shop}")  # type: ignore[call-arg]
    for module in (tokens, admin):
        monkeypatch.setattr(module, "settings", lambda: chosen)
