"""Seeded store traffic: signed deliveries of full-shape orders and what befell them, without a server.

    mix = Mix(orders=500, seed=7, duplicates=0.05, shuffle=True)
    for delivery in deliveries(mix):        # Delivery(topic, headers, body)
        post(delivery.body, delivery.headers)
    final = list(final_orders(mix))         # the last orders/updated body of every order, as dicts

The same mix gives the same bytes on every machine; the only thing to fix for that is `now`. Streams are generated
lazily, so a million orders need no more memory than the shuffling window.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from sandbox import orders, payloads
from sandbox.catalogue import DEMO, PRODUCTS
from sandbox.orders import Basket, Customer, Discount, Item, Order, Shop
from sandbox.signing import Delivery, seeded_uuid, sign

DAY = 86_400
encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Mix:
    """Shares are between 0 and 1. `now` is epoch seconds: the latest moment anything happened."""

    orders: int = 500
    seed: int = 1
    shop: Shop = DEMO
    secret: str = "development-api-secret"
    now: int = 1_795_305_600
    days: int = 500
    members: int = 50
    # The share of orders placed by one and the same member.
    hot: float = 0.0
    refunds: float = 0.10
    edits: float = 0.05
    cancels: float = 0.05
    unpaid: float = 0.10
    fulfilled: float = 0.0
    guests: float = 0.05
    gift_cards: float = 0.03
    tips: float = 0.03
    discounts: float = 0.20
    foreign: float = 0.05
    tests: float = 0.0
    # How the deliveries travel.
    duplicates: float = 0.0
    withhold: float = 0.0
    shuffle: bool = False
    window: int = 20_000
    catalogue: tuple[Item, ...] = field(default=PRODUCTS)


class Story(NamedTuple):
    """One order's life: its deliveries in the order they happened, and how it ended."""

    order: Order
    customer: Customer | None
    deliveries: list[Delivery]
    final: dict[str, Any]


def deliveries(mix: Mix) -> Iterator[Delivery]:
    """All deliveries as they reach the app: some twice, some never, in or out of order, as the mix says."""
    chance = random.Random(f"travel {mix.seed}")
    stream = travel(mix, chance, (delivery for story in stories(mix) for delivery in story.deliveries))
    return shuffled(stream, chance, mix.window) if mix.shuffle else stream


def travel(mix: Mix, chance: random.Random, stream: Iterable[Delivery]) -> Iterator[Delivery]:
    for delivery in stream:
        if chance.random() < mix.withhold:
            continue
        yield delivery
        if chance.random() < mix.duplicates:
            yield delivery


def shuffled(stream: Iterable[Delivery], chance: random.Random, window: int) -> Iterator[Delivery]:
    """A shuffle in bounded memory: anything can overtake what is within the window, so small sets shuffle wholly."""
    held: list[Delivery] = []
    for delivery in stream:
        held.append(delivery)
        if len(held) > window:
            yield swap_out(held, chance)
    while held:
        yield swap_out(held, chance)


def swap_out(held: list[Delivery], chance: random.Random) -> Delivery:
    index = chance.randrange(len(held))
    held[index], held[-1] = held[-1], held[index]
    return held.pop()


def final_orders(mix: Mix) -> Iterator[dict[str, Any]]:
    """Every order as the store last knows it (an `orders/updated` body)."""
    return (story.final for story in stories(mix))


def stories(mix: Mix) -> Iterator[Story]:
    """Every order's life, oldest order first."""
    writer = Writer(mix)
    start = mix.now - mix.days * DAY
    moments = sorted(writer.chance.randrange(start, mix.now) for _ in range(mix.orders))
    return (writer.story(index, at) for index, at in enumerate(moments))


class Writer:
    """Makes up orders one after another; holds the dice and who is already a customer."""

    def __init__(self, mix: Mix) -> None:
        self.mix = mix
        self.chance = random.Random(f"orders {mix.seed}")
        self.secret = mix.secret.encode()
        self.known: dict[int, Customer] = {}

    def often(self, share: float) -> bool:
        return self.chance.random() < share

    def story(self, index: int, at: int) -> Story:
        new = len(self.known)
        customer = None if self.often(self.mix.guests) else self.customer(at)
        order, topics = self.place(index, at, customer)
        sent = self.arrival(customer, at) if len(self.known) > new else []
        body = self.send(sent, order, customer, topics, at)
        for later, topics in self.changes(order, at):
            body = self.send(sent, order, customer, topics, later)
        final = body or payloads.order_payload(self.mix.shop, order, customer)
        return Story(order, customer, sent, final)

    def place(self, index: int, at: int, customer: Customer | None) -> tuple[Order, tuple[str, ...]]:
        mix = self.mix
        email = f"guest{self.chance.randrange(9)}@example.com" if self.often(0.8) else ""
        status = self.chance.choice(("pending", "authorized")) if self.often(mix.unpaid) else "paid"
        return orders.place(
            mix.shop,
            order_id(mix, index),
            1001 + index,
            self.basket(),
            at,
            customer=customer,
            email=email,
            status=status,
            test=self.often(mix.tests),
        )

    def customer(self, at: int) -> Customer:
        hot = self.often(self.mix.hot)
        index = 0 if hot or self.mix.members < 2 else self.chance.randrange(1, self.mix.members)
        if index not in self.known:
            self.known[index] = customer(self.mix, index, at)
        return self.known[index]

    def basket(self) -> Basket:
        chance, mix = self.chance, self.mix
        goods = [item for item in mix.catalogue if not item.gift_card]
        items = [(item, chance.choice((1, 1, 1, 2, 3))) for item in chance.sample(goods, chance.choice((1, 2, 2, 3)))]
        cards = [item for item in mix.catalogue if item.gift_card]
        if cards and self.often(mix.gift_cards):
            items.append((cards[0], 1))
        discounts = [chance.choice(DISCOUNTS)] if self.often(mix.discounts) else []
        foreign = ("EUR", 9_137) if self.often(mix.foreign) else None
        return Basket(items, discounts, 300 if self.often(mix.tips) else 0, foreign)

    def changes(self, order: Order, at: int) -> Iterator[tuple[int, tuple[str, ...]]]:
        """What happens next, each with its moment; some changes fall within one second of the last."""
        shop, mix = self.mix.shop, self.mix
        if order.status != "paid" and self.often(0.5):
            at = self.later(at)
            yield at, orders.pay(shop, order, at)
        if self.often(mix.edits):
            at = self.later(at)
            yield at, self.edit(order, at)
            if order.status == "partially_paid" and self.often(0.7):
                at = self.later(at)
                yield at, orders.pay(shop, order, at)
        if self.often(mix.fulfilled):
            at = self.later(at)
            yield at, orders.fulfil(order, at)
        while order.status in ("paid", "partially_refunded") and current(order) and self.often(mix.refunds):
            at = self.later(at)
            yield at, orders.refund(shop, order, self.some_lines(order), at)
        if self.often(mix.cancels):
            at = self.later(at)
            yield at, orders.cancel(shop, order, at)

    def later(self, at: int) -> int:
        wait = 0 if self.often(0.2) else self.chance.randrange(1, 30 * DAY)
        return min(at + wait, max(at, self.mix.now))

    def edit(self, order: Order, at: int) -> tuple[str, ...]:
        shop, removable = self.mix.shop, current(order)
        if not removable or self.often(0.5):
            item = self.chance.choice([item for item in self.mix.catalogue if not item.gift_card])
            return orders.edit(shop, order, at, add=[(item, self.chance.choice((1, 2)))])
        return orders.edit(shop, order, at, remove=self.some_lines(order), as_refund=self.often(0.5))

    def some_lines(self, order: Order) -> dict[int, int]:
        """One line in part, or everything."""
        lines = current(order)
        if self.often(0.25):
            return {line.id: line.current for line in lines}
        line = self.chance.choice(lines)
        return {line.id: self.chance.randint(1, line.current)}

    def arrival(self, customer: Customer | None, at: int) -> list[Delivery]:
        if customer is None:
            return []
        body = encode(payloads.customer_payload(self.mix.shop, customer))
        return [self.sign("customers/create", body, seeded_uuid(self.chance), payloads.utc(at))]

    def send(
        self, sent: list[Delivery], order: Order, customer: Customer | None, topics: tuple[str, ...], at: int
    ) -> dict[str, Any] | None:
        """Append one change's deliveries. Returns the order's own payload, which every change but an edit carries."""
        event, triggered = seeded_uuid(self.chance), payloads.utc(at)
        whole: dict[str, Any] | None = None
        encoded = b""
        for topic in topics:
            if topic in ("refunds/create", "orders/edited"):
                body = encode(payloads.body(topic, self.mix.shop, order, customer))
            else:
                whole = whole or payloads.order_payload(self.mix.shop, order, customer)
                body = encoded = encoded or encode(whole)
            sent.append(self.sign(topic, body, event, triggered))
        return whole

    def sign(self, topic: str, body: bytes, event: str, triggered: str) -> Delivery:
        return sign(
            self.secret,
            topic,
            self.mix.shop.domain,
            body,
            webhook_id=seeded_uuid(self.chance),
            event_id=event,
            triggered_at=triggered,
        )


DISCOUNTS = (
    Discount("WELCOME10", "percentage", 10),
    Discount("PIER15", "percentage", 15),
    Discount("FIVEOFF", "fixed_amount", 500),
    Discount("SHIPFREE", "percentage", 100, target="shipping_line"),
)


def current(order: Order) -> list[orders.Line]:
    return [line for line in order.lines if line.current and not line.tip]


def order_id(mix: Mix, index: int) -> int:
    """Distinct between seeds. Every seventh is odd and above 2^53, where a float would name another order."""
    number = mix.seed * 10_000_000 + index
    return 2**53 + 1 + 2 * number if index % 7 == 3 else 5_512_000_000_000 + number


def customer(mix: Mix, index: int, at: int) -> Customer:
    number = 7_640_000_000_000 + mix.seed * 100_000 + index
    first, last = FIRST_NAMES[index % len(FIRST_NAMES)], LAST_NAMES[index // len(FIRST_NAMES) % len(LAST_NAMES)]
    return Customer(number, first, last, f"member{mix.seed}.{index}@example.com", at, at)


FIRST_NAMES = ("Noor", "Émile", "Sakura", "Ines", "Oluwaseun", "Li", "Maja", "Thiago", "Anneliese", "دانا")
LAST_NAMES = ("Castellanos", "O'Brien", "Nakamura", "de la Cruz", "Ng", "Þórsdóttir", "Featherstonehaugh", "Singh")
