"""From an order to the phone's screen through everything real: effects, TLS, HTTP/2, the web service, the signature."""

import threading
import time

import pytest
import sqlalchemy as sa

from core import effects
from core.db import database
from core.effects import Effect, Wanted
from loyalty.operations import adjust
from loyalty.privacy import erase_person, find_person
from sandbox.apple.pushes import Answer
from tests.wallet_passes.rig import Wallet
from tests.web.stores import Store
from wallet_passes.apple.operations import EFFECT
from wallet_passes.google import account, bodies
from wallet_passes.models import AppleFile, AppleRegistration
from wallet_passes.scanning import scan


def test_an_order_reaches_the_phone(wallet: Wallet) -> None:
    noor = wallet.store.customer(7, "noor@example.com")
    wallet.buy(1, noor)
    serial = wallet.card(wallet.member(noor))
    assert (wallet.shows(serial, "points"), wallet.shows(serial, "tier")) == ("130", "Insider")
    assert wallet.shows(serial, "progress") == "$420.00 to Advocate"
    assert "<a href='https://roastery.myshopify.com/apps/rewards'>" in str(wallet.told(serial)["storeCard"])
    wallet.work()
    assert wallet.apple.pushes.taken == 0  # what it was added with is no news
    wallet.buy(2, noor, 500_00)
    wallet.wait(lambda: wallet.shows(serial, "points") == "630")
    assert wallet.shows(serial, "tier") == "Advocate"
    assert sorted(wallet.notes()) == ["You are now Advocate.", "You have 630 points now."]


def test_changes_within_a_second_all_reach_the_phone(wallet: Wallet) -> None:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    serial = wallet.card(wallet.member(noor))
    began = time.monotonic()
    for number in (2, 3, 4):
        wallet.buy(number, noor, 10_00)
        wallet.work()
    # The first was told at once; what follows is gathered, and told together.
    assert wallet.apple.pushes.taken == 1 or time.monotonic() - began > 1.4
    wallet.wait(lambda: wallet.shows(serial, "points") == "160")


def test_what_does_not_change_the_card_sends_nothing(wallet: Wallet) -> None:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    member = wallet.member(noor)
    wallet.card(member)
    with database().transaction(wallet.store.shop_id) as session:
        effects.request(session, [Wanted(wallet.store.shop_id, EFFECT, member)])
    assert wallet.work() >= 1
    assert wallet.apple.pushes.taken == 0


def test_a_change_between_download_and_registration_is_told(wallet: Wallet) -> None:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    member = wallet.member(noor)
    link = wallet.store.get(f"/members/{member}/wallet").json["apple"]["download_url"]
    old = wallet.phones.client.get(link)
    wallet.buy(2, noor, 10_00)
    wallet.work()  # nobody to tell yet
    with wallet.phones.change("iphone") as phone:
        serial = wallet.phones._take(phone, old).told["serialNumber"]
    wallet.wait(lambda: wallet.shows(serial, "points") == "140")


def test_an_old_file_that_is_added_late_catches_up(wallet: Wallet) -> None:
    """It lay in a mail while another phone fetched a newer one."""
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    member = wallet.member(noor)
    old = wallet.phones.client.get(wallet.store.get(f"/members/{member}/wallet").json["apple"]["download_url"])
    wallet.buy(2, noor, 10_00)
    wallet.card(member, "ipad")
    with wallet.phones.change("iphone") as phone:
        serial = wallet.phones._take(phone, old).told["serialNumber"]
    wallet.wait(lambda: wallet.shows(serial, "points") == "140")


def test_two_cards_of_two_shops_on_one_phone(wallet: Wallet, other_store: Store) -> None:
    """One push token for both: each is told of, and each is found."""
    other = Wallet(other_store, wallet.url, wallet.apple, wallet.google)
    noor, there = wallet.store.customer(7), other_store.customer(7)
    wallet.buy(1, noor)
    other.buy(1, there)
    ours, theirs = wallet.card(wallet.member(noor)), other.card(other.member(there))
    wallet.buy(2, noor, 10_00)
    other.buy(2, there, 20_00)
    wallet.wait(lambda: (wallet.shows(ours, "points"), wallet.shows(theirs, "points")) == ("140", "150"))


def test_a_phone_that_was_off_catches_up_in_one_fetch(wallet: Wallet) -> None:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    serial = wallet.card(wallet.member(noor))
    wallet.phones.turn("iphone", on=False)
    for number in range(2, 7):
        wallet.buy(number, noor, 10_00)
        wallet.work()
    wallet.wait(lambda: wallet.phones.phone("iphone").missed)
    time.sleep(1.6)
    wallet.work()
    assert wallet.shows(serial, "points") == "130"
    wallet.phones.turn("iphone", on=True)
    assert wallet.shows(serial, "points") == "180"
    assert wallet.notes() == ["You have 180 points now."]


def live(wallet: Wallet) -> list[str]:
    with database().transaction(wallet.store.shop_id) as session:
        here = sa.select(AppleRegistration.device).where(AppleRegistration.removed_at.is_(None))
        return list(session.scalars(here))


def test_a_wiped_phone_is_forgotten_and_can_come_back(wallet: Wallet) -> None:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    member = wallet.member(noor)
    wallet.card(member)
    wallet.phones.erase("iphone")
    wallet.buy(2, noor, 10_00)
    wallet.wait(lambda: live(wallet) == [])
    serial = wallet.card(member)
    assert live(wallet) == [wallet.phones.phone("iphone").device]
    wallet.buy(3, noor, 10_00)
    wallet.wait(lambda: wallet.shows(serial, "points") == "150")


def test_a_new_push_token_takes_over(wallet: Wallet) -> None:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    serial = wallet.card(wallet.member(noor))
    wallet.phones.new_push_token("iphone")
    wallet.buy(2, noor, 10_00)
    wallet.wait(lambda: wallet.shows(serial, "points") == "140")


def test_what_was_pushed_to_a_former_token_is_pushed_to_the_new_one(wallet: Wallet) -> None:
    noor, twin = wallet.store.customer(7), wallet.store.customer(8)
    wallet.buy(1, noor)
    wallet.buy(2, twin)
    serials = [wallet.card(wallet.member(customer)) for customer in (noor, twin)]
    pushes = wallet.apple.pushes
    delivered, pushes.deliver = pushes.deliver, lambda *_: None  # type: ignore[method-assign]
    wallet.buy(3, noor, 10_00)
    wallet.buy(4, twin, 10_00)
    wallet.wait(lambda: pushes.taken == 1 and asked(wallet) == [])
    pushes.deliver = delivered  # type: ignore[method-assign]
    wallet.phones.new_push_token("iphone")
    wallet.wait(lambda: {wallet.shows(serial, "points") for serial in serials} == {"140"})


def test_an_ailing_push_service_is_tried_again(wallet: Wallet) -> None:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    serial = wallet.card(wallet.member(noor))
    wallet.apple.pushes.planned.append(Answer(503, "ServiceUnavailable"))
    wallet.buy(2, noor, 10_00)
    wallet.work()
    assert wallet.apple.pushes.taken == 0
    wallet.wait(lambda: wallet.shows(serial, "points") == "140")


@pytest.mark.parametrize(
    "answer", [Answer(403, "BadCertificate"), Answer(400, "TopicDisallowed"), Answer(405, "MethodNotAllowed")]
)
def test_what_apple_refuses_is_seen(wallet: Wallet, answer: Answer) -> None:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    wallet.card(wallet.member(noor))
    wallet.apple.pushes.planned.append(answer)
    wallet.buy(2, noor, 10_00)
    wallet.work()
    with database().transaction(wallet.store.shop_id) as session:
        failed = session.scalars(sa.select(Effect.error).where(Effect.kind == EFFECT, Effect.state == "failed")).all()
    assert failed == [f"Apple refuses our pushes: {answer.reason}"]


# The end of a card.


def test_the_card_of_an_erased_person_is_void_and_says_nothing(wallet: Wallet) -> None:
    noor = wallet.store.customer(7, "noor@example.com")
    wallet.buy(1, noor)
    member, shop = wallet.member(noor), wallet.store.shop_id
    serial = wallet.card(member)
    code = wallet.told(serial)["barcodes"][0]["message"]
    with database().transaction(shop) as session:
        erase_person(session, shop, find_person(session, shop, customer_id=7))
    wallet.wait(lambda: wallet.told(serial).get("voided"))
    told = wallet.told(serial)
    assert "webServiceURL" not in told
    assert "Noor" not in str(told)
    with database().transaction(shop) as session:
        assert session.scalars(sa.select(AppleFile.serial)).all() == []
    with database().transaction(shop) as session:
        assert scan(session, shop, code, actor="test").validity == "ended"
    assert wallet.store.get(f"/members/{member}/pass.pkpass").status_code == 404


def test_a_merged_member_s_card_goes_on_as_the_other_s(wallet: Wallet) -> None:
    noor, twin = wallet.store.customer(7), wallet.store.customer(8)
    wallet.buy(1, noor)
    wallet.buy(2, twin, 20_00)
    serial = wallet.card(wallet.member(noor))
    wallet.merge(twin, noor)
    # What comes before any wallet was told finds the card where it is now.
    wallet.buy(3, twin, 30_00)
    assert wallet.member(twin) in asked(wallet)
    kept = wallet.store.member_of(twin)["points"]["available"]
    wallet.wait(lambda: wallet.shows(serial, "points") == f"{kept}")
    assert not wallet.told(serial).get("voided")


@pytest.mark.parametrize("first", ["apple", "google"])
def test_both_wallets_hear_that_a_card_is_another_s_now(wallet: Wallet, first: str) -> None:
    noor, twin = wallet.store.customer(7), wallet.store.customer(8)
    wallet.buy(1, noor)
    wallet.buy(2, twin, 20_00)
    member = wallet.member(noor)
    serial = wallet.card(member)
    assert wallet.store.get(f"/members/{member}/google_wallet").status_code == 200
    wallet.merge(twin, noor)
    effects.carry_out_due(database(), first)
    kept = wallet.store.member_of(twin)["points"]["available"]
    id_ = bodies.object_id(account.current().issuer, serial)

    def shown() -> int:
        return int(wallet.google.wallet.get("loyaltyObject", id_)["loyaltyPoints"]["balance"]["int"])

    wallet.wait(lambda: (wallet.shows(serial, "points"), shown()) == (f"{kept}", kept))


def test_members_without_a_card_ask_for_nothing(wallet: Wallet) -> None:
    noor, twin = wallet.store.customer(7), wallet.store.customer(8)
    wallet.buy(1, noor)
    wallet.buy(2, twin)
    assert asked(wallet) == []
    member = wallet.member(noor)
    wallet.card(member)
    wallet.buy(3, noor)
    wallet.buy(4, twin)
    assert asked(wallet) == [member]


def asked(wallet: Wallet) -> list[str]:
    with database().transaction(wallet.store.shop_id) as session:
        return list(session.scalars(sa.select(Effect.target).where(Effect.kind == EFFECT)))


def test_a_card_made_while_points_are_posted_shows_them(wallet: Wallet) -> None:
    """The posting does not see the card yet, so the card has to see the posting."""
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    member, shop = wallet.member(noor), wallet.store.shop_id
    with database().transaction(shop) as session:
        adjust(session, shop, int(member), 40, "Sorry", actor="test", key="sorry")
        making = threading.Thread(target=wallet.card, args=(member,))
        making.start()
        time.sleep(0.3)
        assert making.is_alive()
    making.join()
    (serial,) = wallet.phones.phone("iphone").passes
    assert wallet.shows(serial, "points") == "170"
