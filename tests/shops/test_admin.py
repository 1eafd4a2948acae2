"""The Admin API client against the sandbox store: what a caller can tell from each way a call can fail."""

import math
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from core import clock, config
from core.errors import Unavailable
from sandbox.catalogue import DEMO
from sandbox.faults import Fault
from sandbox.outbox import Weather
from sandbox.testing import Running, in_process
from shops import admin, pauses, tokens
from shops.admin import AccessDenied, Admin, AdminRefused, Ambiguous, Throttled
from shops.buckets import Buckets
from shops.pauses import ShopPaused

CREDIT = "storeCreditAccountCredit"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with in_process(tmp_path_factory.mktemp("store"), "http://127.0.0.1:1", weather=Weather(withhold=1.0)) as running:
        yield running


@pytest.fixture
def client(store: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Admin]:
    chosen = config.Settings(_env_file=None, shopify_store_url=store.url + "/{shop}")  # type: ignore[call-arg]
    for module in (tokens, admin):
        monkeypatch.setattr(module, "settings", lambda: chosen)
    monkeypatch.setattr(tokens, "TIMEOUT", httpx.Timeout(1))
    monkeypatch.setattr(admin, "STUMBLE", 0.01)
    token = store.sandbox.world.issue_tokens(DEMO.domain)["access_token"]
    with Admin(DEMO.domain, token) as client:
        yield client
    store.sandbox.faults.clear()


@pytest.fixture
def owner(store: Running) -> str:
    return f"gid://shopify/Customer/{store.sandbox.world.customers(DEMO.domain)[0].id}"


def plan(store: Running, **fault: Any) -> None:
    httpx.post(f"{store.url}/sandbox/faults", json={"field": CREDIT, **fault}).raise_for_status()


def credit(client: Admin, owner: str, amount: str = "5.00") -> dict[str, Any]:
    return client.call(
        "store_credit_credit", id=owner, credit={"creditAmount": {"amount": amount, "currencyCode": "USD"}}
    )


def given(client: Admin, owner: str) -> int:
    accounts = client.call("store_credit_transactions", id=owner, first=50)["customer"]["storeCreditAccounts"]["nodes"]
    return sum(len(account["transactions"]["nodes"]) for account in accounts)


def test_a_user_error_brings_its_code(client: Admin, owner: str) -> None:
    with pytest.raises(AdminRefused) as refused:
        credit(client, owner, "-1")
    assert refused.value.codes == {"NEGATIVE_OR_ZERO_AMOUNT"}
    (error,) = refused.value.errors
    assert error.field[-1] == "amount"
    assert error.message


def test_a_missing_grant_is_told_apart(client: Admin, store: Running, owner: str) -> None:
    plan(store, kind="access_denied")
    with pytest.raises(AccessDenied, match="Access denied for storeCreditAccountCredit"):
        credit(client, owner)


@pytest.mark.parametrize(
    ("fault", "carried_out"),
    [
        ({"kind": "timeout_before", "seconds": 0}, 0),
        ({"kind": "timeout_after", "seconds": 0}, 1),
        ({"kind": "timeout_after", "seconds": 3}, 1),
        ({"kind": "502"}, 0),
        ({"kind": "html"}, 0),
        ({"kind": "null"}, 0),
    ],
)
def test_no_answer_leaves_the_caller_to_look(
    client: Admin, store: Running, owner: str, fault: dict[str, Any], carried_out: int
) -> None:
    before = given(client, owner)
    plan(store, **fault)
    with pytest.raises(Ambiguous):
        credit(client, owner)
    assert given(client, owner) - before == carried_out


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/{shop}", None])
def test_what_was_never_taken_is_not_ambiguous(
    client: Admin, store: Running, owner: str, monkeypatch: pytest.MonkeyPatch, url: str | None
) -> None:
    if url:
        nowhere = config.Settings(_env_file=None, shopify_store_url=url)  # type: ignore[call-arg]
        monkeypatch.setattr(tokens, "settings", lambda: nowhere)
    else:
        monkeypatch.setattr(admin, "TRIES", 2)
        plan(store, kind="rate_limit", times=2)
    with Admin(DEMO.domain, client._token) as other, pytest.raises(Unavailable) as failed:
        credit(other, owner)
    assert not isinstance(failed.value, Ambiguous)


def test_a_throttled_call_is_tried_again(client: Admin, store: Running, owner: str) -> None:
    plan(store, kind="throttle")
    before = given(client, owner)
    assert credit(client, owner)["storeCreditAccountCredit"]["storeCreditAccountTransaction"]["id"]
    assert given(client, owner) == before + 1


def test_a_throttle_says_how_long_to_wait(
    client: Admin, store: Running, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than a worker would stand still: whoever called comes back when the bucket holds what the call costs."""
    mine = Buckets()
    mine._rests_until = math.inf  # of this process alone: no other test waits for it
    monkeypatch.setattr(admin, "buckets", mine)
    levels = store.sandbox.api.throttle.level
    levels[DEMO.domain] = (-4_000.0, time.monotonic())
    try:
        for told_by in ("Shopify", "our own bucket"):
            began = time.monotonic()
            with pytest.raises(Throttled) as refused:
                credit(client, owner)
            assert 38 < refused.value.seconds <= 60, told_by
            assert 38 < refused.value.retry_after <= 60
            assert (refused.value.until - clock.now()).total_seconds() > 37
            assert time.monotonic() - began < 5
    finally:
        levels.clear()


@pytest.mark.parametrize(
    ("said", "waits"), [(25.0, 25), (1e9, admin.LONGEST_THROTTLE), (float("inf"), 0.25), (-1.0, 0.25)]
)
def test_too_many_requests_are_waited_out_as_told(
    client: Admin, store: Running, monkeypatch: pytest.MonkeyPatch, said: float, waits: float
) -> None:
    monkeypatch.setattr(admin, "TRIES", 1)
    monkeypatch.setattr(admin, "STUMBLE", 0.25)
    store.sandbox.faults.plan(Fault("rate_limit", field="shop", retry_after=said))
    with pytest.raises(Throttled) as refused:
        client.call("shop")
    assert refused.value.seconds == waits


@pytest.mark.parametrize("kind", ["html", "500", "503", "timeout_before", "rate_limit"])
def test_what_only_reads_is_asked_again(client: Admin, store: Running, kind: str) -> None:
    store.sandbox.faults.plan(Fault(kind, field="shop", seconds=0))
    assert client.call("shop")["shop"]["myshopifyDomain"] == DEMO.domain


def test_a_read_that_is_never_answered_fails_in_the_end(client: Admin, store: Running) -> None:
    store.sandbox.faults.plan(Fault("502", times=admin.TRIES, field="shop"))
    with pytest.raises(Ambiguous):
        client.call("shop")
    assert store.sandbox.faults.planned == []


def test_a_redirect_is_not_followed(client: Admin, store: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token is sent to the shop's own host once, and to no other."""
    asked: list[httpx.URL] = []
    client._client.event_hooks["request"].append(lambda request: asked.append(request.url.copy_with(query=None)))
    store.sandbox.faults.plan(Fault("redirect", field="shop"))
    with pytest.raises(Unavailable, match="elsewhere"):
        client.call("shop")
    assert [url.host for url in asked] == [DEMO.domain]


@pytest.mark.parametrize("status", [402, 404, 423])
def test_a_shop_that_rests_is_told_apart(client: Admin, store: Running, status: int) -> None:
    store.sandbox.faults.plan(Fault(str(status), field="shop"))
    with pytest.raises(ShopPaused, match=pauses.WHY[status]):
        client.call("shop")


def test_every_call_is_measured_and_logged_without_its_token(
    client: Admin, store: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    def count(outcome: str) -> float:
        name = "rapport_shopify_call_seconds_count"
        return REGISTRY.get_sample_value(name, {"operation": "shop", "outcome": outcome}) or 0

    before = count("ok"), count("denied")
    client.call("shop")
    store.sandbox.faults.plan(Fault("access_denied", field="shop"))
    with pytest.raises(AccessDenied):
        client.call("shop")
    assert (count("ok"), count("denied")) == (before[0] + 1, before[1] + 1)
    assert client._token not in "".join(capsys.readouterr())
