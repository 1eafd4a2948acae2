"""Members, their postings and their orders, read over the API."""

from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from core.db import database
from loyalty.models import Member
from loyalty.rules import Line
from tests.web.stores import DAY, FIRST_ORDER, NOW, Store, order_state, refund
from tiers.rules import INSTANT
from webhooks.arrivals import Arrival


def test_a_member_is_found_by_customer_and_by_email(store: Store) -> None:
    noor, sam = store.customer(1, "noor@example.com"), store.customer(2, "sam@example.com")
    store.settle(store.order(1, noor), store.order(2, sam))
    found = store.get("/members", customer_id=1).json
    assert [item["customer_id"] for item in found["items"]] == ["1"]
    assert found["next"] is None
    assert store.get("/members", email=" Sam@Example.com ").json["items"][0]["customer_id"] == "2"
    assert store.get("/members", email="sam@example.com", customer_id=1).json["items"] == []
    assert store.get("/members", customer_id=3).json == {"items": [], "next": None}
    assert store.get("/members", customer_id=2**63).json == {"items": [], "next": None}


def test_a_member_shows_balance_tier_and_what_is_missing(store: Store) -> None:
    noor = store.customer(1, "noor@example.com")
    store.settle(store.order(1, noor, 520_00))
    member = store.member_of(noor)
    code = member["referral"]["code"]
    assert store.get(f"/members/{member['id']}").json == member
    assert member == {
        "id": member["id"],
        "customer_id": "1",
        "email": "noor@example.com",
        "points": {"available": 570, "pending": 0, "lifetime": 570},
        "expiring": {"points": 570, "at": (NOW + 362 * DAY).isoformat().replace("+00:00", "Z")},
        "tier": {
            "key": "advocate",
            "name": "Advocate",
            "since": member["tier"]["since"],
            "next": {"key": "ambassador", "name": "Ambassador", "remaining": 980_00},
            "metric": "eligible_spend",
            "value": 520_00,
            "by_hand": False,
            "until": (NOW - 3 * DAY + 365 * DAY + INSTANT).isoformat().replace("+00:00", "Z"),
            "missing": 500_00,
        },
        "referral": {"code": code, "url": f"http://127.0.0.1:5000/s/roastery/r/{code}"},
        "joined_at": (NOW - 30 * DAY).isoformat().replace("+00:00", "Z"),
    }


def test_spend_outside_the_window_counts_for_nothing(store: Store) -> None:
    noor = store.customer(1)
    store.settle(store.order(1, noor, 400_00, at=NOW - 370 * DAY), store.order(2, noor, 100_00))
    assert store.member_of(noor)["tier"]["next"] == {"key": "advocate", "name": "Advocate", "remaining": 400_00}


def test_at_the_top_there_is_no_next_tier(store: Store) -> None:
    noor = store.customer(1)
    store.settle(store.order(1, noor, 2000_00))
    tier = store.member_of(noor)["tier"]
    assert (tier["key"], tier["next"]) == ("ambassador", None)


def test_postings_come_newest_first_with_their_why(store: Store) -> None:
    noor = store.customer(1)
    store.settle(store.order(1, noor, 500_00, at=NOW - 5 * DAY))
    store.settle(store.order(1043, noor, 80_00))
    store.settle(Arrival(store.shop_id, FIRST_ORDER + 1043, refunds=(refund(1043, 20_00),)))
    page = store.get(f"/members/{store.member_of(noor)['id']}/postings").json
    refunded, earned, _, joined = page["items"]
    assert page["next"] is None
    assert earned["explanation"]["text"] == (
        "100 points for order #1043. $80.00 at 1 point per dollar, × 1.25 because you're an Advocate."
    )
    assert refunded["explanation"]["text"] == "$20.00 of order #1043 was refunded, so 25 points went back."
    assert joined["explanation"]["text"] == "50 points for joining."
    assert [item["points"] for item in page["items"]] == [-25, 100, 500, 50]
    assert [item["balance_after"] for item in page["items"]] == [625, 650, 550, 50]
    assert earned | {"explanation": 0, "id": 0} == {
        "id": 0,
        "kind": "earn",
        "points": 100,
        "bucket": "available",
        "order_id": str(FIRST_ORDER + 1043),
        "program_version": 1,
        "rule": "order-points",
        "explanation": 0,
        "actor": "shopify",
        "occurred_at": (NOW - 3 * DAY).isoformat().replace("+00:00", "Z"),
        "balance_after": 650,
    }
    assert (earned["explanation"]["eligible"], earned["explanation"]["multiplier"]) == (80_00, "1.25")


def test_an_unpaid_order_waits_in_pending_and_is_released(store: Store) -> None:
    noor = store.customer(1)
    store.settle(store.order(1, noor, status="pending"))
    assert store.member_of(noor)["points"] == {"available": 50, "pending": 80, "lifetime": 130}
    store.settle(store.order(1, noor, status="paid", updated_at=NOW))
    ready, held, _ = store.get(f"/members/{store.member_of(noor)['id']}/postings").json["items"]
    assert (held["bucket"], held["points"], held["balance_after"]) == ("pending", 80, 50)
    assert (ready["bucket"], ready["points"], ready["balance_after"]) == ("available", 80, 130)
    assert held["explanation"]["text"].endswith("Yours to use once the order is paid.")
    assert ready["explanation"]["text"] == "80 points for order #1 are ready to use."


def test_a_settled_order_tells_how(store: Store) -> None:
    noor = store.customer(1)
    gift_card = Line(
        id=12, title="Gift card", quantity=1, current=1, price=50_00, discount=0, tax=0, excluded="gift_card"
    )
    coffee = Line(id=11, title="Coffee", quantity=2, current=2, price=40_00, discount=5_00, tax=0)
    state = replace(order_state(1, 1), lines=(coffee, gift_card))
    store.settle(Arrival(store.shop_id, state.order_id, state, (refund(1, 15_00),), customer=noor))
    order = store.get(f"/orders/{state.order_id}").json
    (posting,) = order.pop("postings")
    assert posting["points"] == 60
    assert order == {
        "id": str(state.order_id),
        "name": "#1",
        "status": "paid",
        "placed_at": (NOW - 3 * DAY).isoformat().replace("+00:00", "Z"),
        "cancelled_at": None,
        "member_id": store.member_of(noor)["id"],
        "eligible": True,
        "reason": None,
        "text": "60 points for order #1. $60.00 at 1 point per dollar.",
        "currency": "USD",
        "spend": 75_00,
        "refunded": 15_00,
        "eligible_spend": 60_00,
        "program_version": 1,
        "tier": {"key": "insider", "name": "Insider"},
        "rate": "1",
        "multiplier": "1",
        "points": {"available": 60, "pending": 0},
        "lines": [
            {"id": "11", "title": "Coffee", "spend": 75_00, "refunded": 15_00, "excluded": None},
            {"id": "12", "title": "Gift card", "spend": 0, "refunded": 0, "excluded": "gift_card"},
        ],
    }


@pytest.mark.parametrize(
    ("changes", "reason", "text"),
    [
        ({"test": True}, "test_order", "Order #1 is a test, so it earns nothing."),
        ({"cancelled_at": NOW}, "cancelled", "Order #1 was cancelled, so it earns nothing."),
        ({"status": "voided"}, "voided", "The payment for order #1 was voided, so it earns nothing."),
        ({"status": "expired"}, "expired", "The payment for order #1 expired, so it earns nothing."),
        ({"status": "odd"}, "unknown_status", "Order #1 has a payment status we don't know, so it earns nothing."),
        ({"lines": ()}, "nothing_eligible", "Nothing in order #1 counts, so it earns nothing."),
    ],
)
def test_an_order_that_earns_nothing_says_why(store: Store, changes: dict[str, Any], reason: str, text: str) -> None:
    store.settle(store.order(1, store.customer(1), **changes))
    order = store.get(f"/orders/{FIRST_ORDER + 1}").json
    assert (order["eligible"], order["reason"], order["text"]) == (False, reason, text)
    assert (order["eligible_spend"], order["points"]) == (0, {"available": 0, "pending": 0})
    assert order["postings"] == []


def test_a_guest_s_order_is_held_and_one_of_nobody_is_not(store: Store) -> None:
    guest = store.order(1, None)._replace(guest_email="sam@example.com")
    store.settle(guest, store.order(2, None))
    held, nobody = (store.get(f"/orders/{FIRST_ORDER + number}").json for number in (1, 2))
    assert (held["reason"], held["member_id"], held["spend"], held["tier"]) == ("guest_held", None, 80_00, None)
    assert held["text"].startswith("Order #1 was placed without an account.")
    assert nobody["reason"] == "no_customer"


def test_a_cent_makes_no_point(store: Store) -> None:
    store.settle(store.order(1, store.customer(1), 99))
    order = store.get(f"/orders/{FIRST_ORDER + 1}").json
    assert (order["reason"], order["eligible_spend"]) == ("below_one_point", 99)


def test_an_order_of_which_only_a_refund_is_known(store: Store) -> None:
    store.settle(Arrival(store.shop_id, FIRST_ORDER + 1, refunds=(refund(1, 5_00),)))
    order = store.get(f"/orders/{FIRST_ORDER + 1}").json
    assert (order["reason"], order["name"], order["lines"], order["status"]) == ("order_unknown", None, [], None)


def test_a_deleted_order_gives_its_points_back(store: Store) -> None:
    noor = store.customer(1)
    store.settle(store.order(1, noor))
    store.settle(Arrival(store.shop_id, FIRST_ORDER + 1, deleted_at=NOW))
    order = store.get(f"/orders/{FIRST_ORDER + 1}").json
    assert order["reason"] == "deleted"
    assert [posting["points"] for posting in order["postings"]] == [-80, 80]
    assert order["postings"][0]["explanation"]["text"] == "Order #1 was deleted, so 80 points went back."


def test_rewards_are_those_of_the_program(store: Store) -> None:
    items = store.get("/rewards").json["items"]
    assert [(item["key"], item["name"], item["cost"]) for item in items] == [
        ("5-off", "$5 off", 500),
        ("10-off", "$10 off", 1000),
        ("free-shipping", "Free shipping", 300),
    ]


def test_who_was_merged_is_answered_by_whom_they_became(store: Store) -> None:
    kept, gone = store.customer(1, "noor@example.com"), store.customer(2, "old@example.com")
    store.settle(store.order(1, kept), store.order(2, gone))
    kept_id, gone_id = store.member_of(kept)["id"], store.member_of(gone)["id"]
    change_member(store, gone_id, merged_into=int(kept_id))
    assert store.member_of(gone)["id"] == kept_id
    assert store.get("/members", email="old@example.com").json["items"][0]["id"] == kept_id
    assert store.get(f"/members/{gone_id}").json["id"] == kept_id
    assert [item["id"] for item in store.get("/members").json["items"]] == [kept_id]
    assert store.get(f"/members/{gone_id}/postings").status_code == 200
    refused = store.post(f"/members/{gone_id}/adjustments", {"points": 1, "reason": "hello"})
    assert (refused.status_code, refused.json["code"], refused.json["member_id"]) == (409, "member_merged", kept_id)


def test_who_was_erased_is_not_found(store: Store) -> None:
    noor = store.customer(1)
    store.settle(store.order(1, noor))
    member_id = store.member_of(noor)["id"]
    change_member(store, member_id, erased_at=NOW, customer_id=None, email=None, name=None)
    assert store.get("/members").json["items"] == []
    assert store.get(f"/members/{member_id}").status_code == 404
    assert store.get(f"/members/{member_id}/postings").status_code == 404
    assert store.post(f"/members/{member_id}/adjustments", {"points": 1, "reason": "hello"}).status_code == 404


def change_member(store: Store, member_id: str, **values: Any) -> None:
    with database().transaction(store.shop_id) as session:
        session.execute(sa.update(Member).where(Member.id == int(member_id)).values(**values))


@pytest.mark.parametrize("wrong", ["0", "-1", "007", "x", "1.5", "9223372036854775808", "9" * 30, "٣", "1%00"])
@pytest.mark.parametrize("path", ["/members/{}", "/members/{}/postings", "/orders/{}"])
def test_an_id_that_nothing_can_have_is_not_found(store: Store, path: str, wrong: str) -> None:
    response = store.get(path.format(wrong))
    assert (response.status_code, response.mimetype) == (404, "application/problem+json")


def test_what_is_unknown_is_not_found(store: Store) -> None:
    for path in ("/members/999", "/members/999/postings", f"/orders/{2**63 - 1}"):
        assert store.get(path).status_code == 404


# Paging.


def pages(store: Store, path: str, limit: int, between: Any = lambda: None) -> list[dict[str, Any]]:
    """Every item of a listing, page by page; `between` happens after each page."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = store.get(path, limit=limit, **cursor).json
        items += page["items"]
        assert len(page["items"]) <= limit
        if page["next"] is None:
            return items
        cursor = {"cursor": page["next"]}
        between()


def test_paging_postings_misses_and_repeats_nothing_while_more_are_made(store: Store) -> None:
    noor = store.customer(1)
    store.settle(*(store.order(number, noor) for number in range(1, 13)))
    path = f"/members/{store.member_of(noor)['id']}/postings"
    before = [item["id"] for item in store.get(path, limit=200).json["items"]]
    numbers = iter(range(100, 200))
    paged = pages(store, path, 3, lambda: store.settle(store.order(next(numbers), noor)))
    assert [item["id"] for item in paged] == before
    assert len(before) == 13


def test_paging_members_finds_those_who_join_meanwhile(store: Store) -> None:
    store.settle(*(store.order(number, store.customer(number)) for number in range(1, 8)))
    numbers = iter(range(100, 102))

    def join() -> None:
        for number in [n for n in [next(numbers, None)] if n]:
            store.settle(store.order(number, store.customer(number)))

    paged = pages(store, "/members", 2, join)
    assert [item["customer_id"] for item in paged] == ["1", "2", "3", "4", "5", "6", "7", "100", "101"]


def test_a_cursor_is_good_for_its_own_listing_only(store: Store, other_store: Store) -> None:
    noor = store.customer(1, "noor@example.com")
    store.settle(store.order(1, noor), store.order(2, store.customer(2)))
    cursor = store.get("/members", limit=1).json["next"]
    assert store.get("/members", limit=1, cursor=cursor).status_code == 200
    wrong = [
        store.get("/members", cursor=cursor[:-1] + ("A" if cursor[-1] != "A" else "B")),
        store.get("/members", cursor="MQ"),
        store.get("/members", cursor=cursor, email="noor@example.com"),
        store.get(f"/members/{store.member_of(noor)['id']}/postings", cursor=cursor),
        other_store.get("/members", cursor=cursor),
    ]
    assert [(response.status_code, response.json["code"]) for response in wrong] == [(400, "bad_cursor")] * 5


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 201},
        {"limit": "many"},
        {"limit": ""},
        {"cursor": ""},
        {"cursor": "ü\x00"},
        {"customer_id": "abc"},
        {"customer_id": ""},
        {"email": ""},
        {"email": "a\x00@example.com"},
        {"e-mail": "noor@example.com"},
    ],
)
def test_a_query_that_says_what_cannot_be_is_refused(store: Store, query: dict[str, Any]) -> None:
    response = store.get("/members", **query)
    assert response.status_code == 422
    assert response.json["errors"][0]["field"] == next(iter(query))
