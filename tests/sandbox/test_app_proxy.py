"""The storefront's app proxy forwards as Shopify does: signed, without cookies, and Liquid inside the theme."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from shopify_app import ShopifyApp

from core import clock
from sandbox.testing import API_KEY, API_SECRET, Running
from shops.proxy import Proxied, verify
from tests.sandbox.conftest import DEMO, PLAIN, SECOND, exchange

PAGE = f"/{DEMO}/apps/rewards"


@dataclass
class Rewards:
    """An app that answers every page with `status`, `headers` and `body`, and notes what it was asked."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"hello"
    asked: list[tuple[str, str, httpx.Headers, bytes]] = field(default_factory=list)

    def query(self) -> bytes:
        return urlsplit(self.asked[-1][1]).query.encode()


@pytest.fixture
def rewards() -> Iterator[Rewards]:
    app = Rewards()

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            app.asked.append((self.command, self.path, httpx.Headers(self.headers.items()), body))
            self.send_response(app.status)
            for name, value in ({"Content-Type": "text/plain"} | app.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(app.body)))
            self.end_headers()
            self.wfile.write(app.body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    app.url = f"http://127.0.0.1:{server.server_port}"
    yield app
    server.shutdown()
    server.server_close()


@pytest.fixture
def browser(store: Running, client: httpx.Client, rewards: Rewards) -> Iterator[httpx.Client]:
    """A browser in the storefront of a shop that has the app."""
    exchange(store, client)
    store.sandbox.app_url = rewards.url
    with httpx.Client(base_url=store.url, timeout=10, verify=PLAIN) as browser:
        yield browser


def test_the_app_believes_what_is_forwarded(browser: httpx.Client, rewards: Rewards, store: Running) -> None:
    assert browser.get(f"{PAGE}/history?extra=1&extra=2&q=a%26b%3Dc").text == "hello"
    method, target, headers, _ = rewards.asked[-1]
    assert (method, urlsplit(target).path) == ("GET", "/apps/rewards/history")
    assert parse_qs(urlsplit(target).query)["q"] == ["a&b=c"]
    assert headers["X-Forwarded-Host"] == DEMO
    told = verify(rewards.query(), [API_SECRET.encode()], clock.now())
    assert told == Proxied(DEMO, f"/{DEMO}/apps/rewards", None)
    found = ShopifyApp(API_KEY, API_SECRET).verify_app_proxy_req(
        {"method": "GET", "headers": {}, "url": f"https://app.example{target}", "body": ""}
    )
    assert found.ok

    person = store.sandbox.world.customers(DEMO)[0]
    browser.post(f"/{DEMO}/sign-in", data={"customer": str(person.id)})
    browser.get(PAGE)
    assert verify(rewards.query(), [API_SECRET.encode()], clock.now()).customer_id == person.id


def test_cookies_go_neither_way_and_bodies_do(browser: httpx.Client, rewards: Rewards) -> None:
    rewards.status, rewards.headers = 422, {"Set-Cookie": "secret=1", "X-Powered-By": "us", "X-Ours": "kept"}
    browser.cookies.set("theirs", "1")
    answer = browser.post(f"{PAGE}/redeem", data={"reward": "5-off"}, headers={"HX-Request": "true"})
    method, _, headers, body = rewards.asked[-1]
    assert (method, body, headers["HX-Request"]) == ("POST", b"reward=5-off", "true")
    assert "Cookie" not in headers
    assert (answer.status_code, answer.headers["X-Ours"]) == (422, "kept")
    assert "secret" not in answer.cookies
    assert "X-Powered-By" not in answer.headers
    browser.get(PAGE)
    assert "Cookie" not in rewards.asked[-1][2]


def test_liquid_stands_inside_the_theme(browser: httpx.Client, rewards: Rewards) -> None:
    rewards.headers = {"Content-Type": "application/liquid; charset=utf-8"}
    rewards.body = "<p>Grüße {{ shop.email }}</p>".encode()
    answer = browser.get(PAGE)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<p>Grüße Liquid error: not run in the sandbox</p>" in answer.text
    assert "North Pier Coffee</a>" in answer.text
    assert f'href="{PAGE}">Rewards</a>' in answer.text
    rewards.body = b"{% layout none %}<p>alone</p>"
    assert browser.get(PAGE).text == "<p>alone</p>"
    rewards.status = 404
    assert browser.get(PAGE).status_code == 404


def test_redirects_are_handed_on(browser: httpx.Client, rewards: Rewards) -> None:
    rewards.status, rewards.headers = 303, {"Location": f"{PAGE}?done=1"}
    answer = browser.post(f"{PAGE}/redeem")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PAGE}?done=1")
    assert len(rewards.asked) == 1


def test_a_shop_without_the_app_has_no_such_page(browser: httpx.Client, rewards: Rewards) -> None:
    assert browser.get(f"/{SECOND}/apps/rewards").status_code == 404
    assert rewards.asked == []


def test_an_app_that_is_away_is_an_error_of_the_theme(browser: httpx.Client, store: Running) -> None:
    store.sandbox.app_url = "http://127.0.0.1:9"
    answer = browser.get(PAGE)
    assert answer.status_code == 502
    assert "third-party application" in answer.text


def test_signing_in_comes_back_to_where_one_was(browser: httpx.Client, store: Running) -> None:
    person = store.sandbox.world.customers(DEMO)[0]
    assert 'value="/apps/rewards"' in browser.get(f"/{DEMO}/sign-in", params={"return_to": "/apps/rewards"}).text
    for asked, goes_to in (
        ("/apps/rewards", PAGE),
        ("https://evil.example", f"/{DEMO}/"),
        ("//evil.example", f"/{DEMO}/evil.example"),
    ):
        answer = browser.post(f"/{DEMO}/sign-in", data={"customer": str(person.id), "return_to": asked})
        assert answer.headers["Location"] == goes_to
    assert browser.cookies["customer"] == str(person.id)
