"""Who may ask the API what: keys, shops, and what the edge answers when something is wrong."""

import io
import json
import re
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from flask import Flask

from core import clock
from core.config import settings
from core.db import database
from core.errors import NotAuthenticated
from shops import keys
from shops.models import ApiKey, Shop
from tests.web.stores import FIRST_ORDER, Store
from web import edge

PUBLIC = {"api.openapi", "api.program_schema", "api.design_schema"}


def api_routes(app: Flask) -> list[tuple[str, str]]:
    """Every (method, path) of the API that needs a key, with ids filled in."""
    return [
        (method, re.sub("<[^>]+>", "1", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/") and rule.endpoint not in PUBLIC
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
    ]


def client(app: Flask) -> Any:
    return app.test_client()


def test_every_route_asks_for_a_key(app: Flask) -> None:
    routes = api_routes(app)
    assert len(routes) >= 6
    for method, path in routes:
        refused = client(app).open(path, method=method, json={} if method == "POST" else None)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer"), path
        assert refused.mimetype == "application/problem+json"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic {token}",
        "{token}",
        "Bearer {token}x",
        "Bearer {token} x",
        "Bearer rapport_zzzzzzzzzzzzz_" + "x" * 43,
        "Bearer rapport_0_" + "x" * 43,
        "Bearer rapport_1_" + "x" * 43,
        "Bearer \u00e9\u00e9",
    ],
)
def test_what_is_no_key_opens_nothing(store: Store, authorization: str) -> None:
    headers = {"Authorization": authorization.format(token=store.token)}
    assert store.client.get("/api/v1/rewards", headers=headers).status_code == 401


def test_a_revoked_key_opens_nothing(store: Store) -> None:
    with database().transaction(store.shop_id) as session:
        key = keys.verify(session, store.token)
        assert key is not None
        assert keys.revoke(session, store.shop_id, key.key_id, actor="test")
        assert not keys.revoke(session, store.shop_id, key.key_id, actor="test")
    assert store.get("/rewards").status_code == 401


def test_the_key_of_a_shop_that_left_opens_nothing(store: Store) -> None:
    with database().transaction() as session:
        session.execute(sa.update(Shop).where(Shop.id == store.shop_id).values(uninstalled_at=clock.now()))
    assert store.get("/rewards").status_code == 401


def test_a_key_is_kept_as_its_hash_only(store: Store) -> None:
    with database().transaction(store.shop_id) as session:
        (row,) = session.execute(sa.select(*ApiKey.__table__.columns)).mappings()
    assert store.token.rpartition("_")[2] not in str(dict(row))


def test_a_token_of_one_shop_renamed_to_another_opens_neither(store: Store, other_store: Store) -> None:
    forged = "_".join(["rapport", other_store.token.split("_")[1], store.token.split("_", 2)[2]])
    assert keys.claimed_shop(forged) == other_store.shop_id
    assert store.client.get("/api/v1/rewards", headers={"Authorization": f"Bearer {forged}"}).status_code == 401


@pytest.mark.parametrize("shop_id", [1, 35, 36, 10**9, 2**63 - 1])
def test_a_token_names_its_shop(app: Flask, shop_id: int) -> None:
    with database().transaction(shop_id) as session:
        token = keys.create(session, shop_id, "till", actor="test")
    assert keys.claimed_shop(token) == shop_id


def test_the_key_of_one_shop_never_sees_the_other(store: Store, other_store: Store) -> None:
    theirs = other_store.customer(7, "noor@example.com")
    other_store.settle(other_store.order(1, theirs))
    store.settle(store.order(2, store.customer(1, "sam@example.com")))
    member = other_store.member_of(theirs)
    for path in (f"/members/{member['id']}", f"/members/{member['id']}/postings", f"/orders/{FIRST_ORDER + 1}"):
        assert other_store.get(path).status_code == 200
        assert store.get(path).status_code == 404
    for query in ({"customer_id": 7}, {"email": "noor@example.com"}):
        assert store.get("/members", **query).json["items"] == []
    assert [item["customer_id"] for item in store.get("/members").json["items"]] == ["1"]
    gift = {"points": 1, "reason": "hello"}
    assert store.post(f"/members/{member['id']}/adjustments", gift).status_code == 404
    assert other_store.member_of(theirs) == member


def test_both_shops_may_have_the_same_order_id(store: Store, other_store: Store) -> None:
    store.settle(store.order(1, store.customer(1), 10_00))
    other_store.settle(other_store.order(1, other_store.customer(1), 20_00))
    spent = [each.get(f"/orders/{FIRST_ORDER + 1}").json["eligible_spend"] for each in (store, other_store)]
    assert spent == [10_00, 20_00]


# The edge.


def test_every_answer_carries_its_request_id_and_says_what_it_is(store: Store) -> None:
    answer = store.client.get("/api/v1/rewards", headers=store.headers | {"X-Request-Id": "till-7.42"})
    assert answer.headers["X-Request-Id"] == "till-7.42"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    forged = store.client.get("/api/v1/nothing", headers={"X-Request-Id": "a b\u00e9"})
    assert forged.json["request_id"] == forged.headers["X-Request-Id"] != "a b\u00e9"
    assert forged.json["status"] == 404


def test_a_method_that_is_not_there(store: Store) -> None:
    refused = store.client.delete("/api/v1/rewards", headers=store.headers)
    assert (refused.status_code, refused.mimetype) == (405, "application/problem+json")
    assert set(refused.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_a_fault_of_ours_tells_nothing_but_its_request_id(own_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    @own_app.get("/broken")
    def broken() -> str:
        raise RuntimeError("the secret of noor@example.com")

    logged = io.StringIO()
    monkeypatch.setattr(edge, "log", structlog.wrap_logger(structlog.PrintLogger(logged)))
    answer = client(own_app).get("/broken")
    assert (answer.status_code, answer.json["code"]) == (500, "unexpected")
    assert "secret" not in answer.text
    assert answer.json["request_id"] in logged.getvalue()
    assert "RuntimeError" in logged.getvalue()
    assert "noor@example.com" not in logged.getvalue()


def test_refusals_of_other_faces_use_the_same_map(own_app: Flask) -> None:
    @own_app.get("/refused")
    def refused() -> str:
        raise NotAuthenticated("who are you?", hint="sign in")

    answer = client(own_app).get("/refused")
    assert answer.status_code == 401
    assert answer.json == {
        "type": "urn:rapport:problem:not_authenticated",
        "title": "Unauthorized",
        "status": 401,
        "detail": "who are you?",
        "code": "not_authenticated",
        "hint": "sign in",
        "request_id": answer.headers["X-Request-Id"],
    }


def test_without_a_database_one_is_asked_to_come_again(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://postgres@127.0.0.1:1/gone")
    settings.cache_clear()
    database.cache_clear()
    token = "rapport_1_" + "x" * 43
    answer = client(app).get("/api/v1/rewards", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json["code"] == "database_unavailable"


def test_the_document_is_public_and_complete(app: Flask) -> None:
    document: dict[str, Any] = json.loads(client(app).get("/api/v1/openapi.json").data)
    assert document["openapi"].startswith("3.1")
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    served = {(method, path.removeprefix("/api/v1").replace("/1", "/{id}")) for method, path in api_routes(app)}
    generic = {(method, re.sub("{[^}]+}", "{id}", path)) for method, path in described}
    assert generic == served
