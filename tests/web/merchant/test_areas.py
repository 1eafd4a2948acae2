"""Staff, deliveries, referrals, imports and exports, as the merchant's pages show and change them."""

import io
import re
from typing import Any

import sqlalchemy as sa

from core import clock, effects
from core.db import database
from core.effects import Effect
from core.events import Event
from loyalty.importing import jobs
from referrals.models import Referral
from shops.staff.models import Staff
from tests.web.merchant.conftest import Office
from webhooks.models import Delivery


def rows(office: Office, table: Any) -> list[Any]:
    with database().transaction(office.store.shop_id) as session:
        return list(session.scalars(sa.select(table).where(table.shop_id == office.store.shop_id)))


def told(office: Office, kind: str) -> list[str]:
    return [row.actor for row in rows(office, Event) if row.kind == kind]


def test_somebody_is_invited_locked_and_let_go(office: Office) -> None:
    assert "Nobody at the counter yet" in office.text("/staff")
    assert office.post("/staff", name="").status_code == 422
    invited = office.post("/staff", name="Sam")
    path = invited.headers["Location"].removeprefix("/merchant")
    page = office.text(path)
    link = re.search(r'data-copy="([^"]+/staff/join/[^"]+)"', page)
    assert link
    (person,) = rows(office, Staff)
    office.post(f"/staff/{person.id}/lock", locked="1")
    office.post(f"/staff/{person.id}/lock", locked="")
    office.post(f"/staff/{person.id}/revoke")
    assert "Sam" not in office.text("/staff")
    for kind in ("staff.invited", "staff.locked", "staff.unlocked", "staff.revoked"):
        assert told(office, kind) == ["merchant:41"], kind


def test_locations_come_and_go(office: Office) -> None:
    office.post("/locations", location="Harbour Street")
    assert "There is a location of that name already" in office.post("/locations", location="harbour street").text
    page = office.text("/staff")
    (number,) = re.findall(r"/merchant/locations/(\d+)/retire", page)
    office.post(f"/locations/{number}/retire")
    assert "Harbour Street" not in office.text("/staff")


def test_another_shop_s_staff_is_not_found(office: Office, other_office: Office) -> None:
    office.post("/staff", name="Sam")
    (person,) = rows(office, Staff)
    for action in ("lock", "revoke", "invitation"):
        assert other_office.post(f"/staff/{person.id}/{action}").status_code == 404
    assert rows(office, Staff)[0].revoked_at is None


def broken(office: Office) -> None:
    now = clock.now()
    with database().transaction(office.store.shop_id) as session:
        session.add(
            Delivery(
                shop_id=office.store.shop_id, webhook_id="w1", topic="orders/paid", body=b"{}", state="failed",
                attempts=9, error="it says what cannot be <b>", next_try_at=now,
            )
        )  # fmt: skip
        wanted = effects.Wanted(office.store.shop_id, "shopify.reward", "77")
        effects.request(session, [wanted])
        here = sa.update(Effect).where(Effect.kind == "shopify.reward", Effect.target == "77")
        session.execute(here.values(state="failed", attempts=9, error="Shopify refused"))


def test_what_failed_is_shown_and_tried_again(office: Office, other_office: Office) -> None:
    assert "Nothing failed" in office.text("/deliveries")
    broken(office)
    page = office.text("/deliveries")
    assert "orders/paid" in page
    assert "it says what cannot be &lt;b&gt;" in page
    assert "Reward in Shopify" in page
    assert "Nothing failed" in other_office.text("/deliveries")
    (delivery,) = rows(office, Delivery)
    assert other_office.post(f"/deliveries/{delivery.id}/retry").status_code == 404
    office.post(f"/deliveries/{delivery.id}/retry")
    office.post("/deliveries/effect", kind="shopify.reward", target="77")
    assert rows(office, Delivery)[0].state == "pending"
    assert [(row.state, row.attempts) for row in rows(office, Effect) if row.target == "77"] == [("waiting", 0)]
    assert office.post("/deliveries/effect", kind="shopify.reward", target="77").status_code == 404


def test_everything_is_tried_again_at_once(office: Office) -> None:
    broken(office)
    office.post("/deliveries/retry")
    assert "Nothing failed" in office.text("/deliveries")


def test_a_file_is_checked_then_brought_in(office: Office) -> None:
    store = office.store
    store.settle(store.order(1, store.customer(1, "noor@example.com")))
    wrong = office.post("/import", file=(io.BytesIO(b"no table"), "x.csv"))
    assert (wrong.status_code, "The first line has to name the columns" in wrong.text) == (422, True)
    assert office.post("/import").status_code == 422
    table = b"email,points\nnoor@example.com,500\nnobody@example.com,5\n"
    checked = office.post("/import", file=(io.BytesIO(table), "<old>.csv"))
    path = checked.headers["Location"].removeprefix("/merchant").split("?")[0]
    page = office.text(path)
    assert "Nothing has changed yet" in page
    assert "&lt;old&gt;.csv" in page
    assert "Nobody in the shop is known by this" in page
    office.post(f"{path}/start")
    jobs.bring_in()
    assert "1 member was brought in" in office.text(path)
    assert store.member_of(store.customer(1))["points"]["available"] == 630


def test_everything_can_be_taken_away_and_no_cell_is_a_formula(office: Office) -> None:
    store = office.store
    store.settle(store.order(1, store.customer(1, "=cmd@example.com")))
    for name in ("all-members", "all-postings", "all-rewards"):
        address = office.get(f"/downloads/{name}").json["url"]
        file = store.client.get(address)
        assert (file.status_code, file.mimetype) == (200, "text/csv")
        assert "attachment" in file.headers["Content-Disposition"]
    members = store.client.get(office.get("/downloads/all-members").json["url"]).text
    assert "'=cmd@example.com" in members


def test_a_file_s_address_may_ask_for_anything(office: Office) -> None:
    asked = ({"days": "abc"}, {"desk": "1", "member": "²"}, {"points": "all", "q": "x" * 900, "before": "9" * 30})
    for name in ("all-members", "all-postings", "members", "numbers", "referrals", "person"):
        for given in asked:
            status = office.store.client.get(office.get(f"/downloads/{name}", **given).json["url"]).status_code
            assert status == (404 if name == "person" else 200), (name, given)


def test_what_no_row_can_hold_is_refused(office: Office) -> None:
    assert office.post("/deliveries/effect", kind="a\x00b").status_code == 422
    assert office.get("/members", q="a\x00b").status_code == 422
    for number in ("²", "9" * 20):
        assert office.post("/referrals/payouts/approve", statement=number).status_code == 303


def test_referrals_without_any_say_so(office: Office) -> None:
    assert "Nobody was brought yet" in office.text("/referrals")
    assert "Nothing waits for you" in office.text("/referrals/review")
    assert "Payouts" in office.text("/referrals/payouts")
    assert office.text("/referrals", days="90")
    assert office.text("/referrals", days="x")


def referral(office: Office) -> int:
    store = office.store
    store.settle(*(store.order(n, store.customer(n, f"m{n}@example.com")) for n in (1, 2)))
    ids = [int(store.member_of(store.customer(n))["id"]) for n in (1, 2)]
    now = clock.now()
    with database().transaction(store.shop_id) as session:
        row = Referral(
            shop_id=store.shop_id, order_id=2**53 + 1002, friend=f"customer:{2}", friend_member_id=ids[1],
            referrer_member_id=ids[0], code_key="NOOR10", via="code", state="review", at=now, amount=8000,
            currency="USD", score=55, reasons=[{"key": "address", "points": 55, "text": "They share an address."}],
            program_version=1, created_at=now, updated_at=now,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.id


def test_a_referral_in_review_is_decided_and_the_decision_undone(office: Office, other_office: Office) -> None:
    number = referral(office)
    assert "1 referral waits for your look" in office.text("/referrals")
    assert "They share an address." in office.text("/referrals/review")
    assert "They share an address." in office.text(f"/referrals/{number}")
    assert "couldn" in office.text(f"/referrals/{number}/sides") or "doesn" in office.text(f"/referrals/{number}/sides")
    assert other_office.get(f"/referrals/{number}").status_code == 404
    assert other_office.post(f"/referrals/{number}/decide", decision="approve").status_code == 404
    office.post(f"/referrals/{number}/decide", decision="approve", note="They are sisters.")
    assert [row.decision for row in rows(office, Referral)] == ["approve"]
    assert office.post(f"/referrals/{number}/decide", decision="refuse").status_code == 409
    office.post(f"/referrals/{number}/decide", decision="undo")
    assert [row.decision for row in rows(office, Referral)] == [None]
    assert told(office, "referral.decided") == ["merchant:41", "merchant:41"]
    assert office.post(f"/referrals/{number}/decide", decision="maybe").status_code == 422


def test_an_address_that_is_no_page_is_told_within_the_frame(office: Office) -> None:
    answer = office.get("/no/such-page")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "There is no such page" in answer.text
    assert "frame-ancestors https://" in answer.headers["Content-Security-Policy"]


def test_a_slash_at_the_end_makes_no_other_page(office: Office) -> None:
    for path in ("/", "/members/"):
        assert office.get(path).status_code == 200
