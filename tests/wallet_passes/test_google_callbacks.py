"""Callbacks of Google: what is taken, and that nothing else is."""

import base64
import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from core import clock
from core.config import settings
from core.db import database
from core.events import Event
from sandbox.google.callbacks import Callbacks, compact
from sandbox.google.world import Google
from tests.wallet_passes.rig import Wallet
from tests.web.stores import Store
from wallet_passes import operations as passes
from wallet_passes.google import jobs
from wallet_passes.google.callbacks import Callback, UnknownRoot, Unreadable, Untrusted, roots, verified
from wallet_passes.google.models import GoogleCallback, GoogleObject

ISSUER = "3388000012345678901"
NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
CLASS, OBJECT = f"{ISSUER}.1-insider", f"{ISSUER}.1-0123456789abcdef0123"


def sender(now: datetime = NOW, issuer: str = ISSUER) -> Callbacks:
    """Google at a moment, which sends nothing."""
    made = Callbacks(issuer, ec.generate_private_key(ec.SECP256R1()))
    made.clock = now.timestamp
    made.new_intermediate()
    return made


GOOGLE = sender()
KNOWN = roots(compact(GOOGLE.keys()).encode())


def sealed(told: dict[str, Any] | None = None, by: Callbacks = GOOGLE, **changes: Any) -> bytes:
    """An envelope as Google sends it, with parts of the message or of itself exchanged."""
    envelope = by.envelope(told or by.message(CLASS, OBJECT, "save"))
    return compact(envelope | changes).encode()


def test_what_google_signs_is_read() -> None:
    told = GOOGLE.message(CLASS, OBJECT, "save", nonce="n1")
    found = verified(sealed(told), KNOWN, ISSUER, NOW)
    assert found == Callback(CLASS, OBJECT, "save", "n1", NOW + timedelta(hours=1))


# Signed by Google itself in August 2024 for an issuer of transit passes; it names several objects, which ours never do.
GENUINE_ROOT = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEs/J7ghdwu4/b6NvqzQebS+Z80FEP8ZlGdAdWDUjfPeBKaV+YOWW0l6U/4IGXnfY9NrsND1fwxAqR"
    "q0unR/LCIg=="
)
GENUINE = {
    "signature": "MEUCIQCpYXep9bIFAT/PMe2kekpGdsWBPSIXZRFe2//QICWOFAIgCGPUJ6BnLDxvuJnMFz7IFkIV8jnIK0FQnKbNJw1i7oQ=",
    "intermediateSigningKey": {
        "signedKey": '{"keyValue":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAElMAF/BuFhKQzFwpbZDWmpFRGsW8Ow4QZE31CbT4Y0O15xQ8A'
        'AMD8y698okEifN6UQlEh4et3hth9BDH81/Rkaw\\u003d\\u003d","keyExpiration":"1723850860000"}',
        "signatures": [
            "MEUCIGU5NAJcFcg03FWUq04gC0hYzVmRLHbwvlSCz6BTqTHGAiEAsRG9gdW5r5Gds4vk+Dj3V8X3iwF1aeflCiSCTi5qkgQ="
        ],
    },
    "protocolVersion": "ECv2SigningOnly",
    "signedMessage": '{"classId":"3388000000022335801.eth-motics-with-link","objectIds":["3388000000022335801.efd427a7'
    '-05a4-439d-b314-e4b999c8509b"],"eventType":"activate","expTimeMillis":1723181833549,"count":1,"nonce":"0cfe3927-7ce2-447'
    '1-bc27-c819c2910901","deviceContext":"49776974-bcf3-4445-9c01-2c9467ef87ff"}',
}


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("", "", Unreadable),  # its signatures are right; only then is it read
        ("activate", "activatE", Untrusted),
        ("1723850860000", "1723850860001", UnknownRoot),
    ],
)
def test_what_google_itself_has_signed(old: str, new: str, error: type[Exception]) -> None:
    key = {"keyValue": GENUINE_ROOT, "keyExpiration": str(2**41), "protocolVersion": "ECv2SigningOnly"}
    then = datetime(2024, 8, 9, tzinfo=UTC)
    raw = compact(GENUINE).replace(old, new).encode()
    with pytest.raises(error) as caught:
        verified(raw, roots(compact({"keys": [key]}).encode()), "3388000000022335801", then)
    assert type(caught.value) is error


@pytest.mark.parametrize("suffix", ["café", "会員-9", "🎟"])
def test_lengths_are_of_bytes(suffix: str) -> None:
    told = GOOGLE.message(CLASS, f"{ISSUER}.{suffix}", "del")
    assert verified(sealed(told), KNOWN, ISSUER, NOW).object_id == f"{ISSUER}.{suffix}"


def test_only_keys_of_this_protocol_sign_callbacks() -> None:
    assert len(GOOGLE.keys()["keys"]) == 2
    assert len(KNOWN) == 1


@given(place=st.integers(0, len(sealed()) - 16), flip=st.integers(1, 255))
def test_any_byte_that_is_changed_spoils_it(place: int, flip: int) -> None:
    raw = bytearray(sealed())
    raw[place] ^= flip
    with pytest.raises((Untrusted, Unreadable)):
        verified(bytes(raw), KNOWN, ISSUER, NOW)


def respelt(text: str) -> str:
    """The same bytes in base64 with the bits set that belong to none; it must end in one or two of `=`."""
    body, padding = text.rstrip("="), text[len(text.rstrip("=")) :]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return body[:-1] + alphabet[alphabet.index(body[-1]) + 1] + padding


def test_a_signature_has_one_spelling() -> None:
    envelopes = (json.loads(sealed()) for _ in range(100))
    envelope = next(one for one in envelopes if one["signature"].endswith("="))
    assert verified(compact(envelope).encode(), KNOWN, ISSUER, NOW)
    other = envelope | {"signature": respelt(envelope["signature"])}
    assert base64.b64decode(other["signature"]) == base64.b64decode(envelope["signature"])
    with pytest.raises(Unreadable):
        verified(compact(other).encode(), KNOWN, ISSUER, NOW)


@given(length=st.integers(0, len(sealed()) - 16))
def test_what_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises((Untrusted, Unreadable)):
        verified(sealed()[:length], KNOWN, ISSUER, NOW)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["signature", "intermediateSigningKey", "signedKey", "signatures", "protocolVersion"]), x
)).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_anything_else_is_unreadable(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        verified(raw, KNOWN, ISSUER, NOW)


def expired_intermediate() -> bytes:
    late = sender()
    late.roots = GOOGLE.roots
    late.new_intermediate(lives=0)
    return sealed(by=late)


def stranger() -> Callbacks:
    other = sender()
    other.roots = GOOGLE.roots
    return other


REFUSED = [
    ("another root", lambda: sealed(by=sender()), UnknownRoot),
    ("an intermediate key that has expired", expired_intermediate, Untrusted),
    ("for another issuer", lambda: sealed(by=_with(sender(issuer="3388000099999999999"), GOOGLE.roots)), Untrusted),
    ("a class of another issuer", lambda: sealed(GOOGLE.message("77.a", OBJECT, "save")), Untrusted),
    ("an object of another issuer", lambda: sealed(GOOGLE.message(CLASS, "77.a", "save")), Untrusted),
    ("an issuer that only begins like ours", lambda: sealed(GOOGLE.message(CLASS, f"{ISSUER}9.a", "del")), Untrusted),
    ("a message that has expired", lambda: sealed(GOOGLE.message(CLASS, OBJECT, "save", expTimeMillis=0)), Untrusted),
    ("another protocol", lambda: sealed(protocolVersion="ECv2"), Unreadable),
    ("the signature of another message", lambda: sealed(signature=json.loads(sealed())["signature"]), Untrusted),
    ("no signature", lambda: sealed(signature=""), Unreadable),
    ("an empty nonce", lambda: sealed(GOOGLE.message(CLASS, OBJECT, "save", nonce="")), Unreadable),
    ("a nonce without end", lambda: sealed(GOOGLE.message(CLASS, OBJECT, "save", nonce="n" * 201)), Unreadable),
    ("a nonce that is no text", lambda: sealed(GOOGLE.message(CLASS, OBJECT, "save", nonce="\0")), Unreadable),
    ("half a character", lambda: sealed().replace(b"3388", b"\\ud800"), Unreadable),
    ("a time that is none", lambda: sealed(GOOGLE.message(CLASS, OBJECT, "save", expTimeMillis="soon")), Unreadable),
    ("a time beyond all", lambda: sealed(GOOGLE.message(CLASS, OBJECT, "save", expTimeMillis=10**30)), Unreadable),
]


def _with(callbacks: Callbacks, keys: list[Any]) -> Callbacks:
    callbacks.roots = keys
    return callbacks


@pytest.mark.parametrize(("raw", "error"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(raw: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        verified(raw(), KNOWN, ISSUER, NOW)
    assert type(caught.value) is error


def test_a_root_key_is_good_until_it_expires() -> None:
    end = max(root.expires_at for root in KNOWN)
    late = sender(end - timedelta(seconds=1))
    late.roots = GOOGLE.roots
    late.new_intermediate()
    assert verified(sealed(by=late), KNOWN, ISSUER, end - timedelta(seconds=1))
    with pytest.raises(UnknownRoot):
        verified(sealed(by=late), KNOWN, ISSUER, end)


# Over HTTP.


@dataclass(frozen=True)
class Held:
    """A member's card at Google, without a phone yet."""

    wallet: Wallet
    google: Google
    serial: str
    shop_id: int

    @property
    def id(self) -> str:
        return f"{self.google.account.issuer}.{self.serial}"

    @property
    def told(self) -> dict[str, Any]:
        return self.google.callbacks.message(f"{self.google.account.issuer}.c", self.id, "save")

    def post(self, told: dict[str, Any] | bytes) -> Any:
        raw = told if isinstance(told, bytes) else compact(self.google.callbacks.envelope(told)).encode()
        return self.wallet.store.client.post("/wallet/google/callback", data=raw)

    def row(self) -> GoogleObject:
        with database().transaction(self.shop_id) as session:
            return session.get_one(GoogleObject, (self.shop_id, self.serial))

    def events(self) -> list[str]:
        with database().transaction(self.shop_id) as session:
            mine = sa.select(Event.kind).where(Event.kind.in_(["pass.saved", "pass.removed"]))
            return list(session.scalars(mine.order_by(Event.id)))

    def kept(self) -> int:
        with database().transaction(self.shop_id) as session:
            return session.scalar(sa.select(sa.func.count()).select_from(GoogleCallback)) or 0


@pytest.fixture
def held(wallet: Wallet, google: Google) -> Held:
    customer = wallet.store.customer(7)
    wallet.buy(1, customer)
    member = int(wallet.member(customer))
    with database().transaction(wallet.store.shop_id) as session:
        row = passes.issue(session, wallet.store.shop_id, member).row
        told = {"look": "", "digest": "", "told_version": 1, "told_at": clock.now()}
        session.add(GoogleObject(shop_id=row.shop_id, serial=row.serial, **told))
        return Held(wallet, google, row.serial, row.shop_id)


def test_saved_removed_and_saved_again(held: Held) -> None:
    assert held.post(held.told).status_code == 200
    assert held.row().saved_at
    assert held.row().removed_at is None
    soon = held.told["expTimeMillis"] + 1000
    assert held.post(held.told | {"eventType": "del", "expTimeMillis": soon}).status_code == 200
    assert held.row().removed_at
    held.post(held.told | {"expTimeMillis": soon + 1000})
    assert held.row().removed_at is None
    assert held.events() == ["pass.saved", "pass.removed", "pass.saved"]


def test_a_callback_that_comes_again_is_taken_once(held: Held) -> None:
    told = held.told
    assert [held.post(told).status_code for _ in range(3)] == [200] * 3
    assert held.events() == ["pass.saved"]


def test_callbacks_that_come_in_disorder(held: Held) -> None:
    """Removed is told before the saving that came first: it stays removed."""
    earlier, later = held.told, held.told
    later |= {"eventType": "del", "expTimeMillis": earlier["expTimeMillis"] + 1}
    held.post(later)
    assert held.post(earlier).status_code == 200
    assert held.row().removed_at
    assert held.events() == ["pass.removed"]


def test_ten_threads_bring_one_callback(held: Held) -> None:
    told, answers = held.told, []
    threads = [threading.Thread(target=lambda: answers.append(held.post(told).status_code)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 10
    assert held.events() == ["pass.saved"]


def test_the_last_word_wins_whatever_comes_at_once(held: Held) -> None:
    """Twelve callbacks of one card in as many threads: what expires last is what is true."""
    told = [held.told for _ in range(12)]
    for place, one in enumerate(told):
        one |= {"eventType": "del" if place % 2 else "save", "expTimeMillis": one["expTimeMillis"] + 1000 * place}
    start = threading.Barrier(len(told))

    def post(one: dict[str, Any]) -> None:
        start.wait()
        held.post(one)

    threads = [threading.Thread(target=post, args=(one,)) for one in told]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held.kept() == 12
    assert held.row().removed_at
    assert held.events()[-1] == "pass.removed"


@pytest.mark.parametrize("suffix", ["1-00000000000000000000", "99999999999999999999-x", "strange", "\x00"])
def test_a_card_that_is_not_ours_changes_nothing(held: Held, suffix: str) -> None:
    assert held.post(held.told | {"objectId": f"{held.google.account.issuer}.{suffix}"}).status_code == 200
    assert held.kept() == 0
    assert held.events() == []


def test_an_event_of_a_later_day_is_no_error(held: Held) -> None:
    assert held.post(held.told | {"eventType": "expire"}).status_code == 200
    assert held.events() == []


def test_what_is_not_google_s_leaves_no_trace(held: Held) -> None:
    forged = compact(sender(clock.now(), held.google.account.issuer).envelope(held.told)).encode()
    expired = held.told | {"expTimeMillis": 1}
    told = [(held.post(body).status_code, held.post(body).json["code"]) for body in (forged, expired, b"", b"[]")]
    assert told == [(401, "untrusted_callback")] * 2 + [(422, "bad_callback")] * 2
    assert held.post(b"x" * 65_537).status_code == 413
    assert held.wallet.store.client.get("/wallet/google/callback").status_code == 405
    assert held.kept() == 0
    assert held.events() == []
    assert held.row().saved_at is None


def test_the_keys_are_fetched_once(held: Held) -> None:
    for _ in range(5):
        held.post(held.told)
    assert held.google.door.calls["keys"] == 1


def test_a_new_root_key_is_believed_at_once_and_forgers_ask_google_nothing(held: Held) -> None:
    start = clock.now()
    with clock.fixed_at(start):
        assert held.post(held.told).status_code == 200
    held.google.callbacks.new_root()
    with clock.fixed_at(start + timedelta(minutes=2)):
        assert held.post(held.told).status_code == 200
        forged = compact(sender(clock.now(), held.google.account.issuer).envelope(held.told)).encode()
        assert [held.post(forged).status_code for _ in range(5)] == [401] * 5
    assert held.google.door.calls["keys"] == 2


@pytest.mark.parametrize("kind", ["500", "html", "html_200", "hang_up_before"])
def test_without_google_s_keys_it_shall_come_again(held: Held, kind: str) -> None:
    held.google.faults.plan(kind, "keys")
    answer = held.post(held.told)
    assert (answer.status_code, answer.json["code"]) == (503, "google_keys_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert held.post(held.told).status_code == 200


def test_without_google_there_is_nobody_to_call(held: Held, environ: pytest.MonkeyPatch) -> None:
    environ.delenv("GOOGLE_WALLET_ISSUER")
    settings.cache_clear()
    answer = held.post(held.told)
    assert (answer.status_code, answer.json["code"]) == (404, "no_google_wallet")


def test_callbacks_are_forgotten_when_they_can_come_no_more(held: Held) -> None:
    held.post(held.told)
    jobs.prune_callbacks()
    assert held.kept() == 1
    with clock.fixed_at(clock.now() + timedelta(hours=2)):
        jobs.prune_callbacks()
    assert held.kept() == 0


def test_another_shop_s_cards_are_left_alone(held: Held, other_store: Store) -> None:
    held.post(held.told)
    with database().transaction(other_store.shop_id) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(GoogleCallback)) == 0
