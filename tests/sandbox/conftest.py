"""A sandbox in this process and an app that only notes what reaches it."""

import shutil
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from shopify_app import ShopifyApp

from sandbox.outbox import Weather
from sandbox.testing import API_KEY, API_SECRET, Running, in_process

# Reading the machine's certificates takes longer than a whole test, and loopback has none.
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
DOCUMENTS = Path(__file__).parents[2] / "shops/graphql"

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


class ToSandbox(httpx.BaseTransport):
    """Sends what is meant for https://{shop} to the shop's place in the sandbox."""

    def __init__(self, url: str) -> None:
        self.url = httpx.URL(url)
        self.inner = httpx.HTTPTransport(verify=PLAIN)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = self.url.copy_with(path=f"/{request.url.host}{request.url.path}")
        request.headers["Host"] = f"{self.url.host}:{self.url.port}"
        return self.inner.handle_request(request)


@pytest.fixture
def client(store: Running) -> Iterator[httpx.Client]:
    with httpx.Client(transport=ToSandbox(store.url), timeout=10) as client:
        yield client


def session_token(store: Running, shop: str = DEMO) -> str:
    token: str = httpx.post(f"{store.url}/sandbox/{shop}/session-token", verify=PLAIN).json()["session_token"]
    return token


def exchange(store: Running, client: httpx.Client, token: str | None = None, shop: str = DEMO) -> Any:
    token = token or session_token(store)
    claims = jwt.decode(token, options={"verify_signature": False}) | {"dest": f"https://{shop}"}
    library = ShopifyApp(client_id=API_KEY, client_secret=API_SECRET)
    details: Any = {"exchangeable": True, "token": token, "claims": claims}
    return library.exchange_using_token_exchange(access_mode="offline", id_token=details, http_client=client)


@pytest.fixture
def ask(store: Running, client: httpx.Client) -> Callable[..., httpx.Response]:
    """Post a document, by its text or its file's name, with variables."""
    token = exchange(store, client).access_token.token

    def ask(
        document: str, /, shop: str = DEMO, version: str = "2026-10", access: str = token, **variables: Any
    ) -> httpx.Response:
        text = (DOCUMENTS / document).read_text() if document.endswith(".graphql") else document
        url = f"https://{shop}/admin/api/{version}/graphql.json"
        headers = {"X-Shopify-Access-Token": access}
        return client.post(url, json={"query": text, "variables": variables}, headers=headers)

    return ask


@pytest.fixture
def call(ask: Callable[..., httpx.Response]) -> Callable[..., Any]:
    """Run one of the app's documents and give its data's only field. It must bring no top-level errors."""

    def call(name: str, /, **variables: Any) -> Any:
        body = ask(f"{name}.graphql", **variables).json()
        assert "errors" not in body, body["errors"]
        (answer,) = body["data"].values()
        return answer

    return call


@pytest.fixture
def control(store: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{store.url}/sandbox/{DEMO}", timeout=10, verify=PLAIN) as client:
        yield client
