"""Mails to members: each kind once, in its reader's language, to who may be written to, and never about the past."""

import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock, mail
from core.db import database
from core.effects import Effect
from core.errors import Unavailable
from core.events import Happened, record
from loyalty.expiry import upkeep
from shops import mailings
from tests.web.mailing.conftest import Post
from tests.web.stores import DAY, NOW
from tiers import ending
from web.mailing.models import MemberMail
from webhooks.models import Backfill


def redeem(post: Post, reward: str = "5-off") -> dict[str, Any]:
    answer = post.store.post(f"/members/{post.member_id}/rewards", {"reward": reward})
    assert answer.status_code == 201, answer.json
    return answer.json  # type: ignore[no-any-return]


def outcomes(post: Post) -> set[tuple[str, str, str | None]]:
    with database().transaction(post.store.shop_id) as session:
        return {(row.kind, row.outcome, row.why) for row in session.scalars(sa.select(MemberMail))}


def happen(post: Post, kind: str, told: dict[str, Any]) -> None:
    with database().transaction(post.store.shop_id) as session:
        record(session, [Happened(post.store.shop_id, kind, told, clock.now(), post.member_id)])


def test_a_reward_comes_with_its_code_and_how_to_use_it(post: Post) -> None:
    post.switch(mailings.REWARD, everyone=False)
    post.order(1, 600_00, at=NOW - 30 * DAY)
    reward = redeem(post)
    (letter,) = post.deliver()
    assert letter.to == post.shopper.email
    assert letter.subject == "Your reward is ready: $5 off"
    assert f"It's ready: enter {reward['code']} at checkout." in letter.text
    assert "500 points spent on $5 off." in letter.text
    assert f"/discount/{reward['code']}?redirect=" in letter.text
    assert reward["code"] in letter.html
    # Nothing is left to do, and doing it again sends nothing.
    happen(post, "reward.issued", {"reward": "5-off", "reward_id": int(reward["id"]), "points": 500})
    assert len(post.deliver()) == 1
    assert post.left() == []


def test_a_tier_that_an_order_reached(post: Post) -> None:
    post.switch()
    post.order(1, 600_00)
    (letter,) = post.deliver()
    assert letter.subject == "You're Advocate now"
    assert "You reached Advocate with $600.00 in 365 days. It takes $500.00." in letter.text
    assert "1.25 × the points on every order" in letter.text
    assert "You're $900 away from Ambassador." in letter.text


def test_of_two_tiers_at_once_only_the_last(post: Post) -> None:
    post.switch()
    post.store.settle(
        post.store.order(1, post.customer, 600_00, at=NOW - timedelta(minutes=5)),
        post.store.order(2, post.customer, 1000_00, at=NOW),
    )
    assert [letter.subject for letter in post.deliver()] == ["You're Ambassador now"]


def test_points_that_expire_soon(post: Post) -> None:
    post.order(1, 300_00, at=NOW - 340 * DAY)
    post.switch(mailings.EXPIRING)
    with database().transaction(post.store.shop_id) as session:
        session.execute(sa.text("UPDATE members SET joined_at = joined_at - interval '1 year', "
                                "last_active_at = now() - interval '340 days', expiry_look_at = now()"))  # fmt: skip
    upkeep.expire(database())
    (letter,) = post.deliver()
    assert re.match(r"\d+ points expire on ", letter.subject)
    assert "unless you earn or spend points before then." in letter.text
    assert "That's enough for Free shipping." in letter.text
    # A week later reminds, a day after that does not.
    happen(post, "points.expiring", {"points": 350, "expires_at": "2027-01-01", "days": 1})
    assert len(post.deliver()) == 1
    assert (mailings.EXPIRING, "withheld", "lately") in outcomes(post)


def test_a_tier_about_to_end_is_found_and_told_once(post: Post) -> None:
    post.order(1, 600_00, at=NOW - 345 * DAY)
    assert ending.find(database()) == 0
    post.switch(mailings.ENDING)
    assert [ending.find(database()) for _ in range(2)] == [1, 0]
    (letter,) = post.deliver()
    assert letter.subject.startswith("Advocate is yours until ")
    assert re.search(r"\$500 more by .* keeps you Advocate\.", letter.text)


def test_a_tier_that_is_safe_by_then_is_not_mailed_about(post: Post) -> None:
    post.order(1, 600_00, at=NOW - 345 * DAY)
    post.switch(mailings.ENDING)
    ending.find(database())
    post.order(2, 600_00, at=NOW)
    assert post.deliver() == []
    assert outcomes(post) == {(mailings.ENDING, "withheld", "over")}


def test_nothing_is_sent_until_the_shop_says_so_nor_about_before(post: Post) -> None:
    post.order(1, 600_00)
    redeem(post)
    assert post.deliver() == []
    post.switch()
    post.order(2, 10_00)
    assert post.deliver() == []
    post.order(3, 1000_00, at=NOW)
    assert [letter.subject for letter in post.deliver()] == ["You're Ambassador now"]


def test_the_past_is_no_news(post: Post) -> None:
    """Old orders, and whatever comes to light while a shop's past is brought in."""
    post.switch()
    post.order(1, 600_00, at=NOW - 30 * DAY)
    with database().transaction(post.store.shop_id) as session:
        session.execute(sa.delete(Backfill))
        session.add(Backfill(shop_id=post.store.shop_id, state="running", stage="orders", read_bytes=0, customers=0,
                             orders=0, tries=0, requested_at=clock.now() - DAY))  # fmt: skip
    post.order(2, 1000_00)
    assert post.deliver() == []


@pytest.mark.parametrize(
    ("state", "everyone", "sent"),
    [("not_subscribed", False, False), ("subscribed", False, True), ("not_subscribed", True, True),
     ("unsubscribed", False, False)],
)  # fmt: skip
def test_consent_is_asked_for_where_it_counts(post: Post, state: str, everyone: bool, sent: bool) -> None:
    post.switch(everyone=everyone)
    post.set(marketing=state)
    post.order(1, 600_00)
    assert bool(post.deliver()) is sent
    assert outcomes(post) == {(mailings.REACHED, "sent" if sent else "withheld", None if sent else "not_agreed")}


@pytest.mark.parametrize("gone", [{"closed_at": NOW}, {"blocked_at": NOW}, {"erased_at": NOW}, {"merged_into": 999}])
def test_who_left_or_is_blocked_gets_none(post: Post, gone: dict[str, Any]) -> None:
    post.switch()
    post.order(1, 600_00)
    post.change(**gone)
    assert post.deliver() == []
    assert post.left() == []


def test_a_mail_is_in_its_readers_language(post: Post) -> None:
    """As the shop knows it when the mail is sent."""
    post.switch()
    post.set(locale="ar-EG")
    post.order(1, 600_00)
    (letter,) = post.deliver()
    assert '<html lang="ar" dir="rtl">' in letter.html
    assert "Advocate" in letter.subject
    assert "You" not in letter.subject


def test_a_mail_server_that_is_away_is_asked_again_and_sends_once(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.switch()
    post.order(1, 600_00)
    real, tries = mail.send, []

    def away(written: mail.Mail) -> None:
        tries.append(written.key)
        if len(tries) == 1:
            raise Unavailable("the mail server does not answer; try again")
        real(written)
        if len(tries) == 2:
            # We die with the mail handed over and nothing written down.
            raise Unavailable("the connection broke")

    monkeypatch.setattr(mail, "send", away)
    for minutes in (0, 1, 2):
        with clock.fixed_at(clock.now() + timedelta(minutes=minutes)):
            post.deliver()
    assert len(tries) == 3
    assert len(set(tries)) == 1
    assert len(post.letters()) == 1
    assert post.left() == []


def test_an_address_that_is_refused_holds_up_nothing(post: Post) -> None:
    post.switch()
    post.set(email="nobody at all")
    post.order(1, 600_00)
    assert post.deliver() == []
    assert [(kind, outcome) for kind, outcome, _ in outcomes(post)] == [(mailings.REACHED, "refused")]
    assert post.left() == []


# Ending them.


def path_of(address: str) -> str:
    return address[address.index("/s/") :]


def test_one_click_ends_all_of_them_without_signing_in(post: Post) -> None:
    post.switch()
    post.order(1, 600_00)
    (letter,) = post.deliver()
    assert letter.stop in letter.text
    assert letter.stop in letter.html
    client, path = post.store.client, path_of(letter.stop)
    # A scanner that looks at links ends nothing.
    assert "Stop these mails?" in client.get(path).text
    answer = client.post(path, data={"List-Unsubscribe": "One-Click"})
    assert (answer.status_code, "You get no more of these mails" in answer.text) == (200, True)
    assert client.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    post.order(2, 1000_00)
    redeem(post)
    assert len(post.deliver()) == 1
    assert {why for _, outcome, why in outcomes(post) if outcome == "withheld"} == {"stopped"}
    assert "You get these mails again" in client.post(path, data={"again": "1"}).text


def test_a_link_that_was_changed_or_is_another_shops_ends_nothing(post: Post) -> None:
    post.switch()
    post.order(1, 600_00)
    (letter,) = post.deliver()
    path = path_of(letter.stop)
    other = path.replace("rapport-demo", "no-such-shop")
    for wrong in (path[:-3], path + "x", other, "/s/rapport-demo/mails/preview/x"):
        answer = post.store.client.get(wrong)
        assert answer.status_code == 404, wrong
        assert "nonce-" in answer.headers["Content-Security-Policy"]
    assert post.store.client.post(path[:-3]).status_code == 404


def test_a_merged_members_link_ends_the_kept_ones(post: Post) -> None:
    post.switch()
    post.order(1, 600_00)
    (letter,) = post.deliver()
    post.store.settle(post.store.order(2, post.store.customer(99), 10_00))
    kept = int(post.store.member_of(post.store.customer(99))["id"])
    post.change(merged_into=kept)
    assert post.store.client.post(path_of(letter.stop)).status_code == 200
    (consent,) = post.store.get(f"/members/{kept}/activities").json["consents"]
    assert (consent["channel"], consent["given"]) == ("mails", False)


def test_no_effect_of_a_shop_that_sends_none(post: Post) -> None:
    post.order(1, 600_00)
    with database().transaction(post.store.shop_id) as session:
        assert session.query(Effect).filter(Effect.kind == "mail.member").all() == []
