"""Telling a story to the app: orders are placed, paid, edited, refunded and cancelled in the sandbox's store, and what
the store would send goes through the inbox and the drain, with the clock at that moment."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from core import clock
from core.events import record
from loyalty import programs
from loyalty.audit import history
from loyalty.models import Member
from loyalty.operations import adjust, signed_points
from loyalty.program import Program
from sandbox import orders as store
from sandbox import payloads
from sandbox.catalogue import DEMO
from sandbox.orders import Basket, Customer, Item, Order
from sandbox.signing import Delivery
from tests.webhooks.rig import House, delivery
from tiers.models import TierPeriod
from tiers.operations import review
from tiers.queries import tier_at

T0 = datetime(2026, 1, 5, 10, tzinfo=UTC)
NOOR = Customer(77, "Noor", "Haddad", "noor@example.com", int(T0.timestamp()), int(T0.timestamp()))


class Story:
    """`day` counts from T0. Every act is sent and worked off at once."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.shop = house.open_shop(DEMO.domain)
        self.orders = 0
        self.held: list[Delivery] | None = None

    def at(self, day: float) -> AbstractContextManager[None]:
        return clock.fixed_at(T0 + timedelta(days=day))

    def buy(self, day: float, dollars: float, *, who: Customer | None = NOOR, email: str = "", status: str = "paid",
            pieces: int = 1) -> Order:  # fmt: skip
        """One kind of thing in so many pieces that together cost `dollars`."""
        self.orders += 1
        item = Item(1, 1, "Beans", None, "B", "North Pier", round(dollars * 100) // pieces)
        placed, topics = store.place(
            DEMO, 5000 + self.orders, 1000 + self.orders, Basket([(item, pieces)]), self._second(day), customer=who,
            email=email, status=status,
        )  # fmt: skip
        self.tell(day, placed, topics, who)
        return placed

    def pay(self, day: float, order: Order, who: Customer | None = NOOR) -> None:
        self.tell(day, order, store.pay(DEMO, order, self._second(day)), who)

    def refund(self, day: float, order: Order, pieces: int, who: Customer | None = NOOR) -> None:
        quantities = {order.lines[0].id: pieces}
        self.tell(day, order, store.refund(DEMO, order, quantities, self._second(day)), who)

    def cancel(self, day: float, order: Order, who: Customer | None = NOOR) -> None:
        self.tell(day, order, store.cancel(DEMO, order, self._second(day)), who)

    def enrol(self, day: float, who: Customer) -> None:
        self._deliver(day, "customers/create", payloads.customer_payload(DEMO, who))

    def merge(self, day: float, kept: Customer, deleted: Customer) -> None:
        merged = payloads.customer_merge_payload(kept.id, deleted.id) | {"status": "completed"}
        self._deliver(day, "customers/merge", merged)

    def spend(self, day: float, points: int) -> None:
        """Points leave the balance by hand."""
        with self.at(day), self.house.database.transaction(self.shop) as session:
            adjust(session, self.shop, self.member().id, -points, "spent", actor="test", key=f"spent on day {day}")

    def review_tier(self, day: float) -> None:
        """What the periodic job does when a tier may have lapsed."""
        with self.at(day), self.house.database.transaction(self.shop) as session:
            known = programs.load(session, [self.shop])
            record(session, review(session, [(self.shop, self.member().id)], known, clock.now()))

    def tier_at(self, day: float) -> str:
        """The tier she held then, as one can ask at any time."""
        with self.house.database.transaction(self.shop) as session:
            known = programs.load(session, [self.shop])
            return tier_at(session, known, self.shop, self.member().id, T0 + timedelta(days=day)).key

    @contextmanager
    def kept_back(self, told: list[Delivery]) -> Iterator[None]:
        """The store's deliveries are collected instead of sent."""
        self.held = told
        yield
        self.held = None

    def send(self, day: float, told: list[Delivery]) -> None:
        """Deliveries that were kept back arrive together."""
        with self.at(day):
            self.house.settle(self.shop, told)

    def moves(self) -> list[tuple[str, int]]:
        """The tiers reached, each with its day."""
        with self.house.database.transaction(self.shop) as session:
            rows = session.execute(sa.select(TierPeriod.tier_key, TierPeriod.since).order_by(TierPeriod.id)).all()
        return [(key, (since - T0).days) for key, since in rows]

    def tiers(self) -> list[str]:
        """The tiers reached, in order."""
        with self.house.database.transaction(self.shop) as session:
            return list(session.scalars(sa.select(TierPeriod.tier_key).order_by(TierPeriod.id)))

    def publish(self, day: float, program: Program) -> None:
        moment = T0 + timedelta(days=day)
        with self.house.database.transaction(self.shop) as session:
            programs.publish(session, self.shop, program, effective_from=moment, actor="merchant")

    def tell(self, day: float, order: Order, topics: tuple[str, ...], who: Customer | None) -> None:
        for topic in topics:
            self._deliver(day, topic, payloads.body(topic, DEMO, order, who))

    def member(self, who: Customer = NOOR) -> Member:
        with self.house.database.transaction(self.shop) as session:
            return session.scalars(sa.select(Member).where(Member.customer_id == who.id)).one()

    def ledger(self, who: Customer = NOOR) -> list[tuple[str, int]]:
        """What the member sees of their postings, oldest first: (kind, points)."""
        member = self.member(who)
        with self.house.database.transaction(self.shop) as session:
            rows = list(history(session, self.shop, member.id))
        return [(row.kind, signed_points(row.source, row.target, row.points)) for row in rows]

    def _deliver(self, day: float, topic: str, body: object) -> None:
        if self.held is not None:
            self.held.append(delivery(topic, body))
            return
        self.send(day, [delivery(topic, body)])
        assert self.house.states(self.shop)["failed"] == 0
        assert self.house.differences(self.shop) == []

    @staticmethod
    def _second(day: float) -> int:
        return int((T0 + timedelta(days=day)).timestamp())
