"""The theme's blocks in a storefront: what they say is what the API says, and they move nothing on the page."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from sandbox.catalogue import PRODUCTS
from tests.browser.conftest import Rapport
from tests.browser.test_referrals import Shop

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SHIFTS = """
window.moved = 0;
new PerformanceObserver((list) => list.getEntries().forEach((entry) => { window.moved += entry.value; }))
    .observe({type: "layout-shift", buffered: true});
"""


@pytest.fixture(scope="module")
def shop(rapport: Rapport) -> Iterator[Shop]:
    shop = Shop(rapport)
    yield shop
    shop.api.close()


@pytest.fixture(scope="module")
def members(shop: Shop) -> list[dict[str, Any]]:
    """Members, the richest first."""
    found = shop.api.get("/members", params={"limit": 100}).json()["items"]
    return sorted((one for one in found if one["customer_id"]), key=lambda one: -one["points"]["available"])


@pytest.fixture
def visit(browser: Browser, shop: Shop) -> Iterator[Any]:
    """Opens pages of the storefront: `visit(path, member)`."""
    contexts: list[BrowserContext] = []

    def go(path: str, member: dict[str, Any] | None = None) -> Page:
        context = browser.new_context(viewport={"width": 390, "height": 844})
        contexts.append(context)
        context.add_init_script(SHIFTS)
        if member:
            context.add_cookies([{"name": "customer", "value": member["customer_id"], "url": shop.store}])
        page = context.new_page()
        page.goto(shop.store + path, wait_until="networkidle")
        return page

    yield go
    for context in contexts:
        context.close()


def product(title: str) -> int:
    return next(item.product_id or 0 for item in PRODUCTS if item.title == title)


def test_the_launcher_says_the_balance_and_opens_the_rewards(
    visit: Any, members: list[dict[str, Any]], shop: Shop
) -> None:
    page = visit("", members[0])
    launcher = page.locator("rapport-launcher a")
    expect(launcher).to_have_text(f"{members[0]['points']['available']:,} points")
    assert launcher.get_attribute("href") == f"/{shop.rapport.facts['shop']}/apps/rewards"
    assert page.evaluate("window.moved") == 0


def test_a_stranger_sees_words_and_no_balance(visit: Any) -> None:
    page = visit("")
    expect(page.locator("rapport-launcher a")).to_have_text("Rewards")
    expect(page.locator("rapport-friend")).to_be_hidden()


def test_a_product_says_what_it_brings_and_follows_the_variant(visit: Any, members: list[dict[str, Any]]) -> None:
    advocate = next(one for one in members if one["tier"]["key"] == "advocate")
    page = visit(f"products/{product('Breakwater Espresso')}", advocate)
    says = page.locator("rapport-earn [role=status]")
    expect(says).to_have_text("Earn 20 points")  # $16.50 x 1.25
    page.get_by_label("Size").select_option(label="1 kg · $54.00")
    expect(says).to_have_text("Earn 67 points")  # $54.00 x 1.25
    assert page.evaluate("window.moved") == 0


def test_points_are_counted_exactly(visit: Any) -> None:
    page = visit("")
    counted = page.evaluate(
        "[[7999, '1', '1.5', 2], [30, '100', '1', 2], [148000, '0.01', '1.1', 0], [-1, '1', '1', 2]]"
        ".map(([price, rate, multiplier, digits]) => window.rapport.worth(price, {rate, multiplier, digits}))"
    )
    assert counted == [119, 30, 16, 0]


def test_the_cart_says_what_it_brings_and_follows_a_change(visit: Any, members: list[dict[str, Any]]) -> None:
    page = visit(f"products/{product('Hand Grinder')}")
    page.get_by_role("button", name="Add to cart").click()
    says = page.locator("rapport-cart p").first
    expect(says).to_have_text("This order brings 139 points.")
    expect(page.locator("rapport-cart p").last).to_have_text("161 more for Free shipping.")
    assert page.evaluate("window.moved") == 0
    grinder = next(item.variant_id for item in PRODUCTS if item.title == "Hand Grinder")
    page.evaluate(
        "(id) => fetch('cart/change.js', {method: 'POST', headers: {'Content-Type': 'application/json'},"
        " body: JSON.stringify({id, quantity: 3})}).then((answer) => answer.json())",
        grinder,
    )
    expect(says).to_have_text("This order brings 417 points.")


def test_a_reward_is_redeemed_on_a_page_of_the_theme(visit: Any, members: list[dict[str, Any]], shop: Shop) -> None:
    rich = next(one for one in members if one["points"]["available"] >= 300)
    page = visit("pages/rewards", rich)
    had = rich["points"]["available"]
    expect(page.locator(".rapport-balance")).to_have_text(f"{had:,} points")
    assert page.evaluate("window.moved") < 0.01
    page.get_by_role("button", name="Redeem Free shipping").click()
    expect(page.get_by_role("status").last).to_contain_text("Free shipping is yours:")
    expect(page.locator(".rapport-balance")).to_have_text(f"{had - 300:,} points")
    newest = shop.api.get(f"/members/{rich['id']}/rewards", params={"limit": 1}).json()["items"][0]
    expect(page.locator(".rapport-code")).to_have_text(newest["code"])
    expect(page.get_by_role("link", name="Use it now")).to_have_attribute(
        "href", f"/{shop.rapport.facts['shop']}/discount/{newest['code']}?redirect=%2Fcart"
    )


def test_a_page_without_the_app_goes_on(browser: Browser, shop: Shop, members: list[dict[str, Any]]) -> None:
    context = browser.new_context()
    context.route("**/apps/rewards/api/**", lambda route: route.abort())
    context.add_cookies([{"name": "customer", "value": members[0]["customer_id"], "url": shop.store}])
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{shop.store}pages/rewards", wait_until="networkidle")
    expect(page.get_by_text("We couldn't reach the shop just now. Your points are safe.")).to_be_visible()
    expect(page.locator("rapport-launcher a")).to_have_text("Rewards")
    context.unroute("**/apps/rewards/api/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".rapport-balance")).to_contain_text("points")
    assert complaints == []
    context.close()


def test_a_friend_is_greeted_and_the_cart_remembers_by_whom(
    visit: Any, members: list[dict[str, Any]], shop: Shop
) -> None:
    referrer = next(one for one in members if one["referral"])
    code = referrer["referral"]["code"]
    page = visit(f"?rapport_ref={code}")
    greeting = page.get_by_role("region", name="A gift from a friend")
    expect(greeting).to_contain_text("gives you $10 off your first order of $30 or more.")
    assert greeting.get_by_role("link").get_attribute("href") == referrer["referral"]["url"]
    assert page.evaluate("fetch('cart.js').then((answer) => answer.json())")["attributes"] == {"rapport_ref": code}
    assert page.evaluate("window.moved") == 0
    greeting.get_by_role("button", name="Close").click()
    expect(greeting).to_be_hidden()
    page.reload(wait_until="networkidle")
    expect(greeting).to_be_hidden()


def test_early_access_keeps_a_product_for_those_whose_tier_brings_it(
    visit: Any, members: list[dict[str, Any]], shop: Shop
) -> None:
    decaf = product("Colombia Huila Decaf")
    changed = httpx.post(f"{shop.control}/products/{decaf}", json={"tags": ["early-access", "decaf"]})
    assert changed.status_code == 200
    page = visit(f"products/{decaf}")
    expect(page.get_by_text("Our members get this first.")).to_be_visible()
    expect(page.get_by_role("button", name="Add to cart")).to_be_disabled()
    ambassador = next(one for one in members if one["tier"]["key"] == "ambassador")
    page = visit(f"products/{decaf}", ambassador)
    expect(page.get_by_text("You have early access. It's yours first.")).to_be_visible()
    expect(page.get_by_role("button", name="Add to cart")).to_be_enabled()
    httpx.post(f"{shop.control}/products/{decaf}", json={"tags": ["decaf", "single-origin"]})
