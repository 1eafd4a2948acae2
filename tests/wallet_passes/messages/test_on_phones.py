"""A message on an iPhone through everything real: the API, the jobs, pushes over HTTP/2, the signed card."""

from datetime import timedelta

import jwt

from core import clock
from tests.wallet_passes.messages.composer import TASTING, compose, read, sent, told_to_send, written
from tests.wallet_passes.rig import Wallet
from wallet_passes.messages import jobs

TEXT = f"{TASTING['title']} · {TASTING['body']}"
# What stands there without a message: a phone announces only what changes.
NONE = "No news right now."


def with_card(wallet: Wallet) -> str:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    serial = wallet.card(wallet.member(noor))
    wallet.work()
    return serial


def test_a_message_is_announced_and_stays_on_the_card(wallet: Wallet) -> None:
    serial = with_card(wallet)
    number = sent(wallet.store, {"wallet": "apple"}, link="https://roastery.example/tasting")
    wallet.wait(lambda: wallet.shows(serial, "message") == TEXT)
    assert wallet.notes() == [TEXT]
    told = read(wallet.store, number)
    assert (told["state"], told["shown"], told["texts"]["announced"]) == ("sent", 1, TEXT)
    assert (told["results"]["told"], told["results"]["fetched"]) == (1, 1)


def test_a_quiet_message_changes_the_card_and_announces_nothing(wallet: Wallet) -> None:
    serial = with_card(wallet)
    sent(wallet.store, quiet=True)
    wallet.wait(lambda: wallet.shows(serial, "message") == TEXT)
    assert wallet.notes() == []


def test_a_message_that_ends_leaves_the_card_in_silence(wallet: Wallet) -> None:
    serial = with_card(wallet)
    ends_at = clock.now() + timedelta(hours=1)
    sent(wallet.store, ends_at=written(ends_at))
    wallet.wait(lambda: wallet.shows(serial, "message") == TEXT)
    jobs.end_messages()
    assert wallet.shows(serial, "message") == TEXT
    with clock.fixed_at(ends_at + timedelta(seconds=5)):
        jobs.end_messages()
        wallet.wait(lambda: wallet.shows(serial, "message") == NONE)
    assert wallet.notes() == [TEXT]


def test_a_message_that_is_cancelled_leaves_the_card(wallet: Wallet) -> None:
    serial = with_card(wallet)
    number = sent(wallet.store)
    wallet.wait(lambda: wallet.shows(serial, "message") == TEXT)
    assert wallet.store.post(f"/wallet/messages/{number}/cancel", None).json["state"] == "cancelled"
    jobs.end_messages()
    wallet.wait(lambda: wallet.shows(serial, "message") == NONE)
    assert wallet.notes() == [TEXT]


def test_one_that_was_cancelled_in_time_is_on_no_card(wallet: Wallet) -> None:
    serial = with_card(wallet)
    number = told_to_send(wallet.store)
    wallet.store.post(f"/wallet/messages/{number}/cancel", None)
    jobs.send_messages()
    jobs.end_messages()
    wallet.work()
    assert (wallet.shows(serial, "message"), wallet.notes()) == (NONE, [])
    assert read(wallet.store, number)["state"] == "cancelled"


def test_a_newer_message_takes_the_place_of_an_older_one_for_good(wallet: Wallet) -> None:
    serial = with_card(wallet)
    sent(wallet.store)
    wallet.wait(lambda: wallet.shows(serial, "message") == TEXT)
    ends_at = clock.now() + timedelta(hours=1)
    sent(wallet.store, title="Today", body="Beans are half price.", ends_at=written(ends_at))
    wallet.wait(lambda: wallet.shows(serial, "message") == "Today · Beans are half price.")
    with clock.fixed_at(ends_at):
        jobs.end_messages()
        wallet.wait(lambda: wallet.shows(serial, "message") == NONE)
    assert wallet.notes() == [TEXT, "Today · Beans are half price."]


def test_a_message_reaches_google_wallet_and_leaves_it(wallet: Wallet) -> None:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    save = wallet.store.get(f"/members/{wallet.member(noor)}/google_wallet").json["save_url"]
    claims = jwt.decode(save.rsplit("/", 1)[1], options={"verify_signature": False}, algorithms=["RS256"])
    card = claims["payload"]["loyaltyObjects"][0]["id"]
    wallet.google.wallet.save("pixel", card)

    def headers() -> list[str]:
        return [message["header"] for message in wallet.google.wallet.get("loyaltyObject", card).get("messages", [])]

    # Google's callback tells that it was saved.
    on_google = {"wallet": "google"}
    wallet.wait(lambda: wallet.store.post("/wallet/messages/preview", compose(on_google)).json["live"])
    number = sent(wallet.store, on_google)
    wallet.wait(lambda: headers() == [TASTING["title"]])
    told = read(wallet.store, number)
    assert (told["shown"], told["results"]["told"], told["results"]["fetched"]) == (1, 1, 0)
    wallet.store.post(f"/wallet/messages/{number}/cancel", None)
    jobs.end_messages()
    wallet.wait(lambda: headers() == [])
