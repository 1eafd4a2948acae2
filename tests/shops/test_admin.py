"""The Admin API client against the sandbox store: what a caller can tell from each way a call can fail."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from core import config
from core.errors import Unavailable
from sandbox.catalogue import DEMO
from sandbox.outbox import Weather
from sandbox.testing import Running, in_process
from shops import admin, tokens
from shops.admin import AccessDenied, Admin, AdminRefused, Ambiguous

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
        plan(store, kind="rate_limit")
    with Admin(DEMO.domain, client._token) as other, pytest.raises(Unavailable) as failed:
        credit(other, owner)
    assert not isinstance(failed.value, Ambiguous)


def test_a_throttled_call_is_tried_again(client: Admin, store: Running, owner: str) -> None:
    plan(store, kind="throttle")
    before = given(client, owner)
    assert credit(client, owner)["storeCreditAccountCredit"]["storeCreditAccountTransaction"]["id"]
    assert given(client, owner) == before + 1
