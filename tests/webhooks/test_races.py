"""Several drains, the API and time's own work on the same members at once, on a real PostgreSQL with real threads."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from core import clock
from loyalty.operations import adjust
from loyalty.program import OrderRule, demo_program
from sandbox import payloads
from sandbox.catalogue import DEMO
from sandbox.orders import Basket, Customer, Item, place
from sandbox.signing import Delivery
from sandbox.traffic import Mix, stories
from tests.webhooks.rig import House, at_once, delivery, expected
from webhooks import drain, upkeep

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG_AGO = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
THING = Item(1, 2, "Thing", None, "T", "V", 10_000)
DRAINS = 4


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small batches, so that several drains always have something to do at once."""
    monkeypatch.setattr(drain, "BATCH", 10)
    with clock.fixed_at(NOW):
        yield


@pytest.fixture
def drains(house: House) -> Iterator[list[Callable[[], int]]]:
    """As many drains as workers, each with connections of its own."""
    houses = [House(house.url) for _ in range(DRAINS)]
    yield [one.drain for one in houses]
    for one in houses:
        one.database.dispose()


def deadlocks(house: House) -> int:
    with house.owner() as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    return int(row[0]) if row else -1


def finish(house: House, shop: int) -> None:
    """Let the retries come due, as time does."""
    with clock.fixed_at(NOW + timedelta(hours=1)):
        house.drain()
    assert set(house.states(shop)) == {"done"}, [row.error for row in house.inbox(shop) if row.error]
    assert all(row.attempts <= 2 for row in house.inbox(shop)), "a race cost more than one retry"
    assert house.differences(shop) == []


def bought(number: int, customer: Customer | None, *, email: str = "") -> Delivery:
    at = int(NOW.timestamp()) - 3600
    order = place(DEMO, number, number, Basket([(THING, 1)]), at, customer=customer, email=email)[0]
    return delivery("orders/paid", payloads.order_payload(DEMO, order, customer))


def shopper(number: int) -> Customer:
    return Customer(number, "Noor", "Haddad", f"noor{number}@example.com", LONG_AGO, LONG_AGO)


@pytest.mark.parametrize("hot", [0.0, 0.8])
def test_four_drains_at_once(house: House, shop: int, drains: list[Callable[[], int]], hot: float) -> None:
    mix = Mix(orders=150, members=10, hot=hot, refunds=0.3, edits=0.2, cancels=0.1, now=int(NOW.timestamp()))
    told = list(stories(mix))
    arriving = [one for story in told for one in story.deliveries]
    random.Random(hot).shuffle(arriving)
    house.put(shop, arriving)
    assert at_once(*drains) == []
    finish(house, shop)
    assert house.ledger(shop) == expected((story.final for story in told), at=NOW.timestamp())
    assert deadlocks(house) == 0


def test_adjustments_and_drains_at_once(house: House, shop: int, drains: list[Callable[[], int]]) -> None:
    noor = shopper(1)
    house.settle(shop, [bought(1, noor)])
    house.put(shop, [bought(number, noor) for number in range(2, 62)])

    def give(number: int) -> None:
        with house.database.transaction(shop) as session:
            adjust(session, shop, 1, 7 if number % 2 else -3, "a gesture", actor="test", key=f"gesture:{number}")

    with ThreadPoolExecutor(8) as pool:
        given = [pool.submit(give, number) for number in range(50)]
        assert at_once(*drains) == []
        for one in given:
            one.result()
    finish(house, shop)
    assert house.ledger(shop).members[1].available == 50 + 61 * 100 + 25 * 7 - 25 * 3
    assert deadlocks(house) == 0


def test_batches_of_the_same_orders_in_opposite_order(
    house: House, shop: int, drains: list[Callable[[], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each order comes many times; a batch holds half of the members, and the batches hold them the other way round."""
    monkeypatch.setattr(drain, "BATCH", 20)
    bodies = [bought(number, shopper(number)).body for number in range(1, 21)]
    for turn in range(8):
        house.put(shop, [delivery("orders/updated", body) for body in (bodies if turn % 2 else reversed(bodies))])
    assert at_once(*drains) == []
    finish(house, shop)
    assert {points.available for points in house.ledger(shop).members.values()} == {150}
    assert deadlocks(house) == 0


def test_two_drains_enrolling_the_same_new_customers(house: House, shop: int, drains: list[Callable[[], int]]) -> None:
    people = [shopper(number) for number in range(1, 31)]
    orders = [bought(100 * person.id + n, person) for person in people for n in range(DRAINS)]
    random.Random(1).shuffle(orders)
    house.put(shop, orders)
    assert at_once(*drains) == []
    finish(house, shop)
    members = house.ledger(shop).members
    assert len(members) == 30
    assert {points.available for points in members.values()} == {50 + DRAINS * 100}
    assert deadlocks(house) == 0


def test_a_guest_orders_while_they_enrol(house: House, shop: int, drains: list[Callable[[], int]]) -> None:
    people = [shopper(number) for number in range(1, 41)]
    guests = [bought(1000 + person.id, None, email=person.email or "") for person in people]
    joining = [delivery("customers/create", payloads.customer_payload(DEMO, person)) for person in people]
    both = [one for pair in zip(guests, joining, strict=True) for one in pair]
    random.Random(2).shuffle(both)
    house.put(shop, both)
    assert at_once(*drains) == []
    upkeep.claim_guest_orders(house.database)
    finish(house, shop)
    assert {points.available for points in house.ledger(shop).members.values()} == {150}
    assert deadlocks(house) == 0


def test_drains_leave_what_another_holds_and_lose_nothing_when_it_gives_up(house: House, shop: int) -> None:
    house.put(shop, [bought(number, shopper(number)) for number in range(1, 11)])
    with house.database.transaction() as session:
        assert len(drain._claim(session)) == 10
        assert House(house.url).drain() == 0
        session.rollback()
    assert house.drain() == 10
    finish(house, shop)


def test_points_are_released_once_by_two_clocks(house: House) -> None:
    waiting = demo_program().model_copy(update={"orders": OrderRule(waiting_days=1)})
    shop = house.open_shop(program=waiting)
    people = [shopper(number) for number in range(1, 31)]
    house.settle(shop, [bought(person.id, person) for person in people])
    assert {points.pending for points in house.ledger(shop).members.values()} == {100}
    with clock.fixed_at(NOW + timedelta(days=2)):
        assert at_once(*[lambda: upkeep.release_points(House(house.url).database)] * 3) == []
    assert {points.available for points in house.ledger(shop).members.values()} == {150}
    assert {points.pending for points in house.ledger(shop).members.values()} == {0}
    assert house.differences(shop) == []
