"""Products with vendors, tags and collections, orders at the counter, shipments, and the checkout page."""

import json

import httpx
import pytest

from sandbox import payloads
from tests.sandbox.conftest import DEMO
from tests.sandbox.test_payloads import sample

ESPRESSO, MUG = 44_310_000_000_001, 44_310_000_000_009
MUG_PRODUCT = 8_120_000_000_007


def facts(call, *ids):
    return call("product_facts", ids=[f"gid://shopify/Product/{number}" for number in ids])


def test_products_have_tags_a_vendor_and_collections(call):
    mug, nothing = facts(call, MUG_PRODUCT, 1)
    assert nothing is None
    assert (mug["vendor"], mug["productType"], mug["tags"]) == ("Sable Ceramics", "Homeware", ["ceramic", "gift"])
    assert [one["handle"] for one in mug["collections"]["nodes"]] == ["brew-gear", "new-arrivals"]


def test_a_changed_product_is_told_without_its_collections(store, listener, control, call):
    store.sandbox.world.issue_tokens(DEMO)
    change = {"tags": ["sale"], "collections": ["coffee"], "vendor": "Kiln"}
    control.post(f"/products/{MUG_PRODUCT}", json=change).raise_for_status()
    assert store.sandbox.outbox.wait_until_settled(10)
    (headers, body), *_ = listener.received
    told = json.loads(body)
    assert headers["X-Shopify-Topic"] == "products/update"
    assert (told["id"], told["tags"], told["vendor"]) == (MUG_PRODUCT, "sale", "Kiln")
    assert [variant["id"] for variant in told["variants"]] == [MUG]
    (mug,) = facts(call, MUG_PRODUCT)
    assert (mug["tags"], [one["handle"] for one in mug["collections"]["nodes"]]) == (["sale"], ["coffee"])
    order = control.post("/orders", json={"lines": [{"variant_id": MUG}]}).json()
    assert order["line_items"][0]["vendor"] == "Kiln"


def test_a_collection_that_is_not_there_is_refused(control):
    assert control.post(f"/products/{MUG_PRODUCT}", json={"collections": ["shoes"]}).status_code == 400
    assert control.post("/products/5", json={"tags": []}).status_code == 404


def test_a_product_body_has_the_keys_of_the_published_sample(store):
    world, wanted = store.sandbox.world, sample("products/update")
    variants = [item for item in world.products(DEMO) if item.product_id == MUG_PRODUCT]
    body = payloads.product_payload(world.shop(DEMO), world.product(DEMO, MUG_PRODUCT), variants)
    assert set(body) == set(wanted)
    assert set(body["variants"][0]) == set(wanted["variants"][0])


def test_an_order_at_the_counter_is_handed_over_at_once(store, listener, control, call):
    store.sandbox.world.issue_tokens(DEMO)
    order = control.post("/orders", json={"lines": [{"variant_id": ESPRESSO}], "source": "pos"}).json()
    assert (order["source_name"], order["shipping_lines"]) == ("pos", [])
    assert (order["fulfillment_status"], order["financial_status"]) == ("fulfilled", "paid")
    assert order["fulfillments"][0]["created_at"] == order["created_at"]
    assert store.sandbox.outbox.wait_until_settled(10)
    assert sorted(listener.topics()) == ["orders/create", "orders/fulfilled", "orders/paid"]
    shown = call("order_full", id=order["admin_graphql_api_id"])
    assert (shown["sourceName"], shown["displayFulfillmentStatus"]) == ("pos", "FULFILLED")


def test_shipments_keep_their_own_moment(control, call):
    wanted = [{"variant_id": ESPRESSO, "quantity": 2}, {"variant_id": MUG}]
    order = control.post("/orders", json={"lines": wanted, "at": "2026-05-01T10:00:00Z"}).json()
    path, first = f"/orders/{order['id']}", order["line_items"][0]["id"]
    part = control.post(f"{path}/fulfill", json={"lines": {first: 1}, "at": "2026-05-02T10:00:00Z"}).json()
    assert (part["fulfillment_status"], len(part["fulfillments"])) == ("partial", 1)
    whole = control.post(f"{path}/fulfill", json={"at": "2026-05-03T10:00:00Z"}).json()
    assert whole["fulfillment_status"] == "fulfilled"
    moments = ["2026-05-02T06:00:00-04:00", "2026-05-03T06:00:00-04:00"]
    assert [one["created_at"] for one in whole["fulfillments"]] == moments
    shown = call("order_full", id=order["admin_graphql_api_id"])
    assert [one["createdAt"] for one in shown["fulfillments"]] == ["2026-05-02T10:00:00Z", "2026-05-03T10:00:00Z"]
    assert [line["vendor"] for line in shown["lineItems"]["nodes"]] == ["North Pier Coffee", "Sable Ceramics"]


@pytest.fixture
def shopper(store):
    with httpx.Client(base_url=f"{store.url}/{DEMO}", follow_redirects=True) as shopper:
        yield shopper


def test_a_basket_of_several_lines_with_its_sums(shopper, store):
    asked = {"variant": [ESPRESSO, MUG], "quantity": [2, 1], "code": "fiveoff"}
    page = shopper.get("/checkout", params=asked).text
    # 2 × 16.50 + 19.99, less 5.00, with 5.5% tax and 6.00 shipping.
    assert all(amount in page for amount in ("$52.99", "−$5.00", "$6.00", "$56.63"))
    page = shopper.post("/checkout", data=asked | {"email": "guest@example.com"}).text
    order = store.sandbox.world.orders(DEMO)[-1]
    assert f"Order #{order.number} is confirmed" in page
    assert [(line.item.variant_id, line.quantity) for line in order.lines] == [(ESPRESSO, 2), (MUG, 1)]
    assert "Shipped on" in shopper.post(f"/orders/{order.id}/fulfil").text


def test_something_is_added_to_and_taken_from_the_basket(shopper):
    page = shopper.get("/checkout", params={"variant": [ESPRESSO, MUG], "quantity": [0]}).text
    assert ('value="44310000000009">' in page, 'name="variant" value="44310000000001"' in page) == (True, False)


def test_a_bad_code_is_told_kindly_and_the_basket_stays(shopper):
    asked = {"variant": ESPRESSO, "quantity": 2, "code": "NONSENSE", "email": "guest@example.com"}
    for page, status in ((shopper.get("/checkout", params=asked), 200), (shopper.post("/checkout", data=asked), 422)):
        assert page.status_code == status
        assert "NONSENSE isn&#39;t a code this shop knows" in page.text
        assert 'value="NONSENSE"' in page.text
        assert '<option value="2" selected>' in page.text


def test_store_credit_is_offered_to_who_has_it(shopper, store, call):
    noor = store.sandbox.world.customer_by_email(DEMO, "noor.haddad@example.com")
    amount = {"creditAmount": {"amount": "7.50", "currencyCode": "USD"}}
    call("store_credit_credit", id=f"gid://shopify/Customer/{noor.id}", credit=amount)
    assert "Use your store credit" not in shopper.get("/checkout", params={"variant": ESPRESSO}).text
    shopper.post("/sign-in", data={"customer": noor.id})
    assert "Use your store credit of $7.50" in shopper.get("/checkout", params={"variant": ESPRESSO}).text
    page = shopper.post("/checkout", data={"variant": ESPRESSO, "quantity": 1, "credit": "1"}).text
    assert "Paid by store credit" in page
