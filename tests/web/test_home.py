"""The home page: the live view of a demo shop, and next to nothing without one."""

import re

import pytest
import sqlalchemy as sa
from flask import Flask

from core.config import settings
from core.db import database
from tests.web.stores import DAY, NOW, Store, open_store
from web.home import iphone_url
from webhooks.models import Delivery

DEMO = "roastery.myshopify.com"
AWAY = "postgresql://postgres@127.0.0.1:9/rapport"


@pytest.fixture
def demo_app(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Flask:
    monkeypatch.setenv("DEMO_SHOP", DEMO)
    monkeypatch.setenv("SANDBOX_URL", "http://127.0.0.1:9")
    settings.cache_clear()
    return request.getfixturevalue("app")


@pytest.fixture
def demo(demo_app: Flask) -> Store:
    return open_store(demo_app, DEMO)


@pytest.fixture
def no_database(demo_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setenv("DATABASE_URL", AWAY)
    database().dispose()
    for cached in (settings, database):
        cached.cache_clear()
    return demo_app


def page(store: Store, path: str = "/") -> str:
    """The words of a page, without its markup."""
    answer = store.client.get(path)
    assert answer.status_code == 200
    words = re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True))
    return re.sub(r"\s+", " ", words).replace("&#39;", "'")


def deliver(store: Store, webhook_id: str, topic: str, body: bytes, state: str = "done") -> None:
    with database().transaction(store.shop_id) as session:
        done = NOW if state == "done" else None
        row = {"shop_id": store.shop_id, "webhook_id": webhook_id, "topic": topic, "body": body, "state": state}
        session.execute(sa.insert(Delivery).values(**row, received_at=NOW, done_at=done))


def test_without_a_demo_shop_there_is_a_plain_page_and_nothing_of_the_demo(app: Flask) -> None:
    client = app.test_client()
    assert "Loyalty for Shopify stores" in client.get("/").get_data(as_text=True)
    for path in ("/demo/live", "/demo/members/1"):
        assert client.get(path).status_code == 404
    assert "demo" not in app.cli.commands


def test_before_the_demo_shop_is_there_the_page_says_it_is_being_loaded(demo_app: Flask) -> None:
    answer = demo_app.test_client().get("/")
    assert answer.status_code == 503
    assert "The demo shop is being loaded" in answer.get_data(as_text=True)


def test_an_empty_shop_says_what_will_be_here(demo: Store) -> None:
    words = page(demo)
    assert "The first order makes its customer a member." in words
    assert "No points yet." in words
    assert "Nobody has joined yet." in words
    assert "Nothing has arrived yet." in words


def test_an_order_shows_its_points_with_their_reason_and_the_way_ahead(demo: Store) -> None:
    demo.settle(demo.order(1, demo.customer(1, "noor@example.com")))
    words = page(demo)
    assert "80 points for order #1. $80.00 at 1 point per dollar." in words
    assert "$420.00 to Advocate" in words
    assert "Try this" in words
    assert "Noor is $420.00 away from Advocate." in words


def test_what_just_happened_is_told_first_with_the_tier_it_led_to(demo: Store) -> None:
    noor = demo.customer(1, "noor@example.com")
    demo.settle(demo.order(1, noor, 520_00, at=NOW))
    words = page(demo)
    assert "Just now" in words
    assert "You reached Advocate with $520.00 in 365 days. It takes $500.00." in words
    assert "$980.00 to Ambassador" in words


def test_points_of_an_unpaid_order_are_shown_as_waiting(demo: Store) -> None:
    demo.settle(demo.order(1, demo.customer(1, "noor@example.com"), status="pending"))
    words = page(demo)
    assert "+80 pending" in words
    assert "80 more when paid" in words


def test_the_live_part_is_sent_only_when_it_has_changed(demo: Store) -> None:
    noor = demo.customer(1, "noor@example.com")
    demo.settle(demo.order(1, noor))
    first = demo.client.get("/demo/live")
    tag = {"If-None-Match": first.headers["ETag"]}
    assert demo.client.get("/demo/live", headers=tag).status_code == 304
    demo.settle(demo.order(2, noor))
    assert "order #2" in demo.client.get("/demo/live", headers=tag).get_data(as_text=True)


def test_deliveries_show_what_they_are_about_and_how_it_went(demo: Store) -> None:
    deliver(demo, "1", "orders/paid", b'{"id": 5, "name": "#1043"}')
    deliver(demo, "2", "customers/create", b'{"id": 6, "first_name": "Theo", "last_name": "Okafor"}', "pending")
    deliver(demo, "3", "orders/edited", b"[1, 2", "failed")
    deliver(demo, "5", "orders/updated", b'{"id": 1%s}' % (b"0" * 30))
    deliver(demo, "4", "themes/publish", b"\xff\x00", "ignored")
    words = page(demo)
    assert "Order paid #1043 orders/paid Done in 1 ms" in words
    assert "New customer Theo Okafor customers/create Waiting" in words
    assert "Order edited orders/edited Failed, kept" in words
    assert "themes/publish themes/publish Not needed" in words


def test_an_order_that_earns_nothing_says_why(demo: Store) -> None:
    demo.settle(demo.order(1, demo.customer(1, "noor@example.com"), test=True))
    order_id = demo.order(1, None).order_id
    deliver(demo, "1", "orders/paid", b'{"id": %d, "name": "#1"}' % order_id)
    assert "Order #1 is a test, so it earns nothing." in page(demo)


def test_what_a_store_sends_is_never_markup(demo: Store) -> None:
    deliver(demo, "1", "orders/paid", b'{"id": 5, "name": "<script>alert(1)</script>"}')
    assert "<script>alert" not in demo.client.get("/").get_data(as_text=True)


def test_a_member_has_a_page_with_every_reason(demo: Store) -> None:
    noor = demo.customer(1, "noor@example.com")
    demo.settle(demo.order(2, noor, 20_00, at=NOW - DAY), demo.order(1, noor))
    words = page(demo, f"/demo/members/{demo.member_of(noor)['id']}")
    assert words.index("order #2") < words.index("order #1") < words.index("50 points for joining.")
    # Whatever people are called, their phone is one step of a path.
    assert "/iphone/N%20oor%20%3F/?add=http" in iphone_url("N/oor ?", "http://127.0.0.1/wallet/add/x")


def test_nobody_sees_the_member_of_another_shop(demo: Store) -> None:
    other = open_store(demo.app, "bakery.myshopify.com")
    sam = other.customer(1, "sam@example.com")
    other.settle(other.order(1, sam))
    assert "order #1" not in page(demo)
    answer = demo.client.get(f"/demo/members/{other.member_of(sam)['id']}")
    assert answer.status_code == 404
    assert "There is no such member" in answer.get_data(as_text=True)
    assert demo.client.get(f"/demo/members/{10**30}").status_code == 404


@pytest.mark.parametrize("path", ["/", "/demo/live", "/demo/members/1"])
def test_without_the_database_the_page_says_so_and_stays(no_database: Flask, path: str) -> None:
    answer = no_database.test_client().get(path)
    assert answer.status_code == 503
    assert "We couldn't reach the database just now." in answer.get_data(as_text=True)


@pytest.mark.parametrize("path", ["/", "/demo/live", "/demo/members/1"])
def test_pages_run_nothing_inline_and_say_so(demo: Store, path: str) -> None:
    demo.settle(demo.order(1, demo.customer(1, "noor@example.com")))
    answer = demo.client.get(path)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?! type=\"module\" src=)", answer.get_data(as_text=True))
