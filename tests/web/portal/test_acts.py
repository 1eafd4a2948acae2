"""The forms: each does its thing once, says so, and refuses kindly."""

import json
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from core import effects
from core.db import database
from loyalty.activities.models import Birthday, Consent
from loyalty.models import Member
from loyalty.rewards import operations as rewards
from loyalty.rewards.models import MemberReward
from tests.web.portal.test_home import publish
from tests.web.stores import Store
from webhooks import wishes

ACTIVITIES = [
    {"kind": "birthday", "key": "bday", "name": "Your birthday", "points": 100},
    {"kind": "question", "key": "roast", "name": "R", "question": "Which?", "choices": ["Light", "Dark"], "points": 20},
    {"kind": "newsletter", "key": "news", "name": "Our letter", "points": 30},
    {"kind": "social", "key": "insta", "name": "Follow", "network": "X", "url": "https://example.com/i", "points": 10},
    {"kind": "nps", "key": "nps", "name": "How are we doing?", "points": 5},
    {"kind": "review", "key": "review", "name": "Write a review", "points": 50},
]  # fmt: skip


@pytest.fixture
def page(store: Store, inside: Any, noor: Any) -> Any:
    publish(store, activities=ACTIVITIES)
    return inside(7)


def points(store: Store) -> int:
    return int(store.member_of(store.customer(7))["points"]["available"])


def rows(store: Store, table: Any) -> list[Any]:
    with database().transaction(store.shop_id) as session:
        return list(session.scalars(sa.select(table).where(table.shop_id == store.shop_id)))


def test_redeeming_shows_the_code_and_the_same_form_again_the_same_code(store: Store, page: Any, noor: Any) -> None:
    form = page.get().form("redeem", reward="5-off")
    first = page.post("redeem", form)
    shown = page.follow(first)
    (made,) = rows(store, MemberReward)
    assert "It's yours" in shown.text
    assert made.code in shown.text
    assert "350 points" in shown.text
    assert page.onward(page.post("redeem", form)) == page.onward(first)
    assert points(store) == 350
    assert page.get().form("redeem", reward="free-shipping")["key"] != form["key"]
    assert made.actor == f"member:{noor['id']}"


def test_two_taps_at_once_redeem_once(store: Store, page: Any) -> None:
    form = page.get().form("redeem", reward="free-shipping")
    answers: list[Any] = []
    taps = [threading.Thread(target=lambda: answers.append(page.post("redeem", form))) for _ in range(4)]
    for tap in taps:
        tap.start()
    for tap in taps:
        tap.join()
    assert len({page.onward(one) for one in answers}) == 1
    assert len(rows(store, MemberReward)) == 1
    assert points(store) == 550


def test_what_costs_more_than_there_is_leaves_everything_as_it_was(store: Store, page: Any) -> None:
    form = page.get().form("redeem", reward="5-off")
    refused = page.post("redeem", form | {"reward": "10-off"})
    assert refused.status == 409
    assert "nothing was changed" in refused.text
    assert "you need 150 more" in refused.text
    assert points(store) == 850
    assert page.post("redeem", form | {"key": "short"}).status == 422
    assert page.post("redeem", form | {"reward": "nothing"}).status == 404
    assert page.post("redeem", form | {"points": "nonsense"}).status == 422


def test_an_unused_reward_is_given_back(store: Store, page: Any) -> None:
    page.post("redeem", page.get().form("redeem", reward="5-off"))
    (made,) = rows(store, MemberReward)
    with database().transaction(store.shop_id) as session:
        rewards.mark_issued(session, store.shop_id, made.id, "gid://shopify/DiscountCodeNode/1")
    ready = page.get()
    assert f"/discount/{made.code}?redirect=%2F" in ready.html
    back = page.follow(page.post("give-back", ready.form("give-back")))
    assert "Your points are back in a few seconds." in back.text
    assert rows(store, MemberReward)[0].status == "returning"


def test_ways_to_earn_are_done_in_place_once_and_fold_away(store: Store, page: Any) -> None:
    before = page.get()
    assert "Once for each product you've bought." in before.text
    said = page.follow(page.post("answer", before.form("answer") | {"answer": "Dark"}))
    assert "Thank you. Your points are there." in said.text
    page.post("answer", before.form("answer") | {"answer": "Light"})
    page.post("consent", before.form("consent"))
    page.post("did", before.form("did"))
    page.post("did", before.form("did"))
    page.post("nps", before.form("nps") | {"score": "9", "comment": "Good\x00 beans"})
    assert page.post("nps", before.form("nps") | {"score": "9"}).status == 200
    assert points(store) == 850 + 20 + 30 + 10 + 5
    after = page.get()
    assert "3 already done" in after.text
    assert "Again from" in after.text
    assert rows(store, Consent)[0].source == "portal"


def test_what_can_t_be_reported_or_is_no_answer_is_refused(store: Store, page: Any) -> None:
    form = page.get().form("did")
    assert page.post("did", form | {"rule": "review"}).status == 422
    assert page.post("did", form | {"rule": "x" * 300}).status == 404
    answer = page.get().form("answer")
    assert "choose one of: Light, Dark" in page.post("answer", answer | {"answer": "Green"}).text
    assert page.post("nps", page.get().form("nps")).status == 422
    assert page.post("nps", page.get().form("nps") | {"score": "11"}).status == 422
    assert page.post("consent", page.get().form("consent") | {"channel": "pigeon"}).status == 404
    assert points(store) == 850


def test_preferences_keep_birthday_and_consents(store: Store, page: Any) -> None:
    form = page.get("/preferences").form("birthday")
    saved = page.follow(page.post("birthday", form | {"month": "2", "day": "29", "year": ""}))
    assert "Your birthday is saved." in saved.text
    (told,) = rows(store, Birthday)
    assert (told.month, told.day, told.year) == (2, 29, None)
    wrong = page.post("birthday", form | {"month": "2", "day": "31"})
    assert wrong.status == 422
    assert "There is no such birthday" in wrong.text or "there is no such birthday" in wrong.text
    assert page.post("birthday", form | {"month": "", "day": ""}).status == 422
    page.post("consent", page.get("/preferences").form("consent"))
    stop = page.get("/preferences")
    assert "Stop e-mails" in stop.text
    assert "No, thanks." in page.follow(page.post("consent", stop.form("consent"))).text


def test_a_member_takes_everything_along_and_is_forgotten(store: Store, page: Any, noor: Any) -> None:
    got = page.post("export", page.get("/preferences").form("export"))
    assert got.status == 200
    assert got.answer.headers["Content-Disposition"].startswith("attachment")
    told = json.loads(got.html)
    assert told["person"]["emails"] == ["noor@example.com"]
    assert len(told["postings"]) == 2

    form = page.get("/preferences").form("delete")
    unsure = page.post("delete", form)
    assert unsure.status == 422
    assert "Tick the box if you are sure." in unsure.text
    gone = page.follow(page.post("delete", form | {"sure": "1"}))
    assert "Your data is deleted." in gone.text
    assert "850 points" not in gone.text
    assert "Your data was deleted" in page.post("join", gone.form("join")).text
    assert [(row.kind, row.target) for row in rows(store, effects.Effect) if row.kind == wishes.EFFECT]
    wishes.forget(database(), store.shop_id, str(noor["id"]))
    wishes.forget(database(), store.shop_id, str(noor["id"]))
    with database().transaction(store.shop_id) as session:
        member = session.get_one(Member, (store.shop_id, int(noor["id"])))
        assert (member.email, member.name, member.customer_id) == (None, None, None)
        assert member.erased_at is not None
    assert "Join" in page.get().text
    assert page.post("join", page.get().form("join")).status == 409


def test_a_session_of_ours_ends_with_sign_out_and_with_the_member(store: Store, alone: Any, noor: Any) -> None:
    browser = alone(noor["id"])
    out = browser.follow(browser.post("leave", browser.get().form("leave")))
    assert "You're signed out." in out.text
    browser = alone(noor["id"])
    form = browser.get("/preferences").form("delete")
    assert "Your data is deleted." in browser.follow(browser.post("delete", form | {"sure": "1"})).text
    assert "Join" in browser.get().text
