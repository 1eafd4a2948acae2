"""Bonuses by tag and collection: the shop is asked about products, and the orders that waited for them are settled."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from core import clock, effects
from loyalty import programs
from loyalty.models import Order, Product
from loyalty.program import Bonus, demo_program
from sandbox.catalogue import DEMO
from sandbox.testing import Running
from shops import operations
from tests.webhooks.rig import LONG_AGO, House, delivery
from tests.webhooks.unheard import unheard_store
from webhooks.products import fetch_product
from webhooks.reconcile import reconcile


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with unheard_store(tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture
def shop(store: Running, house: House) -> int:
    """The demo shop: what is tagged "light" earns double."""
    shop_id = house.open_shop(DEMO.domain)
    token = httpx.post(f"{store.url}/sandbox/{DEMO.domain}/session-token").json()["session_token"]
    operations.install(house.database, token, programs.publish_first)
    light = Bonus(key="light", name="Light roasts", multiplier=Decimal(2), tags=("Light",))
    with house.database.transaction(shop_id) as session:
        programs.publish(
            session, shop_id, demo_program().model_copy(update={"bonuses": (light,)}),
            effective_from=LONG_AGO, actor="test",
        )  # fmt: skip
    return shop_id


def bought(store: Running, title: str) -> dict[str, Any]:
    """A customer buys one of the product; the answer is the order."""
    products = httpx.get(f"{store.url}/sandbox/{DEMO.domain}/products").json()["products"]
    chosen = next(product for product in products if product["title"] == title)
    customer = httpx.get(f"{store.url}/sandbox/{DEMO.domain}/customers").json()["customers"][0]
    lines = [{"variant_id": chosen["variant_id"], "quantity": 1}]
    asked = {"customer_id": customer["id"], "lines": lines}
    answer = httpx.post(f"{store.url}/sandbox/{DEMO.domain}/orders", json=asked)
    assert answer.status_code == 201, answer.text
    order: dict[str, Any] = answer.json()
    return order


def settled(house: House, shop: int, order_id: int) -> Order:
    with house.database.transaction(shop) as session:
        return session.scalars(sa.select(Order).where(Order.order_id == order_id)).one()


def work(house: House, shop: int) -> None:
    """What the drain and the effects' worker do."""
    house.drain()
    effects.wire("shopify.product", fetch_product)
    effects.carry_out_due(house.database)


def test_an_order_waits_for_its_product_and_then_gets_its_bonus(store: Running, house: House, shop: int) -> None:
    order = bought(store, "Ethiopia Guji, washed")
    reconcile(house.database, shop, clock.now() - timedelta(minutes=5))
    house.drain()
    before = settled(house, shop, order["id"])
    assert before.labels_wanted
    assert "bonuses" not in before.settled
    work(house, shop)
    after = settled(house, shop, order["id"])
    assert not after.labels_wanted
    assert after.settled["bonuses"][0]["rule"] == "light"
    assert after.posted_available > before.posted_available
    assert house.differences(shop) == []


def test_a_product_that_changed_is_read_again_for_the_next_order_only(store: Running, house: House, shop: int) -> None:
    first = bought(store, "Ethiopia Guji, washed")
    reconcile(house.database, shop, clock.now() - timedelta(minutes=5))
    work(house, shop)
    product = settled(house, shop, first["id"]).state["lines"][0]["product_id"]
    httpx.post(f"{store.url}/sandbox/{DEMO.domain}/products/{product}", json={"tags": ["dark"]}).raise_for_status()
    house.settle(shop, [delivery("products/update", {"id": product, "tags": "dark"})])
    second = bought(store, "Ethiopia Guji, washed")
    reconcile(house.database, shop, clock.now() - timedelta(minutes=5))
    work(house, shop)
    assert "bonuses" in settled(house, shop, first["id"]).settled
    assert "bonuses" not in settled(house, shop, second["id"]).settled


def test_what_is_known_and_fresh_is_not_asked_again(store: Running, house: House, shop: int) -> None:
    bought(store, "Ethiopia Guji, washed")
    reconcile(house.database, shop, clock.now() - timedelta(minutes=5))
    work(house, shop)
    with house.database.transaction(shop) as session:
        fetched = {row.product_id: row.fetched_at for row in session.scalars(sa.select(Product))}
    bought(store, "Ethiopia Guji, washed")
    reconcile(house.database, shop, clock.now() - timedelta(minutes=5))
    work(house, shop)
    with house.database.transaction(shop) as session:
        again = {row.product_id: row.fetched_at for row in session.scalars(sa.select(Product))}
    assert again == fetched
