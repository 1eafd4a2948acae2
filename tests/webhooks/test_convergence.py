"""Settlement converges: whatever order deliveries arrive in, and however often, the ledger is the same.

The yardstick is the sandbox's oracle, which shares no code with the app and sees the final orders only.
"""

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core import clock
from sandbox import orders as happen
from sandbox import payloads
from sandbox.catalogue import DEMO, SECOND
from sandbox.orders import Basket, Customer, Item, Order, Shop
from sandbox.signing import Delivery
from sandbox.traffic import Mix, Story, stories
from tests.webhooks.rig import House, delivery, encode, expected

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
STORM = Mix(
    orders=200, members=12, hot=0.3, refunds=0.35, edits=0.2, cancels=0.15, unpaid=0.3, fulfilled=0.2, tests=0.05,
    now=int(NOW.timestamp()), days=500,
)  # fmt: skip
LONG_AGO = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
NOOR = Customer(7_001, "Noor", "Haddad", "noor@example.com", LONG_AGO, LONG_AGO)


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    with clock.fixed_at(NOW):
        yield


def deliveries_of(told: list[Story]) -> list[Delivery]:
    return [one for story in told for one in story.deliveries]


def in_pieces(deliveries: list[Delivery], chance: random.Random) -> Iterator[list[Delivery]]:
    """Cut into batches of any size, single ones included."""
    rest = deliveries
    while rest:
        size = chance.choice((1, 2, 3, 10, 50, 150, 400))
        yield rest[:size]
        rest = rest[size:]


@pytest.fixture(scope="module")
def storm() -> list[Story]:
    return list(stories(STORM))


@settings(max_examples=4, deadline=None, suppress_health_check=QUIET, phases=[Phase.generate])
@given(dice=st.integers(0, 2**32))
def test_two_hundred_orders_in_any_order_and_number(house: House, storm: list[Story], dice: int) -> None:
    shop, chance = house.open_shop(), random.Random(dice)
    arriving = deliveries_of(storm)
    arriving += chance.choices(arriving, k=len(arriving) // 5)
    chance.shuffle(arriving)
    house.settle(shop, *in_pieces(arriving, chance))
    assert house.ledger(shop) == expected((story.final for story in storm), at=NOW.timestamp())
    assert house.states(shop).keys() == {"done"}
    assert house.differences(shop) == []


def test_the_final_states_alone_settle_to_the_same(house: House, storm: list[Story]) -> None:
    shop = house.open_shop()
    house.settle(shop, [delivery("orders/updated", story.final) for story in storm])
    assert house.ledger(shop) == expected((story.final for story in storm), at=NOW.timestamp())


@settings(max_examples=40, deadline=None, suppress_health_check=QUIET)
@given(seed=st.integers(0, 10_000), dice=st.integers(0, 2**32))
def test_a_few_members_who_never_rest(house: House, seed: int, dice: int) -> None:
    """Small and busy: many late facts, each of which may change the tier of orders settled before it came."""
    chance = random.Random(dice)
    mix = Mix(
        orders=12, seed=seed, members=2, hot=0.7, refunds=0.6, edits=0.4, cancels=0.2, unpaid=0.3, guests=0.2,
        now=int(NOW.timestamp()), days=chance.choice((2, 30, 400, 800)),
    )  # fmt: skip
    told = list(stories(mix))
    arriving = deliveries_of(told)
    chance.shuffle(arriving)
    shop = house.open_shop()
    house.settle(shop, *in_pieces(arriving, chance))
    assert house.ledger(shop) == expected((story.final for story in told), at=NOW.timestamp())
    assert house.differences(shop) == []


# One order's life, in every order.


def thing(price: int) -> Item:
    return Item(1, 2, "Thing", None, "T", "V", price)


def bought(
    at: datetime, price: int, *, order_id: int, status: str = "paid", shop: Shop = DEMO, quantity: int = 1
) -> Order:
    basket = Basket([(thing(price), quantity)])
    return happen.place(shop, order_id, order_id, basket, second(at), customer=NOOR, status=status)[0]


def second(at: datetime) -> int:
    return int(at.timestamp())


def told(order: Order, *topics: str, shop: Shop = DEMO) -> list[Delivery]:
    return [delivery(topic, encode(payloads.body(topic, shop, order, NOOR))) for topic in topics]


def one_life(moments: list[datetime]) -> tuple[list[Delivery], Order]:
    """Placed unpaid, paid, two of three refunded one by one; each at its moment."""
    order = bought(moments[0], 10_000, order_id=1, status="pending", quantity=3)
    deliveries = told(order, "orders/create")
    happen.pay(DEMO, order, second(moments[1]))
    deliveries += told(order, "orders/paid")
    for at in moments[2:]:
        happen.refund(DEMO, order, {order.lines[0].id: 1}, second(at))
        deliveries += told(order, "refunds/create")
    return [*deliveries, *told(order, "orders/updated")], order


@pytest.mark.parametrize("step", [timedelta(), timedelta(seconds=1)], ids=["within one second", "a second apart"])
def test_created_paid_refunded_updated_in_all_permutations(house: House, step: timedelta) -> None:
    start = NOW - timedelta(days=3)
    deliveries, order = one_life([start + step * n for n in range(4)])
    wanted = expected([payloads.order_payload(DEMO, order, NOOR)], at=NOW.timestamp())
    assert wanted.members[NOOR.id].available == 50 + 100
    lives = {house.open_shop(): arriving for arriving in itertools.permutations(deliveries)}
    for step_number in range(len(deliveries)):
        for shop, arriving in lives.items():
            house.put(shop, [arriving[step_number]])
        house.drain()
    for shop, arriving in lives.items():
        assert house.ledger(shop) == wanted, [one.topic for one in arriving]
    assert house.differences(*lives) == []


def test_a_stale_retry_after_a_newer_state_changes_nothing(house: House) -> None:
    deliveries, _ = one_life([NOW - timedelta(days=3) + timedelta(seconds=n) for n in range(4)])
    shop = house.open_shop()
    house.settle(shop, deliveries)
    before = house.ledger(shop)
    repeats = [delivery(one.topic, one.body) for one in deliveries]  # the same bodies under new webhook ids
    house.settle(shop, repeats)
    assert house.ledger(shop) == before


def test_the_same_order_under_other_ids_and_topics_counts_once(house: House) -> None:
    order = bought(NOW - timedelta(days=1), 12_345, order_id=5)
    body = encode(payloads.order_payload(DEMO, order, NOOR))
    topics = ("orders/create", "orders/paid", "orders/updated", "orders/fulfilled", "orders/partially_fulfilled")
    shop = house.open_shop()
    house.settle(shop, [delivery(topic, body) for topic in topics for _ in range(5)])
    assert house.ledger(shop).members[NOOR.id].available == 50 + 123


@pytest.mark.parametrize("reverse", [False, True])
def test_equal_updated_at_is_decided_by_how_far_the_order_has_come(house: House, reverse: bool) -> None:
    at = NOW - timedelta(days=1)
    order = bought(at, 10_000, order_id=6)
    paid = told(order, "orders/paid")
    happen.cancel(DEMO, order, second(at))
    cancelled = told(order, "orders/cancelled")
    shop = house.open_shop()
    house.settle(shop, *((cancelled, paid) if reverse else (paid, cancelled)))
    assert house.ledger(shop).members[NOOR.id].available == 50


# Moments that calendars get wrong. 500.00 within the 365 days before makes an Advocate: 1.25 points a dollar.


@pytest.mark.parametrize(
    ("first", "second_", "tier"),
    [
        pytest.param("2024-02-29T12:00:00+00:00", "2025-02-28T12:00:00+00:00", "advocate", id="leap day, 365 days on"),
        pytest.param("2024-02-29T12:00:00+00:00", "2025-02-28T12:00:01+00:00", "insider", id="leap day, a second more"),
        pytest.param("2023-03-01T00:00:00+00:00", "2024-02-29T00:00:00+00:00", "advocate", id="to a leap day"),
        pytest.param("2025-03-09T01:59:59-05:00", "2026-03-09T02:59:59-04:00", "advocate", id="clocks forward"),
        pytest.param("2025-03-09T01:59:59-05:00", "2026-03-09T03:00:00-04:00", "insider", id="clocks forward, over"),
        pytest.param(
            "2024-11-03T01:30:00-04:00", "2025-11-03T00:30:00-05:00", "advocate", id="clocks back, first 1:30"
        ),
        pytest.param("2024-11-03T01:30:00-04:00", "2025-11-03T01:30:00-05:00", "insider", id="clocks back, over"),
        pytest.param("2025-12-31T23:59:59+00:00", "2026-01-01T00:00:00+00:00", "advocate", id="year edge"),
        pytest.param("2025-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00", "advocate", id="window edge"),
        pytest.param("2025-01-01T00:00:00+00:00", "2026-01-01T00:00:01+00:00", "insider", id="a second past the edge"),
        pytest.param("2025-01-01T00:00:00+00:00", "2025-01-01T00:00:00+00:00", "insider", id="the same second"),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["in order", "the older arrives last"])
def test_the_window_to_the_second(house: House, first: str, second_: str, tier: str, late: bool) -> None:
    older = bought(datetime.fromisoformat(first), 50_000, order_id=1)
    newer = bought(datetime.fromisoformat(second_), 10_000, order_id=2)
    arriving = [told(older, "orders/paid"), told(newer, "orders/paid")]
    shop = house.open_shop()
    house.settle(shop, *(reversed(arriving) if late else arriving))
    ledger = house.ledger(shop)
    assert ledger.orders[2][1].tier == tier
    assert ledger.orders[2][1].available == (125 if tier == "advocate" else 100)
    assert ledger == expected(
        [payloads.order_payload(DEMO, order, NOOR) for order in (older, newer)], at=NOW.timestamp()
    )


def test_a_refund_after_an_order_does_not_take_its_multiplier_back(house: House) -> None:
    first = bought(NOW - timedelta(days=20), 50_000, order_id=1)
    second_ = bought(NOW - timedelta(days=10), 10_000, order_id=2)
    deliveries = [*told(first, "orders/paid"), *told(second_, "orders/paid")]
    happen.refund(DEMO, first, {first.lines[0].id: 1}, second(NOW - timedelta(days=5)))
    shop = house.open_shop()
    house.settle(shop, [*told(first, "refunds/create")], deliveries)
    assert house.ledger(shop).orders[2][1].available == 125
    assert house.ledger(shop).members[NOOR.id].tier == "insider"


def test_yen_with_tax_included(house: House) -> None:
    shop = house.open_shop(currency="JPY")
    order = bought(NOW - timedelta(days=2), 1080, order_id=1, shop=SECOND)
    house.settle(shop, told(order, "orders/paid", shop=SECOND))
    assert house.ledger(shop).members[NOOR.id].available == 50 + 1000


def test_final_orders_survive_json() -> None:
    """The oracle reads the same bytes that were delivered."""
    story = next(iter(stories(STORM)))
    assert msgspec.json.decode(encode(story.final))["id"] == story.order.id
