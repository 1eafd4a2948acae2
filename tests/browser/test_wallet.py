"""One member's card in both wallets at once: added from the page a link opens, changed by an order, by a message of the
shop and by a redemption, and read at the counter.
"""

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import axe
from tests.browser.conftest import Rapport

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PATIENCE = 60_000  # milliseconds
ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36"
)
WIDTHS = (320, 390, 1280)
# Of everything that can be pressed and seen: what it says, and how high and wide it is.
PRESSABLE = """() => [...document.querySelectorAll("a, button, summary, input, select")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }))
  .map((one) => [one.innerText || one.name, one.getBoundingClientRect().height, one.getBoundingClientRect().width])"""


class Demo:
    """A running demo: its API, and the sandbox's phones."""

    def __init__(self, rapport: Rapport) -> None:
        self.facts = rapport.facts
        storefront = urlsplit(rapport.facts["storefront_url"])
        self.world = f"{storefront.scheme}://{storefront.netloc}"
        headers = {"Authorization": f"Bearer {rapport.facts['api_token']}"}
        self.api = httpx.Client(base_url=f"{rapport.facts['base_url']}/api/v1", headers=headers, timeout=30)

    def member(self, email: str) -> Any:
        (found,) = self.api.get("/members", params={"email": email}).json()["items"]
        return found

    def add_url(self, member: Any) -> str:
        return str(self.api.get(f"/members/{member['id']}/wallet").json()["add_url"])

    def order(self, customer: str) -> None:
        shop = f"{self.world}/sandbox/{self.facts['shop']}"
        variant = httpx.get(f"{shop}/products").json()["products"][0]["variant_id"]
        lines = [{"variant_id": variant, "quantity": 20}]
        httpx.post(f"{shop}/orders", json={"customer_id": int(customer), "lines": lines}).raise_for_status()

    def scanned(self, code: str) -> tuple[str, bool]:
        """Whether a code is good, and whether points can be spent with it."""
        answer = self.api.post("/scans", json={"code": code, "location": "Counter"}).raise_for_status().json()
        return answer["validity"], "spend" in answer["may"]


def compose(page: Page, demo: Demo, title: str, body: str) -> None:
    """A message to everybody with a card, by the merchant's own page: written, looked at, saved, sent."""
    page.goto(f"{demo.facts['merchant_url'].rstrip('/')}/wallet/messages/new")
    frame = page.wait_for_selector("iframe").content_frame()
    assert frame
    frame.get_by_label("Title", exact=True).fill(title)
    frame.get_by_label("Text", exact=True).fill(body)
    shows = frame.locator("#message-shows")
    expect(shows).to_contain_text(body)
    expect(shows).to_contain_text("with a card")
    axe.assert_nothing_found(frame, where="a new message")
    frame.get_by_role("button", name="Save draft").click()
    frame.get_by_role("button", name="Send message").click()
    dialog = frame.get_by_role("dialog", name="Send this message?")
    axe.assert_nothing_found(frame, where="before it is sent")
    dialog.get_by_role("button", name="Send now").click()
    expect(frame.locator(".r-toast")).to_have_text("On its way to the cards.")


@pytest.fixture(scope="module")
def demo(rapport: Rapport) -> Iterator[Demo]:
    demo = Demo(rapport)
    yield demo
    demo.api.close()


@pytest.fixture
def iphone(demo: Demo, page: Page) -> Page:
    """June's own, as is the other phone: nobody else's card is on them."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{demo.world}/iphone/june/")
    return page


@pytest.fixture
def android(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, user_agent=ANDROID, locale="en-US")
    yield context.new_page()
    context.close()


def points(card: Page) -> Locator:
    """The balance on the front, in either wallet."""
    return card.locator(".front dd[data-key=points], .card dd[data-points='0']")


def add_everywhere(iphone: Page, android: Page, link: str) -> None:
    """From one link: the iPhone presses Apple's button, the other phone Google's."""
    iphone.get_by_label("A link to a card").fill(link)
    iphone.get_by_role("button", name="Add to Wallet").click()
    expect(iphone.locator(".card")).to_be_visible()
    android.goto(link)
    android.get_by_role("button", name="Add to Google Wallet").click()
    android.wait_for_url(re.compile(r"/gp/v/save/"))
    android.goto(f"{android.url}?phone=june")
    android.get_by_role("button", name="Add to Google Wallet").click()
    expect(android.get_by_role("heading", name="Your cards")).to_be_visible()


def test_a_card_lives_in_both_wallets(browser: Browser, demo: Demo, iphone: Page, android: Page) -> None:
    before = demo.member("june.park@example.com")
    add_everywhere(iphone, android, demo.add_url(before))
    both = (iphone, android)
    for card in both:
        expect(points(card)).to_have_text(f"{before['points']['available']:,}")

    demo.order(before["customer_id"])
    for card in both:
        expect(points(card)).not_to_have_text(f"{before['points']['available']:,}", timeout=PATIENCE)
    after = f"{demo.member('june.park@example.com')['points']['available']:,}"
    for card in both:
        expect(points(card)).to_have_text(after)
        expect(card.locator(".note").filter(has_text=after).first).to_be_visible()

    desk = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    compose(desk, demo, "Sunday tasting", "Your first cup is on us.")
    desk.close()
    expect(iphone.locator(".note").filter(has_text="Sunday tasting · Your first cup is on us.")).to_be_visible(
        timeout=PATIENCE
    )
    expect(android.locator(".note").filter(has_text="Your first cup is on us.")).to_be_visible(timeout=PATIENCE)
    android.locator("summary").click()
    expect(android.get_by_role("heading", name="Sunday tasting")).to_be_visible()
    assert points(iphone).inner_text() == points(android).inner_text() == after

    redeem(demo, before, iphone, android)


def redeem(demo: Demo, member: Any, iphone: Page, android: Page) -> None:
    """Each wallet's code spends once: Apple's until a redemption, Google's in its thirty seconds."""
    still = str(iphone.locator(".code").get_attribute("data-code"))
    rotating = str(android.locator("figure").get_attribute("data-code"))
    assert demo.scanned(still) == ("current", True)
    assert demo.scanned(rotating) == ("current", True)
    assert demo.scanned(rotating) == ("used", False)
    shown = points(android).inner_text()
    demo.api.post(f"/members/{member['id']}/rewards", json={"reward": "free-shipping"}).raise_for_status()
    for card in (iphone, android):
        expect(points(card)).not_to_have_text(shown, timeout=PATIENCE)
    expect(iphone.locator(".code")).not_to_have_attribute("data-code", still)
    assert demo.scanned(still) == ("outdated", False)
    assert demo.scanned(str(iphone.locator(".code").get_attribute("data-code"))) == ("current", True)
    assert points(iphone).inner_text() == points(android).inner_text()


def test_from_a_member_s_page_to_their_iphone(demo: Demo, page: Page) -> None:
    lena = demo.member("lena.voss@example.com")
    page.goto(f"{demo.facts['base_url']}/demo/members/{lena['id']}")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="See it on the demo's iPhone").click()
    opened.value.get_by_role("button", name="Add to Wallet").press("Enter")
    expect(points(opened.value)).to_have_text(f"{lena['points']['available']:,}")


def test_a_phone_that_was_off_catches_up(demo: Demo, page: Page) -> None:
    silas = demo.member("silas.brandt@example.com")
    page.goto(f"{demo.world}/iphone/silas/")
    page.get_by_label("A link to a card").fill(demo.add_url(silas))
    page.get_by_role("button", name="Add to Wallet").click()
    shown = points(page).inner_text()
    page.get_by_role("button", name="Turn it off").click()
    expect(page.get_by_text("It is turned off.")).to_be_visible()
    demo.order(silas["customer_id"])
    awaited(demo, "silas.brandt@example.com", shown)
    expect(points(page)).to_have_text(shown)
    page.get_by_role("button", name="Turn it on").click()
    expect(points(page)).to_have_text(awaited(demo, "silas.brandt@example.com", shown), timeout=PATIENCE)


def awaited(demo: Demo, email: str, before: str) -> str:
    """The member's balance, once it is another."""
    deadline = time.monotonic() + PATIENCE / 1000
    while (now := f"{demo.member(email)['points']['available']:,}") == before:
        assert time.monotonic() < deadline, "the order earned nothing"
        time.sleep(0.2)
    return now


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phones_fit_every_screen_and_every_thumb(browser: Browser, demo: Demo, scheme: Any) -> None:
    maya = demo.member("maya.lindqvist@example.com")
    httpx.post(f"{demo.world}/iphone/maya/passes", json={"url": demo.add_url(maya)}).raise_for_status()
    link = demo.api.get(f"/members/{maya['id']}/google_wallet").json()["save_url"]
    httpx.post(link, json={"phone": "maya"}).raise_for_status()
    for width in WIDTHS:
        context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
        page = context.new_page()
        for path in ("/iphone/maya/", "/google-wallet/maya/"):
            page.goto(f"{demo.world}{path}")
            expect(points(page)).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert [one for one in page.evaluate(PRESSABLE) if min(one[1:]) < 44] == []
        context.close()


def test_a_card_is_turned_without_a_mouse(demo: Demo, page: Page) -> None:
    maya = demo.member("maya.lindqvist@example.com")
    httpx.post(f"{demo.world}/iphone/turned/passes", json={"url": demo.add_url(maya)}).raise_for_status()
    page.goto(f"{demo.world}/iphone/turned/")
    page.get_by_role("button", name="Show the back").press("Enter")
    expect(page.get_by_role("region", name="The back of the card")).to_be_visible()
    expect(page.get_by_role("button", name="Show the front")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Show the back")).to_be_focused()
