"""The review queue over the API: oldest first, one look, one decision, one way back."""

from typing import Any

import pytest

from core.db import database
from referrals.models import Referral
from tests.web.stores import DAY, NOW, Store

REASON = {"key": "same_phone", "points": 40, "text": "The friend's phone number is the referrer's own."}


def keep(store: Store, number: int, state: str = "review") -> str:
    row = Referral(
        shop_id=store.shop_id, friend=f"friend {number}", referrer_member_id=1, code_key="ANNA7K", via="code",
        order_id=2**53 + number, at=NOW - DAY, amount=80_00, currency="USD", program_version=1, state=state, score=40,
        reasons=[REASON], evidence={"same_phone": True}, created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    with database().transaction(store.shop_id) as session:
        session.add(row)
        session.flush()
        return str(row.id)


def queue(store: Store, **query: Any) -> Any:
    return store.get("/referrals/reviews", **query).json


def undo(store: Store, referral_id: str) -> Any:
    return store.client.delete(f"/api/v1/referrals/{referral_id}/decision", headers=store.headers)


def test_the_queue_is_paged_oldest_first(store: Store) -> None:
    kept = [keep(store, number) for number in range(3)]
    keep(store, 9, "holding")
    first = queue(store, limit=2)
    assert [item["id"] for item in first["items"]] == kept[:2]
    assert [item["id"] for item in queue(store, limit=2, cursor=first["next"])["items"]] == kept[2:]
    assert first["items"][0] | {"id": "", "placed_at": ""} == {
        "id": "", "state": "review", "order_id": str(2**53), "placed_at": "", "amount": 80_00, "currency": "USD",
        "via": "code", "referrer_member_id": "1", "partner_id": None, "friend_member_id": None, "score": 40,
        "reasons": [REASON], "decision": None, "decided_by": None, "decided_at": None,
    }  # fmt: skip


def test_a_decision_and_its_undoing(store: Store) -> None:
    referral_id = keep(store, 1)
    path = f"/referrals/{referral_id}/decision"
    made = store.post(path, {"decision": "approve", "note": "They are sisters."})
    assert (made.status_code, made.json["decision"]) == (200, "approve")
    assert queue(store)["items"] == []
    refused = store.post(path, {"decision": "refuse"})
    assert (refused.status_code, refused.json["code"], refused.json["decision"]) == (409, "already_decided", "approved")
    assert undo(store, referral_id).json["decision"] is None
    assert [item["id"] for item in queue(store)["items"]] == [referral_id]


def test_the_same_request_is_answered_once(store: Store) -> None:
    path = f"/referrals/{keep(store, 1)}/decision"
    first = store.post(path, {"decision": "refuse"}, Idempotency_Key="once")
    again = store.post(path, {"decision": "refuse"}, Idempotency_Key="once")
    assert again.json == first.json
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_look_at_one_without_shopify_tells_what_is_known(store: Store) -> None:
    referral_id = keep(store, 1)
    store.post(f"/referrals/{referral_id}/decision", {"decision": "refuse", "note": "One phone."})
    found = store.get(f"/referrals/{referral_id}/review")
    assert found.status_code == 200, found.json
    assert (found.json["told"], found.json["friend"]["name"]) == (False, "")
    assert [(step["note"], step["reasons"][0]["text"]) for step in found.json["steps"]] == [
        ("One phone.", "Refused by hand.")
    ]


NONSENSE = [
    {},
    {"decision": "maybe"},
    {"decision": "approve", "note": "x" * 501},
    {"decision": "approve", "note": "\x00"},
    {"decision": "approve", "by": "me"},
]


@pytest.mark.parametrize("body", NONSENSE)
def test_what_makes_no_sense_is_refused(store: Store, body: dict[str, str]) -> None:
    assert store.post(f"/referrals/{keep(store, 1)}/decision", body).status_code == 422


def test_another_shop_sees_nothing(store: Store, other_store: Store) -> None:
    referral_id = keep(store, 1)
    assert queue(other_store)["items"] == []
    assert other_store.get(f"/referrals/{referral_id}/review").status_code == 404
    assert other_store.post(f"/referrals/{referral_id}/decision", {"decision": "approve"}).status_code == 404
    assert undo(other_store, referral_id).status_code == 404


def test_forwarded_addresses_are_believed_of_known_proxies_only(own_app: Any) -> None:
    """Whoever writes the header themselves must not choose their network."""
    from flask import request

    from app import create_app
    from core.config import settings

    def seen(app: Any) -> str:
        app.add_url_rule("/who", "who", lambda: request.remote_addr)
        headers = {"X-Forwarded-For": "198.51.100.9, 203.0.113.7"}
        return str(app.test_client().get("/who", headers=headers).text)

    assert seen(own_app) == "127.0.0.1"
    behind = create_app(settings().model_copy(update={"trusted_proxies": 1}))
    assert seen(behind) == "203.0.113.7"
