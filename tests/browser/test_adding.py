"""A card goes into a phone: the page that the link opens, seen in a browser, and the wallets behind its buttons."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Rapport

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)
ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36"
)


@pytest.fixture(scope="module")
def card(rapport: Rapport) -> dict[str, Any]:
    """Where a member of the demo gets their card, and their balance."""
    headers = {"Authorization": f"Bearer {rapport.facts['api_token']}"}
    with httpx.Client(base_url=f"{rapport.facts['base_url']}/api/v1", headers=headers) as api:
        (member,) = api.get("/members", params={"email": "noor.haddad@example.com"}).json()["items"]
        return api.get(f"/members/{member['id']}/wallet").json() | {"points": member["points"]["available"]}


@pytest.fixture
def phone(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A phone without JavaScript; its parameter is who it says it is and its language."""
    agent, language, scheme = request.param
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, user_agent=agent, locale=language, color_scheme=scheme,
        java_script_enabled=False, accept_downloads=True,
    )  # fmt: skip
    yield context.new_page()
    context.close()


def widest(page: Page) -> int:
    return int(page.evaluate("Math.ceil(document.documentElement.scrollWidth)"))


@pytest.mark.parametrize("phone", [(IPHONE, "en-US", "light")], indirect=True)
def test_an_iphone_gets_the_file(phone: Page, card: dict[str, Any]) -> None:
    phone.goto(card["add_url"])
    expect(phone.get_by_role("heading", name="Your North Pier Coffee card")).to_be_visible()
    expect(phone.locator(".card")).to_contain_text(f"{card['points']:,}")
    expect(phone.get_by_role("button", name="Add to Google Wallet")).to_be_hidden()
    with phone.expect_download() as opened:
        phone.get_by_role("button", name="Add to Apple Wallet").click()
    assert opened.value.suggested_filename == "card.pkpass"
    assert opened.value.path().read_bytes()[:4] == b"PK\x03\x04"


@pytest.mark.parametrize("phone", [(ANDROID, "fr-FR", "dark")], indirect=True)
def test_an_android_goes_on_to_google(phone: Page, card: dict[str, Any]) -> None:
    phone.goto(card["add_url"])
    expect(phone.locator("html")).to_have_attribute("lang", "fr")
    phone.get_by_role("button", name="Ajouter à Google Wallet").click()
    phone.wait_for_url(re.compile(r"/gp/v/save/"))
    expect(phone.locator("body")).to_contain_text("North Pier Coffee")


@pytest.mark.parametrize("phone", [(IPHONE, "ar", "light")], indirect=True)
def test_from_right_to_left(phone: Page, card: dict[str, Any]) -> None:
    phone.goto(card["add_url"])
    expect(phone.locator("html")).to_have_attribute("dir", "rtl")
    expect(phone.get_by_role("button", name="إضافة إلى Apple Wallet")).to_be_visible()


@pytest.mark.parametrize("language", ["en-US", "de-DE", "ar"])
def test_nothing_sticks_out(browser: Browser, card: dict[str, Any], language: str) -> None:
    for width in (320, 390, 1280):
        context = browser.new_context(viewport={"width": width, "height": 800}, locale=language)
        page = context.new_page()
        page.goto(card["add_url"])
        assert widest(page) <= width
        context.close()


def test_a_computer_shows_a_code_and_both_buttons_by_keyboard(page: Page, card: dict[str, Any]) -> None:
    page.goto(card["add_url"])
    expect(page.locator("svg.qr")).to_be_visible()
    focused = []
    for _ in range(2):
        page.keyboard.press("Tab")
        focused.append(page.evaluate("document.activeElement.innerText.trim()"))
    assert focused == ["Add to Apple Wallet", "Add to Google Wallet"]


def test_a_cut_off_link_is_a_kind_page(page: Page, card: dict[str, Any]) -> None:
    answer = page.goto(card["add_url"][:-4])
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", name="This link isn't complete")).to_be_visible()


def test_the_demo_leads_there(page: Page, rapport: Rapport) -> None:
    page.goto(rapport.facts["base_url"])
    page.locator(".members li a").first.click()
    page.get_by_role("link", name="Add this card to a phone").click()
    expect(page.locator("svg.qr")).to_be_visible()
