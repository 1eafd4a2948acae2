"""Codes at the counter: through the API, from the cards of real phones, and two at once."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from core import clock
from core.config import settings
from core.db import database
from core.events import Event
from loyalty.operations import Customer
from sandbox.google import totp
from tests.wallet_passes.rig import Wallet
from tests.web.stores import Store
from wallet_passes import barcode, facts, operations, rotating
from wallet_passes.google.bodies import object_id
from wallet_passes.models import Pass

NOON = datetime(2026, 3, 4, 12, 0, 5, tzinfo=UTC)
STEP = timedelta(seconds=rotating.PERIOD)


@pytest.fixture
def noor(wallet: Wallet) -> Customer:
    noor = wallet.store.customer(7, "noor@example.com")
    wallet.buy(1, noor, 400_00)
    return noor


def ask(store: Store, code: str, **more: Any) -> Any:
    answer = store.post("/scans", {"code": code} | more)
    assert answer.status_code == 200, answer.json
    return answer.json


def printed(wallet: Wallet, serial: str) -> str:
    return str(wallet.told(serial)["barcodes"][0]["message"])


def redeem(wallet: Wallet, member: str) -> None:
    assert wallet.store.post(f"/members/{member}/rewards", {"reward": "free-shipping"}).status_code == 201


def scanned(store: Store) -> list[Any]:
    with database().transaction(store.shop_id) as session:
        here = sa.select(Event.data, Event.member_id, Event.actor).where(Event.kind == "pass.scanned")
        return [tuple(row) for row in session.execute(here.order_by(Event.id))]


# Still codes.


def test_a_scan_says_who_what_and_how_fresh_the_phone_is(wallet: Wallet, noor: Customer) -> None:
    serial = wallet.card(wallet.member(noor))
    told = ask(wallet.store, printed(wallet, serial), location="Pier 4")
    assert (told["validity"], told["may"]) == ("current", ["identify", "earn", "spend"])
    assert told["member"] == wallet.store.member_of(noor)
    assert (told["phone"]["wallet"], told["phone"]["state"]) == ("apple", "current")
    assert told["phone"]["text"] == "iPhone last updated just now."
    ((data, member, actor),) = scanned(wallet.store)
    assert data == {"validity": "current", "location": "Pier 4"}
    assert (str(member), actor.split(":")[0]) == (wallet.member(noor), "api")


def test_a_redemption_moves_the_code_on(wallet: Wallet, noor: Customer) -> None:
    """The phone gets a new code, and the old one can't spend, from the redemption's commit on."""
    member = wallet.member(noor)
    serial = wallet.card(member)
    before = printed(wallet, serial)
    assert wallet.store.post(f"/members/{member}/rewards", {"reward": "free-shipping"}).status_code == 201
    told = ask(wallet.store, before)
    assert (told["validity"], told["may"], told["member"]["id"]) == ("outdated", ["identify", "earn"], member)
    wallet.wait(lambda: wallet.shows(serial, "points") == "150")
    after = printed(wallet, serial)
    assert after != before
    assert ask(wallet.store, after)["may"] == ["identify", "earn", "spend"]
    assert ask(wallet.store, before)["validity"] == "outdated"


MADE_OF_IT: tuple[Callable[[str], str], ...] = (
    str.lower,
    barcode.grouped,
    lambda code: f"\n {code}\r\n",
    lambda code: code.replace("0", "O").replace("1", "l"),
)


@pytest.mark.parametrize("redeemed", [0, 2])
def test_a_card_that_went_on_as_another_s_moves_on_with_each_redemption(
    wallet: Wallet, noor: Customer, redeemed: int
) -> None:
    """Whatever either had redeemed before: no code that was shown once may ever spend again."""
    twin = wallet.store.customer(8, "twin@example.com")
    wallet.buy(2, twin, 2_000_00)
    for _ in range(redeemed):
        redeem(wallet, wallet.member(twin))
    serial = wallet.card(wallet.member(noor))
    codes = [printed(wallet, serial)]
    wallet.merge(twin, noor)
    assert ask(wallet.store, codes[0])["may"] == ["identify", "earn"]
    for _ in range(2):
        wallet.wait(lambda: ask(wallet.store, printed(wallet, serial))["validity"] == "current")
        codes.append(printed(wallet, serial))
        redeem(wallet, wallet.member(twin))
        assert {ask(wallet.store, code)["validity"] for code in codes} == {"outdated"}


def test_what_scanners_and_people_make_of_a_code(wallet: Wallet, noor: Customer) -> None:
    code = issued(wallet, noor).code
    assert [ask(wallet.store, made(code))["validity"] for made in MADE_OF_IT] == ["current"] * 4


SPOILT: tuple[tuple[Callable[[str], str], str], ...] = (
    (lambda code: code[:-1], "unreadable"),
    (lambda code: code + "7", "unreadable"),
    (lambda code: "", "unreadable"),
    (lambda code: "\x00" * 30, "unreadable"),
    (lambda code: "https://example.com/" + code, "unreadable"),
    (lambda code: "é" * 38, "unreadable"),
    (lambda code: "１" * 30, "unreadable"),
    (lambda code: code[:-1] + ("2" if code[-1] != "2" else "3"), "forged"),
    (lambda code: "2" + code[1:], "forged"),
)


def test_a_bad_code_is_an_answer(wallet: Wallet, noor: Customer) -> None:
    code = issued(wallet, noor).code
    for spoil, validity in SPOILT:
        told = ask(wallet.store, spoil(code))
        assert (told["validity"], told["may"], told["member"], told["phone"]) == (validity, [], None, None)
        assert scanned(wallet.store)[-1][:2] == ({"validity": validity}, None)
    assert len(scanned(wallet.store)) == len(SPOILT)


def test_a_code_is_good_in_its_own_shop_alone(wallet: Wallet, other_store: Store, noor: Customer) -> None:
    code = issued(wallet, noor).code
    assert ask(other_store, code)["validity"] == "forged"
    assert (len(scanned(wallet.store)), len(scanned(other_store))) == (0, 1)


def test_a_signed_code_of_no_card(wallet: Wallet, noor: Customer) -> None:
    code = barcode.write(facts.keys(), wallet.store.shop_id, "ABCDEFGH", 0)
    assert ask(wallet.store, code)["validity"] == "unknown"


def test_codes_outlive_a_change_of_keys(wallet: Wallet, noor: Customer, environ: pytest.MonkeyPatch) -> None:
    code = issued(wallet, noor).code
    older = settings().encryption_keys.get_secret_value()
    environ.setenv("ENCRYPTION_KEYS", f"{Fernet.generate_key().decode()},{older}")
    settings.cache_clear()
    assert ask(wallet.store, code)["validity"] == "current"
    environ.setenv("ENCRYPTION_KEYS", Fernet.generate_key().decode())
    settings.cache_clear()
    assert ask(wallet.store, code)["validity"] == "forged"


def test_no_code_at_all_is_an_error(wallet: Wallet) -> None:
    for body in ({}, {"code": 7}, {"code": "x" * 501}, {"code": "x", "location": "\x00"}, {"cod": ""}):
        assert wallet.store.post("/scans", body).status_code == 422
    assert scanned(wallet.store) == []


# Rotating codes.


class Android:
    """A phone with a member's card in Google Wallet: it works out the digits from what Google was told."""

    def __init__(self, wallet: Wallet, customer: Customer) -> None:
        self.wallet, self.store = wallet, wallet.store
        self.page = wallet.store.get(f"/members/{wallet.member(customer)}/wallet").json["add_url"]
        assert wallet.store.client.post(urlsplit(self.page).path + "/google").status_code == 303
        with database().transaction(self.store.shop_id) as session:
            serial = session.scalars(sa.select(Pass.serial)).one()
        self.card = object_id(settings().google_wallet_issuer, serial)
        self.told = wallet.google.wallet.get("loyaltyObject", self.card)

    def shows(self, at: datetime = NOON) -> str:
        turning = self.told["rotatingBarcode"]
        return totp.value(turning["totpDetails"], turning["valuePattern"], at.timestamp())

    def scan(self, code: str, at: datetime = NOON) -> str:
        with clock.fixed_at(at):
            return str(ask(self.store, code)["validity"])


@pytest.fixture
def android(wallet: Wallet, noor: Customer) -> Android:
    return Android(wallet, noor)


def issued(wallet: Wallet, customer: Customer) -> Any:
    with database().transaction(wallet.store.shop_id) as session:
        return operations.issue(session, wallet.store.shop_id, int(wallet.member(customer))).card


def test_each_thirty_seconds_may_spend_once(android: Android) -> None:
    assert len(android.shows()) == 38
    assert android.scan(android.shows()) == "current"
    assert android.scan(android.shows()) == "used"
    later = NOON + STEP
    assert android.scan(android.shows(later), later) == "current"
    assert android.scan(android.shows(), later) == "used"  # of the step before, after its follower


def test_clocks_may_differ_by_a_step(android: Android) -> None:
    late = {-2: "stale", -1: "current", 0: "current", 1: "current", 2: "stale"}
    shown = {steps: NOON + 10 * number * STEP for number, steps in enumerate(late)}
    found = {steps: android.scan(android.shows(at), at + steps * STEP) for steps, at in shown.items()}
    assert found == late


def test_a_picture_without_its_digits_can_t_spend(android: Android) -> None:
    with clock.fixed_at(NOON):
        told = ask(android.store, android.shows()[:30])
    assert (told["validity"], told["may"]) == ("stale", ["identify", "earn"])
    assert android.scan("1" + android.shows()[1:30]) == "forged"
    assert android.scan(android.shows()[:37]) == "unreadable"
    assert android.scan(android.shows()[:30] + "00000000") == "stale"


def test_a_repeat_of_the_same_request_gets_the_same_answer(android: Android) -> None:
    with clock.fixed_at(NOON):
        body = {"code": android.shows()}
        answers = [android.store.post("/scans", body, Idempotency_Key="till 3, 12:00") for _ in range(3)]
    assert {answer.json["validity"] for answer in answers} == {"current"}
    assert len(scanned(android.store)) == 1


def test_of_two_scans_at_once_one_may_spend(android: Android) -> None:
    with clock.fixed_at(NOON):
        code, found = android.shows(), []
        start = threading.Barrier(6)

        def one() -> None:
            start.wait()
            found.append(ask(android.store, code)["validity"])

        threads = [threading.Thread(target=one) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == ["current"] + ["used"] * 5


def test_a_redemption_does_not_spoil_a_fresh_code(wallet: Wallet, android: Android, noor: Customer) -> None:
    """Google may take its time to be told, or the phone be offline: the digits are what tells a fresh code."""
    url = f"/members/{wallet.member(noor)}/rewards"
    assert wallet.store.post(url, {"reward": "free-shipping"}).status_code == 201
    assert android.scan(android.shows()) == "current"


def test_what_google_shows_beside_its_code_can_t_spend(wallet: Wallet, android: Android, noor: Customer) -> None:
    """A picture of the card holds it, and so may whoever types it off one."""
    for text in (android.told["barcode"]["value"], android.told["rotatingBarcode"]["alternateText"]):
        told = ask(android.store, text)
        assert (told["validity"], told["may"]) == ("stale", ["identify", "earn"])
    assert ask(android.store, issued(wallet, noor).code)["validity"] == "current"


def test_staff_see_how_fresh_google_s_card_is(wallet: Wallet, android: Android, noor: Customer) -> None:
    code = android.shows()
    assert ask(android.store, code)["phone"] is None  # made, and not saved yet
    wallet.google.wallet.save("android", android.card)
    wallet.wait(lambda: ask(android.store, code)["phone"])
    with clock.fixed_at(datetime.now(UTC) + timedelta(minutes=5, seconds=20)):
        told = ask(android.store, code)["phone"]
        assert (told["wallet"], told["state"], told["text"]) == (
            "google", "current", "Google Wallet last updated 5 minutes ago.",
        )  # fmt: skip
        wallet.buy(2, noor, 20_00)
        issued(wallet, noor)
        assert ask(android.store, code)["phone"]["state"] == "stale"


@pytest.fixture(autouse=True)
def _no_leftover_keys() -> Iterator[None]:
    yield
    settings.cache_clear()
