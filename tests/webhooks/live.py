"""Rapport as a deployment runs it: the processes of the Procfile, and a client that speaks to them over HTTP."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

from sandbox.processes import LOOPBACK, free_port
from sandbox.signing import Delivery
from sandbox.supervisor import Child, read_procfile
from tests.webhooks.rig import OLD_SECRET, SECRET

ROOT = Path(__file__).parents[2]
PATIENCE = 10  # seconds a client waits for an answer: twice what Shopify does, so that a late one is seen as late


class Reply(NamedTuple):
    """`status` is 0 when no answer came; `seconds` is how long the client waited for it."""

    status: int
    seconds: float
    headers: dict[str, str]


class Live:
    """Named processes on one database and one Redis. A process may run several times under different names."""

    def __init__(self, logs: Path, database_url: str, redis_url: str) -> None:
        self.logs = logs
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.door = f"{self.url}/webhooks/shopify"
        self.commands = read_procfile() | {"drain": ["sh", "-c", "exec flask worker drain"]}
        self.children: dict[str, Child] = {}
        self.environ = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "PORT": str(self.port),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "SHOPIFY_API_SECRET": SECRET,
            "SHOPIFY_API_SECRET_OLD": OLD_SECRET,
            "RAPPORT_STATE": str(logs),
            "PYTHONUNBUFFERED": "1",
        }
        # A deadline that a slow test machine does not fake: every client request of this rig is timed.
        self.client = httpx.Client(timeout=PATIENCE, trust_env=False, limits=httpx.Limits(max_connections=64))

    def start(self, name: str, process: str | None = None, **environ: str) -> Child:
        """Start a process of the Procfile, under its own name or another."""
        child = Child(name, self.commands[process or name], self.environ | environ, self.logs)
        child.start()
        self.children[name] = child
        return child

    def start_web(self, ready: str = "/healthz") -> Child:
        child = self.start("web")
        child.wait_until(self.url + ready)
        return child

    def stop(self) -> None:
        self.client.close()
        for child in self.children.values():
            child.stop()

    def kill(self, name: str) -> None:
        """As the kernel does when memory runs out: the process and all it started, without a word."""
        child = self.children[name]
        for process in reversed(family(child.process.pid)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        child.process.wait()

    def post(self, one: Delivery, **more: Any) -> Reply:
        """Deliver once. Never raises: no answer is status 0."""
        began = time.monotonic()
        try:
            answer = self.client.post(self.door, headers=one.headers, content=one.body, **more)
        except httpx.HTTPError:
            return Reply(0, time.monotonic() - began, {})
        return Reply(answer.status_code, time.monotonic() - began, dict(answer.headers))

    def post_all(self, deliveries: Iterable[Delivery], connections: int = 8) -> list[tuple[Delivery, Reply]]:
        """Deliver all, several at a time, in about this order."""
        with ThreadPoolExecutor(connections) as pool:
            return list(pool.map(lambda one: (one, self.post(one)), deliveries))

    def deliver(self, deliveries: Iterable[Delivery], *, tries: int = 600, connections: int = 8) -> list[Reply]:
        """Deliver each until it is answered with 200, as Shopify does, only sooner. All replies, refusals too."""
        with ThreadPoolExecutor(connections) as pool:
            return [
                reply for replies in pool.map(lambda one: self._insist(one, tries), deliveries) for reply in replies
            ]

    def _insist(self, one: Delivery, tries: int) -> list[Reply]:
        replies: list[Reply] = []
        for _ in range(tries):
            replies.append(self.post(one))
            if replies[-1].status == 200:
                return replies
            time.sleep(0.1)
        raise AssertionError(f"never accepted: {one.topic} {replies[-1]}")


@contextlib.contextmanager
def live(logs: Path, database_url: str, redis_url: str) -> Iterator[Live]:
    """A Live whose processes end with the block."""
    running = Live(logs, database_url, redis_url)
    try:
        yield running
    finally:
        running.stop()


def migrate(database_url: str) -> None:
    """The release command of the Procfile, as Live starts the others."""
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"DATABASE_URL": database_url}, check=True, capture_output=True)


@contextlib.contextmanager
def meanwhile(*calls: Any) -> Iterator[None]:
    """Run calls in the background and wait for them at the end of the block; their errors are raised there."""
    with ThreadPoolExecutor(len(calls)) as pool:
        running = [pool.submit(call) for call in calls]
        yield
        for one in running:
            one.result()


def until(condition: Any, seconds: float = 20, every: float = 0.05) -> None:
    """Wait for a condition to hold. Raises AssertionError when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(every)


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it; empty when it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    return []


def freeze(pid: int) -> None:
    """A process and its descendants: alive to the network, but nobody answers."""
    for process in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()


def thaw(pid: int) -> None:
    for process in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


class Stopwatch(threading.Thread):
    """Posts deliveries one after another until told to stop, and keeps every reply."""

    def __init__(self, live: Live, deliveries: Iterator[Delivery]) -> None:
        super().__init__(daemon=True)
        self.live, self.deliveries = live, deliveries
        self.replies: list[tuple[Delivery, Reply]] = []
        self.over = threading.Event()

    def run(self) -> None:
        for one in self.deliveries:
            if self.over.is_set():
                return
            self.replies.append((one, self.live.post(one)))

    def finish(self) -> None:
        self.over.set()
        self.join()
