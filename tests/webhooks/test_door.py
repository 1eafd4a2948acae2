"""The door as a WSGI callable: every documented answer, and nothing else."""

import base64
import gzip
import hashlib
import hmac
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from shopify_app import ShopifyApp

from sandbox.catalogue import DEMO
from sandbox.signing import signature
from shops.models import Shop
from tests.webhooks.rig import OLD_SECRET, SECRET, Answer, House, at_once, delivery, encode, knock, numbers
from webhooks.door import Door

ORDER = encode({"id": 1, "customer": {"id": 2}, "line_items": []})
LIMIT = 100_000


@pytest.fixture
def door(house: House, shop: int) -> Door:
    return house.door(limit=LIMIT)


def send(door: Door, body: bytes = ORDER, topic: str = "orders/create", **more: Any) -> Answer:
    given = delivery(topic, body, domain=more.pop("domain", DEMO.domain), secret=more.pop("secret", SECRET))
    headers = given.headers | more.pop("headers", {})
    return knock(door, {name: value for name, value in headers.items() if value is not None}, body, **more)


# Believed.

BODIES = (
    ORDER,
    b'{"id": 9007199254740993, "note": "\\u00e9"}',
    '{"name": "Zo\u00eb \u2603 \U0001f600"}'.encode(),
    b'{ "a" :1.50 }\n',
)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("change", ["nothing", "the body", "the signature", "the secret", "an old secret"])
def test_what_shopify_s_own_library_believes_is_stored_and_nothing_else(house: House, body: bytes, change: str) -> None:
    """Its published verification is the reference."""
    house.open_shop(DEMO.domain)
    secret = {"the secret": "another", "an old secret": OLD_SECRET}.get(change, SECRET)
    one = delivery("orders/create", body, secret=secret)
    sent = body + b" " if change == "the body" else body
    headers = one.headers | ({"X-Shopify-Hmac-SHA256": "AAAA"} if change == "the signature" else {})
    request: Any = {"method": "POST", "headers": headers, "url": "/", "body": sent.decode()}
    believed = ShopifyApp("an app", SECRET, OLD_SECRET).verify_webhook_req(request).ok
    assert believed == (change in ("nothing", "an old secret"))
    door = house.door((SECRET, OLD_SECRET))
    assert knock(door, headers, sent).status == (200 if believed else 401)


# Stored.


def test_a_signed_delivery_is_stored_whole(house: House, shop: int, door: Door) -> None:
    answer = send(door)
    assert (answer.status, answer.text) == (200, "stored")
    (row,) = house.inbox(shop)
    assert (row.topic, row.state, row.body) == ("orders/create", "pending", ORDER)


def test_a_repeat_is_answered_and_stored_once(house: House, shop: int, door: Door) -> None:
    one = delivery("orders/create", ORDER)
    assert [knock(door, one.headers, one.body).status for _ in range(3)] == [200, 200, 200]
    assert len(house.inbox(shop)) == 1


def test_one_delivery_fifty_times_at_once_is_one_row(house: House, shop: int, door: Door) -> None:
    one = delivery("orders/create", ORDER)
    answers: list[int] = []
    assert at_once(*[lambda: answers.append(knock(door, one.headers, one.body).status)] * 50) == []
    assert answers == [200] * 50
    assert len(house.inbox(shop)) == 1


def test_two_doors_given_the_same_repeats_at_once_never_block_each_other(house: House, shop: int) -> None:
    doors = [house.door(), house.door()]
    many = [delivery("orders/create", ORDER) for _ in range(40)]
    answers: list[int] = []
    calls = [
        lambda door=door, one=one: answers.append(knock(door, one.headers, one.body).status)  # type: ignore[misc]
        for turn, door in enumerate(doors)
        for one in (many if turn else reversed(many))
    ]
    assert at_once(*calls) == []
    assert set(answers) == {200}
    assert len(house.inbox(shop)) == len(many)


def test_preview_headers_are_understood(house: House, shop: int, door: Door) -> None:
    one = delivery("orders/create", ORDER)
    headers = {name.replace("X-Shopify", "Shopify"): value for name, value in one.headers.items()}
    assert knock(door, headers, one.body).status == 200
    assert house.inbox(shop)[0].webhook_id == one.webhook_id


def test_without_a_webhook_id_the_body_names_the_delivery(house: House, shop: int, door: Door) -> None:
    nameless = {"X-Shopify-Webhook-Id": ""}
    for topic in ("orders/create", "orders/create", "orders/updated"):
        assert send(door, topic=topic, headers=nameless).status == 200
    assert len({row.webhook_id for row in house.inbox(shop)}) == 2


def test_an_unknown_topic_is_stored_and_ignored(house: House, shop: int, door: Door) -> None:
    assert send(door, b'{"id": 1}', topic="carts/unheard_of").status == 200
    house.drain()
    assert house.states(shop) == {"ignored": 1}


def test_the_old_secret_is_good_during_a_rotation(house: House, shop: int) -> None:
    door = house.door(secrets=(SECRET, OLD_SECRET))
    assert send(door, secret=OLD_SECRET).status == 200
    assert send(door, secret=SECRET).status == 200


def test_a_body_of_exactly_the_limit_is_stored(door: Door) -> None:
    body = b'"' + b"x" * (LIMIT - 2) + b'"'
    assert send(door, body).status == 200
    assert send(door, body, length=None).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"note": "\\u0000"}',
        b"[]",
        b"null",
        b'{"id": 1e400}',
        b'{"id": ' + b"9" * 5000 + b"}",
        '{"имя": "دانا 🙂"}'.encode(),
        b'{"id": 1, "id": 2}',
    ],
)
def test_json_that_is_only_odd_is_stored_and_ends_without_a_crash(
    house: House, shop: int, door: Door, body: bytes
) -> None:
    assert send(door, body, topic="orders/updated").status == 200
    house.drain()
    (row,) = house.inbox(shop)
    assert row.state == "failed"
    assert row.error


# Refused for the signature: 401.


def flipped(body: bytes) -> bytes:
    return body[:-2] + bytes([body[-2] ^ 1]) + body[-1:]


def test_one_changed_byte_is_refused(house: House, shop: int, door: Door) -> None:
    one = delivery("orders/create", ORDER)
    assert knock(door, one.headers, flipped(ORDER)).status == 401
    assert house.inbox(shop) == []


@pytest.mark.parametrize(
    "forged",
    [
        None,
        "",
        "forged",
        "é" * 44,
        "\udcff\udcfe",
        "A" * 100_000,
        signature("another secret", ORDER),
        signature(OLD_SECRET, ORDER),
        signature("", ORDER),
        signature(SECRET, ORDER).rstrip("="),
        signature(SECRET, ORDER).lower(),
        hmac.new(SECRET.encode(), ORDER, hashlib.sha256).hexdigest(),
        base64.b64encode(hashlib.sha256(SECRET.encode() + ORDER).digest()).decode(),
    ],
)
def test_a_forged_signature_is_refused(house: House, shop: int, door: Door, forged: str | None) -> None:
    assert send(door, headers={"X-Shopify-Hmac-SHA256": forged}).status == 401
    assert house.inbox(shop) == []


def test_an_empty_old_secret_opens_nothing(house: House, shop: int) -> None:
    assert send(house.door(secrets=(SECRET,)), secret="").status == 401


def test_a_flask_cookie_never_passes_as_a_signature(house: House, shop: int, door: Door) -> None:
    """Even when somebody reuses the Shopify secret as Flask's: the cookie's signature is derived from it."""
    app = Flask(__name__)
    app.secret_key = SECRET
    signer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert signer
    cookie = str(signer.dumps({"shop": DEMO.domain}))
    payload, _, mark = cookie.rpartition(".")
    raw = base64.b64encode(base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4))).decode()
    for body in (payload.encode(), cookie.encode()):
        for given in (mark, raw):
            assert send(door, body, headers={"X-Shopify-Hmac-SHA256": given}).status == 401


# Refused for the shop: 401.


@pytest.mark.parametrize(
    "domain",
    [
        None,
        "",
        "unknown.myshopify.com",
        DEMO.domain.upper(),
        DEMO.domain + ".evil.example",
        "evil.example/" + DEMO.domain,
        "https://" + DEMO.domain,
        DEMO.domain + ":443",
        DEMO.domain + "\n",
        DEMO.domain.replace("-", " "),
        f"{DEMO.domain}, {DEMO.domain}",
        f"unknown.myshopify.com,{DEMO.domain}",
        "%",
        "' OR 1=1 --",
        DEMO.domain.replace("o", "\u043e"),  # a Cyrillic letter that looks the same
    ],
)
def test_only_the_strict_name_of_an_installed_shop_opens(
    house: House, shop: int, door: Door, domain: str | None
) -> None:
    answer = send(door, headers={"X-Shopify-Shop-Domain": domain})
    if domain is not None and domain.strip() == DEMO.domain:
        assert answer.status == 200  # space around a header's value is not part of it
    else:
        assert answer.status == 401
        assert house.inbox(shop) == []


def test_a_shop_that_uninstalled_is_refused_but_for_what_still_comes(house: House, shop: int) -> None:
    with house.database.transaction(shop) as session:
        session.execute(sa.update(Shop).where(Shop.id == shop).values(uninstalled_at=sa.func.now()))
    door = house.door()
    assert send(door).status == 401
    late = ("app/uninstalled", "customers/redact", "customers/data_request", "shop/redact")
    assert [send(door, topic=topic).status for topic in late] == [200] * 4


def test_the_delivery_goes_to_the_shop_it_names_and_to_no_other(house: House, shop: int, door: Door) -> None:
    other = house.open_shop("other.myshopify.com")
    assert send(door, domain="other.myshopify.com").status == 200
    assert house.inbox(shop) == []
    assert len(house.inbox(other)) == 1


# Refused for the body: 400 and 413.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        ORDER[:-1],
        b"id=1&name=x",
        b"<order/>",
        b"\x00",
        ORDER + b"\x00",
        b'{"id": 1}{"id": 2}',
        b'{"price": NaN}',
        b'{"price": Infinity}',
        b'{"a": "\xff"}',
        b"\xef\xbb\xbf{}",
        '{"id": 1}'.encode("utf-16"),
        b'{"a": "raw \x00 byte"}',
        b"{'id': 1}",
        b'{"note": "\\ud800"}',
        b"[1,]",
        b"[" * 40_000 + b"]" * 40_000,
        b'{"a":' * 15_000 + b"1" + b"}" * 15_000,
        gzip.compress(ORDER, mtime=0),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_not_json_is_refused(house: House, shop: int, door: Door, body: bytes) -> None:
    assert send(door, body).status == 400
    assert house.inbox(shop) == []


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", "\x00"]
)
def test_another_content_type_is_refused(door: Door, kind: str) -> None:
    assert send(door, headers={"Content-Type": kind}).status == 400


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON", None])
def test_json_by_any_spelling_is_taken(door: Door, kind: str | None) -> None:
    assert send(door, headers={"Content-Type": kind}).status == 200


@pytest.mark.parametrize("topic", ["", "Orders/Create", "orders create", "o" * 101, "orders/\x01", "заказы/create"])
def test_a_missing_or_malformed_topic_is_refused(house: House, shop: int, door: Door, topic: str) -> None:
    assert send(door, topic=topic).status == 400
    assert house.inbox(shop) == []


@pytest.mark.parametrize("length", ["", str(10**12), None], ids=["declared", "declared absurdly", "without a length"])
def test_too_large_is_refused(house: House, shop: int, door: Door, length: str | None) -> None:
    body = b'"' + b"x" * LIMIT + b'"'
    assert send(door, body, length=length).status == 413
    assert house.inbox(shop) == []


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "٣", " 5", "+5"])
def test_a_length_that_is_no_number_is_never_an_error(door: Door, length: str) -> None:
    assert send(door, length=length).status in (200, 400, 401)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_only_post(door: Door, method: str) -> None:
    answer = send(door, method=method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize("header", ["Webhook-Id", "Event-Id", "API-Version", "Triggered-At"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        "x" * 70_000,
        "\x00\x00",
        "a\x00b",
        "é",
        "\udcff",
        "2026-13-45T99:99:99Z",
        "0001-01-01",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_strange_values_in_the_other_headers_are_stored_or_cut(
    house: House, shop: int, door: Door, header: str, value: str
) -> None:
    assert send(door, headers={f"X-Shopify-{header}": value}).status == 200
    assert house.states(shop) == {"pending": 1}
    house.drain()
    assert house.states(shop) != {"pending": 1}


def test_answers_say_no_more_than_they_must(door: Door) -> None:
    """No secret, no stack, no version; plain text with its exact length."""
    for answer in (send(door), send(door, secret="x"), send(door, b"{"), send(door, domain="x.myshopify.com")):
        assert answer.headers["Content-Length"] == str(len(answer.text))
        assert SECRET not in answer.text
        assert "Traceback" not in answer.text


def test_repeats_of_refusals_leave_nothing_behind(house: House, shop: int, door: Door) -> None:
    for _ in range(3):
        send(door, secret="x", headers={"X-Shopify-Webhook-Id": f"{next(numbers)}"})
    assert house.inbox(shop) == []
