"""Bulk operations of the sandbox store: the file is as Shopify writes it, and what Shopify refuses is refused."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox.faults import Fault
from sandbox.testing import Running
from tests.sandbox.conftest import DEMO, DOCUMENTS, PLAIN

ORDERS = (DOCUMENTS / "backfill_orders.graphql").read_text()


@pytest.fixture
def ended(call: Callable[..., Any]) -> Callable[[str], Any]:
    """Run a query in bulk and poll until it has ended."""

    def ended(query: str) -> Any:
        operation = call("bulk_run", query=query)["bulkOperation"]
        for _ in range(200):
            operation = call("bulk_poll", id=operation["id"])
            if operation["status"] not in ("CREATED", "RUNNING"):
                return operation
            time.sleep(0.05)
        raise AssertionError("it never ends")

    return ended


def lines(url: str, **headers: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in httpx.get(url, headers=headers, verify=PLAIN).text.splitlines()]


def test_every_object_is_a_line_behind_its_parent(ended: Any, store: Running) -> None:
    operation = ended(ORDERS)
    found = lines(operation["url"])
    tops = [line for line in found if "__parentId" not in line]
    known = store.sandbox.world.orders(DEMO)
    assert (operation["status"], int(operation["rootObjectCount"])) == ("COMPLETED", len(tops))
    assert {line["id"] for line in tops} == {f"gid://shopify/Order/{order.id}" for order in known}
    parent = ""
    for line in found:
        parent = line["id"] if "__parentId" not in line else parent
        assert line.get("__parentId", parent) == parent
        assert "lineItems" not in line
    kinds = [line["__typename"] for line in found]
    assert kinds.count("LineItem") == sum(len(order.lines) for order in known)
    assert int(operation["fileSize"]) == len(httpx.get(operation["url"], verify=PLAIN).content)


def test_a_part_of_the_file_is_served(ended: Any) -> None:
    url = ended(ORDERS)["url"]
    whole = httpx.get(url, verify=PLAIN).content
    part = httpx.get(url, headers={"Range": "bytes=1000-"}, verify=PLAIN)
    assert (part.status_code, part.content) == (206, whole[1000:])


@pytest.mark.parametrize(("kind", "status"), [("bulk_fails", "FAILED"), ("bulk_cut", "COMPLETED")])
def test_a_file_may_break_off(ended: Any, store: Running, kind: str, status: str) -> None:
    store.sandbox.faults.plan(Fault(kind, field="bulk"))
    operation = ended(ORDERS)
    assert operation["status"] == status
    if kind == "bulk_cut":
        data = httpx.get(operation["url"], verify=PLAIN).content
        assert len(data) < int(operation["fileSize"])
        assert not data.endswith(b"\n")


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("{ orders { edges { node { id refunds { refundLineItems { edges { node { id } } } } } } } }", "within a list"),
        ("{ orders { edges { node { nothing } } } }", "nothing"),
        ("{ orders {", "Syntax Error"),
    ],
)
def test_what_shopify_runs_in_no_bulk_is_refused(call: Any, query: str, why: str) -> None:
    answer = call("bulk_run", query=query)
    assert answer["bulkOperation"] is None
    assert why in answer["userErrors"][0]["message"]


def test_its_end_is_told(ended: Any, store: Running) -> None:
    operation = ended("{ customers { edges { node { id } } } }")
    told = store.sandbox.outbox.log(DEMO)[0]
    assert told["topic"] == "bulk_operations/finish"
    assert operation["id"].startswith("gid://shopify/BulkOperation/")
