"""Requests that Shopify forwards from a storefront (the app proxy), believed by their signature.

Shopify signs the query: `key=value` of every parameter but the signature, sorted and joined with nothing between,
values of a repeated name joined by commas, as a hex HMAC-SHA256 under the app's secret.
Source: https://shopify.dev/docs/apps/build/online-store/app-proxies/authenticate-app-proxies

Because nothing stands between the parts, whoever chooses a parameter could have words signed that read as another
customer's id once the query is cut up differently. So each of Shopify's own names may occur once in what was signed,
wherever that is; and no page may ever show a signed address to the browser.

`shopifyapp` computes the same, but raises TypeError for a signature that isn't ASCII, believes the first of repeated
timestamps, tells neither the path prefix nor the whole domain, and reads a clock of its own; so this is our own. A
signed address may be sent again for as long as it is young: reads don't mind, and forms carry a token and a key.
"""

import hmac
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from urllib.parse import parse_qsl

from core import clock
from core.config import settings
from core.errors import NotAuthenticated
from shops.models import DOMAIN

AGE = 90  # seconds, before and after
_SHOPIFYS = ("shop", "timestamp", "path_prefix", "logged_in_customer_id")
_MOST = 100  # parameters


class BadSignature(NotAuthenticated):
    """Not from Shopify, changed on its way, or too old."""

    code = "bad_signature"


class Proxied(NamedTuple):
    """What a forwarded request says: the shop's domain, the path that browsers see for ours, and which customer is
    signed in to the shop, if any.
    """

    shop: str
    path_prefix: str
    customer_id: int | None


def verified(query: bytes) -> Proxied:
    """What the current request says, by its raw query. Raises BadSignature."""
    return verify(query, settings().webhook_secrets, clock.now())


def verify(query: bytes, secrets: Iterable[bytes], now: datetime) -> Proxied:
    """What a forwarded request says, if one of the secrets signed it at most AGE ago or ahead. Raises BadSignature."""
    told = _read(query)
    given = told.pop("signature", [""])[0].encode()
    said = _signed(told)
    if not any(hmac.compare_digest(given, hmac.digest(secret, said, "sha256").hex().encode()) for secret in secrets):
        raise BadSignature("this address is not signed by Shopify")
    _check_age(_one(told, "timestamp"), now)
    shop = _one(told, "shop")
    if not DOMAIN.fullmatch(shop):
        raise BadSignature("this address names no shop")
    return Proxied(shop, _one(told, "path_prefix").rstrip("/"), _customer(_one(told, "logged_in_customer_id")))


def _read(query: bytes) -> dict[str, list[str]]:
    """Every parameter with its values in order. Raises BadSignature."""
    told: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST)
    except ValueError:
        raise BadSignature("this address can't be read") from None
    for name, value in pairs:
        told.setdefault(name, []).append(value)
    if any(len(told.get(name, ())) > 1 for name in (*_SHOPIFYS, "signature")):
        raise BadSignature("this address says something twice")
    return told


def _signed(told: dict[str, list[str]]) -> bytes:
    """What Shopify signed. Raises BadSignature when one of its names occurs in it again."""
    said = "".join(f"{name}={','.join(values)}" for name, values in sorted(told.items()))
    if any(said.count(f"{name}=") > 1 for name in _SHOPIFYS):
        raise BadSignature("this address says something twice")
    return said.encode()


def _one(told: dict[str, list[str]], name: str) -> str:
    return told.get(name, [""])[0]


def _check_age(timestamp: str, now: datetime) -> None:
    made = int(timestamp) if timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12 else 0
    if abs(now.timestamp() - made) > AGE:
        raise BadSignature("this address was signed too long ago")


def _customer(text: str) -> int | None:
    """Nobody is signed in when it is empty. Raises BadSignature for what is no id."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) < 2**63):
        raise BadSignature("this address names no customer")
    return int(text)
