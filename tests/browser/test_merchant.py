"""The merchant's pages inside the sandbox's admin: found, opened, changed; on phones and desks, light and dark."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Frame, Page, expect

from tests.browser.conftest import Rapport

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SIZES = [(390, 844, "dark"), (1280, 900, "light")]


@pytest.fixture(params=SIZES, ids=["phone", "desk"])
def desk(request: Any, browser: Browser, rapport: Rapport) -> Iterator[Page]:
    """The admin's page with ours in its frame, as a merchant opens it; complains of what our code or policy refuses."""
    width, height, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    page.goto(rapport.facts["merchant_url"])
    yield page
    context.close()
    assert complaints == []


def ours(page: Page) -> Frame:
    """The frame that our pages stand in."""
    found = page.wait_for_selector("iframe").content_frame()
    assert found
    return found


def test_a_member_is_found_adjusted_and_the_reason_stays(desk: Page) -> None:
    frame = ours(desk)
    expect(frame.locator("h1")).to_be_visible()
    assert "id_token" not in frame.evaluate("location.href")
    frame.evaluate("document.querySelector('ui-nav-menu a[href$=\"/members\"]').click()")
    frame.get_by_role("searchbox", name="Find a member").press_sequentially("okafor th", delay=20)
    expect(frame.locator("tbody tr")).to_have_count(1)
    frame.get_by_role("link", name="Theo Okafor").click()
    expect(frame.get_by_role("heading", name="Theo Okafor")).to_be_visible()
    assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")
    frame.get_by_role("button", name="Adjust points").click()
    dialog = frame.get_by_role("dialog", name="Adjust points")
    dialog.get_by_label("Points").fill("75")
    dialog.get_by_label("Reason").fill("Late parcel")
    dialog.get_by_role("button", name="Adjust points").click()
    expect(frame.get_by_text("75 points added by the shop: Late parcel.").first).to_be_visible()
    expect(frame.locator(".r-toast")).to_have_text("75 points added.")
    expect(frame.get_by_text("· you ·").first).to_be_visible()


def test_a_refusal_leaves_the_form_as_it_is(desk: Page) -> None:
    frame = ours(desk)
    frame.evaluate("document.querySelector('ui-nav-menu a[href$=\"/members\"]').click()")
    frame.get_by_role("link", name="June Park").click()
    frame.get_by_role("button", name="Erase").click()
    dialog = frame.get_by_role("dialog", name="Erase June Park?")
    dialog.get_by_label("Type").fill("no")
    dialog.get_by_role("button", name="Erase for good").click()
    expect(frame.locator(".r-toast")).to_contain_text("Type the word to confirm")
    expect(dialog.get_by_label("Type")).to_have_value("no")


def test_a_page_that_is_loaded_anew_gets_a_token_of_its_own(desk: Page) -> None:
    frame = ours(desk)
    frame.evaluate("document.querySelector('ui-nav-menu a[href$=\"/members\"]').click()")
    expect(frame.get_by_role("heading", name="Members", exact=True)).to_be_visible()
    frame.evaluate("location.reload()")
    expect(ours(desk).get_by_role("heading", name="Members", exact=True)).to_be_visible()
