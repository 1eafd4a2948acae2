"""`make lighthouse`: what Google's Lighthouse gives the portal, the counter and the merchant's home, as on a phone.

Starts a demo of its own. Pages that need somebody are opened as they are: a shopper signed in, staff at work, the
merchant with a session token. The exit status is 1 when a goal is missed.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import httpx
from playwright.sync_api import sync_playwright

from sandbox import instance

HOME = instance.ROOT / "requirements" / "lighthouse"
TOOL = HOME / "node_modules" / ".bin" / "lighthouse"
GOALS = {"performance": 95, "accessibility": 100, "best-practices": 95}
# The middle of so many looks: a shared machine has good and bad moments.
LOOKS = 3
CHROME = ("--headless=new", *instance.QUIET)


class Subject(NamedTuple):
    """A page to look at. `cookies` are sent with every request to it."""

    name: str
    url: str
    cookies: str = ""


def main() -> int:
    """Print each page's scores beside the goals."""
    install()
    with tempfile.TemporaryDirectory() as state, instance.running(Path(state)) as facts:
        missed = 0
        for name in ("portal, signed out", "portal, signed in", "staff, sign-in", "staff, scanner", "merchant, home"):
            scores = [look(subject(name, facts)) for _ in range(LOOKS)]
            for category, goal in GOALS.items():
                score = sorted(one[category] for one in scores)[LOOKS // 2]
                missed += score < goal
                print(
                    f"{'met   ' if score >= goal else 'missed'}  {name:20} {category:16} {score:>4}   ≥ {goal}",
                    flush=True,
                )
    return 1 if missed else 0


def install() -> None:
    """Lighthouse and what it needs, as the lock has it."""
    if not TOOL.exists():
        command = ["npm", "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=HOME, check=True)


def subject(name: str, facts: dict[str, str]) -> Subject:
    """A page by its name, with fresh proof of who looks at it: some of it lives for a minute only."""
    if name == "portal, signed out":
        return Subject(name, f"{facts['base_url']}/s/{facts['shop'].removesuffix('.myshopify.com')}/rewards")
    if name == "portal, signed in":
        return Subject(name, facts["portal_url"], f"customer={_customer(facts)}")
    if name == "staff, sign-in":
        return Subject(name, facts["staff_login_url"])
    if name == "staff, scanner":
        return Subject(name, f"{facts['base_url']}/staff/", _at_work(facts))
    sandbox = facts["storefront_url"].split(f"/{facts['shop']}")[0]
    token = httpx.post(f"{sandbox}/sandbox/{facts['shop']}/session-token").json()["session_token"]
    return Subject(name, f"{facts['base_url']}/merchant?embedded=1&shop={facts['shop']}&id_token={token}")


def _customer(facts: dict[str, str]) -> str:
    headers = {"Authorization": f"Bearer {facts['api_token']}"}
    asked = {"email": "noor.haddad@example.com"}
    (member,) = httpx.get(f"{facts['base_url']}/api/v1/members", params=asked, headers=headers).json()["items"]
    return str(member["customer_id"])


def _at_work(facts: dict[str, str]) -> str:
    """The cookies of somebody signed in at the counter."""
    with sync_playwright() as playwright:
        browser = instance.chromium(playwright)
        page = browser.new_page()
        page.goto(facts["staff_login_url"])
        page.get_by_label("PIN").fill(facts["staff_pin"])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Harbour Street").click()
        page.get_by_label("Code of the card").wait_for()
        cookies = page.context.cookies()
        browser.close()
    return "; ".join(f"{one['name']}={one['value']}" for one in cookies)


def look(at: Subject) -> dict[str, int]:
    """The scores of a page, from 0 to 100, by category."""
    command = [
        str(TOOL), at.url, "--quiet", "--output=json", f"--only-categories={','.join(GOALS)}",
        f"--chrome-flags={' '.join(CHROME)}",
    ]  # fmt: skip
    if at.cookies:
        command.append(f"--extra-headers={json.dumps({'Cookie': at.cookies})}")
    chrome = str(instance.DEBIANS) if instance.DEBIANS.exists() else shutil.which("chromium") or ""
    made = subprocess.run(command, env=os.environ | {"CHROME_PATH": chrome}, capture_output=True, text=True, check=True)
    report = json.loads(made.stdout)
    _tell(at, report)
    return {name: round(report["categories"][name]["score"] * 100) for name in GOALS}


def _tell(at: Subject, report: dict[str, object]) -> None:
    """What cost points, on the standard error."""
    audits, categories = report["audits"], report["categories"]
    for category in GOALS:
        for ref in categories[category]["auditRefs"]:  # type: ignore[index]
            audit = audits[ref["id"]]  # type: ignore[index]
            if ref["weight"] and audit["score"] is not None and audit["score"] < 0.9:
                print(f"    {at.name}: {audit['id']} {audit['score']} {audit.get('displayValue', '')}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
