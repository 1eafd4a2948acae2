"""The door over real HTTP, through the server of the Procfile: what a stranger can send is refused, never a 500."""

import gzip
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.catalogue import DEMO
from sandbox.processes import LOOPBACK, free_port
from sandbox.signing import signature
from tests.webhooks.live import Live, live
from tests.webhooks.rig import OLD_SECRET, SECRET, House, delivery, encode

ORDER = encode({"id": 1, "customer": {"id": 2}, "line_items": []})
LIMIT = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def world(module_database_url: str) -> Iterator[House]:
    house = House(module_database_url)
    house.open_shop(DEMO.domain)
    yield house
    house.database.dispose()


@pytest.fixture(scope="module")
def web(world: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Without a Redis: receiving needs none."""
    logs: Path = tmp_path_factory.mktemp("logs")
    with live(logs, world.url, f"redis://{LOOPBACK}:{free_port()}/0") as running:
        running.start_web()
        yield running


def post(
    web: Live, body: bytes = ORDER, *, topic: str = "orders/create", secret: str = SECRET, **more: Any
) -> httpx.Response:
    one = delivery(topic, body, secret=secret)
    headers = [(name, value) for name, value in one.headers.items() if name not in more.get("without", ())]
    content = more.get("content", body)
    return web.client.post(web.door, headers=[*headers, *more.get("headers", ())], content=content)


def raw(web: Live, request: bytes, *, hang_up: bool = False, patience: float = 3) -> int:
    """Send bytes as they are and give the status; 0 when the connection ends, or nothing comes, without an answer."""
    with socket.create_connection((LOOPBACK, web.port), timeout=patience) as connection:
        connection.sendall(request)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(65536)
        except (TimeoutError, ConnectionResetError):
            answer = b""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


def head(headers: dict[str, str | bytes], line: str = "POST /webhooks/shopify HTTP/1.1") -> bytes:
    lines = [line.encode(), b"Host: x", b"Connection: close"]
    lines += [name.encode() + b": " + (v if isinstance(v, bytes) else v.encode()) for name, v in headers.items()]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def signed(body: bytes = ORDER, more: dict[str, str | bytes] | None = None) -> dict[str, str | bytes]:
    return {**delivery("orders/create", body).headers, "Content-Length": str(len(body)), **(more or {})}


def test_a_signed_delivery_is_stored(web: Live, world: House) -> None:
    assert post(web).status_code == 200
    assert post(web, secret=OLD_SECRET).status_code == 200


def test_chunks_without_a_length_are_put_together(web: Live) -> None:
    pieces = [ORDER[:5], ORDER[5:20], ORDER[20:]]
    assert post(web, content=iter(pieces)).status_code == 200


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "in chunks"])
def test_five_megabytes_are_too_large(web: Live, declared: bool) -> None:
    body = b'"' + b"x" * (5 * 1024 * 1024) + b'"'
    content = body if declared else iter([body[at : at + 65536] for at in range(0, len(body), 65536)])
    assert post(web, body, content=content).status_code == 413


def test_the_limit_itself_is_stored(web: Live) -> None:
    assert post(web, b'"' + b"x" * (LIMIT - 2) + b'"').status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        ORDER[:-1],
        b"\x00",
        b'{"a": NaN}',
        b"not json",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        gzip.compress(ORDER),
    ],
    ids=["empty", "truncated", "nul", "nan", "text", "deep lists", "deep objects", "gzip"],
)
def test_what_is_not_json_is_400(web: Live, body: bytes) -> None:
    assert post(web, body).status_code == 400


def test_gzip_with_its_encoding_named_is_400(web: Live) -> None:
    assert post(web, gzip.compress(ORDER), headers=[("Content-Encoding", "gzip")]).status_code == 400


@pytest.mark.parametrize("mark", [b"\xff\xfe", "é".encode(), "دانا".encode(), b"", b"A" * 4000, b'"; DROP TABLE inbox'])
def test_a_forged_signature_is_401(web: Live, mark: bytes) -> None:
    status = raw(web, head(signed(more={"X-Shopify-Hmac-SHA256": mark})) + ORDER)
    assert status in (400, 401), "the server itself may refuse what is no header at all"
    assert status == 401 or not mark.isascii()


def test_a_changed_byte_is_401(web: Live) -> None:
    assert post(web, content=ORDER.replace(b"1", b"7", 1)).status_code == 401


def test_an_unknown_shop_is_401(web: Live) -> None:
    one = delivery("orders/create", ORDER, domain="unknown.myshopify.com")
    assert web.post(one).status == 401


@pytest.mark.parametrize("first", [DEMO.domain, "unknown.myshopify.com"])
def test_two_shop_headers_open_nothing_but_the_shop(web: Live, first: str) -> None:
    """Servers differ: one joins them with a comma, another keeps the last. None may let a wrong shop in."""
    twice = {**signed(), "X-Shopify-Shop-Domain": first}
    request = head(twice).replace(b"\r\n\r\n", b"\r\nX-Shopify-Shop-Domain: unknown.myshopify.com\r\n\r\n")
    assert raw(web, request + ORDER) in (200, 401) if first == DEMO.domain else 401


def test_two_signatures_are_no_signature(web: Live) -> None:
    request = head(signed(more={"X-Shopify-Hmac-SHA256": "forged"}))
    request = request.replace(b"\r\n\r\n", b"\r\nX-Shopify-Hmac-Sha256: " + b"forged too" + b"\r\n\r\n")
    assert raw(web, request + ORDER) == 401


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_post(web: Live, method: str) -> None:
    answer = web.client.request(method, web.door)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "request_",
    [
        head({}) + b"",
        head({"Content-Length": "-1"}) + ORDER,
        head({"Content-Length": "abc"}) + ORDER,
        head({"Content-Length": "99999999999999999999"}) + ORDER,
        head({"Content-Length": "9", "Transfer-Encoding": "chunked"}) + b"0\r\n\r\n",
        head({"Transfer-Encoding": "chunked"}) + b"zz\r\nabc\r\n0\r\n\r\n",
        head(signed(more={"X-Shopify-Topic": b"orders/\x00create"})) + ORDER,
        b"POST /webhooks/shopify\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        head({"X" * 70_000: "y"}),
    ],
    ids=["no body", "negative", "words", "huge", "both", "bad chunk", "nul", "no version", "tls", "big header"],
)
def test_broken_http_is_refused_and_the_server_lives(web: Live, request_: bytes) -> None:
    assert raw(web, request_) in (0, 400, 401, 408, 411, 413, 414, 431, 505)
    assert post(web).status_code == 200


def test_a_body_that_ends_early_is_not_stored(web: Live, world: House) -> None:
    given = signed()
    assert raw(web, head(given) + ORDER[:-5], hang_up=True) in (0, 400, 401)
    assert given["X-Shopify-Webhook-Id"] not in {row.webhook_id for row in world.inbox(1)}


@pytest.mark.parametrize(
    "header", ["X-Shopify-Webhook-Id", "X-Shopify-Event-Id", "X-Shopify-Triggered-At", "X-Shopify-API-Version"]
)
@pytest.mark.parametrize("value", [b"", b"\xff\xfe", "é".encode(), b"9999-12-31T23:59:59-12:00", b"x" * 3000])
def test_strange_values_in_the_other_headers_are_never_an_error(web: Live, header: str, value: bytes) -> None:
    assert raw(web, head(signed(more={header: value})) + ORDER) in (200, 400)


def test_a_replay_from_many_connections_at_once_is_one_row(web: Live, world: House) -> None:
    one = delivery("orders/create", ORDER)
    assert {reply.status for _, reply in web.post_all([one] * 50, connections=25)} == {200}
    assert sum(row.webhook_id == one.webhook_id for row in world.inbox(1)) == 1


def test_another_body_under_a_known_webhook_id_does_not_replace_it(web: Live, world: House) -> None:
    one = delivery("orders/create", ORDER)
    other = delivery("orders/create", ORDER + b" ", webhook_id=one.webhook_id)
    assert [web.post(one).status, web.post(other).status] == [200, 200]
    assert [row.body for row in world.inbox(1) if row.webhook_id == one.webhook_id] == [ORDER]


def test_the_signature_is_over_the_body_alone(web: Live) -> None:
    """A signed body posted elsewhere opens nothing: only the one path takes deliveries."""
    headers: dict[str, str | bytes] = {"X-Shopify-Hmac-SHA256": signature(SECRET, ORDER)}
    headers["Content-Length"] = str(len(ORDER))
    for path in ("/webhooks/shopify/", "/webhooks", "//webhooks/shopify", "/webhooks/shopify/../shopify"):
        # On a connection of its own: a kept one may be closed by the server in the moment it is used again.
        told = raw(web, head(headers, f"POST {path} HTTP/1.1") + ORDER, patience=10)
        assert told in (401, 404, 405), path
