"""What the theme's blocks ask through the app proxy: believed by Shopify's signature alone, and about nobody else."""

import hashlib
import hmac
import time
from typing import Any
from urllib.parse import urlencode

import pytest

from core.db import database
from referrals.members import ensure_codes
from sandbox.testing import API_SECRET
from shops import operations
from tests.web.stores import DAY, NOW, Store

CUSTOMER = 7


@pytest.fixture
def member(store: Store) -> Store:
    """The shop, with a customer who bought for $600."""
    store.settle(store.order(1, store.customer(CUSTOMER), 600_00))
    return store


def address(path: str, *, customer: int | None = CUSTOMER, secret: str = API_SECRET, **query: Any) -> str:
    """A path as Shopify forwards it."""
    told = {
        "shop": "roastery.myshopify.com", "path_prefix": "/apps/rewards", "timestamp": int(time.time()),
        "logged_in_customer_id": customer or "", **query,
    }  # fmt: skip
    said = "".join(sorted(f"{name}={value}" for name, value in told.items()))
    signature = hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest()
    return f"/apps/rewards/api/{path}?{urlencode(told | {'signature': signature})}"


def test_a_member_is_told_what_they_have(member: Store) -> None:
    said = member.client.get(address("me")).json
    assert (said["rate"], said["multiplier"], said["digits"]) == ("1", "1.25", 2)
    assert (said["member"]["points"], said["member"]["tier"]["key"]) == (650, "advocate")
    assert [reward["available"] for reward in said["rewards"]] == [True, False, True]


def test_a_stranger_is_told_the_program(member: Store) -> None:
    for customer in (None, 12345):
        said = member.client.get(address("me", customer=customer)).json
        assert (said["member"], said["multiplier"]) == (None, "1")


def test_a_reward_is_redeemed_once(member: Store) -> None:
    body = {"reward": "5-off", "key": "7c0f"}
    codes = [member.client.post(address("redeem"), json=body).json["code"] for _ in range(2)]
    assert codes[0] == codes[1]
    said = member.client.get(address("me")).json
    assert said["member"]["points"] == 150
    assert [(one["name"], one["code"]) for one in said["waiting"]] == [("$5 off", codes[0])]


@pytest.mark.parametrize(
    ("customer", "body", "status", "code"),
    [
        (None, {"reward": "5-off", "key": "1"}, 409, "signed_out"),
        (12345, {"reward": "5-off", "key": "1"}, 409, "signed_out"),
        (CUSTOMER, {"reward": "10-off", "key": "1"}, 409, "points_short"),
        (CUSTOMER, {"reward": "no-such", "key": "1"}, 404, "no_reward"),
        (CUSTOMER, {"reward": "5-off"}, 422, "bad_key"),
        (CUSTOMER, ["5-off"], 422, "not_json"),
    ],
)
def test_what_cannot_be_redeemed_is_refused(
    member: Store, customer: int | None, body: Any, status: int, code: str
) -> None:
    answer = member.client.post(address("redeem", customer=customer), json=body)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert member.client.get(address("me")).json["member"]["points"] == 650


def test_another_sites_form_redeems_nothing(member: Store) -> None:
    answer = member.client.post(address("redeem"), data={"reward": "5-off", "key": "1"})
    assert answer.json["code"] == "not_json"
    plain = member.client.post(address("redeem"), data='{"reward": "5-off", "key": "1"}', content_type="text/plain")
    assert plain.json["code"] == "not_json"


@pytest.mark.parametrize(
    "change",
    [
        {"secret": "another secret of another app"},
        {"timestamp": int(time.time()) - 600},
        {"shop": "elsewhere.myshopify.com"},
    ],
)
def test_what_shopify_did_not_sign_is_refused(member: Store, change: dict[str, Any]) -> None:
    assert member.client.get(address("me", **change)).status_code == 401


def test_a_signed_address_answers_for_no_other_customer(member: Store) -> None:
    changed = address("me", customer=8).replace("logged_in_customer_id=8", f"logged_in_customer_id={CUSTOMER}")
    assert member.client.get(changed).status_code == 401
    assert member.client.get(address("me") + f"&logged_in_customer_id={CUSTOMER}").status_code == 401


def test_a_friend_is_told_who_invites_them(member: Store) -> None:
    referrer = int(member.member_of(member.customer(CUSTOMER))["id"])
    with database().transaction(member.shop_id) as session:
        (code,) = ensure_codes(session, member.shop_id, [referrer]).values()
    said = member.client.get(address("friend", customer=None, code=code.code)).json
    assert said["text"] == "Noor gives you $10 off your first order of $30 or more."
    assert said["url"].endswith(f"/s/roastery/r/{code.code}")
    unknown = member.client.get(address("friend", customer=None, code="nobody"))
    assert (unknown.status_code, unknown.json["code"]) == (404, "unknown_code")


def test_a_shop_that_left_is_answered_no_more(member: Store) -> None:
    with database().transaction(member.shop_id) as session:
        operations.uninstall(session, member.shop_id, NOW + DAY)
    assert member.client.get(address("me")).status_code == 401
