"""A friend is brought: from the member's share button to both rewards and back, in browsers, through the whole app."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import ROOT, Rapport

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

HOLDING = 14  # days
PATIENCE = 60_000  # milliseconds
# Where a page is seen: width, height, colour scheme, text size.
SIZES = [(320, 640, "light"), (390, 844, "dark"), (1280, 900, "light")]
# The clock is moved in a process of the test's own, on the database of the running instance; the worker does the rest.
LATER = """
from datetime import timedelta
from app import create_app
from core import clock
from referrals import jobs
create_app()
with clock.fixed_at(clock.now() + timedelta(days={days})):
    jobs.release()
"""


class Shop:
    """The running demo shop, over its API and its store's control."""

    def __init__(self, rapport: Rapport) -> None:
        self.rapport, facts = rapport, rapport.facts
        headers = {"Authorization": f"Bearer {facts['api_token']}"}
        self.api = httpx.Client(base_url=f"{facts['base_url']}/api/v1", headers=headers, timeout=30)
        self.store = facts["storefront_url"]
        self.control = f"{self.store.removesuffix(facts['shop'] + '/')}sandbox/{facts['shop']}"

    def member(self, email: str) -> dict[str, Any]:
        (found,) = self.api.get("/members", params={"email": email}).json()["items"]
        return dict(found)

    def publish(self, **referral: Any) -> None:
        """The program with another referral part, from now on."""
        document = self.api.get("/program").json()["document"]
        document["referral"] |= referral
        assert self.api.put("/program/draft", json={"document": document}).status_code == 200
        assert self.api.post("/program/publish", json={}).status_code == 201

    def rewards(self, email: str) -> list[dict[str, Any]]:
        """What a member got without spending points, newest first."""
        items = self.api.get(f"/members/{self.member(email)['id']}/rewards").json()["items"]
        return [one for one in items if one["cost"] == 0]

    def referral(self, referrer: str) -> dict[str, Any]:
        """The newest a member brought, with what both sides got."""
        mine = self.member(referrer)["id"]
        found = next(one for one in self.api.get("/referrals").json()["items"] if one["referrer_id"] == mine)
        return dict(self.api.get(f"/referrals/{found['id']}").json())

    def let_days_pass(self, days: int) -> None:
        script = f'. "$RAPPORT_STATE/environment"; exec "{ROOT}/.venv/bin/python" -c "$LATER"'
        environ = os.environ | {"RAPPORT_STATE": str(self.rapport.state), "LATER": LATER.format(days=days)}
        subprocess.run(["bash", "-c", script], env=environ, cwd=ROOT, check=True, capture_output=True)

    def rename(self, email: str, **names: str) -> None:
        """In the store, which tells the app."""
        customer = self.member(email)["customer_id"]
        assert httpx.post(f"{self.control}/customers/{customer}", json=names).status_code == 200


@pytest.fixture(scope="module")
def shop(rapport: Rapport) -> Iterator[Shop]:
    shop = Shop(rapport)
    shop.publish(holding_days=HOLDING)
    yield shop
    shop.api.close()


@pytest.fixture
def browsers(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Fresh people: each context is another phone or computer."""
    opened: list[BrowserContext] = []

    def fresh(**options: Any) -> BrowserContext:
        opened.append(browser.new_context(viewport={"width": 390, "height": 844}, **options))
        return opened[-1]

    yield fresh
    for context in opened:
        context.close()


def eventually(check: Callable[[], Any], what: str) -> Any:
    """What the workers bring about within a while."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not (found := check()):
        assert time.monotonic() < deadline, what
        time.sleep(0.3)
    return found


def members_page(shop: Shop, page: Page, name: str) -> Page:
    """As the demo leads there."""
    page.goto(shop.rapport.facts["base_url"])
    page.locator(".members a", has_text=name).first.click()
    page.get_by_role("link", name="Bring a friend").click()
    expect(page.get_by_role("heading", name="Bring a friend, give $10 off")).to_be_visible()
    return page


def claim(page: Page, link: str, email: str) -> str:
    """The friend's side, and the code they get."""
    page.goto(link)
    page.get_by_label("Your e-mail address").fill(email)
    page.get_by_label("may keep my e-mail address").check()
    page.get_by_role("button", name="Get my $10 off").click()
    code = page.locator("[data-code]")
    expect(code).to_have_text(re.compile("^FRIEND-"), timeout=PATIENCE)
    return code.inner_text()


def test_from_the_share_button_to_both_rewards_and_back(shop: Shop, page: Page, browsers: Any) -> None:
    page.add_init_script("navigator.share = async (told) => { window.shared = told; }")
    noor = members_page(shop, page, "Noor Haddad")
    noor.get_by_role("button", name="Share your link").click()
    shared = noor.evaluate("window.shared")
    assert shared["url"].endswith("?via=native")
    assert "$10 off your first order of $30 or more" in shared["text"]

    friend = browsers().new_page()
    friend.goto(shared["url"])
    expect(friend.get_by_role("heading", name="Noor gives you $10 off")).to_be_visible()
    code = claim(friend, shared["url"], "vera.sand@example.org")
    expect(friend.locator("[data-ready]")).to_have_text("It's ready.", timeout=PATIENCE)
    friend.get_by_role("link", name="Shop now with $10 off").click()
    expect(friend.get_by_text(f"{code} is waiting at your checkout.")).to_be_visible()

    friend.get_by_role("button", name="Buy Hand Grinder").click()
    friend.get_by_label("E-mail").fill("vera.sand@example.org")
    friend.get_by_role("button", name="Place order").click()
    expect(friend.get_by_role("heading", name="Order #")).to_be_visible()
    expect(friend.locator(".bill")).to_contain_text(f"{code}took off $10.00")

    friend.goto(shared["url"])
    eventually(lambda: friend.reload() and "You've used it." in friend.inner_text("main"), "the code is used")

    def told(text: str) -> None:
        eventually(lambda: noor.reload() and text in noor.locator(".came").inner_text(), text)

    told("1 friend ordered; your $10 off arrives on ")
    assert shop.rewards("noor.haddad@example.com") == []
    shop.let_days_pass(HOLDING + 1)
    (reward,) = eventually(lambda: shop.rewards("noor.haddad@example.com"), "the referrer's reward")
    eventually(lambda: shop.rewards("noor.haddad@example.com")[0]["status"] == "issued", "its code")
    assert reward["amount"] == 1000
    told("1 friend ordered, and your reward came.")
    both = shop.referral("noor.haddad@example.com")
    assert (both["state"], both["via"], both["discount"], both["claim_id"] is None) == (
        "rewarded", "discount", 1000, False
    )  # fmt: skip
    assert [(one["side"], one["amount"], one["state"]) for one in both["rewards"]] == [("referrer", 1000, "given")]

    friend.goto(f"{shop.store}orders")
    friend.get_by_role("link", name="#").first.click()
    friend.get_by_role("button", name="Refund one Hand Grinder").click()
    expect(friend.locator(".status")).to_have_text("Refunded")
    eventually(lambda: shop.rewards("noor.haddad@example.com")[0]["status"] == "returned", "the reward went back")
    told("1 friend returned the order, so your reward went back.")
    undone = shop.referral("noor.haddad@example.com")
    assert (undone["id"], undone["state"], undone["rewards"][0]["state"]) == (both["id"], "reversed", "taken_back")
    refused = httpx.post(f"{shop.control}/orders", json=an_order(shop, reward["code"]), timeout=30)
    assert refused.status_code == 422, refused.text


def an_order(shop: Shop, code: str) -> dict[str, Any]:
    products = httpx.get(f"{shop.control}/products").json()["products"]
    dearest = max(products, key=lambda item: item["price"])
    return {"lines": [{"variant_id": dearest["variant_id"]}], "codes": [code],
            "customer_id": int(shop.member("noor.haddad@example.com")["customer_id"])}  # fmt: skip


def test_a_friend_needs_no_script(shop: Shop, page: Page, browsers: Any) -> None:
    link = members_page(shop, page, "Theo Okafor").locator("[data-link]").input_value()
    friend = browsers(java_script_enabled=False).new_page()
    code = claim(friend, link, "plain@example.org")
    friend.goto(link)
    expect(friend.locator("[data-code]")).to_have_text(code)
    expect(friend.get_by_role("button", name="Copy code")).to_be_hidden()


def test_a_code_is_for_new_customers_only(shop: Shop, page: Page, browsers: Any) -> None:
    link = members_page(shop, page, "Theo Okafor").locator("[data-link]").input_value()
    known = browsers().new_page()
    known.goto(link)
    known.get_by_label("Your e-mail address").fill("June.Park@example.com")
    known.get_by_label("may keep my e-mail address").check()
    known.get_by_role("button", name="Get my $10 off").click()
    expect(known.get_by_role("heading", name="You're already with us")).to_be_visible()


def test_by_keyboard_alone(shop: Shop, page: Page, browsers: Any) -> None:
    link = members_page(shop, page, "Theo Okafor").locator("[data-link]").input_value()
    friend = browsers().new_page()
    friend.goto(link)
    focused = []
    for typed in ("", "keys@example.org", " ", "", "\n"):
        friend.keyboard.press("Tab")
        focused.append(friend.evaluate("document.activeElement.name || document.activeElement.innerText.trim()"))
        friend.keyboard.type(typed)
    assert focused == ["North Pier Coffee", "email", "consent", "news", "Get my $10 off"]
    expect(friend.locator("[data-code]")).to_have_text(re.compile("^FRIEND-"), timeout=PATIENCE)


def test_what_is_missing_is_said_and_has_the_focus(shop: Shop, page: Page, browsers: Any) -> None:
    link = members_page(shop, page, "Theo Okafor").locator("[data-link]").input_value()
    friend = browsers().new_page()
    friend.goto(link)
    friend.get_by_label("Your e-mail address").fill("nobody")
    friend.keyboard.press("Enter")
    expect(friend.get_by_role("alert")).to_contain_text("Please tick the box")
    expect(friend.get_by_label("may keep my e-mail address")).to_be_focused()
    friend.keyboard.type(" \n")
    expect(friend.get_by_role("alert")).to_contain_text("isn't an e-mail address")
    expect(friend.get_by_label("Your e-mail address")).to_be_focused()


def test_copying_the_code(shop: Shop, page: Page, browsers: Any) -> None:
    link = members_page(shop, page, "Theo Okafor").locator("[data-link]").input_value()
    friend = browsers(permissions=["clipboard-read", "clipboard-write"]).new_page()
    code = claim(friend, link, "copies@example.org")
    friend.get_by_role("button", name="Copy code").click()
    expect(friend.get_by_role("button", name="Copied")).to_be_visible()
    assert friend.evaluate("navigator.clipboard.readText()") == code


def test_a_member_chooses_a_code(shop: Shop, page: Page) -> None:
    theirs = members_page(shop, page, "June Park")
    theirs.get_by_label("A code of your own").fill("WELCOME10")
    theirs.get_by_role("button", name="Take this code").click()
    expect(theirs.locator("[data-code]")).to_have_text("WELCOME10")


# axe's rules that a page this small can break: every field has a name, headings don't skip, ids are unique, contrast.
CHECK = """() => {
  const faults = [];
  for (const field of document.querySelectorAll('input:not([type=hidden]), select, button, a')) {
    const name = field.labels?.[0]?.innerText || field.innerText || field.getAttribute('aria-label') || field.value;
    if (field.checkVisibility() && !name?.trim()) faults.push('no name: ' + field.outerHTML);
  }
  const levels = [...document.querySelectorAll('h1, h2, h3')].map((heading) => +heading.tagName[1]);
  if (levels.filter((level) => level === 1).length !== 1) faults.push('one h1');
  levels.forEach((level, place) => { if (place && level > levels[place - 1] + 1) faults.push('skips to h' + level); });
  const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
  if (new Set(ids).size !== ids.length) faults.push('twice an id');
  for (const ref of document.querySelectorAll('[aria-labelledby], [aria-describedby]')) {
    const told = (ref.getAttribute('aria-labelledby') || '') + ' ' + (ref.getAttribute('aria-describedby') || '');
    for (const id of told.split(/\\s+/)) if (id && !document.getElementById(id)) faults.push('names nothing: ' + id);
  }
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).map((part) => part / 255)
      .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  for (const element of document.querySelectorAll('main *, header *')) {
    const words = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!words || !element.checkVisibility() || element.closest('svg, .trap')) continue;
    const [ink, back] = [getComputedStyle(element).color, behind(element)];
    if (!/^rgb/.test(ink) || !/^rgb/.test(back)) continue;
    const [bright, dark] = [light(ink), light(back)].sort((one, other) => other - one);
    if ((bright + 0.05) / (dark + 0.05) < 4.5) faults.push('pale: ' + element.innerText.slice(0, 40));
  }
  for (const target of document.querySelectorAll('button, a, summary, input:not([type=checkbox]):not([type=hidden])')) {
    const box = target.getBoundingClientRect();
    if (target.checkVisibility() && !target.closest('.trap') && box.height < 44 && !target.closest('p.lead')) {
      faults.push('small: ' + target.outerHTML.slice(0, 80));
    }
  }
  return faults;
}"""


def pages(shop: Shop, page: Page) -> dict[str, str]:
    bring = members_page(shop, page, "Noor Haddad").url
    landing = page.locator("[data-link]").input_value()
    return {"bring": bring, "landing": landing, "unknown": landing[:-1], "broken": bring[:-3]}


def test_anybody_can_read_and_reach_everything(shop: Shop, page: Page, browser: Browser) -> None:
    found = pages(shop, page)
    for width, height, scheme in SIZES:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        seen = context.new_page()
        for name, url in found.items():
            seen.goto(url)
            where = f"{name} {width} {scheme}"
            assert seen.evaluate(CHECK) == [], where
            assert seen.evaluate("Math.ceil(document.documentElement.scrollWidth)") <= width, where
        context.close()


@pytest.mark.parametrize(
    ("first", "shown"),
    [("Wolfeschlegelsteinhausenbergerdorff", "Wolfeschlegelsteinhausenbergerdorff"), ("نورالهدى", "نورالهدى")],
)
def test_names_of_any_length_and_direction_fit(
    shop: Shop, page: Page, browser: Browser, first: str, shown: str
) -> None:
    link = members_page(shop, page, "Iris Coleman").locator("[data-link]").input_value()
    try:
        shop.rename("iris.coleman@example.com", first_name=first)
        for zoom in (1, 2):
            # Twice as large is half as wide.
            context = browser.new_context(viewport={"width": 640 // zoom, "height": 800})
            seen = context.new_page()
            eventually(lambda seen=seen: seen.goto(link) and shown in seen.inner_text("h1"), shown)
            assert seen.evaluate("Math.ceil(document.documentElement.scrollWidth)") <= 640 // zoom
            context.close()
    finally:
        shop.rename("iris.coleman@example.com", first_name="Iris")
