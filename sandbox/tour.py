"""`make tour`: a picture of every page and state, on phone and desk, light and dark, with a page to leaf through.

Starts a demo of its own and walks through the three faces as their people do. What it writes, `docs/tour/`, is for
looking at: git does not keep it.
"""

import html
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from playwright.sync_api import Browser, BrowserContext, Frame, Page, sync_playwright

from sandbox import instance

OUT = instance.ROOT / "docs" / "tour"
SIZES = {"phone": (390, 844), "desk": (1280, 900)}
SCHEMES = ("light", "dark")
SETTLED = 1200  # milliseconds in which a page has come to rest
MEMBER = "noor.haddad@example.com"

# The merchant's areas by their path under the admin's page.
MERCHANT = (
    "", "members", "program", "referrals", "referrals/review", "referrals/payouts", "wallet", "wallet/messages",
    "wallet/messages/new", "wallet/history", "settings/past",
    "staff", "deliveries", "import", "settings", "settings/mails", "setup", "no-such-page",
)  # fmt: skip
# What a merchant may be at: a campaign, a question, and a reward whose price is missing.
DRAFT: dict[str, Any] = {
    "bonuses": [{"key": "weekend", "name": "Double points weekend", "multiplier": "2", "starts_at": "2026-11-27"}],
    "activities": [
        {"key": "taste", "kind": "question", "name": "Your taste", "points": 20, "question": "Espresso or filter?",
         "choices": ["Espresso", "Filter"]},
    ],
    "rewards": [{"key": "mug", "name": "The mug", "kind": "free_product", "products": [8072401], "amount": 1800,
                 "cost": 0, "per_member": 1}],
}  # fmt: skip


class Stop(NamedTuple):
    """A picture: whose face, what it shows, and its file."""

    face: str
    title: str
    file: str


class Tour:
    """One walk in one size and scheme, and the pictures it has taken."""

    def __init__(self, facts: dict[str, str], browser: Browser, size: str, scheme: str) -> None:
        self.facts, self.browser, self.size, self.scheme = facts, browser, size, scheme
        self.stops: list[Stop] = []
        headers = {"Authorization": f"Bearer {facts['api_token']}"}
        self.api = httpx.Client(base_url=f"{facts['base_url']}/api/v1", headers=headers, timeout=30)

    @contextmanager
    def visitor(self, **more: str) -> Iterator[BrowserContext]:
        width, height = SIZES[self.size]
        scheme = "dark" if self.scheme == "dark" else "light"
        context = self.browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **more)  # type: ignore[arg-type]
        yield context
        context.close()

    def shoot(self, page: Page, face: str, title: str, *, whole: bool = True) -> None:
        page.wait_for_timeout(SETTLED)
        file = f"{face}-{title}-{self.size}-{self.scheme}.png".replace(" ", "-").replace("/", "-").lower()
        page.screenshot(path=OUT / file, full_page=whole)
        self.stops.append(Stop(face, title, file))

    def go(self) -> list[Stop]:
        """All faces; a page that is not there is told and left out."""
        walks = (self.portal, self.languages, self.friends, self.merchant, self.program, self.staff, self.components)
        for walk in walks:
            try:
                walk()
            except Exception as error:
                print(f"  {walk.__name__} ({self.size}, {self.scheme}) ended early: {str(error).splitlines()[0]}")
        self.api.close()
        return self.stops

    # The walks.

    def portal(self) -> None:
        store, rewards = self.facts["storefront_url"], self.facts["portal_url"]
        with self.visitor() as context:
            page = context.new_page()
            page.goto(rewards)
            self.shoot(page, "portal", "signed out")
            self._sign_in(context, store)
            page.goto(rewards)
            self.shoot(page, "portal", "signed in")
            for name in ("history", "preferences"):
                page.goto(f"{rewards.rstrip('/')}/{name}")
                self.shoot(page, "portal", name)
            page.goto(f"{self.facts['base_url']}/s/{self._shop()}/rewards")
            self.shoot(page, "portal", "stand-alone, signed out")

    def languages(self) -> None:
        for language in ("ar", "ja", "de"):
            with self.visitor(locale=language) as context:
                self._sign_in(context, self.facts["storefront_url"])
                page = context.new_page()
                page.goto(f"{self.facts['portal_url']}?lang={language}")
                self.shoot(page, "portal", f"in {language}")

    def friends(self) -> None:
        (member,) = self.api.get("/members", params={"email": MEMBER}).json()["items"]
        with self.visitor() as context:
            page = context.new_page()
            page.goto(member["referral"]["url"])
            self.shoot(page, "friends", "the invitation")
            wallet = self.api.get(f"/members/{member['id']}/wallet").json()
            page.goto(wallet["add_url"])
            self.shoot(page, "friends", "adding the card")

    def merchant(self) -> None:
        with self.visitor() as context:
            page = context.new_page()
            for path in MERCHANT:
                page.goto(f"{self.facts['merchant_url'].rstrip('/')}/{path}")
                self.shoot(page, "merchant", path or "home", whole=False)
            page.goto(f"{self.facts['merchant_url'].rstrip('/')}/members")
            frame = self._frame(page)
            frame.get_by_role("link", name="Noor Haddad").click()
            self.shoot(page, "merchant", "a member", whole=False)

    def program(self) -> None:
        """The program's form as a whole, live and as a draft with something wrong in it, in languages that order words
        otherwise; and the pages around it."""
        document = self.api.get("/program").json()["document"]
        # In a frame the window is all that is seen: it is made as high as the form.
        tall = {"width": SIZES[self.size][0], "height": 4200}
        with self._draft(document | DRAFT):
            for language in ("en", "ja", "ar", "de"):
                with self.visitor(locale=language) as context:
                    page = context.new_page()
                    page.set_viewport_size(tall)  # type: ignore[arg-type]
                    page.goto(f"{self.facts['merchant_url'].rstrip('/')}/program?locale={language}")
                    self.shoot(page, "merchant", f"a program with a fault, in {language}", whole=False)
        with self._draft(document | DRAFT | {"rewards": document["rewards"]}), self.visitor() as context:
            page = context.new_page()
            for path in ("program/review", "program/history", "program/versions/1"):
                page.goto(f"{self.facts['merchant_url'].rstrip('/')}/{path}")
                self.shoot(page, "merchant", path, whole=False)

    @contextmanager
    def _draft(self, document: dict[str, Any]) -> Iterator[None]:
        """The shop with this draft, and then without one."""
        self.api.delete("/program/draft")
        self.api.put("/program/draft", json={"document": document, "updated_at": None}).raise_for_status()
        try:
            yield
        finally:
            self.api.delete("/program/draft")

    def staff(self) -> None:
        with self.visitor() as context:
            page = context.new_page()
            page.goto(self.facts["staff_login_url"])
            self.shoot(page, "staff", "sign in", whole=False)
            page.get_by_label("PIN").fill(self.facts["staff_pin"])
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("button", name="Harbour Street").wait_for()
            self.shoot(page, "staff", "choose a location", whole=False)
            page.get_by_role("button", name="Harbour Street").click()
            page.get_by_label("Code of the card").wait_for()
            self.shoot(page, "staff", "the scanner", whole=False)
            self._at_the_counter(page)
            page.goto(f"{self.facts['base_url']}/staff/new")
            self.shoot(page, "staff", "a new member", whole=False)

    def _at_the_counter(self, page: Page) -> None:
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            ("not a card", lambda: self._type(page, "Code of the card", "NO-CARD", "Read")),
            ("nobody found", lambda: self._type(page, "E-mail, phone or name", "zz top", "Find")),
            ("who is it", lambda: self._type(page, "E-mail, phone or name", "Noor", "Find")),
            ("a member", lambda: page.get_by_role("link", name="Noor Haddad").click()),
            ("confirm", lambda: page.get_by_role("button", name="Redeem Free shipping").first.click()),
        )
        for title, step in steps:
            step()
            self.shoot(page, "staff", title, whole=False)
            if title in ("not a card", "nobody found"):
                page.get_by_role("button", name="Close").click()

    def _type(self, page: Page, label: str, text: str, button: str) -> None:
        page.get_by_label(label).fill(text)
        page.get_by_role("button", name=button, exact=True).click()

    def components(self) -> None:
        with self.visitor() as context:
            page = context.new_page()
            page.goto(f"{self.facts['base_url']}/styleguide")
            self.shoot(page, "components", "all")

    def _sign_in(self, context: BrowserContext, store: str) -> None:
        (member,) = self.api.get("/members", params={"email": MEMBER}).json()["items"]
        context.request.post(f"{store}sign-in", form={"customer": str(member["customer_id"])})

    def _shop(self) -> str:
        return self.facts["shop"].removesuffix(".myshopify.com")

    def _frame(self, page: Page) -> Frame:
        held = page.wait_for_selector("iframe")
        found = held and held.content_frame()
        assert found
        return found


def page_of(stops: list[Stop]) -> str:
    """The page to leaf through: a row for each state, its sizes and schemes side by side."""
    rows: dict[tuple[str, str], list[str]] = {}
    for stop in stops:
        rows.setdefault((stop.face, stop.title), []).append(stop.file)
    sections = []
    for (face, title), files in rows.items():
        pictures = "".join(f'<a href="{file}"><img src="{file}" alt="{file}" loading="lazy"></a>' for file in files)
        sections.append(f"<section><h2>{html.escape(face)} · {html.escape(title)}</h2><div>{pictures}</div></section>")
    style = (
        "body{font:16px system-ui;margin:2rem;background:#e9eaec;color:#161c2a}"
        "div{display:flex;gap:1rem;overflow-x:auto;align-items:flex-start}"
        "img{height:420px;border:1px solid #bbb;border-radius:8px;background:#fff}"
    )
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Rapport, page by page</title>'
    return f"{head}<style>{style}</style><h1>Rapport, page by page</h1>{''.join(sections)}</html>"


def main() -> int:
    """Walk in every size and scheme, and write the pictures and their page."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    stops: list[Stop] = []
    with (
        tempfile.TemporaryDirectory() as state,
        instance.running(Path(state)) as facts,
        sync_playwright() as playwright,
    ):
        browser = instance.chromium(playwright)
        for size in SIZES:
            for scheme in SCHEMES:
                stops += Tour(facts, browser, size, scheme).go()
        browser.close()
    (OUT / "index.html").write_text(page_of(stops))
    print(f"{len(stops)} pictures: docs/tour/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
