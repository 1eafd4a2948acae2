"""A running store: what it sends, again and again if need be, and what it remembers."""

import json
import time

import httpx
import pytest

from sandbox import oracle
from tests.sandbox.conftest import DEMO, SECOND


@pytest.fixture
def installed(store, listener):
    store.sandbox.world.issue_tokens(DEMO)
    return listener


def buy(control, **wish):
    variant = control.get("/products").json()["products"][0]["variant_id"]
    body = {"lines": [{"variant_id": variant, "quantity": 2}], "email": "guest@example.com", **wish}
    answer = control.post("/orders", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def settled(store):
    assert store.sandbox.outbox.wait_until_settled(10)


def test_nothing_is_sent_before_the_app_is_installed(store, listener, control):
    buy(control)
    settled(store)
    time.sleep(0.1)
    assert listener.received == []


def test_an_order_reaches_the_app_with_shopifys_headers(store, installed, control):
    buy(control)
    settled(store)
    assert sorted(installed.topics()) == ["orders/create", "orders/paid"]
    (first, body), (second, _) = installed.received
    assert first["X-Shopify-Shop-Domain"] == DEMO
    assert first["X-Shopify-API-Version"] == "2026-10"
    assert first["X-Shopify-Event-Id"] == second["X-Shopify-Event-Id"]
    assert first["X-Shopify-Webhook-Id"] != second["X-Shopify-Webhook-Id"]
    assert json.loads(body)["email"] == "guest@example.com"


def test_a_life_of_an_order(store, installed, control):
    order = buy(control, status="pending")
    path, line = f"/orders/{order['id']}", order["line_items"][0]["id"]
    assert control.post(f"{path}/pay", json={}).json()["financial_status"] == "paid"
    assert control.post(f"{path}/fulfill", json={}).json()["fulfillment_status"] == "fulfilled"
    refunded = control.post(f"{path}/refund", json={"lines": {str(line): 1}}).json()
    assert refunded["financial_status"] == "partially_refunded"
    edited = control.post(f"{path}/edit", json={"add": [{"variant_id": order["line_items"][0]["variant_id"]}]}).json()
    assert len(edited["line_items"]) == 2
    assert control.post(f"{path}/cancel", json={}).json()["cancelled_at"]
    assert control.post(f"{path}/delete").status_code == 204
    assert control.get(path).status_code == 404
    settled(store)
    assert set(installed.topics()) == {
        "orders/create",
        "orders/paid",
        "orders/updated",
        "orders/fulfilled",
        "refunds/create",
        "orders/edited",
        "orders/cancelled",
        "orders/delete",
    }


def test_a_life_of_a_customer(store, installed, control):
    people = [control.post("/customers", json={"first_name": name, "email": f"{name}@example.com"}) for name in "abc"]
    a, b, c = (answer.json()["id"] for answer in people)
    assert control.post("/customers", json={"email": "a@example.com"}).status_code == 422
    control.post(f"/customers/{a}", json={"last_name": "Pier"}).raise_for_status()
    control.post(f"/customers/{b}/merge", json={"into": a}).raise_for_status()
    control.post(f"/customers/{a}/data_request").raise_for_status()
    control.post(f"/customers/{a}/redact").raise_for_status()
    control.post(f"/customers/{c}/delete").raise_for_status()
    control.post("/uninstall").raise_for_status()
    control.post("/redact").raise_for_status()
    settled(store)
    assert sorted(installed.topics()) == [
        "app/uninstalled",
        *["customers/create"] * 3,
        "customers/data_request",
        "customers/delete",
        "customers/merge",
        "customers/redact",
        "customers/update",
        "shop/redact",
    ]


def test_an_erased_person_can_not_be_read_back(store, installed, control):
    noor = store.sandbox.world.customer_by_email(DEMO, "noor.haddad@example.com")
    control.post(f"/customers/{noor.id}/redact").raise_for_status()
    assert "noor" not in (control.get("/orders").text + control.get("/customers").text).lower()


def test_a_refused_delivery_is_tried_again_under_the_same_id(store, installed, control):
    installed.answers[:] = [503, 500]
    control.post("/customers", json={"email": "a@example.com"})
    settled(store)
    ids = {headers["X-Shopify-Webhook-Id"] for headers, _ in installed.received}
    assert (len(installed.received), len(ids)) == (3, 1)
    log = control.get("/deliveries?state=delivered").json()["deliveries"]
    assert (log[0]["attempts"], log[0]["status"]) == (3, 200)


def test_after_eight_retries_the_store_gives_up(store, installed, control):
    installed.answers[:] = [500] * 20
    control.post("/customers", json={"email": "a@example.com"})
    settled(store)
    assert len(installed.received) == 9
    assert control.get("/deliveries").json()["counts"]["failed"] == 1


def test_the_past_is_replayed_once_asked_for(store, installed, control):
    count = control.post("/replay").json()["queued"]
    settled(store)
    assert len(installed.received) == count > 200
    known = {
        json.loads(body)["id"] for headers, body in installed.received if headers["X-Shopify-Topic"] == "orders/create"
    }
    assert known == {order["id"] for order in control.get("/orders").json()["orders"]}


def test_bad_weather_repeats_and_withholds(store, installed, control):
    httpx.post(f"{store.url}/sandbox/weather", json={"duplicates": 1.0}).raise_for_status()
    control.post("/customers", json={"email": "a@example.com"})
    settled(store)
    assert len(installed.received) == 2
    httpx.post(f"{store.url}/sandbox/weather", json={"withhold": 1.0}).raise_for_status()
    control.post("/customers", json={"email": "b@example.com"})
    settled(store)
    assert len(installed.received) == 2


def test_a_restart_forgets_nothing_and_sends_what_was_waiting(start, listener):
    with start() as running:
        world = running.sandbox.world
        tokens = world.issue_tokens(DEMO)
        running.sandbox.outbox.weather.delay = 0.5
        number = world.create_customer(DEMO, "Ada", "Pier", "ada@example.com").id
        orders = len(world.orders(DEMO))
    assert listener.received == []
    with start() as running:
        world = running.sandbox.world
        assert len(world.orders(DEMO)) == orders
        assert tokens["access_token"] in world.install(DEMO).access
        settled(running)
    assert [json.loads(body)["id"] for _, body in listener.received] == [number]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/orders", b"{", 400),
        ("/orders", b'{"lines": [], "surprise": 1}', 400),
        ("/orders", b'{"lines": [{"variant_id": 1}]}', 404),
        ("/orders/1/pay", b"{}", 404),
        ("/customers/1/redact", b"{}", 404),
    ],
)
def test_what_can_not_be_done_is_said(control, path, body, status):
    answer = control.post(path, content=body)
    assert (answer.status_code, "errors" in answer.json()) == (status, True)


def test_the_demo_world_has_a_member_at_every_stage(store):
    world = store.sandbox.world
    payloads = [world.order_payload(DEMO, order) for order in world.orders(DEMO)]
    books = oracle.books(payloads, at=time.time())
    by_name = {member.email.split(".")[0]: member for member in books.members.values()}
    assert by_name["maya"].tier == by_name["theo"].tier == "insider"
    assert 480 <= sum(by_name["theo"].points.values()) < 500
    assert (by_name["noor"].tier, by_name["noor"].pending > 0) == ("ambassador", True)
    assert by_name["silas"].tier == "advocate"
    assert any(order["refunds"] for order in payloads if order["email"] == "june.park@example.com")
    assert set(books.held) == {"rosa.marsh@example.com"}
    assert world.orders(SECOND)
    assert not world.install(SECOND).installed


def test_buying_in_the_storefront(store):
    with httpx.Client(base_url=f"{store.url}/{DEMO}", follow_redirects=True) as shopper:
        noor = store.sandbox.world.customer_by_email(DEMO, "noor.haddad@example.com")
        assert "Noor" in shopper.post("/sign-in", data={"customer": noor.id}).text
        variant = store.sandbox.world.products(DEMO)[0].variant_id
        page = shopper.post("/checkout", data={"variant": variant, "quantity": 2, "code": "welcome10", "pay": "now"})
        order = store.sandbox.world.orders_of(DEMO, noor.id)[-1]
        assert f"Order #{order.number} is confirmed" in page.text
        assert f"#{order.number}" in shopper.get("/orders").text
        for change, form in (("refund", {"line": order.lines[0].id}), ("add", {"variant": variant}), ("cancel", {})):
            assert shopper.post(f"/orders/{order.id}/{change}", data=form).status_code == 200
        assert shopper.post(f"/orders/{order.id}/pay").status_code == 422
        assert shopper.post("/checkout", data={"variant": variant, "code": "NONSENSE"}).status_code == 422
