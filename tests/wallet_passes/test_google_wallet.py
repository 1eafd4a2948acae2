"""From an order to Google's card through everything real: effects, tokens, the API over HTTP, the link that saves."""

import threading
import time
from datetime import timedelta
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
from flask import Flask

from core import clock, effects
from core.db import database
from core.effects import Effect, Wanted
from loyalty.operations import Customer
from loyalty.privacy import erase_person, find_person
from tests.wallet_passes.rig import Wallet
from tests.web.stores import NOW
from wallet_passes.google import operations, saving, telling
from wallet_passes.google.models import GoogleClass, GoogleObject
from wallet_passes.google.operations import EFFECT
from wallet_passes.messages.models import MessageRecipient, WalletMessage

Body = dict[str, Any]


class Rig:
    """A shop whose member Noor has her card at Google, and perhaps on a phone."""

    def __init__(self, wallet: Wallet) -> None:
        self.wallet, self.google = wallet, wallet.google
        self.noor = wallet.store.customer(7, "noor@example.com")
        self.orders = 0

    @property
    def shop_id(self) -> int:
        return self.wallet.store.shop_id

    def buy(self, amount: int = 80_00, customer: Customer | None = None) -> None:
        self.orders += 1
        self.wallet.buy(self.orders, customer or self.noor, amount)

    @property
    def member(self) -> str:
        return self.wallet.member(self.noor)

    def link(self, member: str | None = None) -> Any:
        return self.wallet.store.get(f"/members/{member or self.member}/google_wallet")

    def made(self, *, saved: bool = False) -> str:
        """The id of Noor's object, whose first change is told at once."""
        answer = self.link()
        assert answer.status_code == 200, answer.text
        id_ = str(claims(answer.json["save_url"])["payload"]["loyaltyObjects"][0]["id"])
        if saved:
            self.google.wallet.save("pixel", id_)
            self.wallet.wait(lambda: self.held().saved_at)
        self.rest()
        return id_

    def rest(self) -> None:
        """As if the last telling was a while ago."""
        with database().transaction(self.shop_id) as session:
            session.execute(sa.update(GoogleObject).values(told_at=NOW - timedelta(hours=1)))

    def work(self) -> None:
        self.rest()
        self.hasten()
        self.tell()

    def tell(self) -> None:
        effects.carry_out_due(database(), "google")

    def hasten(self) -> None:
        """As if the wait of every effect was over."""
        with database().transaction(self.shop_id) as session:
            session.execute(sa.update(Effect).values(due_at=clock.now() - timedelta(seconds=1)))

    def shown(self, id_: str) -> Body:
        return dict(self.google.wallet.get("loyaltyObject", id_))

    def points(self, id_: str) -> int:
        return int(self.shown(id_)["loyaltyPoints"]["balance"]["int"])

    def calls(self, name: str) -> int:
        return int(self.google.door.calls[name])

    def every_call(self) -> int:
        """Of ours; Google's own look at our keys is none."""
        return sum(self.google.door.calls.values()) - self.calls("keys")

    def held(self) -> GoogleObject:
        with database().transaction(self.shop_id) as session:
            return session.scalars(sa.select(GoogleObject)).one()

    def notes(self) -> list[str]:
        return [note.text for note in reversed(self.google.wallet.phone("pixel").notes)]

    def effect(self) -> Effect | None:
        with database().transaction(self.shop_id) as session:
            return session.scalar(sa.select(Effect).where(Effect.kind == EFFECT))

    def request(self) -> None:
        with database().transaction(self.shop_id) as session:
            effects.request(session, [Wanted(self.shop_id, EFFECT, self.member)])


def claims(link: str) -> Body:
    return dict(jwt.decode(link.rsplit("/", 1)[1], options={"verify_signature": False}, algorithms=["RS256"]))


@pytest.fixture
def rig(wallet: Wallet) -> Rig:
    rig = Rig(wallet)
    rig.buy()
    return rig


def test_the_link_is_short_signed_and_names_a_card_that_google_has(rig: Rig) -> None:
    link = rig.link().json["save_url"]
    assert len(link) < 1800
    key = rig.google.account.key().public_key()
    told = jwt.decode(
        link.rsplit("/", 1)[1], key, ["RS256"], audience="google", issuer=rig.google.account.read()["client_email"]
    )
    assert (told["typ"], told["origins"]) == ("savetowallet", [rig.wallet.url])
    (named,) = told["payload"]["loyaltyObjects"]
    assert set(named) == {"id", "classId"}
    shown = rig.shown(named["id"])
    assert (shown["classId"], shown["accountName"], rig.points(named["id"])) == (named["classId"], "Noor", 130)
    assert shown["classReference"]["rewardsTier"] == "Insider"
    assert rig.link().status_code == 200
    assert (rig.calls("loyaltyclass.insert"), rig.calls("loyaltyobject.insert")) == (1, 1)
    assert rig.every_call() == 3  # and a token


def test_an_order_reaches_google_and_is_announced(rig: Rig) -> None:
    id_ = rig.made(saved=True)
    rig.buy(500_00)
    rig.work()
    assert rig.points(id_) == 630
    shown = rig.shown(id_)
    assert shown["classId"].endswith("-advocate")
    assert shown["classReference"]["rewardsTier"] == "Advocate"
    assert any("630" in note for note in rig.notes())


def test_what_does_not_change_the_card_sends_nothing(rig: Rig) -> None:
    rig.made()
    before = rig.every_call()
    rig.request()
    rig.work()
    assert rig.every_call() == before
    assert rig.effect() is None


def test_members_without_a_card_at_google_are_no_work(rig: Rig) -> None:
    rig.request()
    assert rig.effect() is None


def test_changes_within_moments_are_told_together(rig: Rig) -> None:
    id_ = rig.made()
    # The same moment, however long it takes; ahead, for effects are due by the database's own clock.
    with clock.fixed_at(clock.now() + timedelta(minutes=1)):
        for _ in range(4):
            rig.buy(10_00)
            rig.tell()
    assert (rig.calls("loyaltyobject.patch"), rig.points(id_)) == (1, 140)
    rig.work()
    assert rig.points(id_) == 170
    assert rig.calls("loyaltyobject.patch") == 2


def test_three_changes_a_day_are_announced_and_the_fourth_in_silence(rig: Rig) -> None:
    id_ = rig.made(saved=True)
    for number in range(1, 6):
        rig.buy(10_00)
        rig.work()
        assert rig.points(id_) == 130 + 10 * number
    told = [note for note in rig.notes() if note.startswith("Points")]
    assert told == ["Points: 140", "Points: 150", "Points: 160"]
    assert len(rig.held().notified_at) == 3
    with clock.fixed_at(clock.now() + timedelta(hours=25)):
        rig.google.wallet.clock = lambda: clock.now().timestamp()
        rig.buy(10_00)
        rig.work()
    assert rig.notes()[-2] == "Points: 190"


def test_a_redemption_gives_the_card_another_code_only_where_it_is_still(rig: Rig) -> None:
    rig.buy(500_00)
    id_ = rig.made()
    before = rig.shown(id_)
    rig.wallet.store.post(f"/members/{rig.member}/rewards", {"reward": "5-off"}, Idempotency_Key="once")
    rig.work()
    after = rig.shown(id_)
    assert after["loyaltyPoints"]["balance"]["int"] == before["loyaltyPoints"]["balance"]["int"] - 500
    assert after["rotatingBarcode"] == before["rotatingBarcode"]


def test_an_erased_member_leaves_nothing_at_google(rig: Rig) -> None:
    id_, member = rig.made(), rig.member
    assert "Noor" in str(rig.shown(id_))
    with database().transaction(rig.shop_id) as session:
        person = find_person(session, rig.shop_id, customer_id=7, email=None)
        erase_person(session, rig.shop_id, person)
    rig.work()
    shown = rig.shown(id_)
    assert shown["state"] == "INACTIVE"
    assert set(shown) <= {"id", "classId", "state", "classReference", "hasUsers"}
    assert rig.link(member).status_code == 404


def test_callbacks_tell_whether_it_is_saved_and_the_api_shows_it(rig: Rig) -> None:
    def state() -> Body:
        return dict(rig.wallet.store.get(f"/members/{rig.member}/wallet").json["google"])

    assert (state()["state"], state()["told_at"]) == ("not_added", None)
    id_ = rig.made(saved=True)
    rig.wallet.wait(lambda: state()["state"] == "saved")
    assert (state()["freshness"], state()["removed_at"]) == ("current", None)
    assert "Google Wallet last updated" in state()["text"]
    with database().transaction(rig.shop_id) as session:
        session.execute(sa.update(GoogleObject).values(told_version=0))
    assert state()["freshness"] == "stale"
    rig.google.wallet.remove("pixel", id_)
    rig.wallet.wait(lambda: state()["state"] == "removed")


def test_a_removed_card_is_kept_right_in_silence(rig: Rig) -> None:
    id_ = rig.made(saved=True)
    rig.wallet.wait(lambda: rig.held().saved_at)
    rig.google.wallet.remove("pixel", id_)
    rig.wallet.wait(lambda: rig.held().removed_at)
    rig.buy(10_00)
    rig.work()
    assert (rig.points(id_), rig.held().notified_at) == (140, [])


# Messages.


def say(rig: Rig, title: str = "Rain", **changes: Any) -> int:
    """A message that was sent to Noor; its id."""
    now = clock.now()
    with database().transaction(rig.shop_id) as session:
        message = WalletMessage(
            shop_id=rig.shop_id, title=title, body="Two for one.", audience={}, state="sent", actor="test",
            created_at=now, **changes,
        )  # fmt: skip
        session.add(message)
        session.flush()
        session.add(
            MessageRecipient(
                shop_id=rig.shop_id, message_id=message.id, member_id=int(rig.member), outcome="shown", at=now
            )
        )
    rig.request()
    return message.id


def told(rig: Rig, id_: str) -> list[str]:
    return [message["header"] for message in rig.shown(id_).get("messages", [])]


def test_a_message_is_added_once_and_announced(rig: Rig) -> None:
    id_ = rig.made(saved=True)
    say(rig)
    rig.work()
    assert told(rig, id_) == ["Rain"]
    assert rig.notes() == ["Rain: Two for one."]
    rig.request()
    rig.work()
    assert told(rig, id_) == ["Rain"]
    with database().transaction(rig.shop_id) as session:
        assert session.scalars(sa.select(MessageRecipient.told_at)).one() is not None
    say(rig, "Sun", quiet=True)
    rig.work()
    assert told(rig, id_) == ["Rain", "Sun"]
    assert len(rig.notes()) == 1


def test_a_message_that_came_through_unnoticed_is_not_added_again(rig: Rig) -> None:
    id_ = rig.made(saved=True)
    rig.google.faults.plan("hang_up_after", "loyaltyobject.addmessage")
    say(rig)
    rig.work()
    assert rig.effect() is not None
    rig.work()
    assert told(rig, id_) == ["Rain"]
    assert rig.notes() == ["Rain: Two for one."]
    assert rig.effect() is None


def test_a_message_that_ended_leaves_the_card(rig: Rig) -> None:
    id_ = rig.made()
    say(rig, ends_at=clock.now() + timedelta(hours=1))
    rig.work()
    assert told(rig, id_) == ["Rain"]
    with clock.fixed_at(clock.now() + timedelta(hours=2)):
        rig.request()
        rig.work()
    assert told(rig, id_) == []
    assert rig.held().message_id is None


def test_when_google_announces_no_more_the_message_comes_in_silence(rig: Rig) -> None:
    id_ = rig.made(saved=True)
    kept = rig.google.wallet.kept("loyaltyObject", id_)
    assert kept is not None
    kept.notified = [time.time()] * 3
    rig.google.wallet.store.put("google", "loyaltyObject", id_, kept)
    say(rig)
    rig.work()
    rig.work()
    assert told(rig, id_) == ["Rain"]
    assert (rig.notes(), rig.effect()) == ([], None)


def test_a_full_card_gives_up_its_oldest_messages(rig: Rig) -> None:
    id_ = rig.made()
    for number in range(12):
        say(rig, f"News {number}", quiet=True)
        rig.work()
    assert told(rig, id_)[-1] == "News 11"
    assert len(told(rig, id_)) <= 10


# Faults.

AGAIN = [
    (503, {}),
    (500, {}),
    (429, {"retry_after": 1}),
    ("html", {}),
    ("html_200", {}),
    ("hang_up_before", {}),
    ("hang_up_after", {}),
]


def test_what_google_could_not_take_is_told_again(rig: Rig) -> None:
    id_ = rig.made()
    for number, (kind, more) in enumerate(AGAIN, 1):
        rig.google.faults.plan(kind, "loyaltyobject.patch", **more)
        rig.buy(10_00)
        rig.work()
        waiting = rig.effect()
        assert waiting is not None, kind
        assert (waiting.state, waiting.attempts) == ("waiting", 1), kind
        rig.work()
        assert (rig.points(id_), rig.effect()) == (130 + 10 * number, None), kind


def test_what_google_refuses_shows_at_once_with_its_reason(rig: Rig) -> None:
    rig.made()
    for kind in (400, 403):
        rig.google.faults.plan(kind, "loyaltyobject.patch")
        rig.buy(10_00)
        rig.work()
        failed = rig.effect()
        assert failed is not None
        assert failed.state == "failed"
        assert str(kind) in (failed.error or "")


def test_a_token_that_was_taken_back_is_fetched_anew(rig: Rig) -> None:
    id_ = rig.made()
    rig.google.tokens.forget()
    rig.buy(10_00)
    rig.work()
    assert (rig.points(id_), rig.calls("token")) == (140, 2)


def test_an_insert_that_came_through_unnoticed_ends_well(rig: Rig) -> None:
    rig.google.faults.plan("hang_up_after", "loyaltyobject.insert")
    refused = rig.link()
    assert (refused.status_code, refused.json["code"]) == (503, "google_unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert rig.points(rig.made()) == 130


def test_what_is_gone_at_google_is_made_anew(rig: Rig) -> None:
    id_ = rig.made()
    class_ = rig.shown(id_)["classId"]
    every = (("loyaltyClass", class_), ("loyaltyObject", id_))
    for number, lost in enumerate((every[1:], every), 1):
        for kind, key in lost:
            rig.google.wallet.store.remove("google", kind, key)
        rig.buy(10_00)
        rig.work()
        rig.work()
        assert (rig.points(id_), rig.effect()) == (130 + 10 * number, None)
    rig.google.wallet.store.remove("google", "loyaltyObject", id_)
    say(rig)  # what only has a message to tell looks first, and misses the card
    for _ in range(2):
        rig.work()
    assert (rig.points(id_), told(rig, id_), rig.effect()) == (150, ["Rain"], None)


def test_google_away_is_a_503_and_makes_nothing_half(rig: Rig) -> None:
    for call in ("token", "loyaltyclass.insert", "loyaltyobject.insert"):
        rig.google.faults.plan(503, call, times=4)
        answer = rig.link()
        assert (answer.status_code, answer.json["code"]) == (503, "google_unavailable"), call
        assert "Retry-After" in answer.headers
        rig.google.faults.clear()
    assert rig.points(rig.made()) == 130


def test_an_issuer_that_does_not_let_us_in_is_said(rig: Rig) -> None:
    rig.google.faults.plan(403, "loyaltyclass.insert")
    answer = rig.link()
    assert (answer.status_code, answer.json["code"]) == (502, "google_not_allowed")


def test_without_an_account_there_is_no_google_wallet(rig: Rig, environ: pytest.MonkeyPatch) -> None:
    from core.config import settings

    environ.delenv("GOOGLE_WALLET_ACCOUNT")
    settings.cache_clear()
    answer = rig.link()
    assert (answer.status_code, answer.json["code"]) == (404, "no_google_wallet")
    assert rig.wallet.store.get(f"/members/{rig.member}/wallet").json["google"] is None


# Many at once.


def others(rig: Rig, count: int) -> list[Customer]:
    return [rig.wallet.store.customer(100 + number) for number in range(count)]


def test_many_cards_are_told_in_few_requests_and_one_that_fails_alone_is_tried_alone(rig: Rig) -> None:
    rig.google.quota.rate = 0
    crowd = others(rig, 12)
    for one in crowd:
        rig.buy(10_00, one)
        assert rig.link(rig.wallet.member(one)).status_code == 200
    rig.google.door.calls.clear()
    rig.rest()
    rig.google.faults.plan(503, "loyaltyobject.patch")
    for one in crowd:
        rig.buy(10_00, one)
    rig.tell()
    assert rig.calls("batch") == 2
    assert rig.calls("loyaltyobject.patch") == 12
    left = rig.effect()
    assert left is not None
    rig.work()
    assert (rig.calls("loyaltyobject.patch"), rig.effect()) == (13, None)
    balances = [body["loyaltyPoints"]["balance"]["int"] for body in listed(rig)]
    assert balances == [70] * 12


def listed(rig: Rig) -> list[Body]:
    return list(rig.google.wallet.listed("loyaltyObject", f"{rig.google.account.issuer}.{rig.shop_id}-insider"))


def test_whoever_tells_google_at_the_same_time_it_ends_up_with_the_newest(rig: Rig) -> None:
    """People press the button while orders come in: an older picture of the card may arrive at Google last."""
    id_ = rig.made()
    app: Flask = rig.wallet.store.app
    rig.google.faults.plan("delay", "loyaltyobject.patch", times=3, seconds=0.3)
    errors: list[BaseException] = []

    def press() -> None:
        try:
            for _ in range(3):
                with app.app_context():
                    saving.save_url(database(), rig.shop_id, int(rig.member))
        except BaseException as error:
            errors.append(error)

    pressing = [threading.Thread(target=press) for _ in range(3)]
    for thread in pressing:
        thread.start()
    for _ in range(4):
        rig.buy(10_00)
        rig.tell()
    for thread in pressing:
        thread.join()
    assert errors == []
    for _ in range(3):
        rig.work()
    assert (rig.points(id_), rig.effect()) == (170, None)


def test_two_at_the_same_time_make_one_object(rig: Rig) -> None:
    answers: list[int] = []

    def press() -> None:
        answers.append(rig.link().status_code)

    pressing = [threading.Thread(target=press) for _ in range(4)]
    for thread in pressing:
        thread.start()
    for thread in pressing:
        thread.join()
    assert answers == [200] * 4
    rig.work()
    assert [body["loyaltyPoints"]["balance"]["int"] for body in listed(rig)] == [130]


def test_who_was_overtaken_knows_no_more_what_google_has(rig: Rig) -> None:
    """What was told by somebody else since the plan was made is not written over."""
    rig.made()
    rig.buy(10_00)
    from wallet_passes import operations as passes

    key, now = (rig.shop_id, int(rig.member)), clock.now()
    with database().transaction(rig.shop_id) as session:
        found = passes.refresh_many(session, [key])
        (plan,) = operations.plans(session, rig.google.account.issuer, found, now)
    with database().transaction(rig.shop_id) as session:
        session.execute(sa.update(GoogleObject).values(digest="somebody else's"))
    failed = telling.tell(database(), telling.Wishes(now, [], [plan]), 5)
    assert isinstance(failed[key], telling.Overtaken)
    assert rig.held().digest == ""


def test_a_shop_that_changes_its_name_tells_its_class_once(rig: Rig) -> None:
    from shops.models import Shop

    id_ = rig.made()
    with database().transaction(rig.shop_id) as session:
        session.execute(sa.update(Shop).values(name="Northern Roast"))
    rig.google.faults.plan(503, "loyaltyclass.patch")
    rig.request()
    rig.work()
    assert rig.effect() is not None  # though the card itself says nothing else
    rig.work()
    assert rig.shown(id_)["classReference"]["issuerName"] == "Northern Roast"
    assert (rig.calls("loyaltyclass.patch"), rig.calls("loyaltyobject.patch"), rig.effect()) == (2, 0, None)
    with database().transaction(rig.shop_id) as session:
        assert len(session.scalars(sa.select(GoogleClass)).all()) == 1
