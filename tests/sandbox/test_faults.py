"""Planned faults: what reaches the caller, and whether the store did what was asked."""

import httpx
import pytest

from tests.sandbox.conftest import DEMO


@pytest.fixture
def plan(store):
    def plan(**fault):
        answer = httpx.post(f"{store.url}/sandbox/faults", json=fault)
        assert answer.status_code == 204, answer.text

    return plan


@pytest.fixture
def credit(ask, store):
    owner = f"gid://shopify/Customer/{store.sandbox.world.customers(DEMO)[0].id}"
    amount = {"creditAmount": {"amount": "5.00", "currencyCode": "USD"}}
    return lambda: ask("store_credit_credit.graphql", id=owner, credit=amount)


@pytest.fixture
def held(store, control):
    number = store.sandbox.world.customers(DEMO)[0].id
    return lambda: control.get(f"/customers/{number}").json()["store_credit"]


@pytest.mark.parametrize(("kind", "done"), [("timeout_before", 0), ("timeout_after", 500)])
def test_a_call_that_gets_no_answer_was_or_was_not_carried_out(plan, credit, held, kind, done):
    plan(kind=kind, field="storeCreditAccountCredit", seconds=0)
    with pytest.raises(httpx.RemoteProtocolError):
        credit()
    assert held() == done
    assert credit().json()["data"]["storeCreditAccountCredit"]["userErrors"] == []
    assert held() == done + 500


def test_a_slow_answer_outlasts_an_impatient_client(plan, credit, held, client):
    plan(kind="timeout_after", field="storeCreditAccountCredit", seconds=2)
    client.timeout = httpx.Timeout(0.3)
    with pytest.raises(httpx.ReadTimeout):
        credit()
    assert held() == 500


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        ("502", 502, "Internal Server Error"),
        ("throttle", 200, "THROTTLED"),
        ("access_denied", 200, "ACCESS_DENIED"),
        ("user_errors", 200, "Not today"),
    ],
)
def test_a_refused_call_is_not_carried_out(plan, credit, held, kind, status, text):
    errors = [{"message": "Not today", "code": "CREDIT_LIMIT_EXCEEDED"}] if kind == "user_errors" else []
    plan(kind=kind, field="storeCreditAccountCredit", times=2, user_errors=errors)
    for _ in range(2):
        answer = credit()
        assert (answer.status_code, text in answer.text) == (status, True)
    assert held() == 0
    credit()
    assert held() == 500


def test_a_fault_waits_for_its_field(plan, ask, credit, held):
    plan(kind="502", field="storeCreditAccountCredit")
    assert ask("shop.graphql").status_code == 200
    assert credit().status_code == 502


def test_a_delay_only_delays(plan, credit, held):
    plan(kind="delay", field="storeCreditAccountCredit", seconds=0.1)
    assert credit().status_code == 200
    assert held() == 500


def test_plans_are_checked_and_can_be_dropped(store, plan, credit):
    url = f"{store.url}/sandbox/faults"
    assert httpx.post(url, json={"kind": "sulk"}).status_code == 422
    assert httpx.post(url, json={"kind": "timeout_before"}).status_code == 422
    plan(kind="502", field="storeCreditAccountCredit", times=5)
    assert httpx.delete(url).status_code == 204
    assert credit().status_code == 200
