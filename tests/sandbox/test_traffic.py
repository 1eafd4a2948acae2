"""Generated traffic: the same every time, properly signed, and as mixed as asked."""

import base64
import hashlib
import hmac
from collections import Counter

import msgspec
import pytest

from sandbox import oracle
from sandbox.catalogue import SECOND, SECOND_PRODUCTS
from sandbox.traffic import Mix, deliveries, final_orders, stories

EVERYTHING = Mix(orders=200, refunds=0.4, edits=0.3, cancels=0.2, gift_cards=0.2, tips=0.2, guests=0.1)


def test_one_seed_makes_one_traffic():
    mix = Mix(orders=50, duplicates=0.1, withhold=0.1, shuffle=True)
    assert list(deliveries(mix)) == list(deliveries(mix))
    assert list(deliveries(Mix(orders=50, seed=2))) != list(deliveries(Mix(orders=50)))


def test_every_delivery_is_signed_over_its_raw_body():
    for delivery in deliveries(EVERYTHING):
        wanted = base64.b64encode(hmac.new(EVERYTHING.secret.encode(), delivery.body, hashlib.sha256).digest())
        assert delivery.headers["X-Shopify-Hmac-SHA256"] == wanted.decode()


def test_shuffling_and_duplicating_lose_and_invent_nothing():
    calm = Counter(delivery.webhook_id for delivery in deliveries(Mix(orders=80)))
    wild = Counter(delivery.webhook_id for delivery in deliveries(Mix(orders=80, shuffle=True, duplicates=0.2)))
    assert set(calm.values()) == {1}
    assert set(wild) == set(calm)
    assert wild.total() > calm.total()


def test_withholding_drops_about_the_share_asked_for():
    all_of_it = sum(1 for _ in deliveries(Mix(orders=400)))
    rest = sum(1 for _ in deliveries(Mix(orders=400, withhold=0.25)))
    assert 0.65 < rest / all_of_it < 0.85


def test_the_last_update_of_each_order_is_its_final_state():
    last = {}
    for story in stories(EVERYTHING):
        for delivery in story.deliveries:
            body = msgspec.json.decode(delivery.body)
            if "line_items" in body:
                last[body["id"]] = body
    assert last == {order["id"]: msgspec.json.decode(msgspec.json.encode(order)) for order in final_orders(EVERYTHING)}


def test_order_ids_are_distinct_and_some_are_past_what_a_float_can_hold():
    ids = [order["id"] for seed in (1, 2) for order in final_orders(Mix(orders=100, seed=seed))]
    assert len(set(ids)) == 200
    assert any(int(float(number)) != number for number in ids)


def test_a_hot_member_places_the_share_of_orders_asked_for():
    buyers = Counter(story.order.customer_id for story in stories(Mix(orders=500, hot=0.8, guests=0.0)))
    assert 0.75 < buyers.most_common(1)[0][1] / 500 < 0.85


def test_every_state_of_an_order_occurs():
    seen = {order["financial_status"] for order in final_orders(EVERYTHING)}
    assert seen == {
        "paid",
        "pending",
        "authorized",
        "partially_paid",
        "partially_refunded",
        "refunded",
        "voided",
    }


@pytest.mark.parametrize("shop", [SECOND])
def test_traffic_of_another_shop(shop):
    orders = list(final_orders(Mix(orders=30, shop=shop, catalogue=SECOND_PRODUCTS)))
    assert all("." not in order["total_price"] for order in orders)
    assert oracle.books(orders).available > 0
