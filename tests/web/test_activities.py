"""What members do beside buying, over the API."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.db import database
from loyalty import audit, programs
from loyalty.activities import giving, jobs
from loyalty.activities.models import ActivityDone
from loyalty.privacy import erase_person, find_person
from tests.loyalty.activities.rig import program
from tests.web.stores import NOW, Store, open_store
from web.models import IdempotencyKey


@pytest.fixture
def store(app: Flask) -> Store:
    store = open_store(app, "roastery.myshopify.com")
    with database().transaction(store.shop_id) as session:
        programs.publish(session, store.shop_id, program(), effective_from=NOW - timedelta(days=390), actor="test")
    return store


def join(store: Store, number: int = 1) -> str:
    store.settle(store.order(number, store.customer(number)))
    return store.member_of(store.customer(number))["id"]


@pytest.fixture
def member(store: Store) -> str:
    return join(store)


def put(store: Store, path: str, body: Any) -> Any:
    return store.client.put(f"/api/v1{path}", json=body, headers=store.headers)


def available(store: Store, member: str) -> int:
    return store.get(f"/members/{member}").json["points"]["available"]


def ways(store: Store, member: str) -> dict[str, Any]:
    return {way["rule"]: way for way in store.get(f"/members/{member}/activities").json["items"]}


def test_what_a_member_did_earns_once(store: Store, member: str) -> None:
    path = f"/members/{member}/activities"
    done = store.post(path, {"rule": "insta"})
    assert done.status_code == 201
    assert (done.json["points"], done.json["text"]) == (10, "10 points for following us on Instagram.")
    again = store.post(path, {"rule": "insta"})
    assert (again.status_code, again.json["code"], again.json["earned"]["points"]) == (409, "already_done", 10)
    shown = ways(store, member)["insta"]
    assert (shown["status"], shown["times"], shown["earned"], shown["network"]) == ("done", 1, 10, "Instagram")
    with database().transaction(store.shop_id) as session:
        assert audit.differences(session) == []


def test_a_custom_action_counts_by_its_fact_or_its_idempotency_key(store: Store, member: str) -> None:
    path, body = f"/members/{member}/activities", {"rule": "cups"}
    first, replayed = (store.post(path, body, Idempotency_Key="cup 1") for _ in range(2))
    assert (first.status_code, first.data) == (replayed.status_code, replayed.data)
    assert store.post(path, body).json["code"] == "no_fact"
    assert store.post(path, body | {"fact": "cup 1"}).json["code"] == "already_done"
    with database().transaction(store.shop_id) as session:
        session.execute(sa.delete(IdempotencyKey))
    # Answers are kept for a day, facts for ever.
    assert store.post(path, body, Idempotency_Key="cup 1").json["code"] == "already_done"
    assert store.post(path, body, Idempotency_Key="cup 2" * 51).status_code == 201  # the longest there is
    refused = store.post(path, body, Idempotency_Key="cup 3")
    assert (refused.json["code"], "again_on" in refused.json) == ("limit_reached", True)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"rule": "nothing"}, 404, "no_rule"),
        ({"rule": "birthday"}, 422, "not_reported"),
        ({"rule": "tasting", "fact": "x"}, 409, "not_your_tier"),
        ({"rule": "review"}, 422, "bad_data"),
        ({"rule": "review", "data": {"product_id": {"a": 1}}}, 422, "bad_data"),
        ({"rule": "cups", "fact": "x", "data": {"a": "\x00"}}, 422, "bad_data"),
        ({"rule": "cups", "fact": "x", "data": {"a": 10**400}}, 201, None),
        ({"rule": "cups", "fact": "x", "data": {"a": "y" * 5000}}, 422, "bad_data"),
        ({"rule": "cups", "fact": "x", "points": 1000}, 422, "invalid_input"),
        ({"rule": "cups", "fact": "x" * 256}, 422, "invalid_input"),
        ({"rule": "cups", "fact": "x", "data": []}, 422, "invalid_input"),
    ],
)
def test_what_cannot_be_reported(store: Store, member: str, body: Any, status: int, code: str | None) -> None:
    answer = store.post(f"/members/{member}/activities", body)
    assert (answer.status_code, answer.json.get("code")) == (status, code)


def test_data_that_is_nested_too_deeply_is_refused(store: Store, member: str) -> None:
    for depth in (100, 300, 1500):
        nested = '{"rule": "cups", "fact": "x", "data": {"a": ' + "[" * depth + "]" * depth + "}}"
        headers = store.headers | {"Content-Type": "application/json", "Idempotency-Key": f"k{depth}"}
        answer = store.client.post(f"/api/v1/members/{member}/activities", data=nested, headers=headers)
        assert answer.status_code in (201, 409) if depth == 100 else answer.status_code in (400, 422)


def test_answers(store: Store, member: str) -> None:
    path = f"/members/{member}/answers/coffee"
    first = put(store, path, {"answer": "Coffee"}).json
    assert (first["answer"], first["earned"]["points"], first["not_earned"]) == ("Coffee", 20, None)
    second = put(store, path, {"answer": "Tea"}).json
    assert (second["answer"], second["earned"], second["not_earned"]) == ("Tea", None, "already_done")
    assert ways(store, member)["coffee"]["answer"] == "Tea"
    refused = put(store, path, {"answer": "Water"})
    assert (refused.status_code, refused.json["detail"]) == (422, "choose one of: Coffee, Tea")
    for rule in ("insta", "nothing"):
        assert put(store, f"/members/{member}/answers/{rule}", {"answer": "Tea"}).status_code == 404
    assert put(store, f"/members/{member}/answers/No%20Key", {"answer": "Tea"}).status_code == 404


def test_consents(store: Store, member: str) -> None:
    path = f"/members/{member}/consents/newsletter"
    given = put(store, path, {"given": True, "source": "checkout"}).json
    assert (given["given"], given["source"], given["earned"]["points"]) == (True, "checkout", 50)
    before = available(store, member)
    withdrawn = put(store, path, {"given": False, "source": "portal"}).json
    assert (withdrawn["given"], withdrawn["earned"], available(store, member)) == (False, None, before)
    listed = store.get(f"/members/{member}/activities").json["consents"]
    assert [(one["channel"], one["given"], one["source"]) for one in listed] == [("newsletter", False, "portal")]
    assert put(store, f"/members/{member}/consents/pigeon", {"given": True, "source": "x"}).status_code == 404
    assert put(store, path, {"given": "yes", "source": "x"}).status_code == 422


def test_birthdays(store: Store, member: str) -> None:
    path = f"/members/{member}/birthday"
    assert put(store, path, {"month": 2, "day": 29}).json["year"] is None
    shown = store.get(f"/members/{member}/activities").json
    assert (shown["birthday"]["month"], shown["birthday"]["day"]) == (2, 29)
    assert ways(store, member)["birthday"]["status"] == "waiting"
    for body in ({"month": 2, "day": 30}, {"month": 13, "day": 1}, {"month": 1, "day": 1, "year": 9999}, {"month": 1}):
        assert put(store, path, body).status_code == 422


def test_scores(store: Store, member: str) -> None:
    path = f"/members/{member}/nps"
    assert store.post(path, {"score": 11}).status_code == 422
    assert store.post(path, {"score": True}).status_code == 422
    done = store.post(path, {"score": 9, "comment": " Lovely beans "})
    assert (done.status_code, done.json["points"]) == (201, 15)
    refused = store.post(path, {"score": 9})
    assert (refused.status_code, refused.json["code"], "again_on" in refused.json) == (409, "too_soon", True)
    with database().transaction(store.shop_id) as session:
        assert session.scalars(sa.select(ActivityDone.data)).all() == [{"score": 9, "comment": "Lovely beans"}]


def test_gifts(store: Store, member: str) -> None:
    others = [join(store, number) for number in (2, 3)]
    body = {"points": 100, "reason": "Happy holidays", "members": [member, others[0]]}
    made = store.post("/gifts", body, Idempotency_Key="holidays")
    assert (made.status_code, made.json["total"], made.json["given"], made.json["finished_at"]) == (201, 2, 0, None)
    assert store.post("/gifts", body, Idempotency_Key="holidays").json == made.json
    jobs.give_gifts()
    shown = store.get(f"/gifts/{made.json['id']}").json
    assert (shown["given"], shown["finished_at"] is not None) == (2, True)
    assert [available(store, one) for one in (member, *others)] == [230, 230, 130]
    newest = store.get(f"/members/{member}/postings").json["items"][0]
    assert newest["explanation"]["text"] == "100 points, a gift from the shop: Happy holidays."
    assert store.get("/gifts/999").status_code == 404


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"points": 0}, "invalid_input"),
        ({"points": 2**31}, "invalid_input"),
        ({"points": 1.5}, "invalid_input"),
        ({"reason": " "}, "invalid_input"),
        ({"all": False}, "invalid_input"),
        ({"all": None}, "bad_recipients"),
        ({"tiers": ["insider"]}, "bad_recipients"),
        ({"all": None, "tiers": ["gold"]}, "unknown_tiers"),
        ({"all": None, "members": []}, "invalid_input"),
        ({"all": None, "members": ["9223372036854775807"]}, "unknown_members"),
        ({"all": None, "members": ["9999999999999999999"]}, "unknown_members"),
    ],
)
def test_gifts_that_cannot_be(store: Store, changes: dict[str, Any], code: str) -> None:
    refused = store.post("/gifts", {"points": 5, "reason": "x", "all": True} | changes)
    assert (refused.status_code, refused.json["code"]) == (422, code)


def test_a_gifts_words_leave_the_kept_answer_with_the_person(store: Store, member: str) -> None:
    store.post("/gifts", {"points": 5, "reason": "Get well, Noor", "members": [member]}, Idempotency_Key="k")
    with database().transaction(store.shop_id) as session:
        giving.give_batch(session, store.shop_id, giving.open_gifts(session)[0][1], NOW)
        erase_person(session, store.shop_id, find_person(session, store.shop_id, customer_id=1))
    with database().transaction(store.shop_id) as session:
        kept = session.scalars(sa.select(IdempotencyKey.answer)).all()
        assert len(kept) == 1
        assert "Get well" not in str(kept)


def test_another_shops_members_and_gifts_are_not_there(store: Store, other_store: Store, member: str) -> None:
    made = store.post("/gifts", {"points": 5, "reason": "x", "all": True}).json
    assert other_store.get(f"/gifts/{made['id']}").status_code == 404
    assert other_store.get(f"/members/{member}/activities").status_code == 404
    assert other_store.post(f"/members/{member}/activities", {"rule": "insta"}).status_code == 404
    refused = other_store.post("/gifts", {"points": 5, "reason": "x", "members": [member]})
    assert refused.json["code"] == "unknown_members"
