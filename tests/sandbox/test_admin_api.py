"""Admin GraphQL and token exchange, as the app meets them: over HTTP, with Shopify's own Python library."""

import httpx
import pytest
from shopify_app import ShopifyApp

from sandbox.admin_api import BUCKET, checked, requested_cost
from sandbox.payloads import utc
from sandbox.testing import API_KEY, API_SECRET
from tests.sandbox.conftest import DEMO, DOCUMENTS, SECOND, exchange, session_token

# The development secret is shorter than Shopify's own.
pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")


def test_exchange_and_refresh_through_the_real_library(store, client):
    first = exchange(store, client)
    assert first.ok, first.log
    token = first.access_token
    assert token.refresh_token
    library = ShopifyApp(client_id=API_KEY, client_secret=API_SECRET)
    past = {**token_fields(token), "expires": "2020-01-01T00:00:00Z"}
    second = library.refresh_token_exchanged_access_token(past, http_client=client)
    assert second.ok, second.log
    assert second.access_token.token != token.token
    spent = library.refresh_token_exchanged_access_token(past, http_client=client)
    assert (spent.ok, spent.log.code) == (False, "invalid_grant")


def token_fields(token):
    return {name: getattr(token, name) for name in token.__dataclass_fields__}


def test_a_session_token_of_another_shop_buys_nothing(store, client):
    other = exchange(store, client, token=session_token(store, SECOND))
    assert (other.ok, other.log.code) == (False, "invalid_subject_token")


def test_an_unknown_token_and_an_unknown_version_are_refused(ask):
    assert ask("shop.graphql", access="shpat_guess").status_code == 401
    assert ask("shop.graphql", version="2020-01").status_code == 404


def test_a_token_works_on_its_own_shop_only(ask):
    assert ask("shop.graphql", shop=SECOND).status_code == 401


def test_the_shop(ask):
    shop = ask("shop.graphql").json()["data"]["shop"]
    assert (shop["name"], shop["currencyCode"], shop["ianaTimezone"]) == (
        "North Pier Coffee",
        "USD",
        "America/New_York",
    )


def test_orders_page_through_everything_once_in_order_of_change(ask, store):
    seen, after = [], None
    while True:
        page = ask("orders_page.graphql", first=20, after=after, query="updated_at:>='2000-01-01T00:00:00Z'").json()
        seen += page["data"]["orders"]["nodes"]
        after = page["data"]["orders"]["pageInfo"]["endCursor"]
        if not page["data"]["orders"]["pageInfo"]["hasNextPage"]:
            break
    assert len({node["id"] for node in seen}) == len(seen) == len(store.sandbox.world.orders(DEMO))
    assert [node["updatedAt"] for node in seen] == sorted(node["updatedAt"] for node in seen)


def test_orders_filter_by_the_second_they_changed(ask, store):
    newest = store.sandbox.world.orders(DEMO)[-1]
    since = ask("orders_page.graphql", first=50, query=f"updated_at:>={utc(newest.updated_at)}").json()
    assert [node["id"] for node in since["data"]["orders"]["nodes"]] == [f"gid://shopify/Order/{newest.id}"]
    after = ask("orders_page.graphql", first=50, query=f"updated_at:>{utc(newest.updated_at)}").json()
    assert after["data"]["orders"]["nodes"] == []


def test_a_filter_the_store_does_not_know_is_refused(ask):
    answer = ask("orders_page.graphql", first=5, query="name:#1001").json()
    assert "can't search by 'name:#1001'" in answer["errors"][0]["message"]


def test_one_order_in_full_agrees_with_its_webhook_body(ask, store):
    world = store.sandbox.world
    refunded = next(order for order in world.orders(DEMO) if order.refunds)
    body = world.order_payload(DEMO, refunded)
    node = ask("order_full.graphql", id=body["admin_graphql_api_id"]).json()["data"]["order"]
    assert node["displayFinancialStatus"] == body["financial_status"].upper()
    assert [line["currentQuantity"] for line in node["lineItems"]["nodes"]] == [
        line["current_quantity"] for line in body["line_items"]
    ]
    graph = [float(line["subtotalSet"]["shopMoney"]["amount"]) for line in nodes_of(node)]
    assert graph == [line["subtotal"] for refund in body["refunds"] for line in refund["refund_line_items"]]
    assert node["customer"]["id"] == body["customer"]["admin_graphql_api_id"]


def nodes_of(order):
    return [line for refund in order["refunds"] for line in refund["refundLineItems"]["nodes"]]


def test_tags_come_and_go(ask, store):
    customer = store.sandbox.world.customers(DEMO)[0]
    gid = f"gid://shopify/Customer/{customer.id}"
    assert (
        ask("tags_add.graphql", id=gid, tags=["tier:advocate", "loyal"]).json()["data"]["tagsAdd"]["userErrors"] == []
    )
    ask("tags_remove.graphql", id=gid, tags=["loyal"])
    assert ask("customer_get.graphql", id=gid).json()["data"]["customer"]["tags"] == ["tier:advocate"]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("{ shop { currencyFormats { moneyFormat } } }", "Shop.currencyFormats"),
        ("{ products(first: 1) { nodes { id } } }", "QueryRoot.products"),
        (
            'mutation { customerDelete(input: {id: "gid://shopify/Customer/1"}) { deletedCustomerId } }',
            "customerDelete",
        ),
        ("{ orders(first: 1, reverse: true, sortKey: UPDATED_AT) { nodes { id } } }", "argument reverse"),
    ],
)
def test_what_the_store_can_not_answer_it_refuses_by_name(ask, query, named):
    assert named in ask(query).json()["errors"][0]["message"]


def test_an_invalid_document_gets_errors_and_no_data(ask):
    answer = ask("{ shop { nonsense } }").json()
    assert "Cannot query field 'nonsense'" in answer["errors"][0]["message"]
    assert "data" not in answer


def test_every_answer_tells_its_cost(ask):
    cost = ask("orders_page.graphql", first=50, query="").json()["extensions"]["cost"]
    assert cost["requestedQueryCost"] == 50
    assert 0 < cost["actualQueryCost"] <= 50
    assert cost["throttleStatus"]["maximumAvailable"] == 2000


def test_an_empty_bucket_throttles_with_status_200_and_refills(ask, store):
    store.sandbox.api.throttle.take(DEMO, BUCKET - 10)
    answer = ask("orders_page.graphql", first=100, query="")
    assert answer.status_code == 200
    assert answer.json()["errors"][0]["extensions"]["code"] == "THROTTLED"
    store.sandbox.api.throttle.level.clear()
    assert "errors" not in ask("orders_page.graphql", first=100, query="").json()


def test_a_query_that_costs_too_much_is_refused(ask):
    query = "{ orders(first: 250) { nodes { lineItems(first: 250) { nodes { id } } } } }"
    assert ask(query).json()["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"


@pytest.mark.parametrize("path", sorted(DOCUMENTS.glob("*.graphql")), ids=lambda path: path.stem)
def test_our_documents_cost_less_than_the_limit(path):
    document, errors = checked(path.read_text())
    assert not errors
    assert requested_cost(document, {"first": 100}) <= 1000


@pytest.mark.parametrize(
    ("kind", "status"), [("500", 500), ("503", 503), ("html", 200), ("rate_limit", 429), ("throttle", 200)]
)
def test_planned_faults_strike_once(ask, store, kind, status):
    httpx.post(f"{store.url}/sandbox/faults", json={"kind": kind, "times": 1}).raise_for_status()
    spoiled = ask("shop.graphql")
    assert spoiled.status_code == status
    assert '"shop":{' not in spoiled.text
    assert ask("shop.graphql").json()["data"]["shop"]["name"] == "North Pier Coffee"
