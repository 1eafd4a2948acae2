"""The merchant's pages inside the sandbox's admin: found, opened, changed; on phones and desks, light and dark."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Frame, Page, expect

from tests.browser import axe
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
    menu(frame, "/members")
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


def test_a_number_says_what_it_means_how_it_went_and_is_taken_away(desk: Page) -> None:
    frame = ours(desk)
    word = frame.get_by_role("button", name="Points issued", exact=True)
    means = frame.get_by_role("tooltip").filter(has_text="Points earned or given")
    expect(means).to_be_hidden()
    word.focus()
    expect(means).to_be_visible()
    axe.assert_nothing_found(frame, where="home, with a meaning open")
    word.press("Escape")
    expect(means).to_be_hidden()
    word.hover()
    expect(means).to_be_visible()
    chart = frame.get_by_role("img", name="Points outstanding")
    chart.press("ArrowLeft")
    expect(frame.locator("figure", has=chart).locator("figcaption")).to_contain_text("before")
    assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")
    with desk.expect_download() as taken:
        frame.get_by_role("link", name="Export: Referral revenue").click()
    assert taken.value.suggested_filename.startswith("referrals-")


def test_a_refusal_leaves_the_form_as_it_is(desk: Page) -> None:
    frame = ours(desk)
    menu(frame, "/members")
    frame.get_by_role("link", name="June Park").click()
    frame.get_by_role("button", name="Erase").click()
    dialog = frame.get_by_role("dialog", name="Erase June Park?")
    dialog.get_by_label("Type").fill("no")
    dialog.get_by_role("button", name="Erase for good").click()
    expect(frame.locator(".r-toast")).to_contain_text("Type the word to confirm")
    expect(dialog.get_by_label("Type")).to_have_value("no")


def test_a_page_that_is_loaded_anew_gets_a_token_of_its_own(desk: Page) -> None:
    frame = ours(desk)
    menu(frame, "/members")
    expect(frame.get_by_role("heading", name="Members", exact=True)).to_be_visible()
    frame.evaluate("location.reload()")
    expect(ours(desk).get_by_role("heading", name="Members", exact=True)).to_be_visible()


def menu(frame: Frame, path: str) -> None:
    """Choose an area in the admin's menu."""
    frame.locator(f"ui-nav-menu a[href$='{path}']").evaluate("link => link.click()")


def visit(frame: Frame, path: str, heading: str) -> None:
    """Choose an area, and wait until it is there and at rest."""
    menu(frame, path)
    expect(frame.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    expect(frame.locator("html.m-working")).to_have_count(0)


def test_the_program_is_edited_as_sentences_saved_reviewed_and_published(desk: Page) -> None:
    frame = ours(desk)
    visit(frame, "/program", "Program")
    expect(frame.get_by_text("$80.00 spent by a member in Advocate earns ")).to_be_visible()
    bar = frame.get_by_role("region", name="Unsaved changes")
    expect(bar).to_be_hidden()
    rate = frame.get_by_label("Points for one unit")
    before = rate.input_value()
    rate.fill("4")
    expect(frame.get_by_text("$80.00 spent by a member in Advocate earns 400 points.")).to_be_visible()
    expect(bar).to_be_visible()
    menu(frame, "/members")  # does not let go of what is not saved
    expect(bar).to_be_visible()
    bar.get_by_role("button", name="Discard").click()
    expect(bar).to_be_hidden()
    expect(rate).to_have_value(before)
    visit(frame, "/members", "Members")
    visit(frame, "/program", "Program")
    expect(frame.locator("form[data-saves][data-opened]")).to_have_count(1)
    frame.get_by_label("Points for joining").fill(str(desk.viewport_size["width"]) if desk.viewport_size else "60")
    bar.get_by_role("button", name="Save draft").click()
    expect(frame.locator(".r-toast")).to_contain_text("Saved as a draft")
    frame.get_by_role("link", name="Review and publish").click()
    expect(frame.get_by_text("Joining now brings ")).to_be_visible()
    frame.get_by_role("button", name="Publish", exact=True).click()
    expect(frame.get_by_role("heading", name="Versions of the program")).to_be_visible()
    expect(frame.get_by_text("Live", exact=True)).to_have_count(1)


def test_what_is_wrong_with_a_program_is_seen_at_its_field_put_right_and_published(desk: Page) -> None:
    frame, width = ours(desk), (desk.viewport_size or {})["width"]
    visit(frame, "/program", "Program")
    frame.get_by_text("More about orders").click()
    frame.get_by_label("Most points a day").first.fill(str(1000 + width))
    frame.get_by_text("Add an activity").click()
    activity = frame.get_by_role("group", name="Add an activity")
    activity.get_by_label("Name of the activity").fill(f"Taste {width}")
    activity.get_by_label("Kind of activity").select_option("question")
    activity.get_by_label("What is asked").fill("Espresso or filter?")
    activity.get_by_label("Answers to choose from").fill("Espresso\nFilter")
    frame.get_by_text("Add a milestone").click()
    milestone = frame.get_by_role("group", name="Add a milestone")
    milestone.get_by_label("Which friend").fill(str(width))
    milestone.get_by_label("What they get").select_option("points")
    milestone.get_by_label("How many points").fill("0")

    # Live: at the field and beside the form, until it is right.
    wrong = milestone.get_by_label("How many points")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(milestone.locator(".m-fault")).to_contain_text("at least 1")
    axe.assert_nothing_found(frame, where="a fault at its field")  # type: ignore[arg-type]
    assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")
    wrong.fill("250")
    expect(milestone.locator(".m-fault")).to_have_count(0)
    expect(frame.locator("[aria-invalid]")).to_have_count(0)

    # Kept: said above the form, with a way to the field, inside what was folded.
    cost = frame.get_by_role("group", name="$10 off").get_by_label("Points it takes")
    cost.fill("free")
    frame.get_by_role("button", name="Save draft").click()
    expect(frame.get_by_text("This can’t be published yet")).to_be_visible()
    expect(frame.get_by_role("link", name="Review and publish")).to_have_count(0)
    frame.locator("#wrong a").click()
    expect(cost).to_be_focused()
    expect(cost).to_have_attribute("aria-invalid", "true")
    cost.fill("1000")
    expect(frame.get_by_text("This can’t be published yet")).to_have_count(0)
    frame.get_by_role("button", name="Save draft").click()
    frame.get_by_role("link", name="Review and publish").click()
    expect(frame.get_by_role("heading", name="Review and publish")).to_be_visible()
    expect(frame.locator(".m-change", has_text=f"Taste {width}")).to_be_visible()
    axe.assert_nothing_found(frame, where="the review")  # type: ignore[arg-type]
    frame.get_by_role("button", name="Publish", exact=True).click()
    expect(frame.get_by_role("heading", name="Versions of the program")).to_be_visible()
    visit(frame, "/program", "Program")
    asked = frame.get_by_role("group", name=f"Taste {width}").get_by_label("Answers to choose from")
    expect(asked).to_have_value("Espresso\nFilter")


def test_the_first_page_says_its_numbers_under_the_pointer(desk: Page) -> None:
    frame = ours(desk)
    chart = frame.get_by_role("img", name="Points issued")
    chart.focus()
    desk.keyboard.press("ArrowLeft")
    expect(frame.locator("section[aria-label='Points issued'] .m-told-by")).to_contain_text("points, before ")
    frame.get_by_label("Time").select_option("365")
    expect(frame.get_by_label("Time")).to_have_value("365")
    assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_nothing_bars_anybody_from_these_pages(desk: Page) -> None:
    """axe on each page, and nothing wider than the window."""
    frame = ours(desk)
    for path, heading in [
        ("", "Home"), ("/members", "Members"), ("/program", "Program"), ("/program/history", "Versions of the program"),
        ("/setup/rewards", "Set up your program"),
    ]:  # fmt: skip
        frame.evaluate("path => htmx.ajax('GET', `/merchant${path}`, {target: 'body'})", path)
        expect(frame.get_by_role("heading", name=heading, level=1)).to_be_visible()
        axe.assert_nothing_found(frame, where=path)
        assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_the_guide_shows_the_shoppers_view_beside_each_choice(desk: Page) -> None:
    frame = ours(desk)
    frame.evaluate("htmx.ajax('GET', '/merchant/setup', {target: 'body'})")
    frame.get_by_label("Points for joining").fill("77")
    expect(frame.locator("#phone .m-big")).to_have_text("77")


def opened(desk: Page, path: str) -> Frame:
    """A page of ours by the admin's menu."""
    frame = ours(desk)
    expect(frame.locator("h1")).to_be_visible()
    frame.evaluate(f"document.querySelector('ui-nav-menu a[href$=\"{path}\"]').click()")
    return frame


def test_a_card_is_drawn_as_one_types_and_published(desk: Page) -> None:
    frame = opened(desk, "/wallet")
    card = frame.get_by_role("img", name="The card in Apple Wallet")
    expect(card).to_be_visible()
    frame.get_by_label("Choose the card’s colour").check()
    frame.locator("#background").fill("#7a1f1f" if (desk.viewport_size or {})["width"] < 600 else "#0b3d2e")
    colour = frame.locator("#background").input_value()
    expect(frame.locator(f'.m-card rect[fill="{colour}"]')).to_have_count(2)
    axe.assert_nothing_found(frame)  # type: ignore[arg-type]
    assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")
    frame.get_by_role("button", name="Save draft").click()
    expect(frame.locator(".r-toast")).to_contain_text("Draft saved.")
    frame.get_by_role("button", name="Publish", exact=True).click()
    frame.get_by_role("button", name="Publish the design").click()
    expect(frame.get_by_text("Cards follow now.")).to_be_visible()
