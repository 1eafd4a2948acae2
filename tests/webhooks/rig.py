"""What the tests of the door stand on: shops with a published program, deliveries to them, and the books afterwards."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import psycopg
import sqlalchemy as sa

from core import clock
from core.db import Database, insert_rows
from loyalty import audit, programs
from loyalty.models import Member, Order
from loyalty.program import Program, demo_program
from sandbox import oracle
from sandbox.catalogue import DEMO
from sandbox.signing import Delivery, sign
from shops.models import Shop
from webhooks import drain
from webhooks import models as inbox
from webhooks.door import PATH, Door
from webhooks.inbox import Inbox
from webhooks.register import Register

SECRET = "the secret that Shopify and these tests share"
OLD_SECRET = "the secret from before the rotation"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

encode = msgspec.json.encode
numbers = itertools.count(1)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str


class Points(NamedTuple):
    """What a person or an order holds."""

    available: int
    pending: int
    tier: str | None


class Ledger(NamedTuple):
    """A shop's result, free of the ids and moments that depend on the order of arrival."""

    members: dict[int | None, Points]
    orders: dict[int, tuple[int | None, Points]]


class House:
    """One database and everything that works on it, in this process."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url, pool_size=8)

    def open_shop(self, domain: str | None = None, currency: str = "USD", program: Program | None = None) -> int:
        """Install a shop that has published a program, and return its id."""
        domain = domain or f"shop-{next(numbers)}.myshopify.com"
        with self.database.transaction() as session:
            shop = Shop(domain=domain, name=domain, currency=currency, timezone="UTC", installed_at=LONG_AGO)
            session.add(shop)
            session.flush()
            session.execute(sa.text("SELECT set_config('rapport.shops', :ids, true)"), {"ids": f"{{{shop.id}}}"})
            programs.publish(session, shop.id, program or demo_program(), effective_from=LONG_AGO, actor="test")
            return shop.id

    def door(self, secrets: Sequence[str] = (SECRET,), limit: int = 4 * 1024 * 1024) -> Door:
        return Door(Inbox(self.url), Register(self.url), tuple(secret.encode() for secret in secrets), limit)

    def put(self, shop_id: int, deliveries: Iterable[Delivery], *, due: datetime | None = None) -> None:
        """Into the inbox as the door stores them, without the door. A repeat is stored once."""
        now = clock.now()
        rows = [(shop_id, d.webhook_id, d.topic, d.body, now, due or now) for d in deliveries]
        with self.database.transaction(shop_id) as session:
            insert_rows(
                session,
                inbox.Delivery.__table__,  # type: ignore[arg-type]
                ("shop_id", "webhook_id", "topic", "body", "triggered_at", "next_try_at"),
                rows,
                suffix="ON CONFLICT (shop_id, webhook_id) DO NOTHING",
            )

    def drain(self) -> int:
        return drain.drain(self.database)

    def settle(self, shop_id: int, *batches: Iterable[Delivery]) -> None:
        """Put and drain one batch after another."""
        for batch in batches:
            self.put(shop_id, batch)
            self.drain()

    def states(self, shop_id: int) -> Counter[str]:
        return Counter(row.state for row in self.inbox(shop_id))

    def inbox(self, shop_id: int) -> Sequence[Any]:
        """Every delivery of the shop, oldest first: webhook_id, topic, state, error, attempts, body."""
        stored = inbox.Delivery
        columns = (stored.webhook_id, stored.topic, stored.state, stored.error, stored.attempts, stored.body)
        with self.database.transaction(shop_id) as session:
            return session.execute(sa.select(*columns).where(stored.shop_id == shop_id).order_by(stored.id)).all()

    def differences(self, *shop_ids: int) -> list[audit.Difference]:
        with self.database.transaction(*shop_ids) as session:
            return audit.differences(session)

    def ledger(self, shop_id: int) -> Ledger:
        with self.database.transaction(shop_id) as session:
            members = session.scalars(sa.select(Member).where(Member.merged_into.is_(None))).all()
            orders = session.scalars(sa.select(Order)).all()
        names = {member.id: member.customer_id for member in members}
        return Ledger(
            {m.customer_id: Points(m.available, m.pending, m.tier_key) for m in members},
            {
                o.order_id: (names.get(o.member_id or 0), Points(o.posted_available, o.posted_pending, o.tier_key))
                for o in orders
            },
        )

    def owner(self) -> "psycopg.Connection[Any]":
        """A connection as the role that owns the tables, with every shop open."""
        return see_all(psycopg.connect(self.url, autocommit=True))


def see_all(connection: "psycopg.Connection[Any]") -> "psycopg.Connection[Any]":
    """Open every shop: row-level security binds the owner of the tables too, unless it is a superuser."""
    connection.execute("SELECT set_config('rapport.shops', coalesce(array_agg(id)::text, '{}'), false) FROM shops")
    return connection


def delivery(
    topic: str,
    body: Any,
    *,
    domain: str = DEMO.domain,
    secret: str = SECRET,
    webhook_id: str | None = None,
) -> Delivery:
    """A signed delivery of a body given as bytes or as data."""
    raw = body if isinstance(body, bytes) else encode(body)
    webhook_id = webhook_id or f"webhook-{next(numbers)}"
    return sign(
        secret,
        topic,
        domain,
        raw,
        webhook_id=webhook_id,
        event_id=f"event-{webhook_id}",
        triggered_at="2026-11-01T10:00:00Z",
    )


class Body:
    """`wsgi.input` over bytes that notes how much of them was asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        rest = self._data[self.taken :]
        piece = rest if size < 0 else rest[:size]
        self.taken += len(piece)
        return piece


def knock(door: Door, headers: dict[str, str], body: bytes, *, method: str = "POST", length: str | None = "") -> Answer:
    """Call the door as a WSGI server would. `length` is the declared one: the body's by default, None for none."""
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": PATH, "wsgi.input": Body(body)}
    if length is not None:
        environ["CONTENT_LENGTH"] = length or str(len(body))
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    answered: list[Any] = []
    text = b"".join(door(environ, lambda status, given: answered.extend((status, given))))
    return Answer(int(answered[0][:3]), dict(answered[1]), text.decode())


def at_once(*calls: Callable[[], object]) -> list[BaseException]:
    """Run the calls in threads that start together; the errors they ended with."""
    ready, errors = threading.Barrier(len(calls)), []

    def run(call: Callable[[], object]) -> None:
        ready.wait()
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def expected(orders: Iterable[dict[str, Any]], customers: Iterable[dict[str, Any]] = (), at: float = 0) -> Ledger:
    """What the independent calculation makes of the final orders. `at` is the moment of the members' tiers."""
    orders = list(orders)
    books = oracle.books(orders, customers, at=at + 1e-3 if at else None)
    everyone = [*books.members.values(), *books.held.values()]
    owners = {order: (m, m.points.get(order, 0), tier) for m in everyone for order, tier in m.tiers.items()}
    statuses = {order["id"]: order["financial_status"] for order in orders}
    members: dict[int | None, Points] = {
        key: Points(m.available, m.pending, m.tier) for key, m in books.members.items()
    }
    return Ledger(members, {key: _held(statuses[key], *owner) for key, owner in owners.items()})


def _held(status: str, member: oracle.Member, points: int, tier: str) -> tuple[int | None, Points]:
    if member.customer_id is None:
        return None, Points(0, 0, None)
    waits = status in oracle.UNPAID
    return member.customer_id, Points(0 if waits else points, points if waits else 0, tier)
