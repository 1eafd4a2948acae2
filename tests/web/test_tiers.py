"""Tiers through the API: by hand, their history, and what another ladder would do."""

from datetime import timedelta
from typing import Any

import pytest

from core.db import database
from loyalty.program import demo_program
from tests.web.stores import DAY, NOW, Store
from tiers import recalculation


def put(store: Store, member: str, body: Any) -> Any:
    return store.client.put(f"/api/v1/members/{member}/tier", json=body, headers=store.headers)


def delete(store: Store, member: str) -> Any:
    return store.client.delete(f"/api/v1/members/{member}/tier", headers=store.headers)


@pytest.fixture
def member(store: Store) -> str:
    noor = store.customer(1)
    store.settle(store.order(1, noor, 520_00))
    return str(store.member_of(noor)["id"])


def test_every_move_is_told_with_its_why(store: Store, member: str) -> None:
    found = store.get(f"/members/{member}/tier").json
    assert found["by_hand"] is None
    (move,) = found["items"]
    assert (move["tier"], move["name"], move["reason"]["value"], move["reason"]["why"]) == (
        "advocate", "Advocate", 520_00, "reached"
    )  # fmt: skip
    assert move["text"] == "You reached Advocate with $520.00 in 365 days. It takes $500.00."


def test_a_tier_is_given_and_taken_back(store: Store, member: str) -> None:
    until = (NOW + 10 * DAY).isoformat()
    given = put(store, member, {"tier": "ambassador", "until": until, "reason": "She spoke at our opening"})
    assert given.status_code == 200, given.text
    assert given.json["by_hand"]["reason"] == "She spoke at our opening"
    assert given.json["items"][0]["text"] == "You were given Ambassador."
    tier = store.get(f"/members/{member}").json["tier"]
    assert (tier["key"], tier["by_hand"], tier["next"], tier["value"]) == ("ambassador", True, None, 520_00)
    assert tier["until"] == until.replace("+00:00", "Z")
    again = delete(store, member)
    assert (again.status_code, again.json["by_hand"]) == (200, None)
    assert store.get(f"/members/{member}").json["tier"]["key"] == "advocate"
    gone = delete(store, member)
    assert (gone.status_code, gone.json["code"]) == (404, "no_override")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"tier": "platinum", "reason": "x"}, "unknown_tier"),
        ({"tier": "advocate", "reason": " "}, "invalid_input"),
        ({"tier": "advocate"}, "invalid_input"),
        ({"tier": "advocate", "reason": "x", "until": (NOW - timedelta(1)).isoformat()}, "bad_until"),
        ({"tier": "advocate", "reason": "x", "until": "2030-01-01T00:00:00"}, "invalid_input"),  # whose clock?
    ],
)
def test_what_is_refused(store: Store, member: str, body: Any, code: str) -> None:
    refused = put(store, member, body)
    assert (refused.status_code, refused.json["code"]) == (422, code)


def test_other_shops_members_are_not_there(store: Store, other_store: Store, member: str) -> None:
    assert put(other_store, member, {"tier": "advocate", "reason": "x"}).status_code == 404
    assert other_store.get(f"/members/{member}/tier").status_code == 404


def test_a_ladder_is_tried_before_it_is_published(store: Store, member: str) -> None:
    program = demo_program().model_dump(mode="json")
    program["ladder"]["tiers"][1]["threshold"] = 600_00
    seen = store.post("/tiers/preview", {"program": program})
    assert seen.status_code == 200, seen.text
    assert (seen.json["members"], seen.json["rising"], seen.json["falling"]) == (1, 0, 1)
    assert seen.json["moves"] == [
        {"before": "advocate", "after": "insider", "direction": "down", "members": 1, "sample": [member]}
    ]
    assert store.post("/tiers/preview", {}).json["moves"] == []
    assert store.get(f"/members/{member}").json["tier"]["key"] == "advocate"
    program["ladder"]["tiers"][1]["threshold"] = -1
    assert store.post("/tiers/preview", {"program": program}).status_code == 422
    assert store.post("/tiers/preview", {"version": 99}).status_code == 404


def test_how_far_members_have_been_measured(store: Store, member: str) -> None:
    assert store.get("/tiers/recalculations").json == {"items": []}
    with database().transaction(store.shop_id) as session:
        recalculation.restart(session, store.shop_id, NOW)
    recalculation.run(database(), store.shop_id)
    (row,) = store.get("/tiers/recalculations").json["items"]
    assert (row["program_version"], row["total"], row["done"], row["moved"]) == (1, 1, 1, 0)
    assert row["finished_at"] is not None
