"""Early access in a real store: the checkout's rule stands while a tier brings it, and keeps the door."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.effects import PermanentFailure
from loyalty import programs
from loyalty.program import Ladder, Tier, demo_program
from sandbox import rules
from sandbox.catalogue import DEMO, PRODUCTS
from sandbox.testing import Running
from shops import operations
from tests.webhooks.rig import LONG_AGO, House
from tests.webhooks.unheard import unheard_store
from tiers import early_access

DECAF = next(item for item in PRODUCTS if "Decaf" in item.title)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with unheard_store(tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture
def shop(store: Running, house: House) -> int:
    house.open_shop(DEMO.domain)
    token = httpx.post(f"{store.url}/sandbox/{DEMO.domain}/session-token").json()["session_token"]
    return operations.install(house.database, token, programs.publish_first)


def standing(store: Running) -> list[tuple[str, bool]]:
    return [(rule.title, rule.enabled) for rule in rules.every(store.sandbox.world, DEMO.domain)]


def buy(store: Running, customer: int) -> Any:
    body = {"lines": [{"variant_id": DECAF.variant_id}], "customer_id": customer}
    return httpx.post(f"{store.url}/sandbox/{DEMO.domain}/orders", json=body)


def test_the_rule_stands_while_a_tier_brings_it(store: Running, house: House, shop: int) -> None:
    for _ in range(2):
        early_access.arrange(house.database, shop)
        assert standing(store) == [("Rapport: early access", True)]
    plain = Ladder(tiers=(Tier(key="insider", name="Insider", threshold=0),))
    with house.database.transaction(shop) as session:
        program = demo_program().model_copy(update={"ladder": plain})
        programs.publish(session, shop, program, effective_from=LONG_AGO, actor="test")
    early_access.arrange(house.database, shop)
    assert standing(store) == []


def test_a_rule_the_merchant_switched_off_stays_off(store: Running, house: House, shop: int) -> None:
    early_access.arrange(house.database, shop)
    (rule,) = rules.every(store.sandbox.world, DEMO.domain)
    rule.enabled = False
    store.sandbox.world.store.put(DEMO.domain, "rule", rule.id, rule)
    early_access.arrange(house.database, shop)
    assert standing(store) == [("Rapport: early access", False)]


def test_a_function_that_is_not_released_shows(
    store: Running, house: House, shop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "FUNCTIONS", ())
    with pytest.raises(PermanentFailure, match="Function early-access not found"):
        early_access.arrange(house.database, shop)


def test_the_checkout_keeps_the_door(store: Running, house: House, shop: int) -> None:
    world = store.sandbox.world
    world.change_product(DEMO.domain, DECAF.product_id or 0, {"tags": ["early-access"]})
    ambassador, insider = world.customers(DEMO.domain)[:2]
    world.update_customer(DEMO.domain, ambassador.id, {"tags": ["perk:early-access"]})
    assert buy(store, insider.id).status_code == 201  # no rule stands yet
    early_access.arrange(house.database, shop)
    refused = buy(store, insider.id)
    assert refused.status_code == 422
    assert "for members with early access" in refused.json()["errors"]
    assert buy(store, ambassador.id).status_code == 201
