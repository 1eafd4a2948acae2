"""Gift cards and store credit: made by the app's own documents, spent at a checkout."""

import pytest

from sandbox import balances
from tests.sandbox.conftest import DEMO

ESPRESSO = 44_310_000_000_001


@pytest.fixture
def noor(store):
    return store.sandbox.world.customer_by_email(DEMO, "noor.haddad@example.com").id


@pytest.fixture
def owner(noor):
    return f"gid://shopify/Customer/{noor}"


def usd(amount):
    return {"amount": amount, "currencyCode": "USD"}


def card(code="rapport00001", amount="10.00", **more):
    return {"code": code, "initialAmount": usd(amount), **more}


def codes(answer):
    return [error["code"] for error in answer["userErrors"]]


def buy(control, quantity=1, **more):
    return control.post("/orders", json={"lines": [{"variant_id": ESPRESSO, "quantity": quantity}], **more})


def test_a_gift_card_is_found_by_its_code_and_never_shows_it(call, owner, ask):
    made = call("gift_card_create", card=card(customerId=owner, note="reward 7"))["giftCard"]
    assert (made["lastCharacters"], made["balance"]) == ("0001", usd("10.0"))
    for query in ("rapport00001", "RAPPORT00001", "0001", f"customer_id:{owner.rpartition('/')[2]}"):
        (found,) = call("gift_card_find", query=query)["nodes"]
        assert (found["id"], found["note"], found["customer"], found["enabled"]) == (
            made["id"],
            "reward 7",
            {"id": owner},
            True,
        )
    assert "rapport00001" not in ask("gift_card_find.graphql", query="rapport00001").text
    assert call("gift_card_find", query="rapport00002")["nodes"] == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"code": "rapport"}, "TOO_SHORT"),
        ({"code": "r" * 21}, "TOO_LONG"),
        ({"code": "rapport-00001"}, "INVALID"),
        ({"code": "RAPPORT00001"}, "TAKEN"),
        ({"initialAmount": usd("0")}, "GREATER_THAN"),
        ({"initialAmount": usd("2000.01")}, "GIFT_CARD_LIMIT_EXCEEDED"),
        ({"initialAmount": None}, "MISSING_ARGUMENT"),
        ({"customerId": "gid://shopify/Customer/1"}, "CUSTOMER_NOT_FOUND"),
        ({"expiresOn": "2026-01-01"}, "INVALID"),
    ],
)
def test_what_shopify_refuses_of_a_gift_card_is_refused(call, change, code):
    call("gift_card_create", card=card())
    assert codes(call("gift_card_create", card=card("rapport00002") | change)) == [code]


def test_a_gift_card_pays_and_is_no_discount(call, control):
    call("gift_card_create", card=card())
    order = buy(control, gift_cards=["RAPP ORT0-0001"]).json()
    assert (order["discount_codes"], order["total_discounts"]) == ([], "0.00")
    assert order["payment_gateway_names"] == ["gift_card", "shopify_payments"]
    assert order["financial_status"] == "paid"
    assert control.get("/gift-cards").json()["gift_cards"][0]["balance"] == 0
    again = buy(control, gift_cards=["rapport00001"])
    assert (again.status_code, again.json()["errors"]) == (422, "This gift card has nothing left on it.")


def test_a_deactivated_gift_card_pays_nothing(call, control):
    made = call("gift_card_create", card=card())["giftCard"]["id"]
    for _ in range(2):
        assert call("gift_card_deactivate", id=made)["giftCard"]["enabled"] is False
    assert buy(control, gift_cards=["rapport00001"]).json()["errors"] == "This gift card is no longer active."
    assert call("gift_card_deactivate", id="gid://shopify/GiftCard/1")["giftCard"] is None


def test_credit_given_twice_is_there_twice(call, owner):
    """There is no idempotency key; the transactions are how the app finds out."""
    for _ in range(2):
        made = call("store_credit_credit", id=owner, credit={"creditAmount": usd("5.00")})
    account = made["storeCreditAccountTransaction"]["account"]
    assert account["balance"] == usd("10.0")
    (shown,) = call("store_credit_transactions", id=owner, first=10)["storeCreditAccounts"]["nodes"]
    assert (shown["id"], shown["balance"]) == (account["id"], usd("10.0"))
    kinds = [(one["__typename"], one["amount"], one["event"]) for one in shown["transactions"]["nodes"]]
    assert kinds == [("StoreCreditAccountCreditTransaction", usd("5.0"), "ADJUSTMENT")] * 2
    newest = shown["transactions"]["nodes"][0]["id"]
    assert newest == made["storeCreditAccountTransaction"]["id"]


def test_a_debit_takes_what_is_there_and_no_more(call, owner):
    call("store_credit_credit", id=owner, credit={"creditAmount": usd("5.00")})
    taken = call("store_credit_debit", id=owner, debit={"debitAmount": usd("3.00")})
    assert taken["storeCreditAccountTransaction"]["account"]["balance"] == usd("2.0")
    assert codes(call("store_credit_debit", id=owner, debit={"debitAmount": usd("2.01")})) == ["INSUFFICIENT_FUNDS"]
    account = taken["storeCreditAccountTransaction"]["account"]["id"]
    assert codes(call("store_credit_debit", id=account, debit={"debitAmount": usd("2.00")})) == []


@pytest.mark.parametrize(
    ("who", "credit", "code"),
    [
        ("gid://shopify/Customer/1", {"creditAmount": usd("5.00")}, "OWNER_NOT_FOUND"),
        (None, {"creditAmount": usd("0")}, "NEGATIVE_OR_ZERO_AMOUNT"),
        (None, {"creditAmount": {"amount": "5", "currencyCode": "EUR"}}, "UNSUPPORTED_CURRENCY"),
        (None, {"creditAmount": usd("15000.01")}, "CREDIT_LIMIT_EXCEEDED"),
        (None, {"creditAmount": usd("5"), "expiresAt": "2026-01-01T00:00:00Z"}, "EXPIRES_AT_IN_PAST"),
    ],
)
def test_what_shopify_refuses_of_a_credit_is_refused(call, owner, who, credit, code):
    assert codes(call("store_credit_credit", id=who or owner, credit=credit)) == [code]


def test_store_credit_pays_and_is_no_discount(call, control, noor, owner):
    call("store_credit_credit", id=owner, credit={"creditAmount": usd("5.00")})
    order = buy(control, customer_id=noor, store_credit=True).json()
    assert (order["payment_gateway_names"], order["discount_codes"]) == (
        ["shopify_store_credit", "shopify_payments"],
        [],
    )
    shown = control.get(f"/customers/{noor}").json()
    assert (shown["store_credit"], shown["store_credit_transactions"][-1]["event"]) == (0, "ORDER_PAYMENT")


def test_credit_that_ended_is_gone_and_the_soonest_ending_is_spent_first(call, store, owner, noor):
    world = store.sandbox.world
    now = world.clock()
    for amount, end in (("5.00", "2126-01-01T00:00:00Z"), ("3.00", "2106-01-01T00:00:00Z"), ("2.00", None)):
        call("store_credit_credit", id=owner, credit={"creditAmount": usd(amount), "expiresAt": end})
    call("store_credit_debit", id=owner, debit={"debitAmount": usd("4.00")})
    world.clock = lambda: now + 85 * 365.25 * 86_400
    account = balances.account(world, DEMO, noor)
    assert (account.balance, [m.kind for m in account.movements][-1]) == (600, "debit")
    world.clock = lambda: now + 120 * 365.25 * 86_400
    account = balances.account(world, DEMO, noor)
    assert (account.balance, account.movements[-1].kind, account.movements[-1].amount) == (200, "expiration", -400)
