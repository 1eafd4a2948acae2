"""A shop's own certificate: its cards are signed and pushed with it, and nothing that is on phones already breaks."""

import base64
import dataclasses
import functools
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core import clock
from core.config import settings
from core.db import database
from core.effects import Effect
from core.events import Event
from sandbox.apple import authority, passfile
from sandbox.apple.authority import PASS_TYPE, Files, Issued, key_pem, p12, pass_certificate, pem
from tests.wallet_passes.rig import Wallet
from tests.web.stores import Store
from wallet_passes import rollouts
from wallet_passes.apple import certificate, certificates, jobs, push, uploads
from wallet_passes.models import AppleCertificate, AppleFile, AppleRegistration

OWN = "pass.com.roastery.card"
OWN_TEAM = "ROASTERYCO"
DAY = timedelta(days=1)
PATH = "/api/v1/wallet/certificate"


@pytest.fixture(scope="session")
def wwdr(apple_files: Files) -> Issued:
    return authority.wwdr(apple_files)


@functools.cache
def key() -> RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def made(
    wwdr: Issued,
    pass_type: str = PASS_TYPE,
    team: str = OWN_TEAM,
    *,
    nfc: bool = False,
    lives: timedelta = authority.LIVES,
) -> Issued:
    """A pass certificate: keys take long to make, so they share one."""
    return pass_certificate(wwdr, pass_type, team, lives, nfc=nfc, key=key())


@pytest.fixture(scope="session")
def own(wwdr: Issued) -> Issued:
    return made(wwdr, OWN, OWN_TEAM)


def body(leaf: Issued, **more: str) -> dict[str, str]:
    return {"certificate": pem(leaf.certificate).decode(), "key": key_pem(leaf.key).decode()} | more


def put(store: Store, sent: Any) -> Any:
    return store.client.put(PATH, json=sent, headers=store.headers)


def upload(store: Store, leaf: Issued, **more: str) -> Any:
    answer = put(store, body(leaf, **more))
    assert answer.status_code == 200, answer.json
    return answer.json


def remove(store: Store) -> Any:
    return store.client.delete(PATH, headers=store.headers)


def look(store: Store) -> Any:
    return store.get("/wallet/certificate").json


def stored(statement: sa.Executable, shop_id: int = 1) -> Any:
    with database().transaction(shop_id) as session:
        return session.scalars(statement).all()


def events(kind: str) -> list[Event]:
    return list(stored(sa.select(Event).where(Event.kind == kind).order_by(Event.id)))


def change(wallet: Wallet, member: str) -> None:
    answer = wallet.store.post(f"/members/{member}/adjustments", {"points": 5, "reason": "Sorry"})
    assert answer.status_code == 201


def pass_type(wallet: Wallet, serial: str, phone: str) -> str:
    return str(wallet.told(serial, phone)["passTypeIdentifier"])


@pytest.fixture
def member(wallet: Wallet) -> str:
    wallet.buy(7, wallet.store.customer(7))
    return wallet.member(wallet.store.customer(7))


# What signs.


def test_without_one_the_operator_s_signs(wallet: Wallet) -> None:
    found = look(wallet.store)
    assert (found["own"], found["signs"]["pass_type"], found["others"], found["problem"]) == (
        False,
        PASS_TYPE,
        [],
        None,
    )
    assert (found["signs"]["warning"], found["signs"]["added_at"], found["signs"]["phones"]) == (None, None, 0)
    assert found["signs"]["days_left"] in (3649, 3650)


def test_an_uploaded_one_signs_at_once_and_says_who_added_it(wallet: Wallet, own: Issued) -> None:
    found = upload(wallet.store, own)
    assert found == look(wallet.store)
    assert found["own"]
    assert (found["signs"]["pass_type"], found["signs"]["team"]) == (OWN, OWN_TEAM)
    assert found["signs"]["actor"].startswith("api:")
    (event,) = events("wallet.certificate_added")
    assert (event.data["pass_type"], event.actor) == (OWN, found["signs"]["actor"])


def test_the_same_again_changes_nothing(wallet: Wallet, own: Issued) -> None:
    first = upload(wallet.store, own)
    assert upload(wallet.store, own) == first
    assert len(events("wallet.certificate_added")) == 1


def test_base64_of_pkcs12(wallet: Wallet, own: Issued) -> None:
    sent = {"certificate": base64.encodebytes(p12(own, "secret")).decode(), "password": "secret"}
    assert put(wallet.store, sent).json["signs"]["pass_type"] == OWN
    answer = put(wallet.store, sent | {"password": "other"})
    assert (answer.status_code, answer.json["code"]) == (422, "bad_certificate")
    assert answer.json["detail"] == "the pass certificate is encrypted, and its password is wrong"


def test_the_key_is_kept_encrypted(wallet: Wallet, own: Issued) -> None:
    upload(wallet.store, own)
    (row,) = stored(sa.select(AppleCertificate))
    assert b"PRIVATE KEY" not in row.sealed
    assert b"PRIVATE KEY" not in base64.urlsafe_b64decode(row.sealed)


def test_another_shop_s_stays_the_operator_s(wallet: Wallet, own: Issued, other_store: Store) -> None:
    upload(wallet.store, own)
    assert look(other_store)["signs"]["pass_type"] == PASS_TYPE
    with database().transaction(other_store.shop_id) as session:
        assert certificates.signer(session, other_store.shop_id).pass_type == PASS_TYPE


def refused(wwdr: Issued, own: Issued) -> dict[str, tuple[Any, str]]:
    stranger = authority.authority("Somebody else")
    return {
        "nothing": ({}, "certificate: Field required"),
        "an unknown field": (body(own, pem="x"), "pem"),
        "no Base64": ({"certificate": "???"}, "certificate is neither PEM text nor Base64"),
        "no certificate": ({"certificate": "aGVsbG8="}, "no PEM, DER or PKCS#12 file"),
        "no key": ({"certificate": pem(own.certificate).decode()}, "the key is missing"),
        "too long": ({"certificate": "A" * 100_000}, "certificate"),
        "expired": (body(made(wwdr, OWN, lives=-DAY)), "expired on"),
        "of another authority": (body(made(stranger, OWN)), "is missing: send AppleWWDRCA"),
        "of another than was sent": (
            body(own, wwdr=pem(stranger.certificate).decode()), "was not issued by this WWDR certificate"
        ),
        "the operator's type": (body(made(wwdr)), "it is this installation's own"),
        "terminals without NFC": (body(own, nfc_key="x"), "not one for NFC passes"),
        "terminals without a key": (body(made(wwdr, OWN, nfc=True), nfc_key="x"), "key of the terminals"),
    }  # fmt: skip


def test_bad_ones_are_refused_in_words_and_nothing_is_kept(wallet: Wallet, wwdr: Issued, own: Issued) -> None:
    for kind, (sent, why) in refused(wwdr, own).items():
        answer = put(wallet.store, sent)
        assert answer.status_code == 422, kind
        assert why in answer.json["detail"], kind
        assert "PRIVATE" not in answer.get_data(as_text=True)
    assert stored(sa.select(AppleCertificate.fingerprint)) == []
    assert not look(wallet.store)["own"]


def test_another_authority_s_comes_with_its_issuer(wallet: Wallet) -> None:
    """As of an operator whose own was issued by another generation of Apple's."""
    g9 = authority.authority("WWDR G9")
    answer = put(wallet.store, body(made(g9, OWN), wwdr=pem(g9.certificate).decode()))
    assert answer.json["signs"]["pass_type"] == OWN


# Cards and phones.


def test_old_cards_live_on_under_the_operator_s_and_new_ones_under_the_shop_s(
    wallet: Wallet, member: str, own: Issued
) -> None:
    serial = wallet.card(member, "old")
    upload(wallet.store, own)
    assert wallet.card(member, "new") == serial
    assert [pass_type(wallet, serial, phone) for phone in ("old", "new")] == [PASS_TYPE, OWN]
    assert wallet.told(serial, "new")["teamIdentifier"] == OWN_TEAM
    assert sorted(stored(sa.select(AppleRegistration.pass_type))) == ["", OWN]
    before = wallet.apple.pushes.connections
    change(wallet, member)
    wallet.wait(lambda: {wallet.shows(serial, "points", phone) for phone in ("old", "new")} == {"135"})
    # Still each of its own type; each was pushed over a connection of its own, with its own topic.
    assert [pass_type(wallet, serial, phone) for phone in ("old", "new")] == [PASS_TYPE, OWN]
    assert wallet.apple.pushes.connections == before + 2
    change(wallet, member)
    wallet.wait(lambda: {wallet.shows(serial, "points", phone) for phone in ("old", "new")} == {"140"})
    assert wallet.apple.pushes.connections == before + 2
    assert sorted(stored(sa.select(AppleFile.pass_type))) == ["", OWN]
    found = look(wallet.store)
    assert (found["signs"]["phones"], found["signs"]["pass_type"]) == (1, OWN)


def test_both_kinds_on_one_phone_are_both_updated_and_removed_one_by_one(
    wallet: Wallet, member: str, own: Issued
) -> None:
    """A phone tells passes apart by type and serial: of one member it can hold two."""
    client, device = wallet.store.client, "d" * 32
    told = []
    for leaf in (None, own):
        if leaf:
            upload(wallet.store, leaf)
        told.append(passfile.read(wallet.store.get(f"/members/{member}/pass.pkpass").data).told)
    paths = [
        f"/wallet/apple/v1/devices/{device}/registrations/{one['passTypeIdentifier']}/{one['serialNumber']}"
        for one in told
    ]
    tokens = [{"Authorization": f"ApplePass {one['authenticationToken']}"} for one in told]
    for path, token, other in zip(paths, tokens, reversed(tokens), strict=True):
        assert client.post(path, json={"pushToken": "a" * 64}, headers=other).status_code == 401
        assert client.post(path, json={"pushToken": "a" * 64}, headers=token).status_code == 201
        assert client.get(path.rpartition("/")[0]).json["serialNumbers"] == [told[0]["serialNumber"]]
    assert client.delete(paths[0], headers=tokens[0]).status_code == 200
    assert client.get(paths[0].rpartition("/")[0]).status_code == 204
    assert client.get(paths[1].rpartition("/")[0]).status_code == 200


def test_a_renewed_one_takes_over_the_cards_of_its_type(wallet: Wallet, member: str, wwdr: Issued, own: Issued) -> None:
    upload(wallet.store, own)
    serial = wallet.card(member)
    renewed = made(wwdr, OWN, OWN_TEAM)
    found = upload(wallet.store, renewed)
    assert (found["signs"]["phones"], found["others"]) == (1, [])
    before = wallet.apple.pushes.connections
    change(wallet, member)
    wallet.wait(lambda: wallet.shows(serial, "points") == "135")
    assert wallet.apple.pushes.connections == before + 1
    (signer,) = stored(sa.select(AppleFile.signer))
    with database().transaction(1) as session:
        assert signer == certificates.of_type(session, 1, OWN).mark
        assert certificates.of_type(session, 1, OWN).leaf == renewed.certificate


def test_phones_of_a_removed_one_are_told_nothing_and_say_why(wallet: Wallet, member: str, own: Issued) -> None:
    upload(wallet.store, own)
    serial = wallet.card(member)
    found = remove(wallet.store).json
    assert (found["own"], found["signs"]["pass_type"]) == (False, PASS_TYPE)
    (other,) = found["others"]
    assert (other["pass_type"], other["phones"]) == (OWN, 1)
    assert "1 phone with its cards can't be updated" in other["warning"]
    change(wallet, member)
    taken = wallet.apple.pushes.taken
    wallet.work()
    assert wallet.apple.pushes.taken == taken
    assert stored(sa.select(Effect.error).where(Effect.kind == "wallet.apple")) == []
    (device,) = wallet.store.get(f"/members/{member}/wallet").json["apple"]["devices"]
    assert device["state"] == "unreachable"
    assert device["problem"].startswith(f"the certificate for {OWN} was removed on")
    assert_served_no_more(wallet, serial, "certificate_removed")
    # The key is gone for good, and the member gets a card of the operator's.
    assert stored(sa.select(AppleCertificate.sealed)) == [b""]
    wallet.card(member, "new")
    assert pass_type(wallet, serial, "new") == PASS_TYPE


def assert_served_no_more(wallet: Wallet, serial: str, code: str) -> None:
    """A phone that asks hears when to ask again, and one that has the newest hears so."""
    told = wallet.told(serial)
    path = f"/wallet/apple/v1/passes/{told['passTypeIdentifier']}/{serial}"
    headers = {"Authorization": f"ApplePass {told['authenticationToken']}"}
    answer = wallet.store.client.get(path, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (503, code)
    assert int(answer.headers["Retry-After"]) >= 3600
    unchanged = headers | {"If-Modified-Since": "Fri, 31 Dec 2100 00:00:00 GMT"}
    assert wallet.store.client.get(path, headers=unchanged).status_code == 304


def test_a_removed_one_comes_back_and_phones_hear_what_they_missed(wallet: Wallet, member: str, own: Issued) -> None:
    upload(wallet.store, own)
    serial = wallet.card(member)
    remove(wallet.store)
    change(wallet, member)
    wallet.work()
    assert wallet.shows(serial, "points") == "130"
    assert upload(wallet.store, own)["signs"]["phones"] == 1
    rollouts.work(database())
    wallet.wait(lambda: wallet.shows(serial, "points") == "135")
    (device,) = wallet.store.get(f"/members/{member}/wallet").json["apple"]["devices"]
    assert (device["state"], device["problem"]) == ("current", None)


def test_one_that_expires_hands_new_cards_to_the_operator_s(wallet: Wallet, member: str, wwdr: Issued) -> None:
    upload(wallet.store, made(wwdr, OWN, OWN_TEAM, lives=40 * DAY))
    serial = wallet.card(member)
    with clock.fixed_at(datetime.now(UTC) + 41 * DAY):
        change(wallet, member)
        wallet.work()
        assert_served_no_more(wallet, serial, "certificate_expired")
        (device,) = wallet.store.get(f"/members/{member}/wallet").json["apple"]["devices"]
        assert device["state"] == "unreachable"
        assert f"the certificate for {OWN} expired on" in device["problem"]
        found = look(wallet.store)
        assert (found["own"], found["signs"]["pass_type"]) == (False, PASS_TYPE)
        assert f"Upload a new certificate for {OWN}." in found["others"][0]["warning"]
        told = passfile.read(wallet.store.get(f"/members/{member}/pass.pkpass").data).told
        assert told["passTypeIdentifier"] == PASS_TYPE
        upload(wallet.store, made(wwdr, OWN, OWN_TEAM, lives=400 * DAY))
        assert look(wallet.store)["signs"]["pass_type"] == OWN


def test_an_older_one_of_another_type_goes_on_for_its_phones(
    wallet: Wallet, member: str, wwdr: Issued, own: Issued
) -> None:
    upload(wallet.store, own)
    serial = wallet.card(member)
    found = upload(wallet.store, made(wwdr, "pass.com.roastery.second"))
    assert [(one["pass_type"], one["phones"], one["warning"]) for one in found["others"]] == [(OWN, 1, None)]
    change(wallet, member)
    wallet.wait(lambda: wallet.shows(serial, "points") == "135")
    assert remove(wallet.store).json["others"][0]["pass_type"] == OWN
    assert stored(sa.select(AppleCertificate.sealed)) == [b"", b""]


def test_a_short_lived_one_gives_way_to_the_one_before(wallet: Wallet, member: str, wwdr: Issued) -> None:
    upload(wallet.store, made(wwdr, OWN, OWN_TEAM, lives=400 * DAY))
    upload(wallet.store, made(wwdr, OWN, OWN_TEAM, lives=20 * DAY))
    with clock.fixed_at(datetime.now(UTC) + 21 * DAY):
        found = look(wallet.store)
        assert (found["own"], found["signs"]["days_left"], found["others"]) == (True, 378, [])


def test_one_that_expired_unused_is_still_spoken_of(wallet: Wallet, wwdr: Issued) -> None:
    upload(wallet.store, made(wwdr, OWN, OWN_TEAM, lives=40 * DAY))
    with clock.fixed_at(datetime.now(UTC) + 41 * DAY):
        (other,) = look(wallet.store)["others"]
        assert other["warning"].endswith(f"Upload a new certificate for {OWN}.")
    remove(wallet.store)
    assert look(wallet.store)["others"] == []


def test_it_works_without_an_operator_s(
    wallet: Wallet, member: str, own: Issued, wwdr: Issued, environ: pytest.MonkeyPatch
) -> None:
    environ.delenv("APPLE_CERTIFICATE")
    settings.cache_clear()
    found = look(wallet.store)
    assert (found["signs"], found["problem"]) == (None, "Apple Wallet is not set up here")
    assert wallet.store.get(f"/members/{member}/wallet").json["apple"] is None
    answer = put(wallet.store, body(own))
    assert "send AppleWWDRCA" in answer.json["detail"]
    upload(wallet.store, own, wwdr=pem(wwdr.certificate).decode())
    serial = wallet.card(member)
    change(wallet, member)
    wallet.wait(lambda: wallet.shows(serial, "points") == "135")
    remove(wallet.store)
    assert wallet.store.get(f"/members/{member}/pass.pkpass").status_code == 404


def test_a_type_the_shop_never_had_is_no_one_s(wallet: Wallet, member: str, own: Issued, other_store: Store) -> None:
    """Not even with a token that we ourselves would have signed."""
    from wallet_passes.apple.operations import token

    upload(other_store, own)
    serial = wallet.card(member)
    headers = {"Authorization": f"ApplePass {token(OWN, serial)}"}
    assert wallet.store.client.get(f"/wallet/apple/v1/passes/{OWN}/{serial}", headers=headers).status_code == 401
    path = f"/wallet/apple/v1/devices/{'e' * 32}/registrations/{OWN}/{serial}"
    assert wallet.store.client.post(path, json={"pushToken": "a" * 64}, headers=headers).status_code == 401
    assert wallet.store.client.delete(path, headers=headers).status_code == 401


def test_two_shops_may_share_a_pass_type(wallet: Wallet, own: Issued, other_store: Store) -> None:
    """As of one company: its phone asks once for both."""
    serials = []
    for number, store in enumerate((wallet.store, other_store)):
        upload(store, own)
        store.settle(store.order(number, store.customer(7)))
        serials.append(dataclasses.replace(wallet, store=store).card(store.member_of(store.customer(7))["id"]))
    device = wallet.phones.phone("iphone").device
    answer = wallet.store.client.get(f"/wallet/apple/v1/devices/{device}/registrations/{OWN}")
    assert sorted(answer.json["serialNumbers"]) == sorted(serials)


def test_two_uploads_at_once_leave_one_that_signs(wallet: Wallet, wwdr: Issued) -> None:
    leaves = [made(wwdr, OWN, OWN_TEAM) for _ in range(3)]
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda leaf=leaf: answers.append(put(wallet.store, body(leaf)).status_code))
        for leaf in [*leaves, *leaves]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 6
    assert len(stored(sa.select(AppleCertificate.fingerprint))) == 3
    assert look(wallet.store)["signs"]["pass_type"] == OWN


def test_uploading_for_ever_fills_no_table(wallet: Wallet, wwdr: Issued, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_KEPT", 2)
    for _ in range(4):
        upload(wallet.store, made(wwdr, OWN))
    assert len(stored(sa.select(AppleCertificate.fingerprint))) == 2


# NFC.


def terminals() -> str:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_cards_for_terminals(wallet: Wallet, member: str, wwdr: Issued) -> None:
    leaf, key = made(wwdr, OWN, nfc=True), terminals()
    assert upload(wallet.store, leaf)["signs"]["nfc"]
    serial = wallet.card(member)
    assert "nfc" not in wallet.told(serial)
    told = upload(wallet.store, leaf, nfc_key=key)["signs"]["nfc_key"]
    assert told == certificate.terminal_key(key)
    # The cards that are out there get it too.
    rollouts.work(database())
    wallet.wait(lambda: "nfc" in wallet.told(serial))
    card = wallet.told(serial)
    assert card["nfc"] == {"message": card["barcodes"][0]["message"], "encryptionPublicKey": told}


# Growing old.


def test_the_merchant_is_warned_once_thirty_days_ahead(wallet: Wallet, wwdr: Issued) -> None:
    upload(wallet.store, made(wwdr, OWN, lives=40 * DAY))
    jobs.warn_of_expiry()
    assert events("wallet.certificate_expiring") == []
    assert look(wallet.store)["signs"]["warning"] is None
    with clock.fixed_at(datetime.now(UTC) + 12 * DAY):
        jobs.warn_of_expiry()
        jobs.warn_of_expiry()
        (event,) = events("wallet.certificate_expiring")
        assert (event.data["pass_type"], event.data["days_left"]) == (OWN, 27)
        assert look(wallet.store)["signs"]["warning"] == (
            f"27 days until it expires. Make a new one for {OWN} and upload it before then."
        )
        upload(wallet.store, made(wwdr, OWN, lives=400 * DAY))
        assert look(wallet.store)["signs"]["warning"] is None


def test_what_has_a_successor_needs_no_warning(wallet: Wallet, wwdr: Issued) -> None:
    upload(wallet.store, made(wwdr, OWN, lives=20 * DAY))
    upload(wallet.store, made(wwdr, OWN, lives=400 * DAY))
    jobs.warn_of_expiry()
    assert events("wallet.certificate_expiring") == []


def test_the_operator_sees_it_in_the_log_and_the_metrics(wallet: Wallet, capfd: pytest.CaptureFixture[str]) -> None:
    text = wallet.store.client.get("/metrics").get_data(as_text=True)
    days = next(line for line in text.splitlines() if line.startswith("rapport_apple_certificate_expires_days"))
    assert float(days.split()[-1]) in (3648, 3649, 3650)
    with clock.fixed_at(certificate.current().expires_at - 3 * DAY):
        jobs.warn_of_expiry()
        assert (
            look(wallet.store)["signs"]["warning"] == "3 days until it expires: whoever runs Rapport for you renews it"
        )
    assert "the pass certificate expires" in "".join(capfd.readouterr())


def test_phones_of_an_operator_s_that_is_over_are_not_sent_away(
    wallet: Wallet, member: str, wwdr: Issued, own: Issued, environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whether it expired while we ran or before, or can't be read at all: they are to ask again."""
    serial = wallet.card(member)
    with clock.fixed_at(certificate.current().expires_at + DAY):
        assert_served_no_more(wallet, serial, "certificate_expired")
        assert "expired on" in look(wallet.store)["problem"]
        jobs.warn_of_expiry()
    for file in (made(wwdr, lives=-DAY), None):
        leaf = tmp_path / f"pass {file is None}.pem"
        leaf.write_bytes(pem(file.certificate) + key_pem(file.key) if file else b"rubbish")
        environ.setenv("APPLE_CERTIFICATE", str(leaf))
        environ.delenv("APPLE_KEY", raising=False)
        settings.cache_clear()
        told = wallet.told(serial)
        answer = wallet.store.client.get(
            f"/wallet/apple/v1/passes/{PASS_TYPE}/{serial}",
            headers={"Authorization": f"ApplePass {told['authenticationToken']}"},
        )
        assert answer.status_code == 503
    # A shop with its own does not notice.
    upload(wallet.store, own, wwdr=pem(wwdr.certificate).decode())
    wallet.card(member, "new")
    assert pass_type(wallet, serial, "new") == OWN


# Keys of ours, processes, the command line.


def test_keys_of_ours_are_renewed(wallet: Wallet, member: str, own: Issued, environ: pytest.MonkeyPatch) -> None:
    upload(wallet.store, own)
    keys = settings().encryption_keys.get_secret_value()
    fresh = Fernet.generate_key().decode()
    environ.setenv("ENCRYPTION_KEYS", f"{fresh},{keys}")
    settings.cache_clear()
    assert run(wallet, "shop", "rotate-keys").exit_code == 0
    environ.setenv("ENCRYPTION_KEYS", fresh)
    settings.cache_clear()
    certificates._opened.cache_clear()
    with database().transaction(1) as session:
        assert certificates.signer(session, 1).pass_type == OWN
    environ.setenv("ENCRYPTION_KEYS", Fernet.generate_key().decode())
    settings.cache_clear()
    certificates._opened.cache_clear()
    answer = wallet.store.get(f"/members/{member}/pass.pkpass")
    assert (answer.status_code, answer.json["code"]) == (503, "bad_certificate")
    assert "upload it again" in look(wallet.store)["problem"]


def test_connections_of_few_certificates_are_kept(wallet: Wallet, wwdr: Issued) -> None:
    found = []
    for _ in range(3):
        leaf = made(wwdr, OWN)
        found.append(certificate.load(pem(leaf.certificate), key_pem(leaf.key), pem(wwdr.certificate), now=None))
    pushers = [push.pusher(one) for one in (*found, *found)]
    assert pushers[:3] == pushers[3:]
    assert push._pusher.cache_info().maxsize == push.MOST_CONNECTIONS


def run(wallet: Wallet, *args: str, **more: Any) -> Result:
    return wallet.store.app.test_cli_runner().invoke(args=list(args), **more)


def test_on_the_command_line(wallet: Wallet, own: Issued, tmp_path: Path) -> None:
    shop, file = ("--shop", "roastery.myshopify.com"), tmp_path / "pass.p12"
    assert (
        f"The operator's certificate signs new cards:\n  {PASS_TYPE}"
        in run(wallet, "wallet", "certificate", "show", *shop).output
    )
    file.write_bytes(p12(own, "secret"))
    command = ("wallet", "certificate", "set", *shop, "--certificate", str(file))
    wrong = run(wallet, *command)
    assert (wrong.exit_code, wrong.output) == (
        1, "Error: the pass certificate is encrypted, and its password is missing\n"
    )  # fmt: skip
    done = run(wallet, *command, "--password", input="secret\n")
    assert f"The shop's certificate signs new cards:\n  {OWN}\t{OWN_TEAM}\t" in done.output
    (event,) = events("wallet.certificate_added")
    assert event.actor == "command line"
    file.write_bytes(b"x" * 10**6)
    assert "larger than 64 KB" in run(wallet, *command).output
    assert run(wallet, "wallet", "certificate", "remove", *shop, "--yes").exit_code == 0
    assert "no certificate of its own" in run(wallet, "wallet", "certificate", "remove", *shop, "--yes").output
    assert "no shop" in run(wallet, "wallet", "certificate", "show", "--shop", "nobody.myshopify.com").output


def test_removing_none_is_404(wallet: Wallet) -> None:
    answer = remove(wallet.store)
    assert (answer.status_code, answer.json["code"]) == (404, "no_certificate")
