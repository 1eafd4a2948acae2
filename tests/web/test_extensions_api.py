"""What extensions in the till, the checkout and account pages ask, with the session tokens the sandbox store makes."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from flask import Flask

from core import crypto
from core.config import settings
from core.db import database
from loyalty import programs
from loyalty.program import Reward, demo_program
from loyalty.queries import members
from sandbox.catalogue import DEMO, SECOND
from sandbox.outbox import Weather
from sandbox.testing import API_KEY, API_SECRET, Running, in_process
from shops import operations
from tests.web.stores import DAY, NOW, Store
from wallet_passes import barcode
from wallet_passes.operations import issue

NOBODY = "http://127.0.0.1:1"
CUSTOMER, OTHER = 2**53 + 7, 42


@pytest.fixture(scope="module")
def shopify(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with in_process(tmp_path_factory.mktemp("store"), NOBODY, weather=Weather(withhold=1.0)) as running:
        yield running


@pytest.fixture
def store(shopify: Running, app: Flask, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The sandbox's demo shop with the app, the demo program, and a member who bought for $600."""
    monkeypatch.setenv("SHOPIFY_STORE_URL", shopify.url + "/{shop}")
    settings.cache_clear()

    def prepare(session: Any, shop_id: int) -> None:
        programs.publish(session, shop_id, demo_program(), effective_from=NOW - 400 * DAY, actor="test")

    store = Store(app, operations.install(database(), token(shopify), prepare), "")
    store.settle(store.order(1, store.customer(CUSTOMER), 600_00))
    return store


def token(shopify: Running, shop: str = DEMO.domain, **query: Any) -> str:
    answer = httpx.post(f"{shopify.url}/sandbox/{shop}/session-token", params=query)
    return str(answer.json()["session_token"])


@pytest.fixture
def till(shopify: Running, store: Store) -> Any:
    return asking(store, token(shopify))


@pytest.fixture
def shopper(shopify: Running, store: Store) -> Any:
    return asking(store, token(shopify, surface="shopper", customer=CUSTOMER))


def asking(store: Store, token: str) -> Any:
    def ask(path: str, body: Any = None, **query: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        address = f"/extensions/{path}"
        if body is None:
            return store.client.get(address, query_string=query, headers=headers)
        return store.client.post(address, json=body, headers=headers)

    return ask


def test_a_shopper_sees_what_they_have(shopper: Any) -> None:
    said = shopper("shopper/me").json
    assert (said["program"], said["currency"], said["digits"]) == ("Rewards", "USD", 2)
    assert (said["rate"], said["multiplier"]) == ("1", "1.25")
    member = said["member"]
    assert (member["points"], member["tier"]["name"]) == (650, "Advocate")
    assert member["next"] == {"name": "Ambassador", "text": "$900.00 to Ambassador", "done": 0.4}
    offers = {reward["key"]: reward for reward in said["rewards"]}
    assert offers["5-off"]["available"]
    assert offers["10-off"] | {"why": ""} == {
        "key": "10-off", "name": "$10 off", "cost": 1000, "discount": True, "available": False, "why": "",
        "missing": 350,
    }  # fmt: skip


def test_somebody_signed_out_sees_the_program_alone(shopify: Running, store: Store) -> None:
    ask = asking(store, token(shopify, surface="shopper"))
    said = ask("shopper/me").json
    assert said["member"] is None
    assert (said["multiplier"], said["waiting"]) == ("1", [])
    assert not any(reward["available"] for reward in said["rewards"])
    refused = ask("shopper/redeem", {"reward": "5-off", "key": "1"})
    assert (refused.status_code, refused.json["code"]) == (409, "signed_out")


def test_a_reward_is_redeemed_once_however_often_it_is_asked_for(shopper: Any) -> None:
    taken = [shopper("shopper/redeem", {"reward": "5-off", "key": "one"}) for _ in range(3)]
    assert [answer.status_code for answer in taken] == [201] * 3
    assert len({answer.json["code"] for answer in taken}) == 1
    said = shopper("shopper/me").json
    assert said["member"]["points"] == 150
    assert [one["code"] for one in said["waiting"]] == [taken[0].json["code"]]
    assert shopper(f"shopper/rewards/{taken[0].json['id']}").json["status"] == "issuing"
    short = shopper("shopper/redeem", {"reward": "5-off", "key": "two"})
    assert (short.status_code, short.json["code"], short.json["missing"]) == (409, "points_short", 350)


def test_a_reward_is_nobody_elses(shopify: Running, store: Store, shopper: Any) -> None:
    taken = shopper("shopper/redeem", {"reward": "5-off", "key": "one"}).json
    store.settle(store.order(2, store.customer(OTHER)))
    other = asking(store, token(shopify, surface="shopper", customer=OTHER))
    assert other(f"shopper/rewards/{taken['id']}").status_code == 404
    assert other(f"shopper/rewards/{2**63}").status_code == 404
    # The same key of somebody else is a request of their own.
    assert other("shopper/redeem", {"reward": "5-off", "key": "one"}).json["code"] == "points_short"


def test_an_order_says_what_it_brought_to_its_own_customer(shopify: Running, store: Store, shopper: Any) -> None:
    order = store.order(3, store.customer(CUSTOMER), 80_00, at=NOW - DAY)
    store.settle(order)
    said = shopper(f"shopper/orders/{order.order_id}").json
    assert said["points"] == {"available": 100, "pending": 0}
    assert "100 points" in said["text"]
    store.settle(store.order(4, store.customer(OTHER)))
    other = asking(store, token(shopify, surface="shopper", customer=OTHER))
    for asked in (order.order_id, 1, 2**64):
        assert other(f"shopper/orders/{asked}").status_code == 404


def test_the_till_looks_up_and_redeems(till: Any) -> None:
    said = till("pos/customer", customer_id=CUSTOMER).json
    assert said["member"]["points"] == 650
    body = {"customer_id": f"gid://shopify/Customer/{CUSTOMER}", "reward": "5-off", "key": "till-1"}
    taken = till("pos/redeem", body)
    assert taken.status_code == 201
    assert till(f"pos/rewards/{taken.json['id']}", customer_id=CUSTOMER).json["code"] == taken.json["code"]
    assert till("pos/customer", customer_id=CUSTOMER).json["member"]["points"] == 150


def test_the_till_offers_what_can_be_used_there(store: Store, till: Any, shopper: Any) -> None:
    program = demo_program().model_copy(
        update={
            "rewards": tuple(
                Reward(key=channel, name=channel, cost=10, kind="amount_off", amount=100, channel=channel)
                for channel in ("online", "pos", "both")
            )
        }
    )
    with database().transaction(store.shop_id) as session:
        programs.publish(session, store.shop_id, program, effective_from=NOW, actor="test")
    at_till = [reward["key"] for reward in till("pos/customer", customer_id=CUSTOMER).json["rewards"]]
    assert at_till == ["pos", "both"]
    assert [reward["key"] for reward in shopper("shopper/me").json["rewards"]] == ["online", "both"]
    refused = till("pos/redeem", {"customer_id": CUSTOMER, "reward": "online", "key": "1"})
    assert (refused.status_code, refused.json["code"]) == (409, "wrong_channel")


def test_the_till_makes_a_customer_a_member(shopify: Running, till: Any) -> None:
    known = shopify.sandbox.world.customers(DEMO.domain)[0]
    assert till("pos/customer", customer_id=known.id).json["member"] is None
    refused = till("pos/redeem", {"customer_id": known.id, "reward": "5-off", "key": "1"})
    assert (refused.status_code, refused.json["code"]) == (409, "no_member")
    for _ in range(2):
        assert till("pos/members", {"customer_id": known.id}).json["member"]["points"] == 50
    assert till("pos/members", {"customer_id": 1}).json["code"] == "no_customer"


def test_the_till_scans_a_card(store: Store, till: Any) -> None:
    with database().transaction(store.shop_id) as session:
        (member,) = members(session, store.shop_id, customer_id=CUSTOMER, limit=1)
        card = issue(session, store.shop_id, member.id).row
        code = barcode.write(crypto.keyring("barcode"), store.shop_id, card.handle, card.generation)
    said = till("pos/scan", {"code": code.lower()}).json
    assert (said["validity"], said["customer_id"]) == ("current", str(CUSTOMER))
    assert said["about"]["member"]["points"] == 650
    assert till("pos/scan", {"code": "hello"}).json["about"] is None


@pytest.mark.parametrize("body", [None, [], {"customer_id": 0}, {"customer_id": "x"}, {"customer_id": 2**63}])
def test_what_cannot_be_asked_is_refused_kindly(till: Any, body: Any) -> None:
    answer = till("pos/redeem", {} if body is None else body)
    assert answer.status_code == 422
    assert answer.json["detail"]


@pytest.mark.parametrize("body", [{"reward": "5-off"}, {"reward": 5, "key": "1"}, {"reward": "5-off", "key": "x" * 65}])
def test_a_redemption_names_reward_and_key(shopper: Any, body: dict[str, Any]) -> None:
    assert shopper("shopper/redeem", body).status_code == 422


def signed(secret: str = API_SECRET, **changes: Any) -> str:
    now = int(time.time())
    claims = {"dest": DEMO.domain, "aud": API_KEY, "exp": now + 60, "nbf": now - 1} | changes
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, "HS256")


ISSUER = f"https://{DEMO.domain}/admin"
BAD_SHOPPERS = {
    "expired": signed(exp=int(time.time()) - 60),
    "endless": signed(exp=None),
    "not yet": signed(nbf=int(time.time()) + 60),
    "another app's": signed(aud="another-app"),
    "another secret's": signed("not the app's secret at all"),
    "no shop": signed(dest="https://example.com"),
    "a lookalike": signed(dest=f"{DEMO.domain}.example.com"),
    "a shop without the app": signed(dest=SECOND.domain),
    "a member of staff": signed(dest=f"https://{DEMO.domain}", iss=ISSUER, sub="1"),
    "no token": "hello",
    "empty": "",
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD_SHOPPERS.values(), ids=BAD_SHOPPERS)
def test_a_bad_token_opens_nothing(store: Store, bad: str) -> None:
    answer = asking(store, bad)("shopper/me")
    assert (answer.status_code, answer.json["code"]) == (401, "not_authenticated")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_shopper_is_no_staff(shopify: Running, store: Store) -> None:
    ask = asking(store, token(shopify, surface="shopper", customer=CUSTOMER))
    assert ask("pos/customer", customer_id=CUSTOMER).status_code == 401


def test_browsers_may_ask_from_anywhere(store: Store) -> None:
    answer = store.client.options("/extensions/shopper/redeem")
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_shop_that_left_is_answered_no_more(store: Store, shopper: Any) -> None:
    with database().transaction(store.shop_id) as session:
        operations.uninstall(session, store.shop_id, NOW + DAY)
    assert shopper("shopper/me").status_code == 401
