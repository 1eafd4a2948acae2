"""Points given and taken over the API, once each."""

import json
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from core.db import database
from loyalty import audit
from loyalty.models import Posting
from tests.web.stores import Store
from web.models import IdempotencyKey

GIVE = {"points": 100, "reason": "Sorry for the late parcel"}


@pytest.fixture
def member_id(store: Store) -> str:
    store.settle(store.order(1, store.customer(1)))
    return store.member_of(store.customer(1))["id"]


@pytest.fixture
def path(member_id: str) -> str:
    return f"/members/{member_id}/adjustments"


def adjustments(store: Store) -> list[int]:
    with database().transaction(store.shop_id) as session:
        return list(session.scalars(sa.select(Posting.points).where(Posting.kind == "adjustment").order_by(Posting.id)))


def test_an_adjustment_answers_with_its_posting(store: Store, path: str) -> None:
    given = store.post(path, GIVE)
    taken = store.post(path, {"points": -30, "reason": "Added twice."})
    assert (given.status_code, taken.status_code) == (201, 201)
    assert given.json["explanation"]["text"] == "100 points added by the shop: Sorry for the late parcel."
    assert taken.json["explanation"]["text"] == "30 points taken off by the shop: Added twice."
    assert (given.json["points"], given.json["balance_after"], given.json["bucket"]) == (100, 230, "available")
    assert (taken.json["points"], taken.json["balance_after"]) == (-30, 200)
    assert given.json["actor"].startswith("api:")
    listed = store.get(path.replace("adjustments", "postings")).json["items"]
    assert listed[:2] == [taken.json, given.json]
    with database().transaction(store.shop_id) as session:
        assert audit.differences(session) == []


def test_without_a_key_each_request_counts(store: Store, path: str) -> None:
    store.post(path, GIVE)
    store.post(path, GIVE)
    assert adjustments(store) == [100, 100]


def test_the_same_key_gives_the_first_answer_again(store: Store, path: str) -> None:
    first, again = (store.post(path, GIVE, Idempotency_Key="parcel 17") for _ in range(2))
    assert (first.status_code, first.data) == (again.status_code, again.data)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert adjustments(store) == [100]


def test_the_same_json_written_otherwise_is_the_same_request(store: Store, path: str) -> None:
    headers = store.headers | {"Idempotency-Key": "k", "Content-Type": "application/json"}
    bodies = (json.dumps(GIVE), json.dumps(dict(reversed(GIVE.items())), indent=2))
    answers = [store.client.post(f"/api/v1{path}", data=body, headers=headers) for body in bodies]
    assert answers[0].data == answers[1].data
    assert adjustments(store) == [100]


def test_a_key_that_stood_on_another_request_is_refused(store: Store, path: str) -> None:
    store.settle(store.order(2, store.customer(2)))
    elsewhere = f"/members/{store.member_of(store.customer(2))['id']}/adjustments"
    store.post(path, GIVE, Idempotency_Key="k")
    for refused in (
        store.post(path, GIVE | {"points": 101}, Idempotency_Key="k"),
        store.post(elsewhere, GIVE, Idempotency_Key="k"),
    ):
        assert (refused.status_code, refused.json["code"]) == (422, "idempotency_key_reused")
    assert adjustments(store) == [100]


def test_two_shops_may_use_the_same_key(store: Store, other_store: Store, path: str) -> None:
    other_store.settle(other_store.order(1, other_store.customer(1)))
    elsewhere = f"/members/{other_store.member_of(other_store.customer(1))['id']}/adjustments"
    assert store.post(path, GIVE, Idempotency_Key="k").status_code == 201
    assert other_store.post(elsewhere, GIVE, Idempotency_Key="k").status_code == 201


def test_a_refused_request_may_be_sent_again_under_its_key(store: Store, path: str) -> None:
    assert store.post(path, {"points": 0, "reason": "x"}, Idempotency_Key="k").status_code == 422
    assert store.post(path, GIVE, Idempotency_Key="k").status_code == 201


def test_the_ledger_remembers_a_key_after_its_answer_is_forgotten(store: Store, path: str) -> None:
    store.post(path, GIVE, Idempotency_Key="k")
    with database().transaction(store.shop_id) as session:
        session.execute(sa.delete(IdempotencyKey))
    refused = store.post(path, GIVE, Idempotency_Key="k")
    assert (refused.status_code, refused.json["code"]) == (409, "idempotency_key_expired")
    assert adjustments(store) == [100]


def test_twenty_twins_at_once_make_one_posting_and_hear_one_answer(store: Store, path: str) -> None:
    answers = at_once(20, lambda _: store.post(path, GIVE, Idempotency_Key="twins"))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 1
    assert adjustments(store) == [100]


def test_twenty_others_at_once_all_count(store: Store, path: str, member_id: str) -> None:
    answers = at_once(20, lambda number: store.post(path, GIVE, Idempotency_Key=f"one of many {number}"))
    assert sorted(answer.json["balance_after"] for answer in answers) == list(range(230, 2131, 100))
    assert store.get(f"/members/{member_id}").json["points"]["available"] == 2130


def test_one_key_on_two_requests_at_once_lets_one_through(store: Store, path: str) -> None:
    answers = at_once(10, lambda number: store.post(path, GIVE | {"points": 1 + number % 2}, Idempotency_Key="k"))
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [422] * 5
    assert len(adjustments(store)) == 1


def at_once(count: int, do: Any) -> list[Any]:
    """What `do(number)` gave in as many threads that start together."""
    barrier, answers = threading.Barrier(count), []

    def run(number: int) -> None:
        barrier.wait()
        answers.append(do(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == count
    return answers


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"points": 2**31, "reason": "x"}, "points"),
        ({"points": -(2**31), "reason": "x"}, "points"),
        ({"points": 10**400, "reason": "x"}, "points"),
        ({"points": 0, "reason": "x"}, "points"),
        ({"points": 1.5, "reason": "x"}, "points"),
        ({"points": "5", "reason": "x"}, "points"),
        ({"points": True, "reason": "x"}, "points"),
        ({"points": None, "reason": "x"}, "points"),
        ({"reason": "x"}, "points"),
        ({"points": 1}, "reason"),
        ({"points": 1, "reason": ""}, "reason"),
        ({"points": 1, "reason": " \n"}, "reason"),
        ({"points": 1, "reason": "x" * 501}, "reason"),
        ({"points": 1, "reason": "a\x00b"}, "reason"),
        ({"points": 1, "reason": 7}, "reason"),
        ({"points": 1, "reason": "x", "notify": True}, "notify"),
        ([], "body"),
        (None, "body"),
        ("{}", "body"),
    ],
)
def test_an_adjustment_that_cannot_be_is_refused(store: Store, path: str, body: Any, field: str) -> None:
    headers = store.headers | {"Content-Type": "application/json"}
    refused = store.client.post(f"/api/v1{path}", data=json.dumps(body), headers=headers)
    assert (refused.status_code, refused.mimetype) == (422, "application/problem+json")
    assert refused.json["errors"][0]["field"] == field
    assert adjustments(store) == []


@pytest.mark.parametrize("points", [2**31 - 1, -(2**31 - 1), 100.0])
def test_the_largest_adjustments_and_whole_decimals_are_taken(store: Store, path: str, points: float) -> None:
    assert store.post(path, {"points": points, "reason": "x" * 500}).json["points"] == points


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"points": 1, "reason": "\\ud800"}', "application/json", 400),
        (b'{"points": 1, "reason": "\xff"}', "application/json", 400),
        (b'{"points": NaN, "reason": "x"}', "application/json", 422),
        (b"[" * 100_000, "application/json", 400),
        (b'{"points": 1, "reason": "x"}', "text/plain", 415),
        (b"points=1&reason=x", "application/x-www-form-urlencoded", 415),
        (b'{"points": 1, "reason": "' + b"x" * 1024 * 1024 + b'"}', "application/json", 413),
    ],
)
def test_a_body_that_is_not_what_it_should_be(
    store: Store, path: str, body: bytes, content_type: str, status: int
) -> None:
    headers = store.headers | {"Content-Type": content_type}
    refused = store.client.post(f"/api/v1{path}", data=body, headers=headers)
    assert (refused.status_code, refused.mimetype) == (status, "application/problem+json")


@pytest.mark.parametrize("key", ["", "x" * 256, "naïve", "tab\tbed"])
def test_an_idempotency_key_that_cannot_be_is_refused(store: Store, path: str, key: str) -> None:
    refused = store.post(path, GIVE, Idempotency_Key=key)
    assert (refused.status_code, refused.json["code"]) == (400, "bad_idempotency_key")


def test_an_unknown_member_can_be_given_nothing(store: Store) -> None:
    refused = store.post("/members/999/adjustments", GIVE, Idempotency_Key="k")
    assert (refused.status_code, refused.json["code"]) == (404, "no_member")
