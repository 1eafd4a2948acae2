"""Members found by anything, and what is done to them: once, audited, and in their shop only."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from core.db import database
from core.events import Event
from loyalty.activities import jobs
from loyalty.models import MemberTerm, Posting
from loyalty.operations import Customer
from tests.web.merchant.conftest import Office
from tests.web.stores import DAY, FIRST_ORDER, NOW, Store, refund


def named(store: Store, number: int, name: str, email: str | None) -> Customer:
    return Customer(store.shop_id, number, email, email is not None, name, NOW - 30 * DAY)


@pytest.fixture
def people(store: Store) -> dict[str, int]:
    """Three members by first name, with the id each has."""
    everybody = [
        named(store, 7001, "Noor Haddad", "noor.h@example.com"),
        named(store, 7002, "María José García López", "mj@example.org"),
        named(store, 7003, "Zoë 山田 太郎", None),
    ]
    for number, customer in enumerate(everybody, start=1):
        store.settle(store.order(number, customer))
    return {c.name.split()[0]: int(store.member_of(c)["id"]) for c in everybody if c.name}


def found(office: Office, words: str) -> set[str]:
    text = office.text("/members", q=words)
    return {name for name in ("Noor", "María", "Zoë") if f"<bdi>{name}" in text}


SEARCHES: list[tuple[str, set[str]]] = [
    ("noor", {"Noor"}), ("HADD", {"Noor"}), ("haddad noor", {"Noor"}), ("noor g", {"Noor"}), ("garcia lop", {"María"}),
    ("maria jose", {"María"}), ("zoe", {"Zoë"}), ("山田", {"Zoë"}), ("noor.h@exa", {"Noor"}), ("mj", {"María"}),
    ("7002", {"María"}), ("#1", {"Noor"}), ("3", {"Zoë"}), (str(FIRST_ORDER + 2), {"María"}), ("nobody", set()),
    ("%", set()), ("'", set()), ("noor garcia", set()), (str(2**70), set()),
]  # fmt: skip


def test_found_by_anything(office: Office, people: dict[str, int]) -> None:
    for words, names in SEARCHES:
        assert found(office, words) == names, words


def test_found_by_the_code_for_friends(office: Office, people: dict[str, int]) -> None:
    code = office.store.get(f"/members/{people['Noor']}/referral").json["code"]
    assert found(office, code.lower()) == {"Noor"}


def test_no_other_shops_members_are_found(office: Office, other_office: Office, people: dict[str, int]) -> None:
    assert found(other_office, "noor") == set()
    assert other_office.get(f"/members/{people['Noor']}").status_code == 404
    assert other_office.post(f"/members/{people['Noor']}/adjust", points="5", reason="x").status_code == 404


def test_narrowed_by_tier_and_points(office: Office, people: dict[str, int]) -> None:
    assert "<bdi>Noor" in office.text("/members", tier="insider", points="some")
    assert "Nobody fits" in office.text("/members", tier="ambassador")
    assert "Nobody fits" in office.text("/members", points="below")
    assert "Nobody fits" in office.text("/members", blocked="1")


def events(office: Office, kind: str) -> list[Any]:
    with database().transaction(office.store.shop_id) as session:
        return list(session.scalars(sa.select(Event).where(Event.kind == kind).order_by(Event.id)))


def test_an_adjustment_counts_once_and_says_who(office: Office, people: dict[str, int]) -> None:
    noor = people["Noor"]
    for _again in range(2):
        sent = office.post(f"/members/{noor}/adjust", points="1,000", way="add", reason="Late parcel", key="k1")
        assert sent.status_code == 303
    page = office.text(f"/members/{noor}")
    assert page.count("1,000 points added by the shop: Late parcel.") == 1
    with database().transaction(office.store.shop_id) as session:
        made = session.scalars(sa.select(Posting).where(Posting.kind == "adjustment")).one()
    assert (made.actor, made.points) == ("merchant:41", 1000)


def test_points_that_are_none_are_refused(office: Office, people: dict[str, int]) -> None:
    for points in ("", "x", "1.5x", "9" * 30, "٣", "--1"):
        sent = office.post(f"/members/{people['Noor']}/adjust", points=points, way="add", reason="x")
        assert sent.status_code == 422, points


def test_a_gift_to_many(office: Office, people: dict[str, int]) -> None:
    sent = office.post("/members/gift", points="25", reason="Sorry", member=[people["Noor"], people["Zoë"]], key="g")
    assert sent.status_code == 303
    jobs.give_gifts()
    assert office.store.get(f"/members/{people['Zoë']}").json["points"]["available"] == 130 + 25
    assert office.post("/members/gift", points="25").status_code == 422


def test_a_tier_by_hand_and_back(office: Office, people: dict[str, int]) -> None:
    noor = people["Noor"]
    assert office.post(f"/members/{noor}/tier", tier="ambassador", reason="Founder").status_code == 303
    assert "Given by hand: Founder" in office.text(f"/members/{noor}")
    assert office.post(f"/members/{noor}/tier", tier="emperor", reason="x").status_code == 422
    assert office.post(f"/members/{noor}/tier", tier="advocate", until="tomorrow", reason="x").status_code == 422
    assert office.post(f"/members/{noor}/tier", end="1").status_code == 303
    assert office.store.get(f"/members/{noor}").json["tier"]["key"] == "insider"


def test_a_blocked_member_earns_and_redeems_nothing_until_unblocked(office: Office, people: dict[str, int]) -> None:
    noor, store = people["Noor"], office.store
    customer = named(store, 7001, "Noor Haddad", "noor.h@example.com")
    office.post(f"/members/{noor}/adjust", points="1000", way="add", reason="x")
    assert office.post(f"/members/{noor}/block").status_code == 303
    assert office.post(f"/members/{noor}/block").status_code == 303
    store.settle(store.order(9, customer, at=NOW + DAY))
    assert store.get(f"/members/{noor}").json["points"]["available"] == 1130
    assert store.get(f"/orders/{FIRST_ORDER + 9}").json["reason"] == "blocked"
    refused = store.post(f"/members/{noor}/rewards", {"reward": "5-off"})
    assert (refused.status_code, refused.json["code"]) == (409, "member_blocked")
    # What was bought before is still settled, whenever it is heard of.
    store.settle(store.order(1, customer, refunds=()) if False else store.order(8, customer))
    assert store.get(f"/members/{noor}").json["points"]["available"] == 1210
    assert office.post(f"/members/{noor}/unblock").status_code == 303
    assert store.get(f"/members/{noor}").json["points"]["available"] == 1290
    assert store.post(f"/members/{noor}/rewards", {"reward": "5-off"}).status_code == 201
    told = events(office, "member.blocked") + events(office, "member.unblocked")
    assert [event.actor for event in told] == ["merchant:41"] * 2


def test_a_reward_is_given_back(office: Office, people: dict[str, int]) -> None:
    noor = people["Noor"]
    office.post(f"/members/{noor}/adjust", points="1000", way="add", reason="x")
    made = office.store.post(f"/members/{noor}/rewards", {"reward": "5-off"}).json
    assert office.post(f"/members/{noor}/rewards/{made['id']}/back").status_code == 409  # Shopify is still at it
    assert "Being made" in office.text(f"/members/{noor}")
    assert office.post(f"/members/{people['Zoë']}/rewards/{made['id']}/back").status_code == 404


def test_the_link_to_a_card_is_mailed_if_there_is_a_mail_server(
    office: Office, people: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert office.post(f"/members/{people['Noor']}/pass").status_code == 409
    monkeypatch.setattr("core.mail.is_on", lambda: True)
    assert office.post(f"/members/{people['Zoë']}/pass").status_code == 409  # without an address
    assert office.post(f"/members/{people['Noor']}/pass").status_code == 303
    assert events(office, "pass.sent")[0].actor == "merchant:41"


def test_a_merge_is_shown_before_it_is_done(office: Office, people: dict[str, int]) -> None:
    noor, zoe = people["Noor"], people["Zoë"]
    assert "Zoë" in office.text(f"/members/{noor}/merge", q="zoe")
    assert office.post(f"/members/{noor}/merge", other=noor).status_code == 409
    assert office.post(f"/members/{noor}/merge", other="x").status_code == 404
    assert office.post(f"/members/{noor}/merge", other=zoe).status_code == 303
    assert office.get(f"/members/{zoe}").headers["Location"].startswith(f"/merchant/members/{noor}")
    assert found(office, "zoe") == {"Noor"}
    assert events(office, "member.merged")[0].actor == "merchant:41"


def test_an_export_is_signed_for_a_minute_and_an_erasure_leaves_no_word(office: Office, people: dict[str, int]) -> None:
    noor, client = people["Noor"], office.store.client
    url = json.loads(office.text("/downloads/person", member=noor))["url"]
    file = client.get(url)
    assert file.headers["Content-Disposition"].startswith("attachment")
    assert "noor.h@example.com" in file.text
    assert client.get(url[:-2]).status_code == 404
    assert office.post(f"/members/{noor}/erase", sure="no").status_code == 422
    assert office.post(f"/members/{noor}/erase", sure="Erase").status_code == 303
    assert office.get(f"/members/{noor}").status_code == 404
    assert found(office, "noor") == set()
    with database().transaction(office.store.shop_id) as session:
        assert session.scalars(sa.select(MemberTerm.term).where(MemberTerm.member_id == noor)).all() == []


def test_the_list_as_a_spreadsheet_runs_no_formula(office: Office, people: dict[str, int]) -> None:
    office.store.settle(office.store.order(20, named(office.store, 7009, "=cmd()", None)))
    url = json.loads(office.text("/downloads/members"))["url"]
    text = office.store.client.get(url).text
    assert "'=cmd()" in text
    assert "María José García López" in text


def test_orders_as_settled_with_their_sum(office: Office, people: dict[str, int]) -> None:
    store = office.store
    customer = named(store, 7001, "Noor Haddad", "noor.h@example.com")
    again = store.order(1, customer)
    store.settle(again._replace(refunds=(refund(1, 20_00),)))
    page = office.text(f"/members/{people['Noor']}")
    assert "$60.00" in page
    assert "60 points for order #1" in page


def test_the_timeline_goes_on_where_it_stopped(office: Office, people: dict[str, int]) -> None:
    noor = people["Noor"]
    for number in range(45):
        office.post(f"/members/{noor}/adjust", points="1", way="add", reason=f"no. {number:02}", key=f"t{number}")
    page = office.text(f"/members/{noor}")
    after = page.split("timeline?after=")[1].split('"')[0]
    rest = office.text(f"/members/{noor}/timeline", after=after)
    told = [f"no. {number:02}" for number in range(45)]
    assert [(text in page) + (text in rest) for text in told] == [1] * 45
    assert office.get(f"/members/{noor}/timeline", after="x-y").status_code == 200
