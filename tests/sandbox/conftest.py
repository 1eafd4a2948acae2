"""A sandbox in this process and an app that only notes what reaches it."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sandbox.outbox import Weather
from sandbox.testing import Running, in_process

DEMO = "rapport-demo.myshopify.com"
SECOND = "second-demo.myshopify.com"


@dataclass
class Listener:
    """Where webhooks arrive. `answers` are used up first, then everything is 200."""

    url: str = ""
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def topics(self) -> list[str]:
        return [headers["X-Shopify-Topic"] for headers, _ in self.received]


@pytest.fixture
def listener() -> Iterator[Listener]:
    heard = Listener()

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.received.append((dict(self.headers.items()), body))
            self.send_response(heard.answers.pop(0) if heard.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    heard.url = f"http://127.0.0.1:{server.server_port}"
    yield heard
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo world, made once."""
    state = tmp_path_factory.mktemp("world")
    with in_process(state, "http://127.0.0.1:9"):
        pass
    return state


@pytest.fixture
def start(seeded: Path, tmp_path: Path, listener: Listener) -> Callable[[], Any]:
    """`with start() as running:`; a second time it is the same world after a restart."""
    shutil.copytree(seeded, tmp_path / "state")
    return lambda: in_process(tmp_path / "state", listener.url, weather=Weather(retry_factor=0.01))


@pytest.fixture
def store(start: Callable[[], Any]) -> Iterator[Running]:
    with start() as running:
        yield running
