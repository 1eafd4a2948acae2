"""Orders to measure with: full-shape `orders/create` bodies of 10 KB, as requests and as rows of the inbox."""

import itertools
import random
import time
from collections.abc import Callable, Iterator

from bench.world import DOMAIN, SECRET, Shop
from core.db import insert_rows
from sandbox import orders, payloads
from sandbox.orders import Customer
from sandbox.signing import sign
from sandbox.traffic import Mix, Writer, customer, encode
from webhooks.models import Delivery

TOPIC = "orders/create"
BODY_SIZE = 10 * 1024  # bytes; the middle of what stores send
START = int(time.time()) - 86_400  # epoch seconds of the first order
# Everybody buys, nobody changes their mind: the path that almost every delivery takes.
MIX = Mix(gift_cards=0, tips=0, foreign=0, guests=0)

Choose = Callable[[random.Random], int]


def uniform(members: int) -> Choose:
    return lambda chance: chance.randrange(members)


def hot(members: int, share: float) -> Choose:
    """Member 0 places this share of all orders."""
    return lambda chance: 0 if chance.random() < share else chance.randrange(members)


class Orders:
    """Makes up paid orders, each newer than the last."""

    def __init__(self) -> None:
        self.writer = Writer(MIX)
        self.numbers = itertools.count()
        self.people: dict[int, Customer] = {}

    def bodies(self, count: int, choose: Choose) -> Iterator[bytes]:
        return (self.body(next(self.numbers), choose(self.writer.chance)) for _ in range(count))

    def body(self, number: int, member: int) -> bytes:
        person = self.person(member)
        order, _ = orders.place(
            MIX.shop, 6_000_000_000_000 + number, number, self.writer.basket(), START + number, customer=person
        )
        payload = payloads.order_payload(MIX.shop, order, person)
        missing = BODY_SIZE - len(encode(payload))
        if missing > 0:
            # Random, because padding that packs well would flatter every figure with the disk in it.
            payload["note"] = self.writer.chance.randbytes(missing // 2).hex()
        return encode(payload)

    def person(self, member: int) -> Customer:
        if member not in self.people:
            self.people[member] = customer(MIX, member, START)
        return self.people[member]


def requests(bodies: Iterator[bytes], first: int = 0) -> list[bytes]:
    """Whole signed HTTP requests, ready to be written to a socket. Their webhook ids are counted from `first`."""
    return [_request(body, number) for number, body in enumerate(bodies, first)]


def repeated(pool: list[bytes]) -> Iterator[bytes]:
    """The same requests for ever, each time under a webhook id of its own (which the signature doesn't cover)."""
    for number, request in enumerate(itertools.cycle(pool), start=len(pool)):
        head, tail = request.split(_webhook_id(number % len(pool)), 1)
        yield b"%b%b%b" % (head, _webhook_id(number), tail)


def _webhook_id(number: int) -> bytes:
    return b"bench-%030d" % number


def _request(body: bytes, number: int) -> bytes:
    webhook_id = _webhook_id(number).decode()
    delivery = sign(
        SECRET, TOPIC, DOMAIN, body, webhook_id=webhook_id, event_id=webhook_id, triggered_at="2026-11-22T00:00:00Z"
    )
    headers = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **delivery.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /webhooks/shopify HTTP/1.1\r\n{lines}\r\n".encode() + body


_COLUMNS = ("shop_id", "webhook_id", "topic", "body")
_CHUNK = 500


def store(shop: Shop, bodies: Iterator[bytes]) -> None:
    """Put orders into a shop's inbox as the door would have."""
    while chunk := list(itertools.islice(bodies, _CHUNK)):
        with shop.database.transaction(shop.id) as session:
            rows = [(shop.id, f"stored-{next(_stored)}", TOPIC, body) for body in chunk]
            insert_rows(session, Delivery.__table__, _COLUMNS, rows)  # type: ignore[arg-type]


_stored = itertools.count()
