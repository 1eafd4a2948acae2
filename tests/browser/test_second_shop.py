"""A second shop finds the app, in the browser: opening it installs it, its past comes in before the merchant's eyes and
its books are checked; then it leaves and is forgotten.
"""

import time
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
from playwright.sync_api import Frame, Page, expect

from sandbox.catalogue import SECOND, SECOND_PRODUCTS
from sandbox.traffic import Mix, stories
from tests.browser.conftest import Rapport
from tests.browser.test_merchant import menu, ours

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PAST = 300
# How long a loaded machine may take for what a quiet one does in seconds.
PATIENCE = 90_000


class Town:
    """The second shop, as the sandbox's control has it."""

    def __init__(self, rapport: Rapport) -> None:
        self.store = rapport.facts["merchant_url"].partition("/rapport-demo.")[0]
        self.admin = f"{self.store}/{SECOND.domain}/admin/apps/rapport"

    def ask(self, method: str, path: str, **sent: Any) -> Any:
        answer = httpx.request(method, f"{self.store}/sandbox/{SECOND.domain}/{path}", timeout=60, **sent)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def with_a_past(self) -> None:
        mix = Mix(
            orders=PAST, shop=SECOND, catalogue=SECOND_PRODUCTS, members=60, refunds=0.02, gift_cards=0, discounts=0,
            foreign=0, now=int(time.time() - timedelta(days=1).total_seconds()), days=50,
        )  # fmt: skip
        told = list(stories(mix))
        people = {story.customer.id: story.customer for story in told if story.customer}
        past = {"customers": list(people.values()), "orders": [story.order for story in told]}
        self.ask("POST", "traffic", content=msgspec.json.encode(past))


@pytest.fixture(scope="module")
def town(rapport: Rapport) -> Town:
    town = Town(rapport)
    town.with_a_past()
    return town


def test_a_shop_comes_with_its_past_leaves_and_is_forgotten(town: Town, page: Page, rapport: Rapport) -> None:
    assert SECOND.domain not in rapport.flask("shop", "list")
    page.goto(town.admin)
    frame = ours(page)
    its_past_comes_in(town, frame)
    nothing_is_missing(town, rapport, frame)
    it_hears_of_new_orders(town, frame)
    it_leaves(town, frame)
    it_is_forgotten(town, rapport)


def its_past_comes_in(town: Town, frame: Frame) -> None:
    """The home page follows it by itself, to the end."""
    followed = frame.get_by_role("region", name="Your store’s past")
    expect(followed.get_by_text("are coming in")).to_be_visible()
    bar = followed.locator(".r-bar")
    expect(bar).to_be_visible()
    expect(bar).not_to_have_attribute("aria-label", "0 percent", timeout=PATIENCE)
    expect(followed.get_by_text("past is here")).to_be_visible(timeout=PATIENCE)
    known = len(town.ask("GET", "orders")["orders"])
    assert known > PAST
    expect(followed.get_by_role("status")).to_contain_text(f" · {known} orders")


def nothing_is_missing(town: Town, rapport: Rapport, frame: Frame) -> None:
    rapport.flask("reconcile", "--shop", SECOND.domain, "--since", "2020-01-01")
    known = len(town.ask("GET", "orders")["orders"])
    menu(frame, "/deliveries")
    expect(frame.get_by_text(f"{known} orders checked. Nothing missing.")).to_be_visible()
    expect(frame.get_by_text("Nothing failed")).to_be_visible()


def it_hears_of_new_orders(town: Town, frame: Frame) -> None:
    """By webhook, and its shopper is a member with points within seconds."""
    who = town.ask("POST", "customers", json={"first_name": "Sora", "last_name": "Arai", "email": "sora@example.com"})
    lines = [{"variant_id": SECOND_PRODUCTS[0].variant_id, "quantity": 1}]
    town.ask("POST", "orders", json={"customer_id": who["id"], "lines": lines})
    menu(frame, "/members")
    frame.get_by_role("searchbox", name="Find a member").press_sequentially("sora arai", delay=20)
    expect(frame.locator("tbody tr")).to_have_count(1)
    expect(frame.get_by_role("link", name="Sora Arai")).to_be_visible()


def it_leaves(town: Town, frame: Frame) -> None:
    """A page that is still open gets no further, and does not install the app anew."""
    town.ask("POST", "uninstall")
    until(lambda: "app/uninstalled" in delivered(town))
    menu(frame, "/program")
    expect(frame.locator(".r-toast").last).to_be_visible()
    expect(frame.get_by_role("heading", name="Members", exact=True)).to_be_visible()


def it_is_forgotten(town: Town, rapport: Rapport) -> None:
    town.ask("POST", "redact")
    until(lambda: "shop/redact" in delivered(town))
    count = (
        "from core.db import database; import sqlalchemy as sa\n"
        "from shops.models import Shop; from loyalty.models import Member, Order\n"
        "with database().transaction() as session:\n"
        f"    shop = session.scalar(sa.select(Shop).where(Shop.domain == {SECOND.domain!r})); number = shop.id\n"
        "    print(shop.redacted_at is not None, shop.uninstalled_at is not None)\n"
        "with database().transaction(number) as session:\n"
        "    print([session.scalar(sa.select(sa.func.count()).select_from(table)) for table in (Member, Order)])\n"
    )
    until(lambda: rapport.python(count).split("\n")[:2] == ["True True", "[0, 0]"])


def delivered(town: Town) -> set[str]:
    return {one["topic"] for one in town.ask("GET", "deliveries?state=delivered")["deliveries"]}


def until(holds: Any, seconds: float = 60, every: float = 0.5) -> None:
    """Wait for what workers do."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(every)
