"""A shop without a store for what needs none, and one in the sandbox for what Shopify does.

Store and database serve a whole module: each test has members and friends of its own.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from core import config, effects, jobs
from loyalty import programs
from referrals import partners, standing
from referrals.claims import issue, operations
from sandbox.catalogue import DEMO
from sandbox.outbox import Weather
from sandbox.testing import Running, in_process
from shops import admin, tokens
from shops import operations as shops
from tests.referrals.claims.rig import Desk, program
from tests.webhooks.rig import LONG_AGO, House

NOBODY = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def house(servers: Any, copies: Any) -> Iterator[House]:
    name = copies.make()
    url = make_url(servers["database_url"]).set(drivername="postgresql", database=name)
    house = House(url.render_as_string(hide_password=False))
    yield house
    house.database.dispose()
    copies.finish(name)


@pytest.fixture(autouse=True)
def own_redis(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tries are counted there."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    for cached in (config.settings, jobs.connection):
        cached.cache_clear()
    yield
    for cached in (config.settings, jobs.connection):
        cached.cache_clear()


@pytest.fixture
def shop(house: House) -> Desk:
    """A new shop; its Shopify is out of reach."""
    return Desk(house, house.open_shop(program=program()))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    state = tmp_path_factory.mktemp("store")
    with in_process(state, NOBODY, weather=Weather(withhold=1.0)) as running, pytest.MonkeyPatch.context() as patched:
        chosen = config.Settings(_env_file=None, shopify_store_url=running.url + "/{shop}")  # type: ignore[call-arg]
        for module in (tokens, admin):
            patched.setattr(module, "settings", lambda: chosen)
        yield running


@pytest.fixture(scope="module")
def installed(store: Running, house: House) -> int:
    token = httpx.post(f"{store.url}/sandbox/{DEMO.domain}/session-token").json()["session_token"]

    def prepare(session: Any, shop_id: int) -> None:
        programs.publish(session, shop_id, program(), effective_from=LONG_AGO, actor="test")

    return shops.install(house.database, token, prepare)


@pytest.fixture
def desk(store: Running, house: House, installed: int, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The demo store in fair weather; its effects are friends' and partners' codes only."""
    monkeypatch.setattr(effects, "_wired", {})
    monkeypatch.setattr(effects, "_following", {})
    effects.wire(operations.EFFECT, issue.issue)
    effects.wire(partners.EFFECT, standing.stand)
    desk = Desk(house, installed, store)
    desk.calm()
    return desk
