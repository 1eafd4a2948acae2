"""The page that adds a card: who may open it, what it shows, what a pressed button does, and what looking does not."""

import io
import re
import string
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
from flask import Flask
from PIL import Image

from core.config import settings
from core.db import database
from core.events import Event
from loyalty.operations import Customer
from loyalty.privacy import erase_person, find_person
from sandbox.apple import passfile
from shops.models import Shop
from tests.wallet_passes.rig import Wallet
from wallet_passes.adding import badges, links, routes
from wallet_passes.adding.visitors import Visitor, visitor
from wallet_passes.adding.wording import filled, words
from wallet_passes.google.models import GoogleObject
from wallet_passes.languages import LANGUAGES
from wallet_passes.models import Pass

ROOT = Path(__file__).parents[2]
_APPLE_WEB_KIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = (
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) {_APPLE_WEB_KIT} Version/18.0 Mobile/15E1 Safari/604.1"
)
IN_AN_APP = f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) {_APPLE_WEB_KIT} Mobile/15E148 Instagram 300.0"
IPAD = f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_APPLE_WEB_KIT} Version/18.0 Safari/605.1.15"
ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36"
)
AS_DESKTOP = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
CHROMEBOOK = (
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"
)
WINDOWS_PHONE = "Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia) Chrome/52.0 Mobile Safari/537.36"


@pytest.mark.parametrize(
    ("user_agent", "platform", "found"),
    [
        (IPHONE, "", Visitor("apple")),
        (IN_AN_APP, "", Visitor("apple", inside_app=True)),
        (IPAD, "", Visitor(None)),
        (ANDROID, "", Visitor("google")),
        (ANDROID, '"Android"', Visitor("google")),
        (AS_DESKTOP, '"Android"', Visitor("google")),
        (AS_DESKTOP, '"Linux"', Visitor(None)),
        (CHROMEBOOK, '"Chrome OS"', Visitor(None)),
        (WINDOWS_PHONE, "", Visitor(None)),
        ("", "", Visitor(None)),
        ("x" * 5000, "\x00", Visitor(None)),
    ],
)
def test_whose_phone_it_is(user_agent: str, platform: str, found: Visitor) -> None:
    assert visitor(user_agent, platform) == found


# Words and badges.


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_all_of_it_with_the_same_values(language: str) -> None:
    def places(told: Any) -> Any:
        if isinstance(told, str):
            assert told.strip()
            return {name for _, name, _, _ in string.Formatter().parse(told) if name}
        fields = told if isinstance(told, dict) else {name: getattr(told, name) for name in told.__struct_fields__}
        return {name: places(value) for name, value in fields.items()}

    assert places(words(language)) == places(words("en"))


def test_names_that_run_the_other_way_are_kept_apart() -> None:
    assert filled("Your {shop} card", shop="Pier") == "Your Pier card"
    assert filled("Your {shop} card", shop="قهوة") == "Your \u2068قهوة\u2069 card"
    assert filled("Your {shop} card", shop="{name}") == "Your {name} card"


@pytest.fixture(scope="module")
def mails() -> Any:
    """Badges need no database."""
    app = Flask("app", root_path=str(ROOT))
    routes.register(app)
    return app.test_client()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("wallet_name", ["apple", "google"])
def test_a_badge_for_mails(mails: Any, wallet_name: str, language: str) -> None:
    answer = mails.get(f"/wallet/add/badge/{wallet_name}.svg?lang={language}")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    drawn = ElementTree.fromstring(answer.data)
    assert drawn.get("aria-label") == badges.label(wallet_name, language)
    assert badges.NAMES[wallet_name] in str(drawn.get("aria-label"))
    assert int(drawn.get("height", 0)) - 2 * badges.CLEAR >= 48
    picture = Image.open(io.BytesIO(mails.get(f"/wallet/add/badge/{wallet_name}.png?lang={language}").data))
    assert (picture.format, picture.height) == ("PNG", 2 * (48 + 2 * badges.CLEAR))
    assert picture.getpixel((0, 0))[3] == 0  # the space around it is clear


def test_an_unknown_language_or_wallet(mails: Any) -> None:
    assert b"Add to Apple Wallet" in mails.get("/wallet/add/badge/apple.svg?lang=%00xx").data
    assert mails.get("/wallet/add/badge/samsung.svg").status_code == 404


# The page.


@pytest.fixture
def noor(wallet: Wallet) -> Customer:
    noor = wallet.store.customer(7, "noor@example.com")
    wallet.buy(1, noor, 600_00)
    return noor


class Page:
    """A member's page, as one browser sees it."""

    def __init__(self, wallet: Wallet, customer: Customer) -> None:
        self.wallet, self.customer = wallet, customer
        told = wallet.store.get(f"/members/{wallet.member(customer)}/wallet").json
        assert told["add_url"].startswith(f"{wallet.url}/wallet/add/")
        self.path = urlsplit(told["add_url"]).path

    def get(
        self, way: str = "", agent: str = IPHONE, method: str = "GET", path: str | None = None, **headers: str
    ) -> Any:
        named = {"User-Agent": agent} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.wallet.store.client.open((path or self.path) + way, method=method, headers=named)

    def press(self, wallet: str, **headers: str) -> Any:
        return self.get(f"/{wallet}", method="POST", **headers)

    def passes(self) -> list[Pass]:
        with database().transaction(self.wallet.store.shop_id) as session:
            return list(session.scalars(sa.select(Pass)))


@pytest.fixture
def page(wallet: Wallet, noor: Customer) -> Page:
    return Page(wallet, noor)


def buttons(answer: Any) -> list[str]:
    """What the badges say, in their order."""
    return re.findall(r"<button.*?<span>(.*?)</span>", answer.text, re.S)


def test_the_card_is_shown_and_this_phone_s_wallet_first(page: Page) -> None:
    answer = page.get()
    assert answer.status_code == 200
    for text in ("Your roastery.myshopify.com card", "Noor", "650", "Advocate"):
        assert text in answer.text
    assert buttons(answer) == ["Add to Apple Wallet", "Add to Google Wallet"]
    assert buttons(page.get(agent=ANDROID)) == ["Add to Google Wallet", "Add to Apple Wallet"]
    assert 'class="qr"' not in answer.text
    assert "open this page in Safari" in page.get(agent=IN_AN_APP).text
    assert "open this page in Safari" not in answer.text


def test_a_computer_gets_a_code_for_the_phone(page: Page) -> None:
    answer = page.get(agent=AS_DESKTOP)
    assert 'class="qr"' in answer.text
    assert buttons(answer) == ["Add to Apple Wallet", "Add to Google Wallet"]


def test_nobody_else_gets_in_or_learns_of_it(page: Page) -> None:
    headers = page.get().headers
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in headers["X-Robots-Tag"]
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert f"form-action 'self' {settings().google_save_url.rsplit('/gp', 1)[0]}" in policy


LOOKING: tuple[dict[str, str], ...] = (
    {"method": "HEAD"},
    {"Sec_Purpose": "prefetch;prerender"},
    {"agent": "Slackbot-LinkExpanding 1.0"},
    {"agent": "WhatsApp/2.23"},
    {"agent": ANDROID},
)


def test_looking_changes_nothing(page: Page) -> None:
    before = state(page)
    for headers in LOOKING:
        for way in ("", "/apple", "/google"):
            answer = page.get(way, **headers)
            assert answer.status_code == (303 if way else 200)
            assert not way or answer.location == page.path
    assert state(page) == before
    assert before[:2] == (0, 0)


def state(page: Page) -> tuple[int, ...]:
    with database().transaction(page.wallet.store.shop_id) as session:
        return tuple(
            session.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in (Pass, GoogleObject, Event)
        )


def test_the_pressed_button_gives_the_file(page: Page) -> None:
    answer = page.press("apple")
    assert answer.status_code == 303
    file = page.wallet.store.client.get(answer.location)
    told = passfile.read(file.data).told
    (row,) = page.passes()
    assert told["serialNumber"] == row.serial


def test_a_phone_presses_its_button_and_has_the_card(page: Page) -> None:
    serial = page.wallet.phones.add("iphone", page.wallet.url + page.path)
    assert [row.serial for row in page.passes()] == [serial]
    (device,) = page.wallet.store.get(f"/members/{page.wallet.member(page.customer)}/wallet").json["apple"]["devices"]
    assert (device["state"], device["text"]) == ("current", "iPhone last updated just now.")


def test_the_pressed_button_saves_it_at_google(page: Page) -> None:
    answer = page.press("google", agent=ANDROID)
    assert answer.status_code == 303, answer.text
    assert answer.location.startswith(settings().google_save_url)
    with database().transaction(page.wallet.store.shop_id) as session:
        assert session.scalars(sa.select(GoogleObject.serial)).all() == [row.serial for row in page.passes()]


SPOKEN = [
    ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
    ("it,de-AT;q=0.5", "de"),
    ("it-IT, pt", None),
    ("ar", "ar"),
    ("*", None),
    ("", None),
    ("fr;q=0, ja;q=0.1", "ja"),
    ("é;;q=x", None),
]


def test_the_page_speaks_the_browser_s_language(page: Page) -> None:
    for asked, language in SPOKEN:
        shown = page.get(**({"Accept_Language": asked} if asked else {}))
        said = f'<html lang="{language or "en"}" dir="{"rtl" if language == "ar" else "ltr"}" '
        assert said in shown.text, asked


def test_the_card_speaks_the_language_it_was_added_in(page: Page) -> None:
    answer = page.press("apple", Accept_Language="fr-CA,fr;q=0.9,en;q=0.8")
    assert [row.language for row in page.passes()] == ["fr"]
    fields = passfile.read(page.wallet.store.client.get(answer.location).data).fields()
    (ahead,) = [field["value"] for field in fields if field["key"] == "progress"]
    assert re.search(r"\d+,00\s\$.* avant Ambassador", ahead), ahead


def test_a_browser_of_another_language_leaves_it_to_the_shop(page: Page) -> None:
    page.press("apple", Accept_Language="it-IT, pt")
    assert [row.language for row in page.passes()] == [None]


def test_adding_it_again_elsewhere_changes_its_language(page: Page) -> None:
    page.press("apple", Accept_Language="de")
    page.press("apple", Accept_Language="xx")
    assert [row.language for row in page.passes()] == ["de"]
    page.press("apple", Accept_Language="es")
    assert [row.language for row in page.passes()] == ["es"]


# What stands in the way.


def test_a_forged_link_is_a_kind_page(page: Page) -> None:
    made_up = [
        page.path[:-3],
        page.path[:-9] + ("A" if page.path[-9] != "A" else "B") + page.path[-8:],
        f"/wallet/add/{'7' * 40}",
    ]
    made_up += ["/wallet/add/%00", "/wallet/add/" + "x" * 3000, "/wallet/add/é.b.c"]
    for path in made_up:
        for way, method in (("", "GET"), ("/apple", "POST"), ("/google", "POST")):
            answer = page.get(way, path=path, method=method)
            assert (answer.status_code, answer.mimetype) == (404, "text/html"), path
            assert "This link isn&#39;t complete" in answer.text
            assert "noor" not in answer.text.casefold()
    assert page.passes() == []


def test_the_link_to_a_file_is_none_to_the_page(page: Page) -> None:
    url = page.wallet.store.get(f"/members/{page.wallet.member(page.customer)}/wallet").json["apple"]["download_url"]
    assert page.get(path="/wallet/add/" + url.rsplit("/", 1)[1]).status_code == 404


def test_an_expired_link_says_where_to_get_another(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    with database().transaction() as session:
        session.execute(sa.update(Shop).values(public_url="https://pier.example"))
    monkeypatch.setattr(links, "LIVES", -1)
    for way, method in (("", "GET"), ("/apple", "POST"), ("/google", "POST")):
        answer = page.get(way, method=method)
        assert answer.status_code == 410
        assert "This link has ended" in answer.text
        assert 'href="https://pier.example"' in answer.text
        assert "Noor" not in answer.text
    assert page.passes() == []


def test_somebody_who_has_left_has_no_card(page: Page) -> None:
    shop = page.wallet.store.shop_id
    with database().transaction(shop) as session:
        erase_person(session, shop, find_person(session, shop, customer_id=7))
    for way, method in (("", "GET"), ("/apple", "POST"), ("/google", "POST")):
        answer = page.get(way, method=method)
        assert answer.status_code == 404
        assert "This card has ended" in answer.text


def test_a_wallet_that_is_not_set_up(page: Page, environ: pytest.MonkeyPatch) -> None:
    environ.delenv("GOOGLE_WALLET_ACCOUNT")
    settings.cache_clear()
    assert buttons(page.get()) == ["Add to Apple Wallet"]
    for agent in (ANDROID, AS_DESKTOP):
        shown = page.get(agent=agent)
        assert "has no cards for Google Wallet yet." in shown.text
        assert shown.text.count(" disabled ") == 1
    answer = page.press("google")
    assert (answer.status_code, "No cards for Google Wallet yet" in answer.text) == (404, True)
    environ.delenv("APPLE_CERTIFICATE")
    settings.cache_clear()
    assert page.press("apple").status_code == 404
    assert page.get().text.count(" disabled ") == 1
    assert page.passes() == []


def test_google_is_away(page: Page, environ: pytest.MonkeyPatch) -> None:
    environ.setenv("GOOGLE_WALLET_URL", "http://127.0.0.1:9")
    settings.cache_clear()
    answer = page.press("google")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "Your points are safe. Try again in a minute." in answer.text
    assert f'href="{page.path}"' in answer.text


def test_names_are_text_and_never_markup(page: Page) -> None:
    with database().transaction(page.wallet.store.shop_id) as session:
        session.execute(sa.update(Shop).values(name="<script>alert(1)</script>{name}"))
    answer = page.get()
    assert answer.status_code == 200
    assert "<script" not in answer.text
