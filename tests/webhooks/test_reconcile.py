"""Reconcile: what no webhook told is asked for, and ends in the same ledger."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from core import crypto
from core.errors import NotAuthenticated
from loyalty import programs
from sandbox import oracle
from sandbox.catalogue import DEMO
from sandbox.testing import Running
from shops import admin, operations, tokens
from shops.models import ShopToken
from tests.webhooks.rig import LONG_AGO, House
from tests.webhooks.unheard import unheard_store
from webhooks.reconcile import reconcile


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A store whose webhooks all get lost: nobody listens at the app's address."""
    with unheard_store(tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture
def installed(store: Running, house: House) -> int:
    """The demo shop, installed through its session token, with a program."""
    house.open_shop(DEMO.domain)
    return operations.install(house.database, session_token(store), programs.publish_first)


def session_token(store: Running) -> str:
    token: str = httpx.post(f"{store.url}/sandbox/{DEMO.domain}/session-token").json()["session_token"]
    return token


def orders_of(store: Running) -> list[dict[str, object]]:
    orders: list[dict[str, object]] = httpx.get(f"{store.url}/sandbox/{DEMO.domain}/orders").json()["orders"]
    return orders


def a_variant(store: Running) -> int:
    variant: int = httpx.get(f"{store.url}/sandbox/{DEMO.domain}/products").json()["products"][0]["variant_id"]
    return variant


def test_a_shop_whose_webhooks_were_all_lost_is_whole_after_one_walk(
    store: Running, house: House, installed: int
) -> None:
    known = orders_of(store)
    summary = reconcile(house.database, installed, LONG_AGO)
    assert (summary.seen, summary.repaired) == (len(known), len(known))
    house.drain()
    assert house.states(installed)["failed"] == 0
    assert house.differences(installed) == []
    books = oracle.books(known)
    found = {id: (p.available, p.pending) for id, p in house.ledger(installed).members.items()}
    assert found == {m.customer_id: (m.available, m.pending) for m in books.members.values()}


def test_a_second_walk_finds_nothing_to_do(store: Running, house: House, installed: int) -> None:
    reconcile(house.database, installed, LONG_AGO)
    house.drain()
    again = reconcile(house.database, installed, LONG_AGO)
    assert (again.seen, again.repaired) == (len(orders_of(store)), 0)


def test_only_what_changed_since_is_asked_for(store: Running, house: House, installed: int) -> None:
    reconcile(house.database, installed, LONG_AGO)
    house.drain()
    customer = next(order["customer"]["id"] for order in orders_of(store) if order["customer"])  # type: ignore[index]
    bought = {"customer_id": customer, "lines": [{"variant_id": a_variant(store), "quantity": 1}]}
    assert httpx.post(f"{store.url}/sandbox/{DEMO.domain}/orders", json=bought).status_code == 201
    summary = reconcile(house.database, installed, datetime.now(UTC) - timedelta(minutes=5))
    assert summary.repaired == 1


def test_a_throttled_or_stumbling_shop_is_asked_again(store: Running, house: House, installed: int) -> None:
    httpx.post(f"{store.url}/sandbox/faults", json={"kind": "throttle", "times": 1})
    assert reconcile(house.database, installed, LONG_AGO).repaired == len(orders_of(store))


def test_tokens_are_kept_encrypted_and_refreshed_before_they_end(
    store: Running, house: House, installed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house.database.transaction(installed) as session:
        row = session.scalars(sa.select(ShopToken)).one()
        first = crypto.decrypt(row.access_token)
        assert first.encode() not in row.access_token
        assert tokens.access_token(session, installed, DEMO.domain) == first
        row.access_expires_at = datetime.now(UTC) + timedelta(minutes=1)
    with house.database.transaction(installed) as session:
        second = tokens.access_token(session, installed, DEMO.domain)
    assert second != first
    with house.database.transaction(installed) as session:
        assert tokens.access_token(session, installed, DEMO.domain) == second
    assert reconcile(house.database, installed, datetime.now(UTC)).seen == 0  # and Shopify takes the new one


@pytest.mark.parametrize("fault", ["html", "500"])
def test_answers_that_are_none_are_errors(store: Running, house: House, installed: int, fault: str) -> None:
    httpx.post(f"{store.url}/sandbox/faults", json={"kind": fault, "times": 9})
    with pytest.raises((admin.Unavailable, admin.AdminRefused)):
        reconcile(house.database, installed, LONG_AGO)


def test_session_tokens_of_others_open_nothing(store: Running) -> None:
    good = session_token(store)
    for wrong in (good[:-2] + "xx", "", "a.b.c", good.replace(".", "", 1)):
        with pytest.raises(NotAuthenticated):
            tokens.verify_session_token(wrong)
    assert tokens.shop_of(tokens.verify_session_token(good)) == DEMO.domain
