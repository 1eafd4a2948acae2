"""Signed but wrong: a delivery that says what cannot be fails by itself, with a reason, and its neighbours post.

What is only missing or unknown is no mistake: it settles, or is explained as not eligible.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.catalogue import DEMO
from sandbox.orders import Basket, Customer, Item, place, refund
from sandbox.payloads import order_payload, refund_payload
from tests.webhooks.rig import House, Points, delivery, encode
from webhooks import drain

T0 = 1_790_000_000
NOOR = Customer(7_001, "Noor", "Haddad", "noor@example.com", T0, T0)
THING = Item(1, 2, "Thing", None, "T", "V", 10_000)


def order(number: int = 1, **more: Any) -> dict[str, Any]:
    """A paid order of $100.00, as data that a test may spoil."""
    placed = place(DEMO, number, number, Basket([(THING, 1)]), T0, customer=NOOR)[0]
    return copy.deepcopy(order_payload(DEMO, placed, NOOR)) | more


def spoiled(path: str, value: Any) -> Callable[[], bytes]:
    """The order with the value at a dotted path replaced."""

    def make() -> bytes:
        body = order()
        *way, last = path.split(".")
        node: Any = body
        for step in way:
            node = node[int(step) if step.isdigit() else step]
        node[last] = value
        return encode(body)

    return make


PRICE = "line_items.0.price_set.shop_money.amount"
IMPOSSIBLE = {
    "null id": spoiled("id", None),
    "id of zero": spoiled("id", 0),
    "negative id": spoiled("id", -5),
    "id as words": spoiled("id", "five"),
    "id as a fraction": spoiled("id", 1.5),
    "id as true": spoiled("id", [True]),
    "id past 2^63": spoiled("id", 2**63),
    "id past 2^64": spoiled("id", 2**64 + 1),
    "id of 400 digits": lambda: encode(order()).replace(b'"id":1,', b'"id":' + b"7" * 400 + b",", 1),
    "customer id past 2^63": spoiled("customer.id", 2**63),
    "null customer id": spoiled("customer.id", None),
    "customer as text": spoiled("customer", "Noor"),
    "unknown currency": spoiled("currency", "ZZZ"),
    "currency in lower case": spoiled("currency", "usd"),
    "currency as a number": spoiled("currency", 840),
    "NaN price": spoiled(PRICE, "NaN"),
    "signalling NaN": spoiled(PRICE, "sNaN"),
    "infinite price": spoiled(PRICE, "-Infinity"),
    "price of a googol": spoiled(PRICE, "1e100"),
    "price with a huge exponent": spoiled(PRICE, "1e999999999"),
    "price of 1e300 as a number": spoiled(PRICE, 1e300),
    "price with a comma": spoiled(PRICE, "10,00"),
    "empty price": spoiled(PRICE, ""),
    "null price": spoiled(PRICE, None),
    "price as a list": spoiled(PRICE, ["10.00"]),
    "negative price": spoiled(PRICE, "-10.00"),
    "negative quantity": spoiled("line_items.0.quantity", -1),
    "huge quantity": spoiled("line_items.0.quantity", 10**12),
    "quantity as words": spoiled("line_items.0.quantity", "many"),
    "lines as text": spoiled("line_items", "none"),
    "line without id": spoiled("line_items.0.id", None),
    "null line": spoiled("line_items", [None]),
    "year 1": spoiled("processed_at", "0001-01-01T00:00:00Z"),
    "year 9999": spoiled("processed_at", "9999-12-31T23:59:59-12:00"),
    "31 February": spoiled("processed_at", "2026-02-31T00:00:00Z"),
    "time as words": spoiled("processed_at", "yesterday"),
    "updated in the year 9999": spoiled("updated_at", "9999-12-31T23:59:59Z"),
    "cancelled in the year 1": spoiled("cancelled_at", "0001-01-01T00:00:00Z"),
    "test as words": spoiled("test", "perhaps"),
    "refunds as a number": spoiled("refunds", 3),
    "refund without id": spoiled("refunds", [{"order_id": 1}]),
    "refund without a time": spoiled("refunds", [{"id": 1}]),
    "a list": lambda: b"[]",
    "null": lambda: b"null",
    "a number": lambda: b"5",
    "an empty object": lambda: b"{}",
    "nested 10,000 deep": lambda: encode(order())[:-1] + b',"tax_lines":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_fails_with_a_reason_and_its_neighbours_post(house: House, shop: int, name: str) -> None:
    neighbours = [delivery("orders/paid", order(number)) for number in (101, 102)]
    house.settle(shop, [neighbours[0], delivery("orders/updated", IMPOSSIBLE[name]()), neighbours[1]])
    row = next(row for row in house.inbox(shop) if row.topic == "orders/updated")
    assert (row.state, row.attempts) == ("failed", 1)
    assert 10 < len(row.error) <= 500
    assert "Traceback" not in row.error
    assert house.states(shop) == {"done": 2, "failed": 1}
    assert house.ledger(shop).members[NOOR.id] == Points(50 + 200, 0, "insider")
    assert house.differences(shop) == []


def test_a_failed_delivery_can_be_tried_again_once_it_can_be_understood(house: House, shop: int) -> None:
    house.settle(shop, [delivery("orders/updated", IMPOSSIBLE["unknown currency"]())])
    with house.owner() as connection:
        (number,) = connection.execute("UPDATE inbox SET body = %s RETURNING id", [encode(order())]).fetchone() or (0,)
    with house.database.transaction(shop) as session:
        assert drain.retry(session, shop, number)
        assert not drain.retry(session, shop, number)
    house.drain()
    assert house.states(shop) == {"done": 1}
    assert house.ledger(shop).members[NOOR.id].available == 150


SETTLES: dict[str, tuple[dict[str, Any], int]] = {
    "nothing but an id and a time": ({"only": ("id", "processed_at", "customer")}, 0),
    "ids past 2^53": ({"id": 2**53 + 1}, 100),
    "the largest id": ({"id": 2**63 - 1}, 100),
    "id as text": ({"id": "4611686018427387905"}, 100),
    "unknown payment status": ({"financial_status": "levitating"}, 0),
    "no payment status": ({"financial_status": None}, 100),  # as good as pending
    "no currency": ({"currency": None}, 100),
    "no lines": ({"line_items": None}, 0),
    "no refunds": ({"refunds": None}, 100),
    "no times but created_at": ({"processed_at": None, "updated_at": None}, 100),
    "a time without zone": ({"processed_at": "2026-09-21T10:00:00"}, 100),
    "unknown source": ({"source_name": "the moon"}, 100),
    "unknown fields": ({"brand_new": {"a": [1, 2, {"b": None}]}}, 100),
    "a name of a megabyte": ({"name": "#" * 1_000_000}, 100),
    "NUL in its name": ({"name": "#1\x00"}, 100),
    "a test order": ({"test": True}, 0),
    "a tip of nothing": ({"total_tip_received": "0.00"}, 100),
}


@pytest.mark.parametrize("name", SETTLES)
def test_what_is_missing_or_unknown_is_no_mistake(house: House, shop: int, name: str) -> None:
    changes, points = SETTLES[name]
    changes = dict(changes)
    only = changes.pop("only", None)
    body = {key: value for key, value in (order() | changes).items() if only is None or key in only}
    house.settle(shop, [delivery("orders/paid", body)])
    assert [(row.state, row.error) for row in house.inbox(shop)] == [("done", None)]
    ledger = house.ledger(shop)
    (known,) = ledger.orders.values()
    assert known[1].available + known[1].pending == points
    assert house.differences(shop) == []


@pytest.mark.parametrize("email", ["", None, "no address", "@", "a@", "x" * 400 + "@example.com", "a\x00b@example.com"])
def test_an_order_of_nobody_is_kept_and_earns_nobody_anything(house: House, shop: int, email: str | None) -> None:
    nobody = order(customer=None, email=email, contact_email=email)
    house.settle(shop, [delivery("orders/paid", nobody)])
    assert house.states(shop) == {"done": 1}
    ledger = house.ledger(shop)
    assert ledger.members == {}
    assert ledger.orders[1][0] is None


@pytest.mark.parametrize(
    "field", ["email", "first_name", "last_name", "verified_email", "created_at", "updated_at", "default_address"]
)
def test_a_customer_with_redacted_fields_is_a_member(house: House, shop: int, field: str) -> None:
    body = order()
    body["customer"][field] = None
    house.settle(shop, [delivery("orders/paid", body)])
    assert house.ledger(shop).members[NOOR.id].available == 150


def test_negative_discounts_and_taxes_never_make_points_of_nothing(house: House, shop: int) -> None:
    body = order()
    body["line_items"][0]["discount_allocations"] = [
        {"amount_set": {"shop_money": {"amount": "250.00", "currency_code": "USD"}}}
    ]
    house.settle(shop, [delivery("orders/paid", body)])
    assert house.ledger(shop).members[NOOR.id].available == 50


def test_a_refund_of_more_than_the_order_takes_no_more_than_it_gave(house: House, shop: int) -> None:
    placed = place(DEMO, 1, 1, Basket([(THING, 1)]), T0, customer=NOOR)[0]
    paid = order_payload(DEMO, placed, NOOR)
    refund(DEMO, placed, {placed.lines[0].id: 1}, T0 + 60)
    too_much = copy.deepcopy(refund_payload(DEMO, placed, placed.refunds[0]))
    too_much["refund_line_items"][0]["subtotal_set"]["shop_money"]["amount"] = "999999.00"
    house.settle(shop, [delivery("orders/paid", paid), delivery("refunds/create", too_much)])
    assert house.ledger(shop).members[NOOR.id].available == 50


def test_a_refund_of_an_order_never_seen_waits_for_it(house: House, shop: int) -> None:
    body = {"id": 9, "order_id": 555, "created_at": "2026-10-01T10:00:00Z", "refund_line_items": []}
    house.settle(shop, [delivery("refunds/create", body)])
    assert house.states(shop) == {"done": 1}
    assert house.ledger(shop).members == {}


@pytest.mark.parametrize(
    "topic", ["refunds/create", "customers/create", "customers/update", "orders/delete", "bulk_operations/finish"]
)
@pytest.mark.parametrize("body", [b"{}", b"null", b'{"id": null}', b'{"id": 18446744073709551616}', b'"x"'])
def test_every_topic_refuses_what_it_cannot_read(house: House, shop: int, topic: str, body: bytes) -> None:
    house.settle(shop, [delivery(topic, body), delivery("orders/paid", order())])
    assert house.states(shop) == {"done": 1, "failed": 1}


def test_a_thousand_bad_deliveries_delay_no_good_one(house: House, shop: int) -> None:
    bad = [delivery("orders/updated", b'{"id": null}') for _ in range(1000)]
    good = [delivery("orders/paid", order(number)) for number in range(1, 11)]
    house.settle(shop, [*bad[:500], *good, *bad[500:]])
    assert house.states(shop) == {"failed": 1000, "done": 10}
    assert house.ledger(shop).members[NOOR.id].available == 50 + 1000  # all of one second: none precedes another
