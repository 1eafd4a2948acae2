"""Webhooks on their way to the app: signed, retried as Shopify does (on a compressed clock), logged, restart-proof."""

import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec

from sandbox.signing import sign
from sandbox.store import Store

TIMEOUT = 5.0
# Shopify's eight retries span four hours; these span two minutes (times `Weather.retry_factor`).
RETRY_DELAYS = (1.0, 2.0, 4.0, 8.0, 15.0, 25.0, 30.0, 35.0)


class Weather(msgspec.Struct, forbid_unknown_fields=True):
    """How badly deliveries travel. Shares are between 0 and 1, `delay` is seconds."""

    duplicates: float = 0.0
    withhold: float = 0.0
    shuffle: bool = False
    delay: float = 0.0
    retry_factor: float = 1.0


class Outbox:
    """Delivery states: `held` (the app was not installed), `pending`, `delivered`, `failed`, `withheld`."""

    def __init__(self, store: Store, url: str, secret: str, *, weather: Weather | None = None, pool: int = 4) -> None:
        self.store = store
        self.url = url
        self.secret = secret
        self.weather = weather or Weather()
        self.chance = random.Random()
        self.wake = threading.Event()
        self.stopping = False
        self.sending: set[int] = set()
        self.pool_size = pool
        self.thread = threading.Thread(target=self.run, name="webhooks", daemon=True)
        self.client = httpx.Client(timeout=TIMEOUT, limits=httpx.Limits(max_connections=pool))

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        """Waits for the deliveries in flight; everything else stays pending in the store."""
        self.stopping = True
        self.wake.set()
        if self.thread.is_alive():
            self.thread.join(TIMEOUT + 1)
        self.client.close()

    def add(self, shop: str, topic: str, body: bytes, *, event_id: str, triggered_at: str, held: bool) -> None:
        self.store.change(
            "insert into deliveries (shop, topic, webhook_id, event_id, triggered_at, body, state, next_at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)",
            shop,
            topic,
            str(uuid.uuid4()),
            event_id,
            triggered_at,
            body,
            "held" if held else "pending",
            time.time() + self.weather.delay,
        )
        self.wake.set()

    def replay(self, shop: str) -> int:
        """Send the shop's whole past again, under the same webhook ids. Returns how many deliveries that is."""
        count = self.store.change(
            "update deliveries set state='pending', attempts=0, next_at=0, status=null, error=null where shop=?", shop
        )
        self.wake.set()
        return count

    def log(self, shop: str, state: str | None = None, limit: int = 200) -> list[dict[str, Any]]:
        """The newest deliveries first, without their bodies."""
        rows = self.store.query(
            "select id, topic, webhook_id, event_id, triggered_at, state, attempts, next_at, status, error,"
            " length(body) as bytes from deliveries where shop=?1 and (?2 is null or state=?2)"
            " order by id desc limit ?3",
            shop,
            state,
            limit,
        )
        return [dict(row) for row in rows]

    def counts(self, shop: str) -> dict[str, int]:
        rows = self.store.query("select state, count(*) as n from deliveries where shop=? group by state", shop)
        return {row["state"]: row["n"] for row in rows}

    def settled(self) -> bool:
        """Nothing is pending or on its way."""
        return not self.store.query("select 1 from deliveries where state='pending' limit 1")

    def wait_until_settled(self, seconds: float = 30.0) -> bool:
        end = time.monotonic() + seconds
        while not self.settled():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def run(self) -> None:
        with ThreadPoolExecutor(self.pool_size, thread_name_prefix="webhook") as pool:
            while not self.stopping:
                self.wake.clear()
                for row in self.due():
                    self.sending.add(row["id"])
                    pool.submit(self.deliver, dict(row))
                self.wake.wait(0.2)

    def due(self) -> list[Any]:
        """As many as the pool can take soon; oldest first unless the weather shuffles."""
        room = self.pool_size * 4 - len(self.sending)
        if room <= 0:
            return []
        rows = self.store.query(
            "select id from deliveries where state='pending' and next_at<=? order by id limit 500", time.time()
        )
        ids = [row["id"] for row in rows if row["id"] not in self.sending]
        if self.weather.shuffle:
            self.chance.shuffle(ids)
        return [row for number in ids[:room] for row in self.store.query("select * from deliveries where id=?", number)]

    def deliver(self, row: dict[str, Any]) -> None:
        try:
            if row["attempts"] == 0 and self.chance.random() < self.weather.withhold:
                self.record(row, "withheld")
                return
            status, error = self.post(row)
            if self.chance.random() < self.weather.duplicates:
                self.post(row)
            if status is not None and 200 <= status < 300:
                self.record(row, "delivered", status)
            else:
                self.again(row, status, error)
        finally:
            self.sending.discard(row["id"])
            self.wake.set()

    def post(self, row: dict[str, Any]) -> tuple[int | None, str | None]:
        """Shopify gives the whole exchange five seconds and follows no redirect."""
        delivery = sign(
            self.secret,
            row["topic"],
            row["shop"],
            row["body"],
            webhook_id=row["webhook_id"],
            event_id=row["event_id"],
            triggered_at=row["triggered_at"],
        )
        try:
            answer = self.client.post(self.url, content=delivery.body, headers=delivery.headers)
        except httpx.HTTPError as error:
            return None, f"{type(error).__name__}: {error}"
        return answer.status_code, None if answer.is_success else answer.text[:200]

    def again(self, row: dict[str, Any], status: int | None, error: str | None) -> None:
        attempts = row["attempts"] + 1
        if attempts > len(RETRY_DELAYS):
            self.record(row, "failed", status, error)
            return
        wait = RETRY_DELAYS[attempts - 1] * self.weather.retry_factor
        self.record(row, "pending", status, error, next_at=time.time() + wait)

    def record(
        self, row: dict[str, Any], state: str, status: int | None = None, error: str | None = None, next_at: float = 0
    ) -> None:
        self.store.change(
            "update deliveries set state=?, attempts=attempts+1, status=?, error=?, next_at=? where id=?",
            state,
            status,
            error,
            next_at,
            row["id"],
        )
