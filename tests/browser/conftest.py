"""A whole running Rapport, and a Chromium to look at it with."""

import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from sandbox import instance
from sandbox.instance import ROOT

# Of a machine that does other things too, in milliseconds. What is to be quick is measured, not waited for.
expect.set_options(timeout=20_000)


@dataclass(frozen=True)
class Rapport:
    """One `make run`. `facts` is its sandbox.json."""

    state: Path
    facts: dict[str, str]

    def flask(self, *arguments: str) -> str:
        """What a flask command prints on this instance."""
        environ = os.environ | {"RAPPORT_STATE": str(self.state)}
        return subprocess.check_output([ROOT / "bin" / "flask", *arguments], env=environ, text=True)

    def python(self, code: str) -> str:
        """What a program prints that runs where this instance's own processes do."""
        script = f'. "$RAPPORT_STATE/environment"; exec "{ROOT}/.venv/bin/python" -c "$CODE"'
        environ = os.environ | {"RAPPORT_STATE": str(self.state), "CODE": code}
        return subprocess.check_output(["bash", "-c", script], env=environ, cwd=ROOT, text=True)


@pytest.fixture(scope="package")
def rapport() -> Iterator[Rapport]:
    """Started by bin/run on a state folder and port of its own, as a person would.

    Not in pytest's own folder: each run of pytest closes that one to all but its user, and PostgreSQL's is another.
    """
    folder = tempfile.TemporaryDirectory(prefix="rapport-demo-", ignore_cleanup_errors=True)
    with folder as state, instance.running(Path(state)) as facts:
        yield Rapport(Path(state), facts)


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """One for all: a thread can't have two."""
    with sync_playwright() as playwright:
        yield playwright
        # A test that ran out of time may leave a Chromium that never answers again, and then this would wait for it.
        patience = threading.Timer(60, end_browsers)
        patience.start()
    patience.cancel()


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Browser:
    return open_browser(playwright)


def end_browsers() -> None:
    for process in psutil.Process().children(recursive=True):
        if process.name().startswith(("chrom", "node")):
            process.kill()


def open_browser(playwright: Playwright) -> Browser:
    """A Chromium, or no test."""
    try:
        return instance.chromium(playwright)
    except instance.NoBrowser as none:
        pytest.skip(str(none))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a fresh visitor that fails the test when its code or its security policy complains."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    context.close()
    assert complaints == []
