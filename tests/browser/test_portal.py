"""The rewards pages as shoppers meet them: in the shop's theme through the app proxy, and on their own by a link."""

import gzip
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.browser import axe
from tests.browser.conftest import Rapport

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PATIENCE = 60_000  # milliseconds
SIZES = [(390, 844), (1280, 900)]
SCHEMES = ("light", "dark")
MOST_BYTES = 60_000
WATCH = """() => {
  window.shifted = 0;
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) if (!one.hadRecentInput) window.shifted += one.value;
  }).observe({ type: "layout-shift", buffered: true });
}"""
# As `sessions.link` makes one for a mail, by a process of the test's own on the running instance.
LINK = """
from app import create_app
create_app()
from core.db import database
from shops.models import Shop
from web.portal import sessions
with database().transaction(1) as session:
    print(sessions.link(session.get_one(Shop, 1), {member}))
"""

Browsers = Callable[..., BrowserContext]


class Shop:
    """The running demo shop: its storefront, its API, and its members."""

    def __init__(self, rapport: Rapport) -> None:
        self.rapport, facts = rapport, rapport.facts
        headers = {"Authorization": f"Bearer {facts['api_token']}"}
        self.api = httpx.Client(base_url=f"{facts['base_url']}/api/v1", headers=headers, timeout=30)
        self.store = facts["storefront_url"]
        self.rewards = f"{self.store}apps/rewards"
        self.alone = f"{facts['base_url']}/s/{facts['shop'].removesuffix('.myshopify.com')}/rewards"

    def member(self, email: str) -> dict[str, Any]:
        (found,) = self.api.get("/members", params={"email": email}).json()["items"]
        return dict(found)

    def balance(self, email: str) -> int:
        return int(self.member(email)["points"]["available"])

    def shares(self) -> int:
        """As the merchant's results have them."""
        return int(self.api.get("/referrals/numbers").json()["total"]["shares"])

    def publish(self, **changes: Any) -> None:
        document = self.api.get("/program").json()["document"] | changes
        assert self.api.put("/program/draft", json={"document": document}).status_code == 200
        assert self.api.post("/program/publish", json={}).status_code == 201

    def sign_in(self, context: BrowserContext, email: str) -> Page:
        """A browser in which this customer is signed in to the shop, on the rewards page in its theme."""
        customer = str(self.member(email)["customer_id"])
        assert context.request.post(f"{self.store}sign-in", form={"customer": customer}).ok
        page = context.new_page()
        page.goto(self.rewards)
        return page


@pytest.fixture(scope="module")
def shop(rapport: Rapport) -> Iterator[Shop]:
    shop = Shop(rapport)
    shop.publish(
        activities=[
            {"kind": "birthday", "key": "bday", "name": "Your birthday", "points": 100},
            {"kind": "question", "key": "roast", "name": "Roast", "question": "Which roast do you like best?",
             "choices": ["Light", "Medium", "Dark"], "points": 20},
            {"kind": "newsletter", "key": "news", "name": "Letters from the pier", "points": 30},
            {"kind": "social", "key": "insta", "name": "Follow us on Instagram", "network": "Instagram",
             "url": "https://example.com/pier", "points": 10},
            {"kind": "nps", "key": "nps", "name": "How are we doing?", "points": 5},
        ]
    )  # fmt: skip
    yield shop
    shop.api.close()


@pytest.fixture
def browsers(browser: Browser) -> Iterator[Browsers]:
    """Fresh people. What their pages' scripts and policies complain of fails the test."""
    opened: list[BrowserContext] = []
    complaints: list[str] = []

    def fresh(width: int = 390, height: int = 844, **options: Any) -> BrowserContext:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda m: complaints.append(m.text) if "Content Security Policy" in m.text else None)
        opened.append(context)
        return context

    yield fresh
    for context in opened:
        context.close()
    assert complaints == []


def test_redeeming_in_the_theme_gives_a_code_that_works_at_the_checkout(shop: Shop, browsers: Browsers) -> None:
    email = "silas.brandt@example.com"
    before = shop.balance(email)
    page = shop.sign_in(browsers(), email)
    page.evaluate("document.documentElement.dataset.same = '1'")
    page.get_by_role("button", name="Redeem $5 off").click()
    expect(page.get_by_text("It's yours")).to_be_visible()
    expect(page.locator(".p-big strong")).to_have_text(f"{before - 500:,}")
    assert page.evaluate("document.documentElement.dataset.same") == "1", "the page was swapped in place"
    assert "signature" not in page.url
    shopping = page.locator("#got").get_by_role("link", name="Shop with it")
    expect(shopping).to_be_visible(timeout=PATIENCE)
    code = page.locator("#got code").inner_text()
    axe.assert_nothing_found(page, ".portal", "just redeemed")
    shopping.click()
    expect(page.get_by_text(f"{code} is waiting at your checkout.")).to_be_visible()

    page.goto(shop.rewards)
    page.locator(".p-mine", has_text=code).get_by_role("button", name="Give it back").click()
    expect(page.get_by_text("Your points are back in a few seconds.")).to_be_visible()
    expect(page.locator(".p-big strong")).to_have_text(f"{before:,}", timeout=PATIENCE)


def test_a_redeem_is_never_lost_or_doubled(shop: Shop, browsers: Browsers) -> None:
    """By a connection that drops on the way back, a second tap, the back button, and a form that is sent again."""
    email = "noor.haddad@example.com"
    before = shop.balance(email)
    page = shop.sign_in(browsers(), email)
    dropped: list[str] = []

    def drop(route: Route) -> None:
        route.fetch()  # it arrives, and its answer is lost
        dropped.append(route.request.url)
        route.abort()

    page.route("**/apps/rewards/redeem", drop, times=1)
    button = page.get_by_role("button", name="Redeem Free shipping")
    button.click()
    expect(page.get_by_text("We couldn’t reach the shop just now.")).to_be_visible()
    assert dropped
    assert shop.balance(email) == before - 300
    button.dblclick()
    expect(page.get_by_text("It's yours")).to_be_visible()
    assert shop.balance(email) == before - 300

    plain = browsers(java_script_enabled=False)
    seen = shop.sign_in(plain, email)
    seen.get_by_role("button", name="Redeem $5 off").click()
    expect(seen.get_by_text("It's yours")).to_be_visible()
    seen.reload()
    expect(seen.get_by_text("It's yours")).to_be_visible()
    seen.go_back()
    expect(seen.locator(".p-mine", has_text="$5 off")).to_be_visible()
    expect(seen.locator(".p-big strong")).to_have_text(f"{before - 800:,}")
    assert shop.balance(email) == before - 800


def test_ways_to_earn_without_a_script_and_preferences(shop: Shop, browsers: Browsers) -> None:
    email = "june.park@example.com"
    before = shop.balance(email)
    page = shop.sign_in(browsers(java_script_enabled=False), email)
    page.get_by_role("radio", name="Medium").check()
    page.locator(".p-way", has_text="Which roast").get_by_role("button", name="Send my answer").click()
    expect(page.get_by_text("Thank you. Your points are there.")).to_be_visible()
    page.get_by_role("button", name="Sign up by e-mail").click()
    expect(page.locator(".p-big strong")).to_have_text(f"{before + 50:,}")
    expect(page.get_by_text("2 already done")).to_be_visible()
    page.get_by_role("link", name="Preferences").click()
    page.get_by_label("Month").select_option(label="May")
    page.get_by_label("Day", exact=True).select_option("4")
    page.get_by_role("button", name="Save my birthday").click()
    expect(page.get_by_text("Your birthday is saved.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download my data").click()
    assert download.value.suggested_filename == "my-rewards.json"


def test_a_tap_that_passes_the_link_on_is_counted_once(shop: Shop, browsers: Browsers) -> None:
    context = browsers()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = shop.sign_in(context, "lena.voss@example.com")
    sent: list[tuple[str, str | None]] = []
    context.on("request", lambda r: sent.append((r.method, r.post_data)) if r.url.endswith("/shared") else None)
    before = shop.shares()
    page.get_by_role("button", name="Copy link").dblclick()
    for _look in range(50):
        if shop.shares() > before:
            break
        page.wait_for_timeout(100)
    assert shop.shares() == before + 1
    # Nothing is told of who it was or how.
    assert [(method, body or "") for method, body in sent] == [("POST", "")]


def test_history_comes_in_place(shop: Shop, browsers: Browsers) -> None:
    page = shop.sign_in(browsers(1280, 900), "noor.haddad@example.com")
    page.get_by_role("link", name="All of it").click()
    lines = page.locator("#lines > li")
    first = lines.count()
    assert first == 15
    page.get_by_role("link", name="Show older").click()
    expect(lines.nth(first)).to_be_visible()
    assert urlsplit(page.url).query == ""


def link_for(shop: Shop, email: str) -> str:
    return shop.rapport.python(LINK.format(member=shop.member(email)["id"])).strip()


def test_a_link_from_a_mail_opens_the_page_on_its_own(shop: Shop, browsers: Browsers) -> None:
    context = browsers()
    page = context.new_page()
    page.goto(link_for(shop, "theo.okafor@example.com"))
    assert page.url == shop.alone
    expect(page.get_by_role("heading", name="Hello Theo")).to_be_visible()
    page.get_by_role("link", name="Français").click()
    assert page.evaluate("document.documentElement.lang") == "fr"
    page.get_by_role("link", name="العربية").click()
    assert page.evaluate("document.documentElement.dir") == "rtl"
    axe.assert_nothing_found(page, where="right to left")
    page.get_by_role("link", name="English").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name=re.compile("^Join"))).to_be_visible()


def test_everybody_can_read_and_reach_every_page_in_both_places(shop: Shop, browsers: Browsers) -> None:
    """axe on every page in every size and scheme, nothing wider than the window, nothing that moves by itself."""
    link = link_for(shop, "noor.haddad@example.com")
    customer = str(shop.member("noor.haddad@example.com")["customer_id"])
    for width, height in SIZES:
        for scheme in SCHEMES:
            context = browsers(width, height, color_scheme=scheme)
            page = context.new_page()
            for path in ("", "/sign-in", "/sign-in?sent=1", "/enter/broken", "/nowhere"):
                look(page, shop.alone + path, f"{path} {width} {scheme}")
            look(page, shop.rewards, f"theme {width} {scheme}", ".portal")
            page.goto(link)
            context.request.post(f"{shop.store}sign-in", form={"customer": customer})
            for path in ("", "/history", "/preferences", "?done=earned", "/history?before=1"):
                look(page, shop.alone + path, f"{path} {width} {scheme}", opened=True)
                look(page, shop.rewards + path, f"theme {path} {width} {scheme}", ".portal", opened=True)
            context.close()


def look(page: Page, url: str, where: str, within: str | None = None, *, opened: bool = False) -> None:
    page.goto(url)
    page.evaluate(WATCH)
    axe.assert_nothing_found(page, within, where)
    assert page.evaluate("Math.ceil(document.documentElement.scrollWidth)") <= page.viewport_size["width"], where
    assert page.evaluate("window.shifted") < 0.01, where
    if opened:
        page.evaluate("for (const one of document.querySelectorAll('.portal details')) one.open = true")
        axe.assert_nothing_found(page, within, f"{where}, unfolded")


def test_scripts_and_styles_are_small(shop: Shop, browsers: Browsers) -> None:
    page = browsers().new_page()
    files: list[str] = []
    page.on("request", lambda one: files.append(one.url) if one.resource_type in ("script", "stylesheet") else None)
    page.goto(shop.alone)
    sizes = [len(zipped(url)) for url in files]
    assert len(files) >= 5
    assert sum(sizes) < MOST_BYTES, dict(zip(files, sizes, strict=True))


def zipped(url: str) -> bytes:
    return gzip.compress(httpx.get(url).content)
