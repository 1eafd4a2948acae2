"""Reconcile: what no webhook told is asked for, and ends in the same ledger."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from core import clock, crypto
from core.effects import NotYet, PermanentFailure
from core.errors import NotAuthenticated
from loyalty import programs
from sandbox import admin_api, oracle
from sandbox.catalogue import DEMO
from sandbox.faults import Fault
from sandbox.orders import Basket
from sandbox.testing import Running
from sandbox.traffic import Mix, deliveries, stories
from shops import admin, operations, tokens
from shops.models import ShopToken
from tests.webhooks.rig import LONG_AGO, House
from tests.webhooks.unheard import unheard_store
from webhooks import proof
from webhooks import reconcile as reconciling
from webhooks.models import Reconciliation
from webhooks.reconcile import OVERLAP, RECENT, SWEEP, reconcile, walk


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A store whose webhooks all get lost: nobody listens at the app's address.

    It is on the plan whose limits are the widest: on the smallest one most of a walk is waiting for the bucket to fill.
    """
    monkeypatch.setattr(admin_api, "BUCKET", 20_000)
    monkeypatch.setattr(admin_api, "RESTORE_PER_SECOND", 1_000)
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
    orders: list[dict[str, object]] = httpx.get(f"{store.url}/sandbox/{DEMO.domain}/orders", timeout=60).json()[
        "orders"
    ]
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
    assert (again.seen, again.settled, again.repaired) == (len(orders_of(store)), len(orders_of(store)), 0)


def test_only_what_changed_since_is_asked_for(store: Running, house: House, installed: int) -> None:
    reconcile(house.database, installed, LONG_AGO)
    house.drain()
    customer = next(order["customer"]["id"] for order in orders_of(store) if order["customer"])  # type: ignore[index]
    bought = {"customer_id": customer, "lines": [{"variant_id": a_variant(store), "quantity": 1}]}
    assert httpx.post(f"{store.url}/sandbox/{DEMO.domain}/orders", json=bought).status_code == 201
    summary = reconcile(house.database, installed, datetime.now(UTC) - timedelta(minutes=5))
    assert summary.repaired == 1


MIX = Mix(orders=400, members=40, refunds=0.2, edits=0.1, cancels=0.1, withhold=0.03, duplicates=0.05, shuffle=True,
          now=int((datetime.now(UTC) - timedelta(minutes=10)).timestamp()), days=50)  # fmt: skip


def test_of_three_percent_withheld_every_one_is_repaired(store: Running, house: House, installed: int) -> None:
    """Lost are whole orders, and the news of payments, refunds, edits and cancels of others."""
    reconcile(house.database, installed, LONG_AGO)
    house.drain()
    before = len(orders_of(store))
    told = list(stories(MIX))
    people = {story.customer.id: story.customer for story in told if story.customer}
    store.sandbox.world.take_in(DEMO.domain, list(people.values()), [story.order for story in told])
    arrived = list(deliveries(MIX))
    sent = sum(len(story.deliveries) for story in told)
    assert len({one.webhook_id for one in arrived}) < sent
    house.settle(installed, arrived)
    lost = proof_of(house, installed, since=LONG_AGO)
    assert lost.differences == lost.repaired > 0
    assert (lost.seen, lost.settled) == (before + 400, before + 400 - lost.differences)
    house.drain()
    found = proof_of(house, installed, since=LONG_AGO)
    assert (found.seen, found.settled, found.differences) == (before + 400, before + 400, 0)
    assert house.states(installed).keys() == {"done"}
    assert house.differences(installed) == []
    books = oracle.books(orders_of(store))
    settled = {id: (p.available, p.pending) for id, p in house.ledger(installed).members.items() if id in people}
    assert settled == {id: (m.available, m.pending) for id, m in books.members.items() if id in people}


def proof_of(house: House, shop: int, since: datetime) -> Reconciliation:
    """What a walk by hand writes down."""
    reconcile(house.database, shop, since)
    return walked(house, shop)[0]


def walked(house: House, shop: int) -> list[Reconciliation]:
    with house.database.transaction(shop) as session:
        return proof.walks(session, shop)


def how_it_stands(house: House, shop: int) -> proof.Standing:
    with house.database.transaction(shop) as session:
        return proof.standing(session, shop)


def buy(store: Running) -> None:
    world = store.sandbox.world
    world.place(DEMO.domain, Basket([(world.products(DEMO.domain)[0], 1)]), customer=world.customers(DEMO.domain)[0])


def test_the_recent_walk_goes_on_from_where_it_came_to(store: Running, house: House, installed: int) -> None:
    began = datetime.now(UTC)
    buy(store)
    walk(house.database, installed, RECENT)  # what is a moment old is left to its own webhook
    with clock.fixed_at(began + timedelta(minutes=10)):
        walk(house.database, installed, RECENT)
        house.drain()
    with clock.fixed_at(began + timedelta(minutes=20)):
        walk(house.database, installed, RECENT)
    third, second, first = walked(house, installed)
    assert (first.seen, second.seen, second.repaired, third.seen, third.settled) == (0, 1, 1, 1, 1)
    assert second.since_at == first.until_at - OVERLAP
    assert third.overlapped == 1
    standing = how_it_stands(house, installed)
    assert standing == (1, min(first.since_at, second.since_at), third.finished_at, 0, 1, True)


def test_a_sweep_goes_on_where_its_slice_ended_and_rests_for_a_day(
    store: Running, house: House, installed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("PAGE", 40), ("SLICE", 0.0), ("REACH", timedelta(days=4000))):
        monkeypatch.setattr(reconciling, name, value)
    slices = 0
    with clock.fixed_at(datetime.now(UTC) + timedelta(minutes=5)):
        for slices in range(1, 9):  # noqa: B007
            try:
                walk(house.database, installed, SWEEP)
            except NotYet:
                continue
            break
        walk(house.database, installed, SWEEP)
        house.drain()
        known = len(orders_of(store))
        rows = walked(house, installed)
        assert len(rows) == slices > 2
        assert [row.done for row in rows] == [True] + [False] * (slices - 1)
        assert sum(row.repaired for row in rows) == known
        standing = how_it_stands(house, installed)
        assert (standing.checked, standing.missing) == (known, rows[0].differences)
        monkeypatch.setattr(reconciling, "SLICE", 60.0)
    with clock.fixed_at(datetime.now(UTC) + timedelta(days=2)):
        walk(house.database, installed, SWEEP)
    standing = how_it_stands(house, installed)
    assert (standing.checked, standing.missing, standing.repaired, standing.genuine) == (known, 0, known, True)


def test_nobody_can_write_up_what_was_found(store: Running, house: House, installed: int) -> None:
    reconcile(house.database, installed, LONG_AGO)
    assert how_it_stands(house, installed).genuine
    with pytest.raises(ProgrammingError), house.database.transaction(installed) as session:
        session.execute(sa.update(Reconciliation).values(differences=0))
    with house.owner() as owner:
        owner.execute("UPDATE reconciliations SET differences = 0")
    assert not how_it_stands(house, installed).genuine


def test_a_shop_that_shows_no_orders_is_told_to_the_merchant(store: Running, house: House, installed: int) -> None:
    store.sandbox.faults.plan(Fault("access_denied", field="orders"))
    with clock.fixed_at(datetime.now(UTC) + timedelta(minutes=5)), pytest.raises(PermanentFailure):
        walk(house.database, installed, RECENT)
    assert walked(house, installed) == []


def test_no_answer_moves_no_mark(store: Running, house: House, installed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a walk that broke off had not seen, the next one sees."""
    monkeypatch.setattr(admin, "STUMBLE", 0.0)
    buy(store)
    with clock.fixed_at(datetime.now(UTC) + timedelta(minutes=5)):
        store.sandbox.faults.plan(Fault("502", field="order", times=admin.TRIES))
        with pytest.raises(admin.Unavailable):
            walk(house.database, installed, RECENT)
        walk(house.database, installed, RECENT)
    assert [row.repaired for row in walked(house, installed)] == [1]


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
