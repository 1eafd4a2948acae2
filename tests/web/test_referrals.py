"""Codes, claims and partners over the API."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from core.db import database
from loyalty import programs
from loyalty.program import Benefit, Partnership, Referral, TierBenefit, demo_program
from referrals.models import ReferralClaim
from tests.web.stores import NOW, Store
from wallet_passes import operations as passes

CREATORS = Partnership(
    key="creators", name="Creators", kind="influencer", friend=Benefit(kind="percentage", percentage="15"),
    referrer=Benefit(kind="commission", percentage="10"),
)  # fmt: skip
LENA = {"partnership": "creators", "name": "Lena Example", "email": "lena@example.com", "code": "LENA15"}


def publish(store: Store, **terms: Any) -> None:
    referral = Referral(partnerships=(CREATORS,)).model_copy(update=terms)
    with database().transaction(store.shop_id) as session:
        changed = demo_program().model_copy(update={"referral": referral})
        programs.publish(session, store.shop_id, changed, effective_from=NOW, actor="test")


def join(store: Store, number: int = 1, email: str | None = None) -> str:
    """The id of a member called Noor with one order."""
    store.settle(store.order(number, store.customer(number, email)))
    return str(store.member_of(store.customer(number))["id"])


def claim(store: Store, code: str, email: str = "sam@example.com", **more: Any) -> Any:
    return store.post("/referrals/claims", {"code": code, "email": email, "consent": True} | more)


def put(store: Store, path: str, body: Any) -> Any:
    return store.client.put(f"/api/v1{path}", json=body, headers=store.headers)


def delete(store: Store, path: str) -> Any:
    return store.client.delete(f"/api/v1{path}", headers=store.headers)


# Codes.


def test_a_member_has_a_code_and_a_link(store: Store) -> None:
    member = join(store)
    told = store.get(f"/members/{member}").json["referral"]
    assert told["code"].startswith("NOOR")
    assert told["url"].endswith(f"/s/roastery/r/{told['code']}")
    assert store.get("/members").json["items"][0]["referral"] == told
    own = store.get(f"/members/{member}/referral").json
    assert (own["code"], own["url"], own["chosen"]) == (told["code"], told["url"], False)


def test_what_both_get_and_how_to_say_it(store: Store) -> None:
    own = store.get(f"/members/{join(store)}/referral").json
    assert own["friend"] == "$10 off your first order of $30 or more"
    assert own["referrer"] == "$10 off"
    share, url = own["share"], own["url"]
    told = f"Here's $10 off your first order of $30 or more at roastery.myshopify.com. {url}"
    assert share["message"] == told
    assert unquote(share["whatsapp"]) == f"https://wa.me/?text={told}"
    assert parse_qs(urlsplit(share["facebook"]).query) == {"u": [url]}
    assert parse_qs(urlsplit(share["x"]).query)["url"] == [url]
    assert all(" " not in share[name] for name in ("email", "whatsapp", "sms", "x", "facebook"))
    assert own["counts"] == {"shared": 0, "clicked": 0, "claimed": 0, "ordered": 0, "rewarded": 0}


def test_a_tiers_own_terms(store: Store) -> None:
    publish(store, tiers=(TierBenefit(tier="insider", referrer=Benefit(kind="points", points=700)),))
    assert store.get(f"/members/{join(store)}/referral").json["referrer"] == "700 points"


def test_while_referrals_are_off(store: Store) -> None:
    member = join(store)
    publish(store, enabled=False)
    assert store.get(f"/members/{member}").json["referral"] is None
    refused = store.get(f"/members/{member}/referral")
    assert (refused.status_code, refused.json["code"]) == (409, "referrals_off")
    assert claim(store, "NOOR77").json["code"] == "referrals_off"


def test_a_code_of_ones_choice_is_checked_with_the_shop(store: Store) -> None:
    """This shop lets us ask nothing, so it can't be said whether the code is one of its discounts."""
    member = join(store)
    answer = put(store, f"/members/{member}/referral", {"code": "NOOR10"})
    assert (answer.status_code, answer.json["code"]) == (409, "shop_not_connected")
    same = put(store, f"/members/{member}/referral", {"code": store.get(f"/members/{member}/referral").json["code"]})
    assert same.status_code == 200


@pytest.mark.parametrize(
    ("code", "told"), [("x", "bad_code"), ("123", "bad_code"), ("admin", "reserved_code"), ("NO\u0001OR", "bad_code")]
)
def test_codes_that_can_not_be(store: Store, code: str, told: str) -> None:
    refused = put(store, f"/members/{join(store)}/referral", {"code": code})
    assert (refused.status_code, refused.json["code"]) == (422, told)


def test_a_code_that_spread_is_replaced(store: Store) -> None:
    member = join(store)
    before = store.get(f"/members/{member}/referral").json["code"]
    after = delete(store, f"/members/{member}/referral").json["code"]
    assert after != before
    assert store.get(f"/members/{member}").json["referral"]["code"] == after
    assert claim(store, before).status_code == 201  # old links lead home for a while


def test_the_code_is_on_the_card(store: Store) -> None:
    member = join(store)
    told = store.get(f"/members/{member}").json["referral"]
    assert on_card(store, member) == f"Your code: {told['code']}\n{told['url']}"
    after = delete(store, f"/members/{member}/referral").json
    assert after["code"] in on_card(store, member)
    publish(store, enabled=False)
    assert on_card(store, member) == ""


def on_card(store: Store, member: str) -> str:
    with database().transaction(store.shop_id) as session:
        fields = passes.issue(session, store.shop_id, int(member)).card.fields
    return next((field.text for field in fields if field.key == "referral"), "")


# Claims.


def test_a_friend_claims(store: Store) -> None:
    member = join(store)
    code = store.get(f"/members/{member}/referral").json["code"]
    made = claim(store, code.lower(), wants_news=True, ip="203.0.113.9")
    assert made.status_code == 201
    body = made.json
    assert (body["state"], body["kind"], body["minimum_order"], body["currency"]) == (
        "making",
        "amount_off",
        3000,
        "USD",
    )
    assert body["discount"].startswith("FRIEND-")
    assert (body["member_id"], body["partner_id"], body["wants_news"]) == (member, None, True)
    assert body["text"].startswith(f"$10 off your first order of $30 or more: enter {body['discount']} at checkout.")
    assert datetime.fromisoformat(body["expires_at"]) > NOW
    assert "sam@" not in made.text
    assert store.get(f"/referrals/claims/{body['id']}").json == body
    assert store.get(f"/members/{member}/referral").json["counts"]["claimed"] == 1
    with database().transaction(store.shop_id) as session:
        row = session.get_one(ReferralClaim, (store.shop_id, int(body["id"])))
        assert len(row.network) == 64


def test_points_for_the_friend_are_no_code(store: Store) -> None:
    publish(store, friend=Benefit(kind="points", points=200), friend_minimum=0)
    code = store.get(f"/members/{join(store)}/referral").json["code"]
    body = claim(store, code).json
    assert (body["state"], body["discount"]) == ("made", None)
    assert body["text"].startswith("200 points after your first order. Order by ")


def test_a_repeat_is_the_same_claim(store: Store) -> None:
    code = store.get(f"/members/{join(store)}/referral").json["code"]
    first = store.post(
        "/referrals/claims", {"code": code, "email": "a@x.example", "consent": True}, Idempotency_Key="k"
    )
    again = store.post(
        "/referrals/claims", {"code": code, "email": "a@x.example", "consent": True}, Idempotency_Key="k"
    )
    assert again.json == first.json == claim(store, code, "A@x.example").json
    assert again.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"consent": False}, 422, "invalid_input"),
        ({"email": "nobody"}, 422, "bad_email"),
        ({"email": "a@host.com\r\nBcc: b@host.com"}, 422, "bad_email"),
        ({"code": "NOSUCH7"}, 404, "unknown_code"),
        ({"email": "noor@x.example"}, 409, "own_code"),
        ({"email": "ben@x.example"}, 409, "existing_customer"),
        ({"ip": "x" * 46}, 422, "invalid_input"),
        ({"colour": "red"}, 422, "invalid_input"),
    ],
)
def test_claims_that_are_refused(store: Store, change: dict[str, Any], status: int, told: str) -> None:
    member = join(store, 1, "noor@x.example")
    join(store, 2, "ben@x.example")
    code = store.get(f"/members/{member}/referral").json["code"]
    refused = claim(store, **{"code": code} | change)
    assert (refused.status_code, refused.json["code"]) == (status, told)


def test_a_slip_is_suggested(store: Store) -> None:
    code = store.get(f"/members/{join(store)}/referral").json["code"]
    refused = claim(store, code[:-1])
    assert (refused.status_code, refused.json["suggestion"]) == (404, code)


def test_too_many_from_one_address(store: Store) -> None:
    code = store.get(f"/members/{join(store)}/referral").json["code"]
    told = [claim(store, code, f"bot{n}@x.example", ip=f"203.0.113.{n}") for n in range(22)]
    assert [answer.status_code for answer in told] == [201] * 20 + [429] * 2
    assert told[-1].headers["Retry-After"] == "3600"
    assert claim(store, code, "else@x.example", ip="198.51.100.7").status_code == 201


def test_claims_are_the_shops_own(store: Store, other_store: Store) -> None:
    code = store.get(f"/members/{join(store)}/referral").json["code"]
    made = claim(store, code).json
    assert other_store.get(f"/referrals/claims/{made['id']}").status_code == 404
    assert claim(other_store, code).status_code == 404


# Partners.


def test_a_partners_life(store: Store) -> None:
    publish(store)
    added = store.post("/referrals/partners", LENA)
    assert added.status_code == 201
    body = added.json
    assert (body["code"], body["ready"], body["error"]) == ("LENA15", False, None)
    assert body["friend"] == "15% off your first order"
    path = f"/referrals/partners/{body['id']}"
    changed = put(store, path, LENA | {"name": "Lena E.", "code": "LENA-E"}).json
    assert (changed["name"], changed["code"]) == ("Lena E.", "LENA-E")
    assert store.get("/referrals/partners").json["items"] == [changed] == [store.get(path).json]
    by_partner = claim(store, "lenae").json
    assert (by_partner["partner_id"], by_partner["member_id"]) == (body["id"], None)
    ended = delete(store, path).json
    assert (ended["code"], ended["url"], ended["ended_at"] is None) == (None, None, False)
    assert put(store, path, LENA).json["code"] == "partner_ended"
    assert claim(store, "LENA-E", "b@x.example").json["code"] == "code_retired"
    assert store.post("/referrals/partners", LENA).json["id"] == body["id"]


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"partnership": "nobody"}, 422, "unknown_partnership"),
        ({"email": "nobody"}, 422, "bad_email"),
        ({"code": "!"}, 422, "bad_code"),
        ({"name": "  "}, 422, "invalid_input"),
        ({"code": "OTHER1", "email": "LENA@example.com"}, 409, "partner_exists"),
        ({"code": "LENA-15", "email": "b@x.example"}, 409, "code_taken"),
    ],
)
def test_partners_that_are_refused(store: Store, change: dict[str, Any], status: int, told: str) -> None:
    publish(store)
    assert store.post("/referrals/partners", LENA).status_code == 201
    refused = store.post("/referrals/partners", LENA | change)
    assert (refused.status_code, refused.json["code"]) == (status, told)


def test_partners_are_the_shops_own(store: Store, other_store: Store) -> None:
    publish(store)
    made = store.post("/referrals/partners", LENA).json
    assert other_store.get(f"/referrals/partners/{made['id']}").status_code == 404
    assert other_store.get("/referrals/partners").json["items"] == []
