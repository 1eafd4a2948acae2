"""Flow and Klaviyo hear of what happens, in order and once; what they never asked for they never hear."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask

import shops.operations
from core import clock, effects
from core.config import settings
from core.db import database
from core.effects import Effect
from core.events import Event, Happened, record
from loyalty import programs
from loyalty.models import Member
from loyalty.operations import adjust
from loyalty.program import demo_program
from loyalty.telling import risk, rules
from sandbox import flow
from sandbox.catalogue import DEMO
from sandbox.klaviyo import Account
from sandbox.outbox import Weather
from sandbox.testing import Running, in_process
from shops import connections, keys, operations
from shops.models import Shop
from tests.web.conftest import app  # noqa: F401
from tests.web.stores import DAY, NOW, Store

CUSTOMER = 7
KEY = f"pk_{'0' * 34}"


@pytest.fixture(scope="module")
def shopify(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    state = tmp_path_factory.mktemp("store")
    with in_process(state, "http://127.0.0.1:1", weather=Weather(withhold=1.0)) as running:
        yield running


@pytest.fixture
def klaviyo(shopify: Running) -> Account:
    shopify.app.extensions["klaviyo"] = Account()
    return shopify.app.extensions["klaviyo"]


@pytest.fixture
def store(shopify: Running, klaviyo: Account, app: Flask, monkeypatch: pytest.MonkeyPatch) -> Store:  # noqa: F811
    """The demo shop of the sandbox, installed; nothing is connected yet."""
    monkeypatch.setenv("SHOPIFY_STORE_URL", shopify.url + "/{shop}")
    monkeypatch.setenv("KLAVIYO_URL", shopify.url + "/klaviyo")
    settings.cache_clear()
    with shopify.sandbox.world.store.transaction():
        shopify.sandbox.world.store.db.execute("delete from documents where kind = 'flow'")

    def prepare(session: Any, shop_id: int) -> None:
        programs.publish(session, shop_id, demo_program(), effective_from=NOW - 400 * DAY, actor="test")

    answer = httpx.post(f"{shopify.url}/sandbox/{DEMO.domain}/session-token").json()
    shop_id = operations.install(database(), answer["session_token"], prepare)
    with database().transaction(shop_id) as session:
        token = keys.create(session, shop_id, "test", actor="test")
    return Store(app, shop_id, token)


def connect(store: Store) -> None:
    assert put(store, "/connections/flow").json["connected"]
    assert put(store, "/connections/klaviyo", {"private_key": KEY}).json["key"] == "…0000"


def put(store: Store, path: str, body: Any = None) -> Any:
    return store.client.put(f"/api/v1{path}", json=body, headers=store.headers)


def tell(store: Store) -> list[tuple[str, str | None]]:
    """Carry out what is due of Flow and Klaviyo; what is left over, as (kind, error)."""
    effects.carry_out_due(database(), effects.QUEUE)
    with database().transaction(store.shop_id) as session:
        rows = session.query(Effect).filter(Effect.kind.in_(("flow.member", "klaviyo.member")))
        return [(row.kind, row.error) for row in rows]


def started(shopify: Running) -> list[tuple[str, dict[str, Any]]]:
    return [(one.handle, one.payload) for one in flow.started(shopify.sandbox.world, DEMO.domain)]


def member_id(store: Store) -> int:
    return int(store.member_of(store.customer(CUSTOMER))["id"])


def give(store: Store, points: int, key: str) -> None:
    with database().transaction(store.shop_id) as session:
        adjust(session, store.shop_id, member_id(store), points, "test", actor="test", key=key)


def test_an_order_is_told_with_its_points_and_tier(shopify: Running, store: Store, klaviyo: Account) -> None:
    connect(store)
    store.settle(store.order(1, store.customer(CUSTOMER, "noor@example.com"), 600_00, at=NOW))
    assert tell(store) == []
    told = started(shopify)
    # The points for joining are of a month ago, and no news.
    assert [handle for handle, _ in told] == ["points-earned", "tier-changed"]
    assert ("tier-changed", {
        "customer_id": CUSTOMER, "Tier": "Advocate", "Previous tier": "Insider", "Direction": "up", "Balance": 650,
    }) in told  # fmt: skip
    (profile,) = klaviyo.profiles.values()
    assert (profile["external_id"], profile["email"]) == (str(CUSTOMER), "noor@example.com")
    assert profile["properties"] == {
        "Rapport points": 650, "Rapport pending points": 0, "Rapport tier": "Advocate", "Rapport tier key": "advocate",
    }  # fmt: skip
    assert {event["metric"] for event in klaviyo.events.values()} == {"Rapport Points Earned", "Rapport Tier Changed"}


def test_nobody_is_told_what_they_did_not_ask_for(shopify: Running, store: Store, klaviyo: Account) -> None:
    store.settle(store.order(1, store.customer(CUSTOMER), at=NOW))
    assert tell(store) == []
    connect(store)
    store.settle(store.order(2, store.customer(CUSTOMER), 80_00, at=NOW))
    tell(store)
    # What happened before they were connected is no news.
    assert [payload["Points"] for handle, payload in started(shopify) if handle == "points-earned"] == [80]
    for channel in ("flow", "klaviyo"):
        answer = store.client.delete(f"/api/v1/connections/{channel}", headers=store.headers)
        assert answer.json == {"connected": False, "since": None, "key": None}
    events = len(klaviyo.events)
    store.settle(store.order(3, store.customer(CUSTOMER), at=NOW))
    assert tell(store) == []
    assert (len(started(shopify)), len(klaviyo.events)) == (1, events)


def test_an_old_order_is_no_news(shopify: Running, store: Store) -> None:
    connect(store)
    store.settle(store.order(1, store.customer(CUSTOMER), 600_00, at=NOW - 30 * DAY))
    tell(store)
    assert started(shopify) == []


def test_what_is_taken_back_or_spent_is_not_earned(shopify: Running, store: Store) -> None:
    connect(store)
    store.settle(store.order(1, store.customer(CUSTOMER), 900_00, at=NOW - 30 * DAY))
    give(store, 100, "a")
    give(store, -100, "b")
    store.post(f"/members/{member_id(store)}/rewards", {"reward": "5-off"})
    tell(store)
    told = started(shopify)
    assert [(handle, payload.get("Reward")) for handle, payload in told] == [("reward-redeemed", "5-off")]


def test_klaviyo_counts_once_what_it_is_told_twice(store: Store, klaviyo: Account) -> None:
    connect(store)
    store.settle(store.order(1, store.customer(CUSTOMER), at=NOW))
    klaviyo.refuse = [503]
    ((kind, error),) = tell(store)
    assert (kind, "503" in (error or "")) == ("klaviyo.member", True)
    with clock.fixed_at(clock.now() + timedelta(minutes=1)):
        assert tell(store) == []
    assert len(klaviyo.events) == 1


def test_klaviyo_is_left_alone_for_as_long_as_it_says(store: Store, klaviyo: Account) -> None:
    connect(store)
    store.settle(store.order(1, store.customer(CUSTOMER), at=NOW))
    klaviyo.refuse = [429]
    assert [kind for kind, _ in tell(store)] == ["klaviyo.member"]
    calls = klaviyo.calls.total()
    with clock.fixed_at(clock.now() + timedelta(seconds=3)):
        tell(store)
    assert klaviyo.calls.total() == calls
    with clock.fixed_at(clock.now() + timedelta(seconds=8)):
        assert tell(store) == []
    assert len(klaviyo.events) == 1


def test_a_key_that_was_revoked_shows(store: Store, klaviyo: Account) -> None:
    connect(store)
    klaviyo.revoked.add(KEY)
    store.settle(store.order(1, store.customer(CUSTOMER), at=NOW))
    ((kind, error),) = tell(store)
    assert kind == "klaviyo.member"
    assert error == "Klaviyo refused (401): Authentication credentials were not provided or are incorrect."


def test_somebody_erased_is_told_of_no_more(shopify: Running, store: Store, klaviyo: Account) -> None:
    connect(store)
    store.settle(store.order(1, store.customer(CUSTOMER), at=NOW))
    with database().transaction(store.shop_id) as session:
        session.get_one(Member, (store.shop_id, 1)).closed_at = NOW
    assert tell(store) == []
    assert (started(shopify), klaviyo.profiles) == ([], {})


def test_members_at_risk_are_found_once(shopify: Running, store: Store) -> None:
    connect(store)
    store.settle(store.order(1, store.customer(CUSTOMER), at=NOW - 91 * DAY))
    store.settle(store.order(2, store.customer(8), at=NOW - 89 * DAY))
    store.settle(store.order(3, store.customer(9), at=NOW - 200 * DAY))
    assert [risk.find(database()) for _ in range(2)] == [1, 0]
    tell(store)
    assert started(shopify) == [("member-at-risk", {"customer_id": CUSTOMER, "Days": 91, "Balance": 130})]


def test_a_shop_chooses_when_members_are_at_risk(store: Store) -> None:
    connect(store)
    store.settle(store.order(1, store.customer(CUSTOMER), at=NOW - 40 * DAY))
    with database().transaction(store.shop_id) as session:
        shops.operations.set_quiet_days(session, store.shop_id, 45, actor="test")
    assert risk.find(database()) == 0
    with database().transaction(store.shop_id) as session:
        shops.operations.set_quiet_days(session, store.shop_id, 35, actor="test")
    assert [risk.find(database()) for _ in range(2)] == [1, 0]


def test_every_signal_has_a_trigger_that_fits_it() -> None:
    """By one event of each kind, as the rooms record them."""
    at = NOW
    events = [
        ("points.posted", {"kind": "bonus", "points": 5, "rule": "review"}),
        ("tier.changed", {"tier": "advocate", "before": "insider", "rose": True}),
        ("reward.redeemed", {"reward": "5-off", "points": 500}),
        ("referral.rewarded", {"via": "link"}),
        ("points.expiring", {"points": 10, "expires_at": at.isoformat(), "days": 30}),
        ("member.at_risk", {"days": 90}),
    ]
    standing = rules.Standing(CUSTOMER, None, 5, 0, "insider", "Insider")
    declared = flow.declared("flow_trigger")
    handles = set()
    for number, (kind, data) in enumerate(events):
        signal = rules.told(rules.Event(number, kind, data, None, at), {})
        assert signal
        handles.add(signal.handle)
        payload = rules.flow_payload(signal, standing)
        assert payload.keys() == flow.fields(declared[signal.handle])
        assert len(json.dumps(payload)) < 500
    assert handles == set(rules.SIGNALS) == set(declared)


def test_a_key_is_kept_encrypted_and_must_look_like_one(store: Store) -> None:
    assert put(store, "/connections/klaviyo", {"private_key": "sk_live"}).status_code == 422
    connect(store)
    with database().transaction(store.shop_id) as session:
        kept = session.get_one(Shop, store.shop_id).settings
        assert KEY not in json.dumps(kept)
        connections.rotate_encryption(session, store.shop_id)
        held = connections.connection(session, store.shop_id, "klaviyo")
        assert held
        assert held.secret == KEY
        told = session.query(Event).filter(Event.kind == "klaviyo.connected").one()
        assert KEY not in json.dumps(told.data)


def test_a_merged_members_events_end_with_them(shopify: Running, store: Store) -> None:
    """An effect of somebody who is no customer any more does nothing, and comes to an end."""
    connect(store)
    with database().transaction(store.shop_id) as session:
        record(session, [Happened(store.shop_id, "member.at_risk", {"days": 90}, NOW, 12345)])
    assert tell(store) == []
    assert started(shopify) == []


def test_every_signal_and_action_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "flow.md").read_text()
    for handle, metric in rules.SIGNALS.items():
        assert f"| `{handle}` | Rapport {metric} |" in page
    for action in flow.declared("flow_action").values():
        assert f"| {action['name']} | `{action['runtime_url'].removeprefix('https://rapport.example')}` |" in page
