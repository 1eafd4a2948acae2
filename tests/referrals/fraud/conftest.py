"""A shop installed from the sandbox store, for a whole module; every test begins with nobody in it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from core import config
from loyalty import programs
from loyalty.program import demo_program
from sandbox.catalogue import DEMO
from sandbox.outbox import Weather
from sandbox.testing import Running, in_process
from shops import admin, operations, tokens
from tests.referrals.fraud.rig import Stage
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


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    state = tmp_path_factory.mktemp("store")
    with in_process(state, NOBODY, weather=Weather(withhold=1.0)) as running, pytest.MonkeyPatch.context() as patched:
        chosen = config.Settings(_env_file=None, shopify_store_url=running.url + "/{shop}")  # type: ignore[call-arg]
        for module in (tokens, admin):
            patched.setattr(module, "settings", lambda: chosen)
        yield running


@pytest.fixture(scope="module")
def installed(running: Running, house: House) -> int:
    token = httpx.post(f"{running.url}/sandbox/{DEMO.domain}/session-token").json()["session_token"]

    def prepare(session: Any, shop_id: int) -> None:
        programs.publish(session, shop_id, demo_program(), effective_from=LONG_AGO, actor="test")

    return operations.install(house.database, token, prepare)


@pytest.fixture
def stage(house: House, running: Running, installed: int) -> Stage:
    stage = Stage(house, installed, running)
    stage.clear()
    return stage
