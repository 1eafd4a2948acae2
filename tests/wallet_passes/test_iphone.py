"""The sandbox iPhone: as strict as a phone is, in its owner's language, and a page that follows what happens."""

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from core.db import database
from sandbox.apple import passfile, screen
from sandbox.apple.pages import iphone
from sandbox.apple.passfile import BadPass
from tests.wallet_passes.rig import Wallet
from tests.wallet_passes.test_package import CASES, IDENTITY, RICH
from wallet_passes.apple import package
from wallet_passes.models import Pass

Told = dict[str, Any]
GOOD: Told = json.loads(package.pass_json(CASES["en"], RICH, IDENTITY))


def field(told: Told, place: str = "headerFields") -> Told:
    found: Told = told["storeCard"][place][0]
    return found


def no_icon(files: dict[str, bytes]) -> None:
    del files["icon.png"]


HOSTILE: dict[str, tuple[str, Callable[[Told], object]]] = {
    "a key that means nothing": ("fancyColor", lambda told: told.update(fancyColor="red")),
    "another format": ("version 1", lambda told: told.update(formatVersion=2)),
    "no colour": ("backgroundColor", lambda told: told.update(backgroundColor="#ffffff")),
    "a colour beyond": ("labelColor", lambda told: told.update(labelColor="rgb(256, 0, 0)")),
    "no style": ("style", lambda told: told.pop("storeCard")),
    "two styles": ("style", lambda told: told.update(generic={})),
    "a short token": ("16 characters", lambda told: told.update(authenticationToken="short")),
    "a barcode of its own": ("barcode", lambda told: told["barcodes"][0].update(format="QR")),
    "too many places": ("ten", lambda told: told.update(locations=[{"latitude": 1, "longitude": 1}] * 11)),
    "not on Earth": ("Earth", lambda told: told.update(locations=[{"latitude": 91, "longitude": 1}])),
    "a silent announcement": ("no %@", lambda told: field(told).update(changeMessage="Changed.")),
    "a field without a value": ("no value", lambda told: field(told).pop("value")),
    "two fields of a name": ("same key", lambda told: field(told, "backFields").update(key="points")),
    "a field's unknown key": ("blink", lambda told: field(told).update(blink=True)),
    "a place that isn't": ("sideFields", lambda told: told["storeCard"].update(sideFields=[])),
    "four in the header": ("too many", lambda told: told["storeCard"].update(headerFields=[{}] * 4)),
    "a script": ("more than links", lambda told: field(told, "backFields").update(attributedValue="<b>1</b>")),
    "a date that is none": ("no date", lambda told: field(told, "backFields").update(dateStyle="PKDateStyleShort")),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_phone_refuses(case: str) -> None:
    why, spoil = HOSTILE[case]
    told = json.loads(json.dumps(GOOD))
    passfile._check_told(told, package_files())
    spoil(told)
    with pytest.raises(BadPass, match=why):
        passfile._check_told(told, package_files())


def package_files(**changes: bytes) -> dict[str, bytes]:
    made = package.package(package.template(RICH), b"{}", lambda manifest: b"signed")
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        return {name: archive.read(name) for name in archive.namelist()} | changes


@pytest.mark.parametrize("name", ["icon.png", "pass.json", "signature", "manifest.json"])
def test_a_phone_needs_every_file(name: str) -> None:
    files = package_files()
    del files[name]
    with pytest.raises(BadPass, match=name):
        passfile._unzipped(zipped(files))


def test_a_file_that_the_manifest_does_not_know_is_refused() -> None:
    files = package_files()
    files["pt.lproj/pass.strings"] = b'"Points" = "Pontos";'
    with pytest.raises(BadPass, match=r"pt\.lproj"):
        passfile._check_manifest(files)
    sums = json.loads(files["manifest.json"])
    sums["pt.lproj/pass.strings"] = hashlib.sha1(files["pt.lproj/pass.strings"]).hexdigest()
    passfile._check_manifest(files | {"manifest.json": json.dumps(sums).encode()})


def test_a_picture_that_is_none_is_refused() -> None:
    with pytest.raises(BadPass, match="no PNG"):
        passfile._check_told(GOOD, package_files() | {"strip.png": b"GIF89a"})


def zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


# In its owner's language.


def test_labels_and_announcements_are_in_the_phone_s_language(wallet: Wallet) -> None:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    serial = wallet.card(wallet.member(noor))
    wallet.phones.speak("iphone", "fr")
    wallet.buy(2, noor, 500_00)
    wallet.wait(lambda: wallet.shows(serial, "points") == "630")
    assert sorted(wallet.notes()) == [
        "Votre solde de points est maintenant de 630.",
        "Votre statut est maintenant Advocate.",
    ]
    labels = {one["key"]: one["label"] for one in wallet.phones.phone("iphone").passes[serial].read().spoken("fr")}
    assert labels["reward"] == "Prochain avantage"


def test_a_card_in_its_member_s_language(wallet: Wallet) -> None:
    """What is a sentence is written for the member; the phone's language is for labels alone."""
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    serial = wallet.card(wallet.member(noor))
    with database().transaction(wallet.store.shop_id) as session:
        session.execute(sa.update(Pass).values(language="de-AT"))
    wallet.buy(2, noor, 10_00)
    wallet.wait(lambda: wallet.shows(serial, "points") == "140")
    assert wallet.shows(serial, "progress") == "410,00\xa0$ bis Advocate"
    assert wallet.told(serial)["description"] == "Kundenkarte von roastery.myshopify.com"


# The page.


@pytest.fixture
def page(wallet: Wallet) -> FlaskClient:
    """The phone's own pages, on the phones of the rig."""
    app = Flask("sandbox")
    app.extensions["sandbox"] = SimpleNamespace(apple=wallet.apple)
    app.register_blueprint(iphone)
    return app.test_client()


def test_the_page_shows_the_card_and_what_changed(wallet: Wallet, page: FlaskClient) -> None:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    serial = wallet.card(wallet.member(noor))
    shown = page.get("/iphone/iphone/screen").text
    assert '<dd data-key="points">130</dd>' in shown
    assert "<svg" in shown
    assert "You have" not in shown
    wallet.buy(2, noor, 10_00)
    wallet.wait(lambda: wallet.shows(serial, "points") == "140")
    assert "You have 140 points now." in page.get("/iphone/iphone/screen").text


def test_the_language_is_chosen_on_the_page(wallet: Wallet, page: FlaskClient) -> None:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    wallet.card(wallet.member(noor))
    assert page.post("/iphone/iphone/language", json={"language": "xx"}).status_code == 422
    assert page.post("/iphone/iphone/language", json={"language": "ar"}).json == {"language": "ar"}
    shown = page.get("/iphone/iphone/screen").text
    assert 'dir="rtl"' in shown
    assert "المكافأة التالية" in shown
    assert page.get("/iphone/iphone/state").get_json()["language"] == "ar"


def test_a_card_that_lacks_a_language_is_shown_as_it_is() -> None:
    found = passfile.PassFile(GOOD, {})
    assert screen.shown(found, "pt")["style"]["headerFields"][0]["label"] == "Points"


def test_dates_are_written_by_the_phone_s_calendar() -> None:
    found = screen.shown(passfile.PassFile(GOOD, {}), "de")["style"]["backFields"]
    (changed,) = (one for one in found if one["key"] == "changed")
    assert changed["text"].startswith("01.02.2026 ")


def test_pictures_go_with_the_page() -> None:
    png = base64.b64encode(b"x").decode()
    assert screen.shown(passfile.PassFile(GOOD, {"logo@2x.png": b"x"}), "en")["images"] == {
        "logo": f"data:image/png;base64,{png}"
    }
