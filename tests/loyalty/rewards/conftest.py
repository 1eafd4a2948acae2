"""A shop without a store for what needs none, and one in the sandbox for what Shopify does.

The store and its database serve a whole module: each test has a customer of its own.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from core import config, effects
from loyalty import programs
from loyalty.rewards.issue import issue
from loyalty.rewards.operations import EFFECT
from sandbox.catalogue import DEMO
from sandbox.outbox import Weather
from sandbox.testing import Running, in_process
from shops import admin, operations, tokens
from tests.loyalty.rewards.rig import Front, program
from tests.webhooks.rig import LONG_AGO, House

NOBODY = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def house(module_database_url: str) -> Iterator[House]:
    house = House(module_database_url)
    yield house
    house.database.dispose()


@pytest.fixture
def shop(house: House) -> Front:
    """A new shop with rewards; its Shopify is out of reach."""
    return Front(house, house.open_shop(program=program()))


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
    """The demo store, installed, with a reward of every kind."""
    token = httpx.post(f"{store.url}/sandbox/{DEMO.domain}/session-token").json()["session_token"]
    products = httpx.get(f"{store.url}/sandbox/{DEMO.domain}/products").json()["products"]
    mug = next(item["product_id"] for item in products if item["product_id"])

    def prepare(session: Any, shop_id: int) -> None:
        programs.publish(session, shop_id, program(mug), effective_from=LONG_AGO, actor="test")

    return operations.install(house.database, token, prepare)


@pytest.fixture
def front(store: Running, house: House, installed: int, monkeypatch: pytest.MonkeyPatch) -> Front:
    """The demo store in fair weather; its effects are rewards only."""
    monkeypatch.setattr(effects, "_wired", {})
    monkeypatch.setattr(effects, "_following", {})
    effects.wire(EFFECT, issue)
    front = Front(house, installed, store)
    front.calm()
    return front


@pytest.fixture
def customer(front: Front) -> int:
    """Somebody new in the store."""
    return front.new_customer()


@pytest.fixture
def member(front: Front, customer: int) -> int:
    return front.member(customer, 10_000)
