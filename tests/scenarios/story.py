"""Telling a story to the app: orders are placed, paid, edited, refunded and cancelled in the sandbox's store, and what
the store would send goes through the inbox and the drain, with the clock at that moment."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core import clock
from core.events import Event, record
from loyalty import models, programs
from loyalty.activities import jobs as activities
from loyalty.audit import history
from loyalty.expiry import jobs as expiry
from loyalty.models import Member, Posting
from loyalty.operations import adjust, signed_points
from loyalty.program import Program
from loyalty.rewards import jobs as reward_days
from loyalty.rewards import operations as rewards
from loyalty.rewards.models import MemberReward
from loyalty.wording import sentence
from sandbox import orders as store
from sandbox import payloads
from sandbox.catalogue import DEMO
from sandbox.orders import Basket, Customer, Discount, Item, Order
from sandbox.signing import Delivery
from tests.webhooks.rig import House, delivery
from tiers import jobs as tiers
from tiers.models import TierPeriod
from tiers.operations import review
from tiers.queries import tier_at
from webhooks import jobs as orders

T0 = datetime(2026, 1, 5, 10, tzinfo=UTC)
DAY = timedelta(days=1)
NOOR = Customer(77, "Noor", "Haddad", "noor@example.com", int(T0.timestamp()), int(T0.timestamp()))
# What the clock starts that has to do with points, and needs no store; what one leaves to another before it.
CLOCKWORK = (
    orders.release_points,
    orders.claim_guest_orders,
    activities.celebrate,
    activities.give_gifts,
    tiers.recalculate,
    tiers.review_lapsed,
    expiry.expire,
    reward_days.expire,
)


class Story:
    """`day` counts from T0. Every act is sent and worked off at once."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.shop = house.open_shop(DEMO.domain)
        self.orders = 0
        self.held: list[Delivery] | None = None

    def moment(self, day: float) -> datetime:
        return T0 + timedelta(days=day)

    def at(self, day: float) -> AbstractContextManager[None]:
        return clock.fixed_at(self.moment(day))

    def buy(self, day: float, dollars: float, *, who: Customer | None = NOOR, email: str = "", status: str = "paid",
            pieces: int = 1, source: str = "web", code: Discount | None = None) -> Order:  # fmt: skip
        """One kind of thing in so many pieces that together cost `dollars`, before the discount of a code."""
        self.orders += 1
        item = Item(1, 1, "Beans", None, "B", "North Pier", round(dollars * 100) // pieces)
        placed, topics = store.place(
            DEMO, 5000 + self.orders, 1000 + self.orders, Basket([(item, pieces)], [code] if code else ()),
            self._second(day), customer=who, email=email, status=status, source=source,
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

    def fulfil(self, day: float, order: Order, who: Customer | None = NOOR) -> None:
        self.tell(day, order, store.fulfil(order, self._second(day)), who)

    def enlarge(self, day: float, order: Order, dollars: int, who: Customer | None = NOOR) -> None:
        """An edit adds one more thing to the order."""
        more = Item(2, 2, "Filter", None, "F", "North Pier", dollars * 100)
        self.tell(day, order, store.edit(DEMO, order, self._second(day), add=[(more, 1)]), who)

    def enrol(self, day: float, who: Customer, *, verified: bool = True) -> None:
        self._customer(day, "customers/create", who, verified)

    def verify(self, day: float, who: Customer) -> None:
        """The customer has clicked the link in the mail."""
        who.updated_at = self._second(day)
        self._customer(day, "customers/update", who, True)

    def _customer(self, day: float, topic: str, who: Customer, verified: bool) -> None:
        self._deliver(day, topic, payloads.customer_payload(DEMO, who) | {"verified_email": verified})

    def merge(self, day: float, kept: Customer, deleted: Customer) -> None:
        merged = payloads.customer_merge_payload(kept.id, deleted.id) | {"status": "completed"}
        self._deliver(day, "customers/merge", merged)

    def spend(self, day: float, points: int) -> None:
        """Points leave the balance by hand."""
        with self.at(day), self.house.database.transaction(self.shop) as session:
            adjust(session, self.shop, self.member().id, -points, "spent", actor="test", key=f"spent on day {day}")

    def strike(self, *days: float) -> None:
        """The clock comes to these days, and everything it starts is done."""
        for day in days:
            with self.at(day):
                for job in CLOCKWORK:
                    job()
        assert self.house.differences(self.shop) == []

    @contextmanager
    def act(self, day: float) -> Iterator[Any]:
        """A transaction of somebody's on that day."""
        with self.at(day), self.house.database.transaction(self.shop) as session:
            yield session
        assert self.house.differences(self.shop) == []

    def redeem(self, day: float, key: str, *, points: int | None = None, who: Customer = NOOR) -> MemberReward:
        """Points are spent on a reward; Shopify does not know of it yet."""
        with self.act(day) as session:
            return rewards.redeem(
                session, self.shop, self.member(who).id, key, points=points, actor="test", key=f"{key} on day {day}"
            )

    def issue(self, day: float, reward: MemberReward) -> Discount:
        """Shopify has made the code of an amount off, which is returned for a basket."""
        with self.act(day) as session:
            assert rewards.mark_issued(session, self.shop, reward.id, f"gid://shopify/DiscountCodeNode/{reward.id}")
        return Discount(reward.code, "fixed_amount", reward.amount or 0)

    def give_back(self, day: float, reward: MemberReward) -> None:
        """The member gives a code back, and Shopify ends it unused."""
        with self.act(day) as session:
            rewards.give_back(session, self.shop, self.reward(reward).member_id, reward.id, actor="test")
        with self.act(day) as session:
            assert rewards.mark_returned(session, self.shop, reward.id)

    def reward(self, reward: MemberReward) -> MemberReward:
        """The reward as it is now."""
        with self.house.database.transaction(self.shop) as session:
            return session.get_one(MemberReward, (self.shop, reward.id))

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

    def events(self, kind: str) -> list[tuple[int, Any]]:
        """What happened of a kind, oldest first: the day it was recorded, and its data."""
        with self.house.database.transaction(self.shop) as session:
            found = session.scalars(sa.select(Event).where(Event.kind == kind).order_by(Event.id)).all()
        return [((event.recorded_at - T0) // DAY, event.data) for event in found]

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

    def order(self, order: Order) -> models.Order:
        """The order as we know it."""
        with self.house.database.transaction(self.shop) as session:
            return session.get_one(models.Order, (self.shop, order.id))

    def postings(self, who: Customer = NOOR) -> Sequence[Posting]:
        member = self.member(who)
        with self.house.database.transaction(self.shop) as session:
            return list(history(session, self.shop, member.id))

    def ledger(self, who: Customer = NOOR) -> list[tuple[str, int]]:
        """What the member sees of their postings, oldest first: (kind, points)."""
        return [(row.kind, signed_points(row.source, row.target, row.points)) for row in self.postings(who)]

    def told(self, who: Customer = NOOR) -> list[str]:
        """The same in the words the member reads."""
        return [sentence(row, {}) for row in self.postings(who)]

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
