"""The app on loopback with a Stripe of its own, for each test."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from core.config import settings
from core.db import database
from sandbox.server import Quiet
from sandbox.store import Store as Documents
from sandbox.stripe.world import Stripe
from sandbox.testing import stripe_in_process
from tests.apps import current_app, forget
from tests.referrals.payouts.rig import Payouts
from tests.web.stores import open_store

KEY, SECRET = "sk_test_of_the_tests", "whsec_of_the_tests"


@pytest.fixture
def environ(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The app's settings for this test. What was read under others is forgotten."""
    named = {"STRIPE_SECRET_KEY": KEY, "STRIPE_WEBHOOK_SECRETS": f"whsec_of_another_endpoint,{SECRET}"}
    for name, value in {"DATABASE_URL": database_url, "REDIS_URL": redis_url, **named}.items():
        monkeypatch.setenv(name, value)
    forget()
    yield monkeypatch
    database().dispose()
    forget()


@pytest.fixture
def address(environ: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """Where the app will answer, and the server that waits for it."""
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True, request_handler=Quiet)
    url = f"http://127.0.0.1:{server.port}"
    environ.setenv("APP_URL", url)
    yield url, server
    server.server_close()


@pytest.fixture
def stripe(environ: pytest.MonkeyPatch, address: tuple[str, Any], tmp_path: Path) -> Iterator[Stripe]:
    """Stripe on loopback: `stripe.books` is what it knows, `stripe.faults` what goes wrong next."""
    documents = Documents(tmp_path / "sandbox.sqlite")
    with stripe_in_process(documents, address[0], KEY, SECRET) as (url, stripe):
        environ.setenv("STRIPE_URL", url)
        settings.cache_clear()
        yield stripe
    documents.close()


@pytest.fixture
def payouts(stripe: Stripe, address: tuple[str, Any]) -> Iterator[Payouts]:
    url, server = address
    app = current_app()
    server.app = app
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield Payouts(open_store(app, "roastery.myshopify.com"), url, stripe)
    stripe.news.settle()
    server.shutdown()
    thread.join()
