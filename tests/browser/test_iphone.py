"""A card in the phone, as its owner sees it: an order changes it under their eyes, a redemption changes its code."""

from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Rapport

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PATIENCE = 60_000  # milliseconds
FRONT = ".front dd[data-key={}]"


@pytest.fixture
def api(rapport: Rapport) -> httpx.Client:
    headers = {"Authorization": f"Bearer {rapport.facts['api_token']}"}
    return httpx.Client(base_url=f"{rapport.facts['base_url']}/api/v1", headers=headers, timeout=30)


def world(rapport: Rapport) -> str:
    """Where the sandbox is: its storefront, its phones, its controls."""
    address = urlsplit(rapport.facts["storefront_url"])
    return f"{address.scheme}://{address.netloc}"


def member(api: httpx.Client, email: str) -> Any:
    (found,) = api.get("/members", params={"email": email}).json()["items"]
    return found


def order(rapport: Rapport, customer: str) -> None:
    """Twenty bags of something, paid for."""
    shop = f"{world(rapport)}/sandbox/{rapport.facts['shop']}"
    variant = httpx.get(f"{shop}/products").json()["products"][0]["variant_id"]
    lines = [{"variant_id": variant, "quantity": 20}]
    httpx.post(f"{shop}/orders", json={"customer_id": int(customer), "lines": lines}).raise_for_status()


def test_an_order_and_a_redemption_are_seen_on_the_phone(rapport: Rapport, api: httpx.Client, page: Page) -> None:
    before = member(api, "ewan.macleod@example.com")
    phone = f"{world(rapport)}/iphone/ewan/"
    page.goto(phone)
    page.get_by_label("A link to a card").fill(
        api.get(f"/members/{before['id']}/wallet").json()["apple"]["download_url"]
    )
    page.get_by_role("button", name="Add to Wallet").click()
    points = page.locator(FRONT.format("points"))
    expect(points).to_have_text(f"{before['points']['available']:,}")

    order(rapport, before["customer_id"])
    expect(points).not_to_have_text(f"{before['points']['available']:,}", timeout=PATIENCE)
    after = f"{member(api, 'ewan.macleod@example.com')['points']['available']:,}"
    expect(points).to_have_text(after)
    expect(page.locator(".note").filter(has_text=f"You have {after} points now.")).to_be_visible()

    code = page.locator(".code")
    old = str(code.get_attribute("data-code"))
    scanned = {"code": old, "location": "Counter"}
    assert api.post("/scans", json=scanned).json()["validity"] == "current"
    api.post(f"/members/{before['id']}/rewards", json={"reward": "free-shipping"}).raise_for_status()
    expect(code).not_to_have_attribute("data-code", old, timeout=PATIENCE)
    answer = api.post("/scans", json=scanned).json()
    assert (answer["validity"], "spend" in answer["may"]) == ("outdated", False)

    page.get_by_role("button", name="Show the back").click()
    back = page.get_by_role("region", name="The back of the card")
    expect(back.get_by_text("Free shipping", exact=False).first).to_be_visible(timeout=PATIENCE)
    # It lies on its face however often it changes.
    order(rapport, before["customer_id"])
    expect(points).not_to_have_text(after, timeout=PATIENCE)
    expect(back.get_by_role("button", name="Show the front")).to_be_visible()
    back.get_by_role("button", name="Show the front").click()
    expect(points).to_be_visible()


def test_the_phone_fits_small_screens_and_speaks_its_owner_s_language(
    rapport: Rapport, api: httpx.Client, page: Page
) -> None:
    gus = member(api, "gus.novak@example.com")
    link = api.get(f"/members/{gus['id']}/wallet").json()["apple"]["download_url"]
    phone = f"{world(rapport)}/iphone/gus/"
    httpx.post(f"{phone}passes", json={"url": link}).raise_for_status()
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(phone)
    page.get_by_label("Language").select_option("ar")
    page.get_by_role("button", name="Change the language").click()
    expect(page.get_by_text("المكافأة التالية")).to_be_visible()
    expect(page.locator(".card")).to_have_attribute("dir", "rtl")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
