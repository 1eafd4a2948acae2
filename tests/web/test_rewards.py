"""Rewards over the API: what there is, redeeming, giving back, handing over."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock
from core.db import database
from core.effects import Effect
from loyalty import audit, programs
from loyalty.program import Reward, demo_program
from loyalty.rewards import jobs, operations
from tests.web.stores import DAY, NOW, Store

OFFERED = (
    Reward(key="5-off", name="$5 off", cost=500, kind="amount_off", amount=500, minimum_order=2000, valid_days=30),
    Reward(key="free-shipping", name="Free shipping", cost=100, kind="free_shipping"),
    Reward(
        key="any",
        name="Money off",
        cost=100,
        kind="variable",
        amount=100,
        step=100,
        combines_with=frozenset({"shipping", "order"}),
        products=(2**53 + 1,),
    ),
    Reward(key="credit", name="$1 credit", cost=100, kind="store_credit", amount=100),
    Reward(
        key="tote",
        name="A tote bag",
        cost=50,
        kind="custom",
        stock=2,
        tiers=("insider",),
        per_member=1,
        ends_at=datetime(2027, 6, 1, tzinfo=UTC),
    ),
)


@pytest.fixture
def member_id(store: Store) -> str:
    """A member with 630 points."""
    program = demo_program().model_copy(update={"rewards": OFFERED})
    with database().transaction(store.shop_id) as session:
        programs.publish(session, store.shop_id, program, effective_from=NOW - 300 * DAY, actor="test")
    store.settle(store.order(1, store.customer(1), 580_00))
    return store.member_of(store.customer(1))["id"]


@pytest.fixture
def path(member_id: str) -> str:
    return f"/members/{member_id}/rewards"


def points(store: Store) -> int:
    held: int = store.member_of(store.customer(1))["points"]["available"]
    return held


def issue(store: Store, reward_id: str) -> None:
    """As the effect does once Shopify has it."""
    with database().transaction(store.shop_id) as session:
        assert operations.mark_issued(session, store.shop_id, int(reward_id), "gid://shopify/DiscountCodeNode/1")


def test_what_points_can_be_spent_on(store: Store, member_id: str) -> None:
    items = store.get("/rewards").json["items"]
    assert [(item["key"], item["name"], item["cost"]) for item in items] == [
        (reward.key, reward.name, reward.cost) for reward in OFFERED
    ]
    assert items[0] == {
        "key": "5-off", "name": "$5 off", "cost": 500, "kind": "amount_off", "description": "", "amount": 500,
        "percentage": None, "maximum": None, "step": None, "most_points": None, "minimum_order": 2000,
        "valid_days": 30, "combines_with": [], "products": [], "variants": [], "tiers": [], "per_member": None,
        "channel": "both", "starts_at": None, "ends_at": None, "left": None, "available": None, "obstacle": None,
    }  # fmt: skip
    assert items[4]["left"] == 2
    assert (items[4]["per_member"], items[4]["ends_at"]) == (1, "2027-06-01T00:00:00Z")
    assert (items[2]["combines_with"], items[2]["products"]) == (["order", "shipping"], ["9007199254740993"])


def test_what_a_member_can_have_now(store: Store, member_id: str, path: str) -> None:
    store.post(path, {"reward": "5-off"})
    told = {item["key"]: item for item in store.get("/rewards", member_id=member_id).json["items"]}
    assert {key: item["available"] for key, item in told.items()} == {
        "5-off": False, "free-shipping": True, "any": True, "credit": True, "tote": False
    }  # fmt: skip
    assert told["5-off"]["obstacle"] == {
        "code": "points_short", "text": "$5 off takes 500 points. You have 130, so you need 370 more.", "missing": 370
    }  # fmt: skip
    assert told["tote"]["obstacle"]["code"] == "wrong_tier"
    assert store.get("/rewards", member_id="999").status_code == 404


def test_redeeming_gives_the_code_at_once(store: Store, path: str) -> None:
    made = store.post(path, {"reward": "5-off"})
    assert made.status_code == 201
    told = made.json
    assert (told["reward"], told["status"], told["cost"], told["issued_at"]) == ("5-off", "issuing", 500, None)
    assert told["code"].startswith("RAP-")
    assert told["text"] == "We're getting it ready. This takes a few seconds."
    assert store.get(path).json == {"items": [told], "next": None}
    assert points(store) == 130
    issue(store, told["id"])
    (ready,) = store.get(path).json["items"]
    assert (ready["status"], ready["code"]) == ("issued", told["code"])
    assert ready["text"].startswith(
        f"It's ready: enter {told['code']} at checkout. It's for orders of at least $20.00."
    )
    newest = store.get(path.replace("rewards", "postings")).json["items"][0]
    assert (newest["kind"], newest["points"]) == ("redeem", -500)
    assert newest["explanation"]["text"] == "500 points spent on $5 off."


def test_any_number_of_points(store: Store, path: str) -> None:
    made = store.post(path, {"reward": "any", "points": 300}).json
    assert (made["cost"], made["amount"]) == (300, 300)
    for wrong in (None, 50, 250):
        assert store.post(path, {"reward": "any", "points": wrong}).json["code"] == "bad_points"
    assert store.post(path, {"reward": "any", "points": 0}).json["code"] == "invalid_input"


def test_store_credit_has_no_code(store: Store, path: str) -> None:
    assert store.post(path, {"reward": "credit"}).json["code"] is None


def test_the_same_key_redeems_once(store: Store, path: str) -> None:
    first, again = (store.post(path, {"reward": "free-shipping"}, Idempotency_Key="till 3") for _ in range(2))
    assert (first.status_code, first.data) == (again.status_code, again.data)
    assert points(store) == 530


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"reward": "nothing"}, 404, "no_reward"),
        ({"reward": "tote"}, 409, "wrong_tier"),
        ({"reward": "any", "points": 700}, 409, "points_short"),
        ({"reward": "any", "points": 2**40}, 422, "invalid_input"),
        ({"reward": "any", "points": -100}, 422, "invalid_input"),
        ({"reward": "any", "points": "many"}, 422, "invalid_input"),
        ({"reward": ""}, 422, "invalid_input"),
        ({"reward": "any", "point": 100}, 422, "invalid_input"),
        ({"reward": "5-off", "channel": "moon"}, 422, "invalid_input"),
        ({}, 422, "invalid_input"),
    ],
)
def test_refusals_are_problems_and_cost_nothing(
    store: Store, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    refused = store.post(path, body)
    assert (refused.status_code, refused.mimetype) == (status, "application/problem+json")
    assert refused.json["code"] == code
    assert points(store) == 630
    assert store.get(path).json["items"] == []


def test_points_short_says_how_many_are_missing(store: Store, path: str) -> None:
    store.post(path, {"reward": "5-off"})
    refused = store.post(path, {"reward": "5-off"}).json
    assert (refused["status"], refused["code"], refused["missing"]) == (409, "points_short", 370)


def test_giving_back(store: Store, path: str) -> None:
    made = store.post(path, {"reward": "5-off"}).json
    one = f"{path}/{made['id']}"
    assert (delete(store, one).status_code, delete(store, one).json["code"]) == (409, "reward_issuing")
    issue(store, made["id"])
    assert [delete(store, one).json["status"] for _ in range(2)] == ["returning", "returning"]
    assert points(store) == 130
    with database().transaction(store.shop_id) as session:
        operations.mark_returned(session, store.shop_id, int(made["id"]))
    back = delete(store, one)
    assert (back.status_code, back.json["status"], points(store)) == (200, "returned", 630)
    assert back.json["text"] == "You returned it, and 500 points are back."
    newest = store.get(path.replace("rewards", "postings")).json["items"][0]
    assert newest["explanation"]["text"] == "500 points are back: you returned $5 off unused."


def delete(store: Store, path: str) -> Any:
    return store.client.delete(f"/api/v1{path}", headers=store.headers)


def test_a_reward_belongs_to_its_member_and_shop(store: Store, other_store: Store, path: str) -> None:
    made = store.post(path, {"reward": "free-shipping"}).json
    store.settle(store.order(2, store.customer(2)))
    other = store.member_of(store.customer(2))["id"]
    assert delete(store, f"/members/{other}/rewards/{made['id']}").json["code"] == "no_reward"
    assert delete(other_store, f"{path}/{made['id']}").status_code == 404
    assert other_store.get(path).status_code == 404
    assert delete(store, f"{path}/{2**62}").status_code == 404


def test_handing_over(store: Store, path: str) -> None:
    with database().transaction(store.shop_id) as session:
        free = (OFFERED[4].model_copy(update={"tiers": ()}),)
        program = demo_program().model_copy(update={"rewards": free})
        programs.publish(session, store.shop_id, program, effective_from=NOW - 200 * DAY, actor="test")
    made = store.post(path, {"reward": "tote"}).json
    assert (made["status"], made["text"]) == ("issued", f"It's yours. Show {made['code']} to the shop.")
    assert store.get("/rewards").json["items"][0]["left"] == 1
    handed = store.post(f"{path}/{made['id']}/fulfil", None)
    assert (handed.status_code, handed.json["status"]) == (200, "used")
    assert delete(store, f"{path}/{made['id']}").json["code"] == "reward_used"


def test_days_end_by_the_job(store: Store, path: str) -> None:
    made = store.post(path, {"reward": "5-off"}).json
    issue(store, made["id"])
    jobs.expire()
    assert store.get(path).json["items"][0]["status"] == "issued"
    with clock.fixed_at(NOW + 32 * DAY):
        jobs.expire()
    told = store.get(path).json["items"][0]
    assert (told["status"], points(store)) == ("expired", 130)
    assert told["text"].startswith("It could be used until ")


def test_the_repair_waits_for_a_shopify_that_can_be_asked(store: Store, path: str) -> None:
    """The shop has no token here, so nothing can be said of its rewards: they stay as they are."""
    made = store.post(path, {"reward": "5-off"}).json
    with database().transaction(store.shop_id) as session:
        session.execute(sa.delete(Effect))
    with clock.fixed_at(NOW + DAY):
        jobs.repair()
    assert store.get(path).json["items"][0]["status"] == "issuing"
    assert store.get(path).json["items"][0]["id"] == made["id"]


def test_pages_are_newest_first(store: Store, path: str) -> None:
    made = [store.post(path, {"reward": "free-shipping"}).json["id"] for _ in range(3)]
    first = store.get(path, limit=2).json
    rest = store.get(path, limit=2, cursor=first["next"]).json
    assert [item["id"] for item in (*first["items"], *rest["items"])] == made[::-1]
    assert rest["next"] is None
    with database().transaction(store.shop_id) as session:
        assert audit.differences(session) == []
