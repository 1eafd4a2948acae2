"""Certificates for the whole run; an app, a push service and phones for each test."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from core.config import settings
from core.db import database
from sandbox.apple import authority, world
from sandbox.apple.authority import Files
from sandbox.google import account as google_accounts
from sandbox.google.account import Account
from sandbox.google.world import Google
from sandbox.server import Quiet
from sandbox.store import Store as Documents
from sandbox.testing import google_in_process
from tests.apps import current_app, forget
from tests.wallet_passes.rig import Wallet
from tests.web.stores import Store, open_store
from wallet_passes.apple import push


@pytest.fixture(scope="session")
def apple_files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return authority.files(tmp_path_factory.mktemp("apple") / "chain")


@pytest.fixture(scope="session")
def google_account(tmp_path_factory: pytest.TempPathFactory) -> Account:
    return google_accounts.account(tmp_path_factory.mktemp("google") / "account")


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[Documents]:
    documents = Documents(tmp_path / "sandbox.sqlite")
    yield documents
    documents.close()


@pytest.fixture
def apple(apple_files: Files, documents: Documents) -> Iterator[world.Apple]:
    apple = world.start(apple_files.root.parent, documents)
    yield apple
    apple.close()


@pytest.fixture
def google_at(google_account: Account, documents: Documents) -> Iterator[tuple[str, Google]]:
    with google_in_process(google_account.folder, documents) as running:
        yield running


@pytest.fixture
def google(google_at: tuple[str, Google]) -> Google:
    """Google Wallet on loopback: `google.wallet` is what it holds, `google.faults` what goes wrong next."""
    return google_at[1]


@pytest.fixture
def environ(
    apple_files: Files,
    apple: world.Apple,
    google_at: tuple[str, Google],
    database_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[pytest.MonkeyPatch]:
    """The app's settings for this test. What was read under others is forgotten."""
    url, google = google_at
    given = apple_files.settings(apple.pushes.url) | google.account.settings(url)
    given |= {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    forget()
    yield monkeypatch
    push._pusher.cache_clear()
    database().dispose()
    forget()


@pytest.fixture
def wallet(environ: pytest.MonkeyPatch, apple: world.Apple, google: Google) -> Iterator[Wallet]:
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True, request_handler=Quiet)
    url = f"http://127.0.0.1:{server.port}"
    environ.setenv("APP_URL", url)
    settings.cache_clear()
    app = current_app()
    server.app = app
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield Wallet(open_store(app, "roastery.myshopify.com"), url, apple, google)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def other_store(wallet: Wallet) -> Store:
    return open_store(wallet.store.app, "bakery.myshopify.com")
