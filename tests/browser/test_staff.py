"""The counter in a real browser: a card held before the camera, a redemption and its undoing, a broken connection."""

import io
import json
import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, expect

from sandbox.instance import DEBIANS, QUIET
from tests.browser import axe
from tests.browser.camera import film
from tests.browser.conftest import Rapport

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SEEN = {"turned": {"turned": 24, "blurred": 1.6}, "dim": {"dim": True}, "straight": {}}
WIDTHS = {"phone": (390, 844), "desktop": (1280, 900)}


@pytest.fixture(scope="module")
def api(rapport: Rapport) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {rapport.facts['api_token']}"}
    with httpx.Client(base_url=f"{rapport.facts['base_url']}/api/v1", headers=headers, timeout=30) as client:
        yield client


def member(api: httpx.Client, email: str) -> Any:
    (found,) = api.get("/members", params={"email": email}).json()["items"]
    return found


def code_of(api: httpx.Client, member_id: str) -> str:
    """What the card on the phone shows now."""
    file = api.get(f"/members/{member_id}/pass.pkpass").raise_for_status().content
    card = json.loads(zipfile.ZipFile(io.BytesIO(file)).read("pass.json"))
    return str(card["barcodes"][0]["message"])


def counter(playwright: Playwright, rapport: Rapport, size: str = "phone", video: Path | None = None) -> BrowserContext:
    """A browser of the counter's phone, signed in at Harbour Street; with a camera if there is something to see."""
    if not DEBIANS.exists():
        pytest.skip("the fake camera is Debian's Chromium's")
    flags = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    seen = [f"--use-file-for-fake-video-capture={video}"] if video else []
    browser = playwright.chromium.launch(executable_path=DEBIANS, args=[*QUIET, *(flags + seen if video else [])])
    width, height = WIDTHS[size]
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=size == "phone")
    page = context.new_page()
    page.goto(rapport.facts["staff_login_url"])
    page.get_by_label("PIN").fill(rapport.facts["staff_pin"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Harbour Street").click()
    expect(page.get_by_label("Code of the card")).to_be_visible()
    return context


def leave(context: BrowserContext) -> None:
    browser = context.browser
    context.close()
    if browser:
        browser.close()


@pytest.mark.parametrize("how", SEEN)
def test_a_card_before_the_camera_is_read(
    playwright: Playwright, rapport: Rapport, api: httpx.Client, tmp_path: Path, how: str
) -> None:
    noor = member(api, "noor.haddad@example.com")
    video = film(tmp_path / "card.y4m", code_of(api, noor["id"]), **SEEN[how])
    context = counter(playwright, rapport, video=video)
    page = context.pages[0]
    expect(page.get_by_role("heading", name="Noor Haddad")).to_be_visible(timeout=60_000)
    expect(page.locator(".person .points")).to_have_text(f"{noor['points']['available']:,} points")
    expect(page.locator(".person")).to_contain_text("Early access")
    expect(page.get_by_text("This card is good.")).to_be_visible()
    leave(context)


@pytest.mark.parametrize("size", WIDTHS)
def test_redeeming_and_undoing_moves_points_once(
    playwright: Playwright, rapport: Rapport, api: httpx.Client, size: str
) -> None:
    noor = member(api, "noor.haddad@example.com")
    context = counter(playwright, rapport, size)
    page = context.pages[0]
    typed(page, code_of(api, noor["id"]))
    page.get_by_role("button", name="Redeem Free shipping").first.click()
    page.locator("dialog[open]").get_by_role("button", name="Redeem Free shipping").dblclick()
    expect(page.locator(".done .code")).to_contain_text("RAP-")
    assert member(api, "noor.haddad@example.com")["points"]["available"] == noor["points"]["available"] - 300
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".done")).to_contain_text("Undone", timeout=60_000)
    back(api, noor)
    actors = {one["actor"] for one in api.get(f"/members/{noor['id']}/postings").json()["items"][:2]}
    assert any(actor.startswith("staff:") and "@" in actor for actor in actors)
    leave(context)


def typed(page: Page, code: str) -> None:
    """As a USB scanner does: fast, outside of every field, with Enter at the end."""
    page.locator("h1").first.click(force=True)
    page.evaluate("document.activeElement?.blur()")
    page.keyboard.type(code)
    page.keyboard.press("Enter")
    expect(page.locator(".person")).to_be_visible()


def back(api: httpx.Client, was: Any) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if member(api, was["email"])["points"]["available"] == was["points"]["available"]:
            return
        time.sleep(0.3)
    raise AssertionError("the points did not come back")


def test_a_lost_answer_is_asked_for_again_and_counts_once(
    playwright: Playwright, rapport: Rapport, api: httpx.Client
) -> None:
    theo = member(api, "theo.okafor@example.com")
    context = counter(playwright, rapport)
    page = context.pages[0]
    page.get_by_label("E-mail, phone or name").fill("theo.okafor@example.com")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Theo Okafor").click()
    page.get_by_text("Give points for a purchase").click()
    page.get_by_label("Amount paid").fill("20")
    page.get_by_label("Receipt number").fill("T-1")
    lost = []

    def lose(route: Any) -> None:
        """The shop hears it, and its answer never arrives: once."""
        if lost:
            route.continue_()
            return
        lost.append(route.fetch().status)
        route.abort("connectionreset")

    page.route("**/purchase", lose)
    page.get_by_role("button", name="Give points").click()
    expect(page.locator(".done .verdict")).to_contain_text("points", timeout=60_000)
    assert lost == [200]
    # How many follows from his tier, which others' purchases in the demo may have raised.
    given = int(re.sub(r"\D", "", page.locator(".done .verdict").inner_text()))
    assert given >= 20
    assert member(api, theo["email"])["points"]["available"] == theo["points"]["available"] + given
    leave(context)


def test_without_a_network_nobody_is_looked_up(playwright: Playwright, rapport: Rapport) -> None:
    context = counter(playwright, rapport)
    page = context.pages[0]
    context.set_offline(True)
    page.get_by_label("E-mail, phone or name").fill("noor")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("No connection. Nobody was looked up.")).to_be_visible()
    expect(page.locator("#sheet")).to_be_empty()
    leave(context)


@pytest.mark.parametrize("size", WIDTHS)
def test_every_state_can_be_read_and_reached_by_everybody(
    playwright: Playwright, rapport: Rapport, api: httpx.Client, size: str
) -> None:
    context = counter(playwright, rapport, size)
    page = context.pages[0]
    axe.assert_nothing_found(page, where="the scanner")
    page.get_by_label("Code of the card").fill("NO-CARD")
    page.get_by_role("button", name="Read").click()
    expect(page.get_by_text("Not a good card")).to_be_visible()
    axe.assert_nothing_found(page, where="not a card")
    page.keyboard.press("Escape")
    expect(page.locator("#sheet")).to_be_empty()
    page.get_by_label("E-mail, phone or name").fill("noor")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("link", name="Noor Haddad")).to_be_visible()
    axe.assert_nothing_found(page, where="who is it")
    page.get_by_role("link", name="Noor Haddad").click()
    expect(page.locator(".person")).to_be_visible()
    page.get_by_text("Give points for a purchase").click()
    axe.assert_nothing_found(page, where="a member")
    page.get_by_role("button", name="Redeem Free shipping").first.click()
    axe.assert_nothing_found(page, where="confirm")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for path in ("/staff/new", "/staff/place", "/staff/nothing"):
        page.goto(rapport.facts["base_url"] + path)
        axe.assert_nothing_found(page, where=path)
    page.get_by_role("button", name="Sign out").click()
    axe.assert_nothing_found(page, where="sign in")
    leave(context)
