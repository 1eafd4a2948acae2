"""A review app tells of reviews: signed, once a product, and nobody else is believed."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core import crypto
from core.db import database
from loyalty import programs
from loyalty.activities.models import ActivityDone
from shops import hooks, operations, queries
from shops.models import Shop
from tests.loyalty.activities.rig import program
from tests.web.stores import NOW, Store, open_store
from web.hooks import BODY_LIMIT, JUDGE_ME, OURS

DOMAIN = "roastery.myshopify.com"
REVIEW = {"review_id": "r1", "customer_id": 1, "product_id": 77, "rating": 5, "photos": 2, "created_at": "2026-03-01"}
# As Judge.me's API and webhooks name things.
JUDGED = {
    "review": {
        "id": 9001, "rating": 4, "title": "Lovely", "body": "Smooth and dark.", "product_external_id": 78,
        "reviewer": {"id": 5, "external_id": None, "email": "Noor@x.example", "name": "Noor"},
        "pictures": [{"urls": {"original": "https://x.example/1.jpg"}}], "created_at": "2026-03-01T10:00:00+00:00",
    }
}  # fmt: skip


@pytest.fixture
def store(app: Flask) -> Store:
    store = open_store(app, DOMAIN)
    with database().transaction(store.shop_id) as session:
        programs.publish(session, store.shop_id, program(), effective_from=NOW - timedelta(days=390), actor="test")
    store.settle(store.order(1, store.customer(1, "noor@x.example")))
    return store


@pytest.fixture
def secret(store: Store) -> str:
    return keep(None)


def keep(given: str | None) -> str:
    with database().transaction() as session:
        return hooks.keep_review_secret(session, queries.shop_by_domain(session, DOMAIN), given)


def tell(store: Store, secret: str, body: Any = REVIEW, *, header: str = OURS, domain: str = DOMAIN) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return store.client.post(f"/hooks/reviews/{domain}", data=raw, headers={header: signature})


def test_a_review_earns_once_a_product(store: Store, secret: str) -> None:
    first = tell(store, secret)
    assert (first.status_code, first.json) == (200, {"status": "earned", "points": 50})
    assert tell(store, secret, REVIEW | {"review_id": "r2"}).json == {"status": "already_done", "points": 0}
    assert tell(store, secret, REVIEW | {"product_id": 80, "photos": 0}).json == {"status": "earned", "points": 20}
    assert tell(store, secret, REVIEW | {"product_id": 81}).json == {"status": "limit_reached", "points": 0}
    with database().transaction(store.shop_id) as session:
        done = session.scalars(sa.select(ActivityDone).order_by(ActivityDone.id)).all()
    assert [(row.fact, row.actor) for row in done] == [("product:77", "review-app"), ("product:80", "review-app")]
    assert done[0].data == {"review_id": "r1", "product_id": 77, "rating": 5, "photos": 2}


def test_a_review_of_judge_me(store: Store) -> None:
    keep("judge me's secret")
    for _ in range(2):
        told = tell(store, "judge me's secret", JUDGED, header=JUDGE_ME)
    assert (told.status_code, told.json) == (200, {"status": "already_done", "points": 0})
    with database().transaction(store.shop_id) as session:
        done = session.scalars(sa.select(ActivityDone)).one()
    assert (done.fact, done.points) == ("product:78", 50)
    assert done.data == {"review_id": "9001", "product_id": 78, "rating": 4, "photos": 1}


@pytest.mark.parametrize(
    "whom", [{"customer_id": 999}, {"customer_id": None, "email": "eve@x.example"}, {"customer_id": None}]
)
def test_somebody_who_is_no_member_is_accepted_and_said_so(store: Store, secret: str, whom: Any) -> None:
    told = tell(store, secret, REVIEW | whom)
    assert (told.status_code, told.json["status"]) == (202, "not_a_member")


def test_an_address_that_was_never_verified_names_nobody(store: Store, secret: str) -> None:
    unverified = store.customer(2, "eve@x.example")._replace(email_verified=False)
    store.settle(store.order(2, unverified))
    told = tell(store, secret, REVIEW | {"customer_id": None, "email": "eve@x.example"})
    assert told.status_code == 202


def test_only_the_shops_own_secret_is_believed(store: Store, other_store: Store, secret: str) -> None:
    assert tell(store, "another secret").status_code == 401
    assert tell(store, secret, domain="bakery.myshopify.com").status_code == 401
    assert tell(store, secret, domain="nowhere.myshopify.com").status_code == 401
    assert tell(store, secret, domain="not a shop").status_code == 401
    for signature in ("", "é", "0" * 64, "\udcff"):
        headers = {OURS: signature.encode("utf-8", "surrogateescape").decode("latin-1")}
        told = store.client.post(f"/hooks/reviews/{DOMAIN}", data=json.dumps(REVIEW), headers=headers)
        assert told.status_code == 401
    again = keep(None)
    assert tell(store, secret).status_code == 401
    assert tell(store, again).status_code == 200


def test_a_shop_that_left_takes_no_reviews(store: Store, secret: str) -> None:
    with database().transaction(store.shop_id) as session:
        operations.uninstall(session, store.shop_id, NOW + timedelta(days=1))
    assert tell(store, secret).status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"[" * 50_000, 400),
        (b"[]", 422),
        ({"customer_id": 1}, 422),
        (REVIEW | {"rating": "high"}, 422),
        (REVIEW | {"product_id": 2**63}, 422),
        (REVIEW | {"review_id": "a\x00b"}, 422),
        (b" " * (BODY_LIMIT + 1), 413),
    ],
)
def test_a_body_that_is_no_review(store: Store, secret: str, body: Any, status: int) -> None:
    told = tell(store, secret, body)
    assert (told.status_code, told.mimetype) == (status, "application/problem+json")


def test_a_program_without_reviews_gives_nothing(store: Store, secret: str) -> None:
    with database().transaction(store.shop_id) as session:
        programs.publish(session, store.shop_id, program([]), effective_from=NOW - timedelta(days=1), actor="test")
    assert tell(store, secret).json == {"status": "no_rule", "points": 0}


def test_the_secret_is_encrypted_and_rotates_with_the_keys(store: Store, secret: str) -> None:
    runner = store.app.test_cli_runner()
    with database().transaction() as session:
        before = session.get_one(Shop, store.shop_id).settings["review_hook"]
    assert secret not in before
    assert runner.invoke(args=["shop", "rotate-keys"]).exit_code == 0
    with database().transaction() as session:
        after = session.get_one(Shop, store.shop_id).settings["review_hook"]
    assert after != before
    assert crypto.decrypt(after.encode()) == secret
    assert tell(store, secret).status_code == 200


def test_the_command_prints_where_and_with_what(store: Store) -> None:
    runner = store.app.test_cli_runner()
    address, made = runner.invoke(args=["review-hook", "create", "--shop", DOMAIN]).output.split()
    assert address.endswith(f"/hooks/reviews/{DOMAIN}")
    assert tell(store, made).json["status"] == "earned"
    asked = runner.invoke(args=["review-hook", "create", "--shop", DOMAIN, "--ask"], input="theirs\n")
    assert "theirs" not in asked.output
    assert tell(store, "theirs", JUDGED, header=JUDGE_ME).json["status"] == "earned"
