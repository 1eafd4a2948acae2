"""A whole demo of its own, started as a person would (`bin/run`) and stopped again; and a Chromium to look with."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Playwright

from sandbox.processes import LOOPBACK, free_port

ROOT = Path(__file__).parents[1]
DEBIANS = Path("/usr/bin/chromium")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NotStarted(RuntimeError):
    """The demo did not become ready; the message holds what it said."""


class NoBrowser(RuntimeError):
    """There is no Chromium on this machine."""


@contextmanager
def running(state: Path) -> Iterator[dict[str, str]]:
    """A demo with its state in this folder, on a free port; gives its sandbox.json. Raises NotStarted."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        [ROOT / "bin" / "run"], env=inherited | {"PORT": str(free_port()), "RAPPORT_STATE": str(state)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        _wait_until_ready(process)
        yield json.loads((state / "sandbox.json").read_text())
    finally:
        _stop(process)


def _wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(f"Rapport is ready: http://{LOOPBACK}:"):
            # Somebody must go on reading: a demo that nobody listens to stands still when the pipe is full.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return
    raise NotStarted("make run did not start:\n" + "".join(lines))


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()


def chromium(playwright: Playwright) -> Browser:
    """Debian's Chromium, or the one Playwright has downloaded. Raises NoBrowser."""
    if DEBIANS.exists():
        return playwright.chromium.launch(executable_path=DEBIANS, args=QUIET)
    if not Path(playwright.chromium.executable_path).exists():
        raise NoBrowser("install Debian's chromium package or run `playwright install chromium`")
    return playwright.chromium.launch(args=QUIET)
