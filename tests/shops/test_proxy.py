"""Requests of the app proxy: what Shopify's documentation publishes is believed, and nothing that was changed."""

import hmac
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
import shopify_app

from core import clock
from core.errors import NotAuthenticated
from shops.proxy import AGE, BadSignature, Proxied, verify

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
SHOP = "north-pier.myshopify.com"
SECRET, OLD = b"a secret of today", b"a secret of yesterday"

# Both requests, their secret and their signatures stand in Shopify's documentation.
PUBLISHED = (
    "extra=1&extra=2&shop=shop-name.myshopify.com&logged_in_customer_id={}&path_prefix=%2Fapps%2Fawesome_reviews"
    "&timestamp=1317327555&signature={}"
)
SIGNED_IN = PUBLISHED.format("1", "4c68c8624d737112c91818c11017d24d334b524cb5c2b8ba08daa056f7395ddb")
SIGNED_OUT = PUBLISHED.format("", "e072b6d7e6622d85912a5214b860d3100dc1e73d9bc29f43796ac8c9ff8093cb")
THEN = datetime.fromtimestamp(1317327555, UTC)

Pairs = Iterable[tuple[str, str]]


def signature(pairs: Pairs, secret: bytes = SECRET) -> str:
    told: dict[str, list[str]] = {}
    for name, value in pairs:
        told.setdefault(name, []).append(value)
    said = "".join(sorted(f"{name}={','.join(values)}" for name, values in told.items()))
    return hmac.digest(secret, said.encode(), "sha256").hex()


def facts(**changed: str) -> list[tuple[str, str]]:
    told = {"shop": SHOP, "logged_in_customer_id": "77", "path_prefix": "/apps/rewards", "timestamp": STAMP}
    return list((told | changed).items())


def query(pairs: Pairs, secret: bytes = SECRET) -> bytes:
    pairs = list(pairs)
    return urlencode([*pairs, ("signature", signature(pairs, secret))]).encode()


@pytest.mark.parametrize(("published", "customer"), [(SIGNED_IN, 1), (SIGNED_OUT, None)])
def test_the_published_requests_are_believed(published: str, customer: int | None) -> None:
    told = verify(published.encode(), [b"hush"], THEN)
    assert told == Proxied("shop-name.myshopify.com", "/apps/awesome_reviews", customer)


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        (facts(), Proxied(SHOP, "/apps/rewards", 77)),
        (facts(logged_in_customer_id=""), Proxied(SHOP, "/apps/rewards", None)),
        (facts(logged_in_customer_id=str(2**53 + 1)), Proxied(SHOP, "/apps/rewards", 2**53 + 1)),
        (facts(path_prefix="/tools/points/"), Proxied(SHOP, "/tools/points", 77)),
        ([one for one in facts() if one[0] != "logged_in_customer_id"], Proxied(SHOP, "/apps/rewards", None)),
        ([*facts(), ("lang", "fr"), ("q", "été & plus=1"), ("empty", "")], Proxied(SHOP, "/apps/rewards", 77)),
        ([*facts(), ("tag", "b"), ("tag", "a")], Proxied(SHOP, "/apps/rewards", 77)),
    ],
)
def test_what_shopify_signed_is_told(pairs: Pairs, told: Proxied) -> None:
    assert verify(query(pairs), [SECRET, OLD], NOW) == told
    assert verify(query(pairs, OLD), [SECRET, OLD], NOW) == told


@pytest.mark.parametrize("seconds", [-AGE, 0, AGE])
def test_an_address_is_good_for_a_while(seconds: int) -> None:
    assert verify(query(facts()), [SECRET], NOW + timedelta(seconds=seconds)).customer_id == 77


@pytest.mark.parametrize("seconds", [-AGE - 1, AGE + 1, 86400])
def test_and_then_no_longer(seconds: int) -> None:
    with pytest.raises(BadSignature):
        verify(query(facts()), [SECRET], NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "asked",
    [
        b"",
        b"signature=",
        urlencode(facts()).encode(),
        urlencode([*facts(), ("signature", "ünicode")]).encode(),
        urlencode([*facts(), ("signature", signature(facts()).upper())]).encode(),
        query(facts()) + b"&extra=1",
        query(facts()).replace(b"=77", b"=78"),
        query(facts()) + b"&signature=" + signature(facts()).encode(),
        query(facts(), b"somebody else's secret"),
        query(facts(), b""),
        query(facts()) + b"&a=%ff",
        "signature=é".encode(),
        b"&".join(b"a=%d" % n for n in range(1000)),
    ],
)
def test_what_is_not_signed_is_refused(asked: bytes) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        verify(asked, [SECRET, OLD], NOW)
    assert refused.value.code == "bad_signature"


@pytest.mark.parametrize(
    "pairs",
    [
        facts(shop=""),
        facts(shop="evil.example"),
        facts(shop=f"{SHOP}.evil.example"),
        facts(shop=SHOP.upper()),
        facts(timestamp=""),
        facts(timestamp=f"{STAMP}.0"),
        facts(timestamp=f"+{STAMP}"),
        facts(timestamp="９" * 10),
        facts(timestamp="9" * 400),
        facts(logged_in_customer_id="seven"),
        facts(logged_in_customer_id="-7"),
        facts(logged_in_customer_id="0"),
        facts(logged_in_customer_id="9" * 400),
        [*facts(), ("shop", "other.myshopify.com")],
        [*facts(), ("timestamp", STAMP)],
        [*facts(), ("logged_in_customer_id", "78")],
    ],
)
def test_what_shopify_would_not_say_is_refused_even_when_signed(pairs: Pairs) -> None:
    with pytest.raises(BadSignature):
        verify(query(pairs), [SECRET], NOW)


@pytest.mark.parametrize(
    ("chosen", "cut"),
    [
        # A visitor of the storefront adds what is chosen; Shopify signs it, and the text can be cut up differently.
        (
            ("a", "1logged_in_customer_id=99m="),
            [("a", "1"), ("logged_in_customer_id", "99"), ("m", "logged_in_customer_id=")],
        ),
        (
            ("a", "1logged_in_customer_id=99m"),
            [("a", "1"), ("logged_in_customer_id", "99"), ("mlogged_in_customer_id", "")],
        ),
    ],
)
def test_nobody_becomes_another_customer_by_cutting_a_query_up_differently(
    chosen: tuple[str, str], cut: list[tuple[str, str]]
) -> None:
    signed = [*facts(logged_in_customer_id=""), chosen]
    forged = [*(one for one in facts() if one[0] != "logged_in_customer_id"), *cut]
    assert signature(signed) == signature(forged)
    with pytest.raises(BadSignature):
        verify(urlencode([*forged, ("signature", signature(signed))]).encode(), [SECRET], NOW)


def test_shopifys_own_library_agrees() -> None:
    pairs = [*facts(timestamp=str(int(clock.now().timestamp()))), ("tag", "b"), ("tag", "a"), ("q", "été")]
    library = shopify_app.ShopifyApp("key", SECRET.decode())
    asked = query(pairs)
    url = f"https://app.example/apps/rewards?{asked.decode()}"
    found = library.verify_app_proxy_req({"method": "GET", "headers": {}, "url": url, "body": ""})
    assert found.ok
    assert str(verify(asked, [SECRET], clock.now()).customer_id) == found.logged_in_customer_id
