"""A whole running Rapport, and a Chromium to look at it with."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from sandbox.processes import LOOPBACK, free_port

ROOT = Path(__file__).parents[2]
DEBIANS = Path("/usr/bin/chromium")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


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


@pytest.fixture(scope="session")
def rapport(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rapport]:
    """Started by bin/run on a state folder and port of its own, as a person would."""
    state = tmp_path_factory.mktemp("rapport")
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        [ROOT / "bin" / "run"],
        env=inherited | {"PORT": str(free_port()), "RAPPORT_STATE": str(state)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until_ready(process)
        yield Rapport(state, json.loads((state / "sandbox.json").read_text()))
    finally:
        stop(process)


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(f"Rapport is ready: http://{LOOPBACK}:"):
            return
    pytest.fail("make run did not start:\n" + "".join(lines))


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = open_browser(playwright)
        yield browser
        browser.close()


def open_browser(playwright: Playwright) -> Browser:
    """Debian's Chromium, or the one Playwright has downloaded."""
    if DEBIANS.exists():
        return playwright.chromium.launch(executable_path=DEBIANS, args=QUIET)
    if not Path(playwright.chromium.executable_path).exists():
        pytest.skip("there is no Chromium here: install Debian's chromium package or run `playwright install chromium`")
    return playwright.chromium.launch(args=QUIET)


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
