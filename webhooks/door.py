"""The door: `POST /webhooks/shopify` as a bare WSGI callable in front of Flask.

Verify over the raw bytes, store, answer. It parses no more than it must and needs nothing of Flask: less code in front
of strangers, and many times the throughput. Statuses: 200 stored (or stored before), 400 not JSON, 401 bad signature
or unknown shop, 405 not POST, 413 too large, 503 with Retry-After when it cannot be stored.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec

from core import logs, metrics
from core.errors import InvalidInput, Unavailable
from shops.models import DOMAIN
from webhooks.inbox import Inbox, NewDelivery
from webhooks.payloads import ShopUpdate, delivery_id, moment
from webhooks.register import Register, ShopRef

PATH = "/webhooks/shopify"
# What Shopify still sends after an uninstall, up to two days later.
AFTER_UNINSTALL = frozenset({"customers/data_request", "customers/redact", "shop/redact", "app/uninstalled"})
# What a shop sends whose domain changes, from the new one.
MOVED = "shop/update"
TOPIC = re.compile(r"[a-z0-9_./-]{1,100}")

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

log = logs.logger(__name__)
_skim = msgspec.json.Decoder(msgspec.Raw)
_mover = msgspec.json.Decoder(ShopUpdate)


class Refused(Exception):
    """An answer other than 200: the status line and why, in one plain sentence."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Door:
    """The WSGI callable. `secrets` are the app's current and previous one, newest first; `body_limit` is in bytes."""

    def __init__(self, inbox: Inbox, register: Register, secrets: tuple[bytes, ...], body_limit: int) -> None:
        self._inbox = inbox
        self._register = register
        self._secrets = secrets
        self._body_limit = body_limit

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        began = time.perf_counter()
        status, reason, headers = self._answer(environ)
        metrics.RECEIVED.labels(status[:3]).inc()
        metrics.ACKNOWLEDGE.observe(time.perf_counter() - began)
        body = reason.encode()
        start_response(
            status,
            [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *headers],
        )
        return [body]

    def _answer(self, environ: Environ) -> tuple[str, str, list[tuple[str, str]]]:
        try:
            self._inbox.store(self._admit(environ))
            return "200 OK", "stored", []
        except Refused as refused:
            log.info("delivery refused", status=refused.status, why=refused.reason)
            return refused.status, refused.reason, [("Allow", "POST")] if refused.status[:3] == "405" else []
        except Unavailable as error:
            log.warning("delivery not stored", why=error.detail)
            return "503 Service Unavailable", error.detail, [("Retry-After", str(error.retry_after))]
        except Exception:
            # Whatever it was, Shopify tries again; a 500 would only tell a stranger more.
            log.exception("the door failed")
            return "503 Service Unavailable", "not stored; try again", [("Retry-After", "5")]

    def _admit(self, environ: Environ) -> NewDelivery:
        if environ["REQUEST_METHOD"] != "POST":
            raise Refused("405 Method Not Allowed", "webhooks are POSTed")
        body = self._body(environ)
        if not self._signed(body, _header(environ, "HMAC_SHA256")):
            raise Refused("401 Unauthorized", "the signature does not match")
        topic = _header(environ, "TOPIC")
        shop = self._shop(_header(environ, "SHOP_DOMAIN"), topic, body)
        _must_be_json(environ, body)
        if not TOPIC.fullmatch(topic):
            raise Refused("400 Bad Request", "the topic is missing or malformed")
        return NewDelivery(
            shop_id=shop.id,
            webhook_id=_header(environ, "WEBHOOK_ID")[:200] or delivery_id(topic, body),
            event_id=_header(environ, "EVENT_ID")[:200] or None,
            topic=topic,
            api_version=_header(environ, "API_VERSION")[:20] or None,
            triggered_at=_moment(_header(environ, "TRIGGERED_AT")),
            body=body,
        )

    def _body(self, environ: Environ) -> bytes:
        declared = environ.get("CONTENT_LENGTH") or ""
        if declared.isdigit() and int(declared) > self._body_limit:
            raise Refused("413 Content Too Large", f"the body is over {self._body_limit} bytes")
        # One byte over the limit tells a body without a declared length from one that just fits.
        length = int(declared) if declared.isdigit() else self._body_limit + 1
        body: bytes = environ["wsgi.input"].read(length)
        if len(body) > self._body_limit:
            raise Refused("413 Content Too Large", f"the body is over {self._body_limit} bytes")
        return body

    def _signed(self, body: bytes, signature: str) -> bool:
        # Both sides as bytes: comparing text raises for a signature that is not ASCII.
        given = signature.encode("utf-8", "surrogateescape")
        expected = [base64.b64encode(hmac.digest(secret, body, hashlib.sha256)) for secret in self._secrets]
        return any([hmac.compare_digest(given, one) for one in expected])  # noqa: C419 - no early end to time

    def _shop(self, domain: str, topic: str, body: bytes) -> ShopRef:
        # The header is outside the signature: only the strict name of a shop that installed us opens anything.
        shop = self._register.find(domain) if DOMAIN.fullmatch(domain) else None
        if shop is None and topic == MOVED:
            shop = self._moved(domain, body)
        if shop is None or (not shop.installed and topic not in AFTER_UNINSTALL):
            raise Refused("401 Unauthorized", "this shop has not installed the app")
        return shop

    def _moved(self, domain: str, body: bytes) -> ShopRef | None:
        """A shop that tells of its new domain from there, known by its number; the signed body names both."""
        try:
            told = _mover.decode(body)
        except msgspec.MsgspecError:
            return None
        return self._register.find_numbered(told.id) if told.myshopify_domain == domain else None


def _header(environ: Environ, name: str) -> str:
    """A Shopify header; events in preview come with `Shopify-` in place of `X-Shopify-`."""
    value: str = environ.get(f"HTTP_X_SHOPIFY_{name}") or environ.get(f"HTTP_SHOPIFY_{name}") or ""
    # As text that PostgreSQL can hold: one delivery that it refuses would fail the others of its group.
    return value.replace("\x00", "").encode("utf-8", "replace").decode().strip()


def _must_be_json(environ: Environ, body: bytes) -> None:
    content_type = environ.get("CONTENT_TYPE") or "application/json"
    if content_type.partition(";")[0].strip().lower() not in ("application/json", "text/json"):
        raise Refused("400 Bad Request", "the content type is not JSON")
    try:
        body.decode()
        _skim.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Refused("400 Bad Request", "the body is not JSON") from None
    except RecursionError:
        raise Refused("400 Bad Request", "the body is nested too deeply") from None


def _moment(raw: str) -> datetime | None:
    # The header is outside the signature: a moment that cannot be is none.
    try:
        return moment(datetime.fromisoformat(raw), "triggered_at")
    except (ValueError, InvalidInput):
        return None
