"""What Stripe tells: events, signed, sent in order, and again until they are taken.

`Stripe-Signature: t=<seconds>,v1=<HMAC-SHA256 of "<t>.<body>">`: https://docs.stripe.com/webhooks/signature
"""

import contextlib
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from stripe._api_version import _ApiVersion

TRIES = 6
Told = dict[str, Any]


def signature(secret: str, body: bytes, at: int) -> str:
    said = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={said}"


class News:
    """`sent` holds each event with the status it was answered with. Nothing is sent while `held`."""

    def __init__(self, address: str, secret: str, clock: Callable[[], float] = time.time) -> None:
        self.address, self.secret, self.clock = address, secret, clock
        self.events: list[Told] = []
        self.sent: list[tuple[Told, int]] = []
        self.held = False
        self.pause = 0.2
        self.client = httpx.Client(timeout=10, trust_env=False, headers={"User-Agent": "Stripe/1.0"})
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="stripe news")

    def close(self) -> None:
        self.worker.shutdown(wait=True, cancel_futures=True)
        self.client.close()

    def event(self, kind: str, told: Told, account: str | None = None, **changes: Any) -> Told:
        """An event about an object as it is now; `account` is whose it is, where it is not the platform's own."""
        made = {
            "id": f"evt_{secrets.token_hex(12)}",
            "object": "event",
            "api_version": _ApiVersion.CURRENT,
            "created": int(self.clock()),
            "data": {"object": told},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": f"req_{secrets.token_hex(7)}", "idempotency_key": None},
            "type": kind,
        }
        return made | ({"account": account} if account else {}) | changes

    def tell(self, kind: str, told: Told, account: str | None = None) -> None:
        event = self.event(kind, json.loads(json.dumps(told)), account)
        self.events.append(event)
        if not self.held:
            self.worker.submit(self._tell, event)

    def _tell(self, event: Told) -> None:
        for attempt in range(TRIES):
            if self.send(event) == 200:
                return
            time.sleep(self.pause * 2**attempt)

    def send(self, event: Told, *, secret: str | None = None, at: int | None = None) -> int:
        """Send an event once; the status of the answer, 0 for none."""
        body = json.dumps(event, indent=2).encode()
        signed = signature(secret or self.secret, body, int(self.clock()) if at is None else at)
        status = 0
        with contextlib.suppress(httpx.HTTPError):
            headers = {"Content-Type": "application/json", "Stripe-Signature": signed}
            status = self.client.post(self.address, content=body, headers=headers).status_code
        self.sent.append((event, status))
        return status

    def settle(self) -> None:
        """Wait until all that was told so far has been sent."""
        self.worker.submit(lambda: None).result(timeout=30)
