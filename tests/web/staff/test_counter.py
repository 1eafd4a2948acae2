"""The counter over HTTP: who may come in, what a scan opens, what is done once, and what is refused."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest
from flask import Flask

from core.db import database
from loyalty import queries
from shops.staff import operations
from tests.web.stores import Store
from wallet_passes import barcode, facts
from wallet_passes.operations import issue
from web.faces import forms
from web.staff import session as sessions
from web.staff import undoing, visits
from web.staff.session import Ticket

CUSTOMER = 77


@dataclass
class Till:
    """Somebody signed in at a location, with a member who has 580 points (50 for joining, an order, a gift)."""

    store: Store
    ticket: Ticket
    pin: str
    member_id: int
    client: Any

    def post(self, path: str, **form: str) -> Any:
        owner = f"staff:{self.ticket.shop_id}:{self.ticket.staff_id}"
        with self.store.app.app_context():
            return self.client.post(f"/staff{path}", data={forms.FIELD: forms.signed(owner)} | form)

    def visit(self, found: str = visits.LOOKED_UP, member_id: int | None = None) -> str:
        who = visits.Visit(self.store.shop_id, self.ticket.staff_id, member_id or self.member_id, found)
        return f"/with/{visits.signed(who)}"

    def postings(self) -> list[tuple[str, int, str]]:
        with database().transaction(self.store.shop_id) as session:
            rows = queries.postings(session, self.store.shop_id, self.member_id, limit=50)
        return [(row.kind, row.points, row.actor) for row in rows]

    @property
    def actor(self) -> str:
        return f"staff:{self.ticket.staff_id}@{self.ticket.location_id}"


def give(store: Store, member_id: int, points: int) -> None:
    assert store.post(f"/members/{member_id}/adjustments", {"points": points, "reason": "Hello"}).status_code == 201


def member(store: Store, customer: int = CUSTOMER) -> int:
    arrival = store.order(customer, store.customer(customer, f"noor{customer}@example.com"))
    store.settle(arrival)
    return int(store.member_of(store.customer(customer))["id"])


def sign_in(store: Store) -> tuple[Ticket, str]:
    with database().transaction(store.shop_id) as session:
        person = operations.invite(session, store.shop_id, "Sam", actor="merchant:1")
        made = operations.join(session, store.shop_id, person.id, person.generation)
        place = operations.add_location(session, store.shop_id, "Harbour Street", actor="merchant:1")
        return Ticket(store.shop_id, person.id, made.staff.generation, place.id), made.pin


@pytest.fixture
def till(store: Store) -> Till:
    found = member(store)
    give(store, found, 450)
    ticket, pin = sign_in(store)
    client = store.app.test_client()
    with store.app.app_context():
        client.set_cookie(sessions.COOKIE, sessions._tickets().dumps(list(ticket)), path="/staff")
    return Till(store, ticket, pin, found, client)


def routes(app: Flask) -> Iterator[tuple[str, str]]:
    from web.staff import OPEN

    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("staff.") and rule.endpoint not in OPEN:
            for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
                yield method, re.sub("<[^>]+>", "x", rule.rule)


def changed(till: Till, change: str) -> list[Any]:
    """The ticket of a signed-in person, but wrong in one way."""
    good = list(till.ticket)
    if change == "other shop":
        good[0] += 1
    if change == "other person":
        good[1] += 1
    if change == "older":
        good[2] -= 1
    return good


WRONG = ("none", "garbled", "other shop", "other person", "older", "tampered", "revoked", "locked")


@pytest.mark.parametrize("change", WRONG)
def test_only_whoever_is_signed_in_comes_in(till: Till, change: str) -> None:
    with till.store.app.app_context():
        value = sessions._tickets().dumps(changed(till, change))
        if change == "tampered":
            value = value.rpartition(".")[0] + ".x"
        if change in ("revoked", "locked"):
            with database().transaction(till.store.shop_id) as session:
                if change == "revoked":
                    operations.revoke(session, till.store.shop_id, till.ticket.staff_id, actor="merchant:1")
                else:
                    operations.lock(session, till.store.shop_id, till.ticket.staff_id, True, actor="merchant:1")
        seen = list(routes(till.store.app))
        assert len(seen) >= 12
        for method, path in seen:
            client = till.store.app.test_client()
            if change != "none":
                client.set_cookie(sessions.COOKIE, "garbled" if change == "garbled" else value, path="/staff")
            answer = client.open(path, method=method, data={forms.FIELD: forms.signed("staff:")})
            assert (answer.status_code, answer.headers["Location"]) == (303, "/staff/sign-in"), (method, path)


def test_a_form_of_nobody_or_of_somebody_else_changes_nothing(till: Till) -> None:
    with till.store.app.app_context():
        for owner in ("", "staff:", f"staff:{till.store.shop_id}:9999"):
            sent = {forms.FIELD: forms.signed(owner), "reward": "5-off", "key": "aaaaaaaaaaaa"}
            assert till.client.post(f"/staff{till.visit()}/redeem", data=sent).status_code == 403
    assert till.client.post(f"/staff{till.visit()}/redeem", data={"reward": "5-off"}).status_code == 403
    assert "redeem" not in {kind for kind, _, _ in till.postings()}


def test_signing_in_waits_after_wrong_pins(till: Till) -> None:
    client, name = till.store.app.test_client(), "roastery"
    with till.store.app.app_context():
        form = {forms.FIELD: forms.signed("staff:"), "shop": name}
    for _ in range(5):
        assert client.post("/staff/sign-in", data=form | {"pin": "000000"}).status_code == 403
    waiting = client.post("/staff/sign-in", data=form | {"pin": till.pin})
    assert (waiting.status_code, "Too many wrong PINs" in waiting.text) == (429, True)
    assert 0 < int(waiting.headers["Retry-After"]) <= 31


def test_a_right_pin_opens_and_the_only_location_is_chosen(till: Till) -> None:
    client = till.store.app.test_client()
    with till.store.app.app_context():
        form = {forms.FIELD: forms.signed("staff:"), "shop": " Roastery.myshopify.com ", "pin": till.pin}
    assert client.post("/staff/sign-in", data=form).headers["Location"] == "/staff/place"
    assert client.get("/staff/place").headers["Location"] == "/staff/"
    assert "Harbour Street" in client.get("/staff/").text
    unknown = client.post("/staff/sign-in", data=form | {"shop": "nobody"})
    assert (unknown.status_code, "We don&#39;t know this shop code" in unknown.text) == (422, True)


def test_a_scan_tells_who_it_is_and_its_answer_is_found_again(till: Till) -> None:
    with database().transaction(till.store.shop_id) as session:
        row = issue(session, till.store.shop_id, till.member_id).row
        code = barcode.write(facts.keys(), till.store.shop_id, row.handle, row.generation)
    first = till.post("/scan", code=code.lower(), key="scan-0001-abcd")
    again = till.post("/scan", code=code.lower(), key="scan-0001-abcd")
    for answer in (first, again):
        assert answer.status_code == 200
        assert "580 points" in answer.text
        assert "Redeem $5 off" in answer.text
    scans = [e for e in _events(till) if e.kind == "pass.scanned"]
    assert [(e.actor, e.data["location"]) for e in scans] == [(till.actor, "Harbour Street")]
    assert till.post("/scan", code="other", key="scan-0001-abcd").status_code == 422


def _events(till: Till) -> list[Any]:
    import sqlalchemy as sa

    from core.events import Event

    with database().transaction(till.store.shop_id) as session:
        return list(session.scalars(sa.select(Event).where(Event.shop_id == till.store.shop_id).order_by(Event.id)))


@pytest.mark.parametrize("code", ["", "RAP", "x" * 500, "'; DROP TABLE members;--", "١٢٣"])
def test_what_is_no_card_is_said(till: Till, code: str) -> None:
    answer = till.post("/scan", code=code, key="scan-0002-abcd")
    assert answer.status_code == 422
    assert "Not a good card" in answer.text


def test_a_card_of_another_shop_is_no_card(till: Till, other_store: Store) -> None:
    stranger = member(other_store)
    with database().transaction(other_store.shop_id) as session:
        row = issue(session, other_store.shop_id, stranger).row
        code = barcode.write(facts.keys(), other_store.shop_id, row.handle, row.generation)
    assert "This is no card of this shop" in till.post("/scan", code=code, key="scan-0003-abcd").text
    assert till.client.get(f"/staff{till.visit(member_id=stranger)}").status_code == 404


def test_redeeming_twice_with_one_key_redeems_once_and_can_be_undone(till: Till) -> None:
    pages = [till.post(f"{till.visit()}/redeem", reward="5-off", key="redeem-0001") for _ in range(2)]
    assert [page.status_code for page in pages] == [200, 200]
    codes = {re.search(r'class="code"><bdi>([^<]+)', page.text)[1] for page in pages}  # type: ignore[index]
    assert len(codes) == 1
    assert till.postings()[0] == ("redeem", 500, till.actor)
    assert till.postings()[1][0] != "redeem"


def test_a_card_that_may_not_spend_spends_nothing(till: Till) -> None:
    for found in ("outdated", "used", "stale"):
        answer = till.post(f"{till.visit(found)}/redeem", reward="5-off", key=f"redeem-{found}")
        assert answer.status_code == 409
        assert "Scan the card on the phone itself" in answer.text
        assert "Redeem $5 off" not in till.client.get(f"/staff{till.visit(found)}").text
    assert till.postings()[0][0] != "redeem"


def test_a_card_that_may_not_spend_collects_nothing_either(till: Till) -> None:
    for found, id_ in (("outdated", "1"), (visits.LOOKED_UP, "9" * 20), (visits.LOOKED_UP, "²")):
        answer = till.post(f"{till.visit(found)}/hand-over", id=id_)
        assert answer.status_code == (409 if found == "outdated" else 404)


def test_what_no_row_can_hold_is_refused(till: Till) -> None:
    assert till.client.get("/staff/find", query_string={"q": "No\x00or"}).status_code == 422
    assert till.post(f"{till.visit()}/redeem", reward="\x00", key="redeem-0001").status_code == 422


def test_points_for_a_purchase_count_once_a_receipt_and_are_taken_back_within_a_minute(till: Till) -> None:
    for _ in range(2):
        page = till.post(f"{till.visit()}/purchase", amount="80.50", receipt="A-100")
    assert "+80 points" in page.text
    assert till.postings()[0] == ("bonus", 80, till.actor)
    deed = unescape(re.search(r'name="deed" value="([^"]+)"', page.text)[1])  # type: ignore[index]
    assert till.post(f"{till.visit()}/purchase", amount="81", receipt="a 100").status_code == 409
    for _ in range(2):
        assert "Undone" in till.post(f"{till.visit()}/undo", deed=deed).text
    assert till.postings()[0] == ("reversal", 80, till.actor)
    assert [kind for kind, _, _ in till.postings()].count("reversal") == 1
    again = till.post(f"{till.visit()}/purchase", amount="81", receipt="A100")
    assert "+81 points" in again.text


@pytest.mark.parametrize("amount", ["", "abc", "-5", "0", "1.234", "1.2.3", "99999999", "1e5"])
def test_amounts_that_are_none_are_said(till: Till, amount: str) -> None:
    before = till.postings()
    assert till.post(f"{till.visit()}/purchase", amount=amount, receipt="B1").status_code == 422
    assert till.postings() == before


@pytest.mark.parametrize(
    ("amount", "points"), [("12,50", 12), ("1,250.00", 1250), ("1.250,00", 1250), ("1 250", 1250), ("7", 7), ("١٢", 12)]
)
def test_amounts_are_read_as_people_write_them(till: Till, amount: str, points: int) -> None:
    assert f"+{points:,} points" in till.post(f"{till.visit()}/purchase", amount=amount, receipt="C1").text


def test_visits_and_deeds_are_their_own_person_s(till: Till, other_store: Store) -> None:
    foreign = visits.signed(visits.Visit(other_store.shop_id, till.ticket.staff_id, till.member_id, visits.LOOKED_UP))
    other = visits.signed(visits.Visit(till.store.shop_id, till.ticket.staff_id + 1, till.member_id, visits.LOOKED_UP))
    for signed in (foreign, other, "x", ""):
        assert till.client.get(f"/staff/with/{signed}").status_code in (404, 410)
    deed = undoing.signed(undoing.Deed(till.store.shop_id, till.ticket.staff_id + 1, "purchase", 1))
    assert till.post(f"{till.visit()}/undo", deed=deed).status_code == 410


def test_people_are_found_by_what_they_say(till: Till) -> None:
    for text in ("noor77@example.com", "Noo", str(CUSTOMER)):
        assert "noor77@example.com" in till.client.get("/staff/find", query_string={"q": text}).text, text
    for text in ("%", "nobody@example.com", "\\", "' OR 1=1"):
        assert "Nobody found" in till.client.get("/staff/find", query_string={"q": text}).text, text


def test_hostile_names_stay_text(till: Till) -> None:
    import sqlalchemy as sa

    from loyalty.models import Member

    with database().transaction(till.store.shop_id) as session:
        here = Member.shop_id == till.store.shop_id, Member.id == till.member_id
        session.execute(sa.update(Member).where(*here).values(name="<script>alert(1)</script>"))
    text = till.client.get(f"/staff{till.visit()}").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text


def test_pages_let_nothing_foreign_run(till: Till) -> None:
    headers = till.client.get("/staff/").headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"]
    assert headers["Permissions-Policy"].startswith("camera=(self)")
