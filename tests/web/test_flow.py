"""What workflows in Shopify Flow have us do: signed, once for each run, and with a reason where it can't be done."""

import json
from typing import Any

import pytest

from core.db import database
from sandbox import flow
from sandbox.catalogue import DEMO
from sandbox.outbox import Outbox
from sandbox.store import Store as Documents
from sandbox.testing import API_SECRET
from sandbox.world import World
from shops import operations
from shops.models import Shop
from tests.web.stores import DAY, NOW, Store
from wallet_passes.messages.models import WalletMessage
from wallet_passes.operations import issue

CUSTOMER = 7


@pytest.fixture
def shop(store: Store) -> Store:
    """The shop under the sandbox's name, with a member of 130 points."""
    with database().transaction() as session:
        session.get_one(Shop, store.shop_id).domain = DEMO.domain
    store.settle(store.order(1, store.customer(CUSTOMER)))
    return store


@pytest.fixture
def world(tmp_path: Any) -> Any:
    documents = Documents(tmp_path / "sandbox.sqlite")
    yield World(documents, Outbox(documents, "http://127.0.0.1:1", API_SECRET))
    documents.close()


@pytest.fixture
def call(shop: Store, world: World) -> Any:
    def call(handle: str, run: str | None = None, *, secret: str = API_SECRET, **properties: Any) -> Any:
        asked = {"customer_id": CUSTOMER, **properties}
        path, body, headers = flow.action(world, DEMO.domain, handle, secret, asked, run)
        return shop.client.post(path, data=body, headers=headers)

    return call


def points(shop: Store) -> int:
    return int(shop.member_of(shop.customer(CUSTOMER))["points"]["available"])


def test_points_are_given_once_for_each_run(shop: Store, call: Any) -> None:
    for _ in range(3):
        answer = call("give-points", "run-1", points=50, reason="For your review")
        assert (answer.status_code, answer.json) == (200, {"balance": 180})
    assert call("give-points", "run-2", points="-30", reason="A mistake").json == {"balance": 150}
    (newest, *_) = shop.get(f"/members/{shop.member_of(shop.customer(CUSTOMER))['id']}/postings").json["items"]
    assert (newest["points"], newest["actor"]) == (-30, "flow")


def test_a_run_is_not_another_run(shop: Store, call: Any) -> None:
    call("give-points", "run-1", points=50, reason="x")
    assert call("give-points", "run-1", points=60, reason="x").status_code == 422
    assert points(shop) == 180


def test_a_tier_is_given_for_some_days(shop: Store, call: Any) -> None:
    assert call("set-tier", tier="ambassador", days=30, reason="Press").status_code == 200
    tier = shop.member_of(shop.customer(CUSTOMER))["tier"]
    assert (tier["key"], tier["by_hand"]) == ("ambassador", True)
    assert tier["until"]
    unknown = call("set-tier", tier="platinum", reason="x")
    assert (unknown.status_code, unknown.json["code"]) == (422, "unknown_tier")


def test_a_message_goes_to_the_members_card(shop: Store, call: Any) -> None:
    said = {"title": "A treat", "message": "Your next filter is on us."}
    # Without a card there is nothing to show it on; the workflow goes on.
    assert call("send-pass-message", **said).json == {"sent": False}
    with database().transaction(shop.shop_id) as session:
        assert session.query(WalletMessage).count() == 0
        issue(session, shop.shop_id, int(shop.member_of(shop.customer(CUSTOMER))["id"]))
    for _ in range(2):
        assert call("send-pass-message", "run-1", **said).json == {"sent": True}
    with database().transaction(shop.shop_id) as session:
        (row,) = session.query(WalletMessage)
        assert (row.state, row.actor) == ("scheduled", "flow")
    long = call("send-pass-message", title="x" * 150, message="y")
    assert (long.status_code, long.json["code"]) == (422, "bad_message")


@pytest.mark.parametrize(
    ("handle", "properties", "status", "code"),
    [
        ("give-points", {"points": 0, "reason": "x"}, 422, "bad_points"),
        ("give-points", {"points": 10**12, "reason": "x"}, 422, "bad_points"),
        ("give-points", {"points": "many", "reason": "x"}, 422, "bad_properties"),
        ("give-points", {"points": 5, "reason": ""}, 422, "bad_properties"),
        ("give-points", {"points": 5, "reason": "x", "customer_id": 12345}, 404, "no_member"),
        ("give-points", {"points": 5, "reason": "x", "customer_id": "gid://shopify/Order/x"}, 422, "bad_properties"),
        ("set-tier", {"tier": "ambassador", "reason": "x", "days": 0}, 422, "bad_properties"),
    ],
)
def test_what_cannot_be_done_says_why(
    shop: Store, call: Any, handle: str, properties: dict[str, Any], status: int, code: str
) -> None:
    answer = call(handle, **properties)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.json["detail"]
    assert points(shop) == 130


def test_only_shopify_can_ask(shop: Store, call: Any, world: World) -> None:
    assert call("give-points", points=5, reason="x", secret="another secret").status_code == 401
    path, body, headers = flow.action(
        world, DEMO.domain, "give-points", API_SECRET, {"customer_id": CUSTOMER, "points": 5, "reason": "x"}
    )
    changed = body.replace(b'"points": 5', b'"points": 500')
    assert shop.client.post(path, data=changed, headers=headers).status_code == 401
    assert shop.client.post(path, data=body).status_code == 401
    odd = headers | {"X-Shopify-Hmac-SHA256": "é"}
    assert shop.client.post(path, data=body, headers=odd).status_code == 401
    assert points(shop) == 130


def test_a_shop_that_left_is_not_worked_for(shop: Store, call: Any) -> None:
    with database().transaction(shop.shop_id) as session:
        operations.uninstall(session, shop.shop_id, NOW + DAY)
    assert call("give-points", points=5, reason="x").status_code == 401


def test_every_declared_action_has_its_endpoint(shop: Store, call: Any) -> None:
    for handle, action in flow.declared("flow_action").items():
        answer = call(handle)
        assert (handle, answer.status_code) == (handle, 422)
        assert json.dumps(answer.json)
        assert action["runtime_url"].startswith("https://rapport.example/flow/")
