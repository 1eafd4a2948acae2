"""A sandbox store for a whole module, and for each test a database in which it is installed."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from core import config, effects
from core.config import settings
from core.db import database
from loyalty import programs
from loyalty.rewards.issue import issue
from loyalty.rewards.operations import EFFECT as REWARD
from referrals import operations
from referrals.queries import with_rewards_under_way
from sandbox.catalogue import DEMO
from sandbox.outbox import Weather
from sandbox.testing import Running, in_process
from shops import admin, tokens
from shops.operations import install
from tests.referrals.engine.rig import Town, program
from tests.webhooks.rig import LONG_AGO, House
from tiers.queries import tier_at

first_rewards = count(1, 1000)
NOBODY = "http://127.0.0.1:1"
ENDING = ("reward.returned", "reward.used", "reward.kept", "reward.failed")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    state = tmp_path_factory.mktemp("store")
    with in_process(state, NOBODY, weather=Weather(withhold=1.0)) as running, pytest.MonkeyPatch.context() as patched:
        chosen = config.Settings(_env_file=None, shopify_store_url=running.url + "/{shop}")  # type: ignore[call-arg]
        for module in (tokens, admin):
            patched.setattr(module, "settings", lambda: chosen)
        yield running


@pytest.fixture
def house(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A database of the test's own, which is the one that jobs work on."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    for cached in (settings, database):
        cached.cache_clear()
    house = House(database_url)
    yield house
    house.database.dispose()
    database().dispose()
    for cached in (settings, database):
        cached.cache_clear()


@pytest.fixture
def town(house: House, running: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """The demo store with the demo terms of referral; its effects are those of referrals and rewards."""
    monkeypatch.setattr(effects, "_wired", {})
    monkeypatch.setattr(effects, "_following", {})
    effects.wire(REWARD, issue)
    effects.wire(operations.EFFECT, operations.settle)
    effects.wire(operations.REWARD_EFFECT, operations.follow_rewards, after=ENDING, concern=with_rewards_under_way)
    monkeypatch.setattr(operations, "tier_at", [lambda *asked: tier_at(*asked).key])
    httpx.delete(f"{running.url}/sandbox/faults")
    token = httpx.post(f"{running.url}/sandbox/{DEMO.domain}/session-token").json()["session_token"]

    def prepare(session: Any, shop_id: int) -> None:
        programs.publish(session, shop_id, program(), effective_from=LONG_AGO, actor="test")

    town = Town(house, install(house.database, token, prepare), running)
    # The store keeps the codes of earlier tests, which follow from the ids of rewards: none may come twice.
    town.owner.execute(f"ALTER TABLE member_rewards ALTER COLUMN id RESTART WITH {next(first_rewards)}")
    yield town
    town.owner.close()
