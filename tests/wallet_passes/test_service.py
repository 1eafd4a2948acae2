"""The web service that phones speak with, request by request."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock
from core.db import database
from loyalty.operations import Customer
from sandbox.apple import passfile
from sandbox.apple.authority import PASS_TYPE, Files
from tests.wallet_passes.rig import Wallet
from tests.web.stores import Store
from wallet_passes.apple import operations
from wallet_passes.models import AppleFile, AppleRegistration, Pass

DEVICE = "d" * 32
TOKEN = "a" * 64


class Card:
    """A member's card, spoken of as a phone speaks."""

    def __init__(self, wallet: Wallet, customer: Customer) -> None:
        self.wallet = wallet
        self.customer = customer
        wallet.buy(customer.customer_id or 0, customer)
        self.member = wallet.member(customer)
        answer = wallet.store.get(f"/members/{self.member}/pass.pkpass")
        self.told = passfile.read(answer.data).told
        self.serial = self.told["serialNumber"]

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"ApplePass {self.told['authenticationToken']}"}

    def call(self, method: str, path: str, **more: Any) -> Any:
        more.setdefault("headers", self.auth)
        return self.wallet.store.client.open(f"/wallet/apple/v1{path}", method=method, **more)

    def registration(self, method: str, device: str = DEVICE, **more: Any) -> Any:
        if method == "POST":
            more.setdefault("json", {"pushToken": TOKEN})
        return self.call(method, f"/devices/{device}/registrations/{PASS_TYPE}/{self.serial}", **more)

    def changed(self, since: str | None = None, device: str = DEVICE) -> Any:
        query = {"passesUpdatedSince": since} if since else {}
        return self.call("GET", f"/devices/{device}/registrations/{PASS_TYPE}", headers={}, query_string=query)

    def fetch(self, since: str | None = None, method: str = "GET") -> Any:
        headers = self.auth | ({"If-Modified-Since": since} if since else {})
        return self.call(method, f"/passes/{PASS_TYPE}/{self.serial}", headers=headers)

    def points(self) -> str:
        return next(field["value"] for field in passfile.read(self.fetch().data).fields() if field["key"] == "points")

    def change(self, points: int = 5) -> None:
        answer = self.wallet.store.post(f"/members/{self.member}/adjustments", {"points": points, "reason": "Sorry"})
        assert answer.status_code == 201


@pytest.fixture
def card(wallet: Wallet) -> Card:
    return Card(wallet, wallet.store.customer(7, "noor@example.com"))


def stored(shop_id: int, statement: sa.Executable) -> Any:
    with database().transaction(shop_id) as session:
        return session.scalars(statement).all()


def test_registering_is_201_once_and_200_after(card: Card) -> None:
    answers = [card.registration("POST").status_code for _ in range(4)]
    assert answers == [201, 200, 200, 200]
    assert len(stored(1, sa.select(AppleRegistration.serial))) == 1


def test_a_pass_that_is_removed_can_come_back(card: Card) -> None:
    card.registration("POST")
    assert card.registration("DELETE").status_code == 200
    assert card.registration("DELETE").status_code == 200
    assert card.changed().status_code == 204
    assert card.registration("POST").status_code == 201
    assert card.changed().json["serialNumbers"] == [card.serial]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"[" * 10_000, b"\xff", b'{"pushToken": 7}', b'{"pushToken": ""}', b'{"pushToken": "\\u0000"}'],
)
def test_a_registration_without_a_push_token_is_refused(card: Card, body: bytes) -> None:
    answer = card.registration("POST", json=None, data=body, content_type="application/json")
    assert answer.status_code == 422


def test_a_token_opens_its_own_pass_of_its_own_type_alone(card: Card, wallet: Wallet) -> None:
    other = Card(wallet, wallet.store.customer(8))
    right = card.told["authenticationToken"]
    for value in ("", right, f"Bearer {right}", f"ApplePass {right[:-1]}", "ApplePass ", f"ApplePass {'é' * 40}"):
        answer = card.call("GET", f"/passes/{PASS_TYPE}/{card.serial}", headers={"Authorization": value})
        assert answer.status_code == 401
    assert card.call("GET", f"/passes/{PASS_TYPE}/{other.serial}").status_code == 401
    assert card.call("GET", f"/passes/pass.of.another/{card.serial}").status_code == 401
    misnamed = {"Authorization": f"ApplePass {operations.token('pass.of.another', card.serial)}"}
    assert card.call("GET", f"/passes/pass.of.another/{card.serial}", headers=misnamed).status_code == 401
    assert card.call("GET", f"/passes/{PASS_TYPE}/nonsense").status_code == 401
    assert card.registration("POST", headers=other.auth).status_code == 401
    assert card.registration("DELETE", headers={}).status_code == 401


def test_no_pass_of_the_right_token_is_a_404(card: Card) -> None:
    """A serial we never gave out, with the token it would have."""
    serial = f"1-{'0' * 20}"
    headers = {"Authorization": f"ApplePass {operations.token(PASS_TYPE, serial)}"}
    assert card.call("GET", f"/passes/{PASS_TYPE}/{serial}", headers=headers).status_code == 404


def test_what_changed_since(card: Card) -> None:
    assert card.changed().status_code == 204  # not registered
    card.registration("POST", json={"pushToken": card.wallet.phones.phone("another").push_token})
    first = card.changed()
    assert first.json["serialNumbers"] == [card.serial]
    assert card.changed(first.json["lastUpdated"]).status_code == 204
    card.change()
    card.wallet.work()
    second = card.changed(first.json["lastUpdated"])
    assert second.json["serialNumbers"] == [card.serial]
    assert card.changed(second.json["lastUpdated"]).status_code == 204
    assert card.changed("what is this").json == card.changed("9" * 40).json == second.json


def test_another_pass_type_has_nothing_here(card: Card) -> None:
    card.registration("POST")
    assert card.call("GET", f"/devices/{DEVICE}/registrations/pass.of.another").status_code == 204


def test_304_while_nothing_changed(card: Card) -> None:
    first = card.fetch()
    assert first.mimetype == "application/vnd.apple.pkpass"
    assert card.fetch(first.headers["Last-Modified"]).status_code == 304
    head = card.fetch(method="HEAD")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Last-Modified"] == first.headers["Last-Modified"]
    card.change()
    assert card.fetch(first.headers["Last-Modified"]).status_code == 200


@pytest.mark.parametrize("since", ["", "yesterday", "Thu, 99 Foo 2026 00:00:00 GMT", "0"])
def test_a_date_that_can_t_be_read_keeps_nobody_on_an_old_card(card: Card, since: str) -> None:
    assert card.fetch(since).status_code == 200


def test_a_second_change_within_the_same_second_is_not_lost(card: Card) -> None:
    seen = []
    with clock.fixed_at(datetime.now(UTC).replace(microsecond=400_000) + timedelta(minutes=1)):
        for _ in range(4):
            seen.append(card.fetch(seen[-1] if seen else None).headers["Last-Modified"])
            card.change()
    moments = [parsedate_to_datetime(one) for one in seen]
    assert moments == sorted(set(moments))
    assert card.fetch(format_datetime(moments[-1], usegmt=True)).status_code == 200


def test_a_file_is_signed_once(card: Card) -> None:
    """What is kept is served: here it is changed behind the service's back."""
    with database().transaction(1) as session:
        session.execute(sa.update(AppleFile).values(file=b"the kept one"))
    assert card.fetch().data == b"the kept one"
    card.change()
    assert card.points() == "135"


def test_one_device_registering_for_ever_is_one_device(card: Card) -> None:
    for number in range(60):
        card.registration("POST", json={"pushToken": f"{number:064x}"})
    assert len(stored(1, sa.select(AppleRegistration.serial))) == 1


def test_devices_without_end_push_the_oldest_out(card: Card) -> None:
    for number in range(operations.MOST_DEVICES + 5):
        assert card.registration("POST", device=f"{number:032x}").status_code == 201
    live = stored(1, sa.select(AppleRegistration.device).where(AppleRegistration.removed_at.is_(None)))
    assert len(live) == operations.MOST_DEVICES
    assert f"{0:032x}" not in live


def test_a_registration_is_small(card: Card) -> None:
    answer = card.registration("POST", json=None, data=b"[" * 10**6, content_type="application/json")
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "body", [b"", b"x" * 100, b"[" * 10_000, b"[1]", b'{"logs": 7}', b'{"logs": ["it went wrong", {"a": 1}]}']
)
def test_the_log_takes_anything_small(card: Card, body: bytes) -> None:
    answer = card.call("POST", "/log", data=body, content_type="application/json", headers={})
    assert answer.status_code == 200


def test_the_log_takes_nothing_large(card: Card) -> None:
    answer = card.call("POST", "/log", data=b"[" * 10**6, content_type="application/json", headers={})
    assert answer.status_code == 413


# Getting a card.


def test_the_api_gives_the_signed_file(wallet: Wallet, apple_files: Files) -> None:
    card = Card(wallet, wallet.store.customer(7))
    answer = wallet.store.get(f"/members/{card.member}/pass.pkpass")
    assert (answer.status_code, answer.mimetype) == (200, "application/vnd.apple.pkpass")
    told = passfile.opened(answer.data, apple_files.root).told
    assert told["serialNumber"] == card.serial  # one card each
    assert told["webServiceURL"] == f"{wallet.url}/wallet/apple"
    assert re.fullmatch(r"[0-9A-Z]{30}", told["barcodes"][0]["message"])


def test_another_shop_s_member_has_no_card_here(wallet: Wallet, other_store: Store) -> None:
    card = Card(wallet, wallet.store.customer(7))
    assert other_store.get(f"/members/{card.member}/pass.pkpass").status_code == 404
    assert other_store.get(f"/members/{card.member}/wallet").status_code == 404


def test_a_link_opens_one_card_without_a_key(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    told = card.wallet.store.get(f"/members/{card.member}/wallet").json["apple"]
    path = told["download_url"].removeprefix(card.wallet.url)
    client = card.wallet.store.client
    assert passfile.read(client.get(path).data).told["serialNumber"] == card.serial
    assert (client.head(path).status_code, client.head(path).data) == (200, b"")
    assert client.get(path[:-5] + ("A" if path[-5] != "A" else "B") + path[-4:]).status_code == 404
    assert client.get(f"/wallet/apple/download/{card.member}").status_code == 404
    monkeypatch.setattr(operations, "LINK_LIVES", -1)
    assert client.get(path).json["code"] == "link_expired"


def test_the_wallet_tells_of_phones(card: Card) -> None:
    card.registration("POST")
    card.changed()
    (device,) = card.wallet.store.get(f"/members/{card.member}/wallet").json["apple"]["devices"]
    assert (device["state"], device["removed_at"]) == ("current", None)
    assert device["asked_at"]
    card.change()
    card.fetch()
    (device,) = card.wallet.store.get(f"/members/{card.member}/wallet").json["apple"]["devices"]
    assert device["state"] == "stale"  # it fetched, but the phone that fetches does not say which one it is
    card.registration("DELETE")
    (device,) = card.wallet.store.get(f"/members/{card.member}/wallet").json["apple"]["devices"]
    assert device["state"] == "removed"


def test_without_a_certificate_there_are_no_cards(wallet: Wallet, environ: pytest.MonkeyPatch) -> None:
    from core.config import settings

    wallet.buy(7, wallet.store.customer(7))
    member = wallet.member(wallet.store.customer(7))
    environ.delenv("APPLE_CERTIFICATE")
    settings.cache_clear()
    answer = wallet.store.get(f"/members/{member}/pass.pkpass")
    assert (answer.status_code, answer.json["code"]) == (404, "no_apple_wallet")
    assert wallet.store.get(f"/members/{member}/wallet").json["apple"] is None
    assert stored(1, sa.select(Pass.serial)) == []
