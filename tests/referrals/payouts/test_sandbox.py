"""The sandbox keeps to Stripe's shapes and rules: names are those of Stripe's own library."""

import json
from typing import Any

import httpx
import pytest
import stripe as library
from stripe import StripeClient, Webhook

from sandbox.stripe import forms
from sandbox.stripe.refusal import Refusal
from sandbox.stripe.world import Stripe
from tests.referrals.payouts.conftest import KEY, SECRET
from tests.webhooks.rig import at_once


@pytest.fixture
def url(stripe: Stripe) -> str:
    from core.config import settings

    return settings().stripe_url


@pytest.fixture
def client(url: str) -> Any:
    return StripeClient(KEY, base_addresses={"api": url}, max_network_retries=0).v1


@pytest.fixture
def account(client: Any, stripe: Stripe) -> str:
    made = client.accounts.create({"type": "express", "capabilities": {"transfers": {"requested": True}}})
    stripe.news.held = True
    stripe.books.finish(made.id)
    return str(made.id)


def transfer(client: Any, account: str, key: str | None = None, **changes: Any) -> Any:
    asked = {"amount": 10_00, "currency": "usd", "destination": account, "transfer_group": "g"} | changes
    return client.transfers.create(asked, {"idempotency_key": key} if key else {})


def test_objects_have_the_names_that_the_library_knows(client: Any, account: str) -> None:
    made = transfer(client, account)
    back = client.transfers.reversals.create(made.id, {"amount": 4_00})
    told = client.transfers.retrieve(made.id)
    assert (told.amount, told.amount_reversed, told.reversed, back.amount) == (10_00, 4_00, False, 4_00)
    pairs = [
        (told, library.Transfer), (back, library.TransferReversal), (client.balance.retrieve(), library.Balance),
        (client.accounts.retrieve(account), library.Account), (client.transfers.list({}), library.ListObject),
    ]  # fmt: skip
    for found, kind in pairs:
        names = set(found.to_dict())
        known = {"object"} | {name for base in kind.__mro__ for name in getattr(base, "__annotations__", {})}
        assert isinstance(found, kind)
        assert names <= known, names - known


def test_events_are_those_that_the_library_takes(stripe: Stripe, client: Any, account: str) -> None:
    event = stripe.news.events[-1]
    sent = json.dumps(event).encode()
    from sandbox.stripe.news import signature

    taken = Webhook.construct_event(sent, signature(SECRET, sent, int(stripe.clock())), SECRET)
    assert (taken.type, taken.data.object.id) == ("account.updated", account)
    assert set(event) <= set(library.Event.__annotations__)
    assert client.events.list({"limit": 5}).data[0].id == event["id"]


def test_a_key_gives_the_first_answer_again(stripe: Stripe, client: Any, account: str) -> None:
    assert transfer(client, account, "k").id == transfer(client, account, "k").id
    assert transfer(client, account, "k2").id != transfer(client, account, "k").id
    with pytest.raises(library.IdempotencyError):
        transfer(client, account, "k", amount=11_00)
    stripe.keys.clock = lambda: stripe.clock() + 24 * 3600 + 60
    assert transfer(client, account, "k", amount=11_00).amount == 11_00


def test_a_key_gives_the_first_error_again(stripe: Stripe, client: Any, account: str) -> None:
    stripe.books.fund("usd", 1)
    for _ in range(2):
        with pytest.raises(library.InvalidRequestError) as refused:
            transfer(client, account, "k")
        assert refused.value.code == "balance_insufficient"
        stripe.books.fund("usd", 100_00)
    assert transfer(client, account, "k2").amount == 10_00


def test_whoever_comes_while_the_first_is_at_work_is_refused(stripe: Stripe, client: Any, account: str) -> None:
    stripe.faults.plan("delay", "transfers.create", seconds=0.2)
    ready: list[Any] = []
    original = stripe.books.transfer

    def slow(given: Any) -> Any:
        import time

        time.sleep(0.3)
        return original(given)

    stripe.books.transfer = slow  # type: ignore[method-assign]
    at_once(*[lambda: ready.append(_code(client, account))] * 3)
    assert "idempotency_key_in_use" in ready
    assert len(stripe.books.transfers()) == 1


def _code(client: Any, account: str) -> str:
    try:
        return str(transfer(client, account, "k").id)
    except library.StripeError as error:
        return str(error.error.code if error.error else error)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": 0}, "parameter_invalid_integer"),
        ({"currency": "jpy"}, "parameter_invalid"),
        ({"destination": "acct_x"}, "resource_missing"),
        ({"tip": 5}, "parameter_unknown"),
    ],
)
def test_what_stripe_refuses(client: Any, account: str, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(library.InvalidRequestError) as refused:
        transfer(client, account, **changes)
    assert refused.value.code == code


def test_an_account_that_is_not_ready_takes_nothing(client: Any, stripe: Stripe, account: str) -> None:
    stripe.books.restrict(account)
    with pytest.raises(library.InvalidRequestError) as refused:
        transfer(client, account)
    assert refused.value.code == "insufficient_capabilities_for_transfer"


def test_another_key_is_not_let_in(url: str) -> None:
    stranger: Any = StripeClient("sk_test_x", base_addresses={"api": url}, max_network_retries=0).v1
    with pytest.raises(library.AuthenticationError):
        stranger.balance.retrieve()


def test_lists_are_paged(client: Any, account: str) -> None:
    made = {transfer(client, account, amount=number).id for number in range(1, 6)}
    listed = client.transfers.list({"limit": 2, "transfer_group": "g"})
    assert listed.has_more
    assert {one.id for one in listed.auto_paging_iter()} == made
    assert client.transfers.list({"transfer_group": "other"}).data == []


def test_forms() -> None:
    assert forms.parsed([("a", "1"), ("b[c]", "2"), ("b[d][e]", "3")]) == {"a": "1", "b": {"c": "2", "d": {"e": "3"}}}
    with pytest.raises(Refusal):
        forms.parsed([("a", "1"), ("a[b]", "2")])
    with pytest.raises(Refusal):
        forms.check("accounts.create", {"tos_acceptance": {"nonsense": "1"}})


def test_the_overview_shows_totals_and_turns_accounts(url: str, client: Any, account: str, stripe: Stripe) -> None:
    transfer(client, account)
    page = httpx.get(f"{url}/", trust_env=False).text
    assert page.count("$10.00") >= 2
    httpx.post(f"{url}/accounts/{account}/restrict", trust_env=False)
    assert stripe.books.account(account)["capabilities"] == {"transfers": "inactive"}
