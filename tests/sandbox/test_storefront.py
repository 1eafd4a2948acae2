"""The storefront keeps what a shared link brings: a code for the checkout, and who brought the shopper for the cart."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.catalogue import PRODUCTS
from sandbox.testing import Running
from tests.sandbox.conftest import DEMO, PLAIN

BEANS = 44_310_000_000_004  # $49.00


@pytest.fixture
def shopper(store: Running) -> Iterator[httpx.Client]:
    """A browser in the storefront."""
    with httpx.Client(base_url=f"{store.url}/{DEMO}", timeout=10, verify=PLAIN, follow_redirects=True) as client:
        yield client


def order(shopper: httpx.Client, control: httpx.Client, **form: Any) -> dict[str, Any]:
    """Check out as a guest with what the browser holds, and give the newest order."""
    answer = shopper.post("/checkout", data={"variant": BEANS, "email": "new@example.com"} | form)
    assert answer.status_code == 200, answer.text
    return max(control.get("/orders").json()["orders"], key=lambda order: int(order["name"][1:]))


def test_a_shared_code_waits_at_the_checkout(shopper: httpx.Client, control: httpx.Client) -> None:
    landed = shopper.get("/discount/FIVEOFF", params={"redirect": "/?rapport_ref=ANNA7K"})
    assert str(landed.url).endswith(f"/{DEMO}/?rapport_ref=ANNA7K")
    assert "FIVEOFF is waiting at your checkout." in landed.text
    checkout = shopper.get("/checkout", params={"variant": BEANS})
    assert 'value="FIVEOFF"' in checkout.text
    assert "−$5.00" in checkout.text
    placed = order(shopper, control, code="FIVEOFF")
    assert [code["code"] for code in placed["discount_codes"]] == ["FIVEOFF"]
    assert placed["note_attributes"] == [{"name": "rapport_ref", "value": "ANNA7K"}]
    assert "waiting at your checkout" not in shopper.get("/").text


def test_a_code_that_was_taken_out_is_not_used(shopper: httpx.Client, control: httpx.Client) -> None:
    shopper.get("/discount/FIVEOFF")
    assert order(shopper, control, code="")["discount_codes"] == []


def test_who_brought_the_shopper_is_noted_on_each_order(shopper: httpx.Client, control: httpx.Client) -> None:
    shopper.get("/", params={"rapport_ref": "NOOR42"})
    for _ in range(2):
        assert order(shopper, control)["note_attributes"] == [{"name": "rapport_ref", "value": "NOOR42"}]


def test_without_a_link_nothing_is_noted(shopper: httpx.Client, control: httpx.Client) -> None:
    assert order(shopper, control)["note_attributes"] == []


@pytest.mark.parametrize(
    ("asked", "goes_to"),
    [("/orders", "/orders"), ("//elsewhere.example/", "/elsewhere.example/"), ("https://elsewhere.example", "/")],
)
def test_a_shared_link_stays_in_the_shop(store: Running, asked: str, goes_to: str) -> None:
    answer = httpx.get(f"{store.url}/{DEMO}/discount/FIVEOFF", params={"redirect": asked}, verify=PLAIN)
    assert answer.status_code == 302
    assert answer.headers["location"] == f"/{DEMO}{goes_to}"


def test_the_control_api_notes_attributes_too(control: httpx.Client) -> None:
    body = {"lines": [{"variant_id": BEANS}], "email": "a@example.com", "attributes": {"rapport_ref": "ANNA7K"}}
    placed = control.post("/orders", content=json.dumps(body)).json()
    assert placed["note_attributes"] == [{"name": "rapport_ref", "value": "ANNA7K"}]


def test_a_code_for_new_customers_asks_who_is_there(shopper: httpx.Client, call: Any, control: httpx.Client) -> None:
    """It needs an address before it can say who may have it; whoever has ordered may not."""
    made = call("segment_create", name="New customers", query="number_of_orders = 0")
    segment = made["segment"]["id"]
    call("discount_basic_create", discount=new_customers(segment))
    shopper.get("/discount/FRIEND1")
    pages = {
        email: shopper.get("/checkout", params={"variant": BEANS, "email": email}).text
        for email in ("", "new@example.com", "rosa.marsh@example.com", "noor.haddad@example.com")
    }
    assert "Enter your e-mail address to use it." in pages[""]
    assert "−$10.00" in pages["new@example.com"]
    for email in ("rosa.marsh@example.com", "noor.haddad@example.com"):
        assert "can be used by “New customers” only." in pages[email]
        assert "−$10.00" not in pages[email]


def new_customers(segment: str) -> dict[str, Any]:
    return {
        "title": "Friend",
        "code": "FRIEND1",
        "startsAt": "2020-01-01T00:00:00Z",
        "usageLimit": 1,
        "appliesOncePerCustomer": True,
        "context": {"customerSegments": {"add": [segment]}},
        "customerGets": {
            "value": {"discountAmount": {"amount": "10.00", "appliesOnEachItem": False}},
            "items": {"all": True},
        },
    }


def test_the_cart_keeps_what_is_put_into_it(shopper: httpx.Client) -> None:
    shopper.post("/cart/add", data={"id": BEANS})
    shopper.post("/cart/add", data={"id": BEANS, "quantity": 2})
    held = shopper.get("/cart.js").json()
    assert [(item["id"], item["quantity"]) for item in held["items"]] == [(BEANS, 3)]
    assert held["items_subtotal_price"] == 3 * held["items"][0]["price"]
    changed = shopper.post("/cart/change.js", json={"id": BEANS, "quantity": 0}).json()
    assert (changed["items"], changed["item_count"]) == ([], 0)


def test_the_cart_notes_who_brought_the_shopper(shopper: httpx.Client) -> None:
    noted = shopper.post("/cart/update.js", json={"attributes": {"rapport_ref": "ANNA7K"}})
    assert noted.status_code == 200
    assert shopper.get("/cart.js").json()["attributes"] == {"rapport_ref": "ANNA7K"}


def test_every_page_carries_the_apps_blocks(shopper: httpx.Client) -> None:
    assert "<rapport-launcher" in shopper.get("/").text
    assert "<rapport-rewards" in shopper.get("/pages/rewards").text
    assert "<rapport-cart" not in shopper.get("/cart").text  # nothing in it
    product = next(item for item in PRODUCTS if item.variant_id == BEANS).product_id
    assert "<rapport-earn" in shopper.get(f"/products/{product}").text
    script = shopper.get("/cdn/rapport/rapport.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert shopper.get("/products/1").status_code == 404
