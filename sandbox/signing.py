"""Webhook deliveries with Shopify's headers and signature."""

import base64
import hmac
import random
from collections.abc import Iterable
from typing import NamedTuple

API_VERSION = "2026-10"


class Delivery(NamedTuple):
    """One webhook request. `event_id` is shared by the topics of one change; `webhook_id` is the delivery's own."""

    topic: str
    headers: dict[str, str]
    body: bytes

    @property
    def webhook_id(self) -> str:
        return self.headers["X-Shopify-Webhook-Id"]

    @property
    def event_id(self) -> str:
        return self.headers["X-Shopify-Event-Id"]


def signature(secret: str | bytes, body: bytes) -> str:
    """Base64 of the HMAC-SHA256 over the raw body."""
    key = secret.encode() if isinstance(secret, str) else secret
    return base64.b64encode(hmac.digest(key, body, "sha256")).decode()


def sign(
    secret: str | bytes, topic: str, domain: str, body: bytes, *, webhook_id: str, event_id: str, triggered_at: str
) -> Delivery:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Shopify-Captain-Hook",
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": domain,
        "X-Shopify-API-Version": API_VERSION,
        "X-Shopify-Webhook-Id": webhook_id,
        "X-Shopify-Event-Id": event_id,
        "X-Shopify-Triggered-At": triggered_at,
        "X-Shopify-Hmac-SHA256": signature(secret, body),
    }
    return Delivery(topic, headers, body)


def proxy_signature(secret: str, pairs: Iterable[tuple[str, str]]) -> str:
    """A forwarded storefront request's: hex, over the parameters, sorted, with nothing between."""
    told: dict[str, list[str]] = {}
    for name, value in pairs:
        told.setdefault(name, []).append(value)
    said = "".join(sorted(f"{name}={','.join(values)}" for name, values in told.items()))
    return hmac.digest(secret.encode(), said.encode(), "sha256").hex()


def seeded_uuid(chance: random.Random) -> str:
    """A version 4 UUID from a seeded generator, so that the same seed gives the same deliveries."""
    digits = f"{chance.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
