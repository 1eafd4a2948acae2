"""The demo as a person meets it: buy in the storefront, watch the points, the reason and the tier on the home page."""

import json
import time
from statistics import median
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Rapport

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PATIENCE = 60_000  # milliseconds; the figure that counts is measured
PROMISED = 2.0  # seconds from the purchase to the page
WIDTHS = (1280, 390)
WATCH_SHIFTS = """() => {
  window.shifted = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((shift) => { window.shifted += shift.value; }))
    .observe({ type: "layout-shift", buffered: true });
}"""


def buy(store: Page, product: str) -> float:
    """Buy one of a product with what is chosen already, and give the moment it was ordered."""
    store.get_by_role("link", name="North Pier Coffee").click()
    store.get_by_role("button", name=f"Buy {product}").click()
    began = time.monotonic()
    store.get_by_role("button", name="Place order").click(no_wait_after=True)
    return began


def order_number(store: Page) -> str:
    heading = store.get_by_role("heading", name="Order #")
    heading.wait_for()
    return heading.inner_text().removeprefix("Order ")


def member(rapport: Rapport, email: str) -> Any:
    headers = {"Authorization": f"Bearer {rapport.facts['api_token']}"}
    url = f"{rapport.facts['base_url']}/api/v1/members"
    (found,) = httpx.get(url, params={"email": email}, headers=headers).json()["items"]
    return found


def test_a_purchase_arrives_with_its_points_their_reason_and_the_tier(rapport: Rapport, page: Page) -> None:
    before = member(rapport, "theo.okafor@example.com")
    assert before["tier"]["key"] == "insider"

    page.goto(rapport.facts["base_url"])
    page.evaluate(WATCH_SHIFTS)
    expect(page.get_by_text("Theo Okafor is $8.01 away from Advocate.")).to_be_visible()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Sign in as Theo Okafor").click()
    store = opened.value
    store.get_by_role("button", name="Sign in").click()

    page.bring_to_front()
    store_took = [watch(page, store, 15)]
    star = page.locator(".star")
    expect(star).to_contain_text("You reached Advocate with $506.99 in 365 days.")
    expect(star).to_contain_text("$993.01 to Ambassador")
    expect(star.locator(".balance data")).to_have_text(str(before["points"]["available"] + 15))

    after = member(rapport, "theo.okafor@example.com")
    assert after["points"]["available"] == before["points"]["available"] + 15
    assert after["tier"]["key"] == "advocate"

    # An Advocate by now: 15 × 1.25, rounded down.
    store_took += [watch(page, store, 18) for _ in range(2)]
    expect(star).to_contain_text("× 1.25 because you're an Advocate, rounded down.")
    assert median(store_took) < PROMISED, store_took
    assert page.evaluate("window.shifted") == 0


def watch(page: Page, store: Page, points: int) -> float:
    """Buy a bag, and give the seconds until the home page tells its points and its delivery."""
    began = buy(store, "Lighthouse Blend")
    number = order_number(store)
    expect(page.locator(".star")).to_contain_text(f"{points} points for order {number}.", timeout=PATIENCE)
    expect(page.locator(".feed li").filter(has_text=f"order {number}.").first).to_contain_text(f"+{points}")
    expect(page.locator(".deliveries tr").filter(has_text=number).first).to_contain_text("Order", timeout=PATIENCE)
    return time.monotonic() - began


def test_the_pages_fit_and_the_way_back_is_always_there(rapport: Rapport, page: Page) -> None:
    base = rapport.facts["base_url"]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        for path in ("/", "/staff", "/merchant", "/apps/rewards"):
            page.goto(base + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.goto(base)
        page.locator(".members a").first.press("Enter")
        expect(page.get_by_role("heading", name="Points, and why")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("link", name="Back to the live view").click()
        expect(page.get_by_text("Watching")).to_be_visible()


def test_the_page_says_when_it_cannot_be_current_and_recovers(rapport: Rapport, page: Page) -> None:
    page.goto(rapport.facts["base_url"])
    page.route("**/demo/live", lambda route: route.fulfill(status=503, body=""))
    expect(page.get_by_text("We can't reach Rapport just now.")).to_be_visible()
    expect(page.locator(".members li").first).to_be_visible()
    page.unroute("**/demo/live")
    expect(page.get_by_text("Watching")).to_be_visible()


def test_friends_of_members_are_at_different_stages(rapport: Rapport) -> None:
    headers = {"Authorization": f"Bearer {rapport.facts['api_token']}"}
    url = f"{rapport.facts['base_url']}/api/v1/referrals"
    items = httpx.get(url, headers=headers).json()["items"]
    assert {"rewarded", "waiting", "review"} <= {one["state"] for one in items}


def test_seeding_again_changes_nothing(rapport: Rapport) -> None:
    before = member(rapport, "noor.haddad@example.com")
    assert json.loads(rapport.flask("demo", "seed")) == rapport.facts
    assert member(rapport, "noor.haddad@example.com") == before


def test_the_demo_has_cards_in_phones_and_a_reward_that_was_used(rapport: Rapport) -> None:
    delphine = member(rapport, "delphine.roux@example.com")
    headers = {"Authorization": f"Bearer {rapport.facts['api_token']}"}
    url = f"{rapport.facts['base_url']}/api/v1/members/{delphine['id']}"
    (reward,) = httpx.get(f"{url}/rewards", headers=headers).json()["items"]
    assert (reward["reward"], reward["status"]) == ("free-shipping", "used")
    assert len(httpx.get(f"{url}/wallet", headers=headers).json()["apple"]["devices"]) == 1
