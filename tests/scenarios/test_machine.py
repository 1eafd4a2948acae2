"""Anything, in any order: no sequence of what shoppers, merchants, Shopify and the clock may do breaks the books.

One shop, a few members and a clock that moves. Each step does one thing; what the store tells of it arrives at once,
or late, more than once and in any order. After each step the ledger must prove every balance.
"""

import random
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core import clock
from core.errors import RapportError
from loyalty import products, programs
from loyalty.activities import giving
from loyalty.activities import operations as activities
from loyalty.expiry import queries as expiry
from loyalty.models import BUCKETS, Member, Posting
from loyalty.operations import adjust
from loyalty.program import Program
from loyalty.rewards import operations as rewards
from loyalty.rewards.models import MemberReward
from loyalty.rewards.rules import PAID
from sandbox import orders as store
from sandbox import payloads
from sandbox.catalogue import DEMO
from sandbox.orders import Basket, Customer, Discount, Item, Order, OrderError
from sandbox.signing import Delivery
from shops.models import Shop
from tests.scenarios.story import CLOCKWORK
from tests.webhooks.rig import House, delivery
from tests.webhooks.test_every_rule import PLAIN, TAGGED, everything
from tiers import operations as tiers
from tiers.queries import tier_at
from tiers.rules import INSTANT

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
PEOPLE = [
    Customer(number, name, "Test", f"{name}@example.com".lower(), int(START.timestamp()), int(START.timestamp()))
    for number, name in enumerate(("Noor", "Rosa", "Theo", "Mina"), start=71)
]
GUEST = "mina@example.com"
GOODS = [Item(p, p * 10, f"Thing {p}", None, f"T{p}", "North Pier", 1) for p in sorted(TAGGED | PLAIN)[:3]]
BIRTHDAY = START + timedelta(days=20)

REWARDS = [
    {"key": "5-off", "name": "$5 off", "cost": 100, "kind": "amount_off", "amount": 500, "valid_days": 20},
    {"key": "any", "name": "Any", "cost": 50, "kind": "variable", "amount": 100, "step": 50, "per_member": 4},
    {"key": "last", "name": "The last tote", "cost": 30, "kind": "amount_off", "amount": 100, "stock": 2},
    {"key": "dinner", "name": "Dinner", "cost": 150, "kind": "custom"},
]
ACTIVITIES = [
    {"kind": "birthday", "key": "birthday", "name": "Birthday", "points": 101, "days_before": 0},
    {"kind": "anniversary", "key": "anniversary", "name": "A year", "points": 80},
    {"kind": "review", "key": "review", "name": "Review", "points": 30, "limit": {"points_per_day": 40}},
    {"kind": "question", "key": "coffee", "name": "Coffee", "points": 20, "question": "Coffee or tea?"},
    {"kind": "custom", "key": "cups", "name": "Own cup", "points": 5, "limit": {"points_ever": 12}},
]


def variant(kind: str = "spend", stacking: str = "best", **changes: Any) -> Program:
    """A program with every rule there is, changed; the upper tiers have entry gifts."""
    document = everything(kind, stacking).model_dump() | {"rewards": REWARDS, "activities": ACTIVITIES}
    for place, tier in enumerate(document["ladder"]["tiers"]):
        tier["entry_gift"] = 40 * place
    return Program.model_validate(document | changes)


def by_years(period: str) -> dict[str, Any]:
    ladder = everything().ladder.model_dump()
    for tier in ladder["tiers"]:
        tier["keep"] = tier["threshold"] // 2
    return ladder | {"period": period, "grace_days": 20, "demotion": "one_step"}


VARIANTS = (
    variant(expiry={"kind": "inactivity", "days": 60}),
    variant(stacking="stack", clawback="clamp", reward_refunds="keep", expiry={"kind": "lot", "days": 45}),
    variant("points", orders={"available": "fulfilled", "waiting_days": 10}, expiry=None),
    variant("orders", bonuses=[], rewards=REWARDS[:2], activities=[], expiry={"kind": "lot", "months": 2}),
    variant(ladder=by_years("calendar_year"), orders={"waiting_days": 5}),
    variant(ladder=by_years("membership_year"), clawback="clamp"),
)

who = st.integers(0, len(PEOPLE) - 1)
which = st.integers(0, 1000)
dice = st.integers(0, 2**32)
CHANGES = ("pay", "refund", "cancel", "fulfil", "add", "remove")
STEPS = ("give back", "give back", "issued", "failed", "returned", "used", "kept")
# Three times in four the store's word is here at once.
prompt = st.sampled_from((True, True, True, False))


class Life(RuleBasedStateMachine):
    """`told` is all the store ever said, `held` what has not arrived yet."""

    def __init__(self, house: House) -> None:
        super().__init__()
        self.house = house
        self.shop = house.open_shop(program=VARIANTS[0])
        self.numbers = count(1)
        self.orders: list[tuple[Order, Customer | None]] = []
        self.told: list[Delivery] = []
        self.held: list[Delivery] = []
        self.proven = False
        self.standing = ExitStack()
        self.move_clock(START)

    def teardown(self) -> None:
        self.standing.close()
        # The clock's jobs of the next life leave this one alone.
        gone = sa.update(Shop).where(Shop.id == self.shop).values(redacted_at=START, uninstalled_at=START)
        with self.open() as session:
            session.execute(gone)

    # The clock.

    def move_clock(self, moment: datetime) -> None:
        self.now = moment
        self.standing.close()
        self.standing.enter_context(clock.fixed_at(moment))

    @rule(days=st.sampled_from((0.01, 0.5, 1, 5, 15, 40)), strikes=st.booleans())
    def time_passes(self, days: float, strikes: bool) -> None:
        self.move_clock(self.now + timedelta(seconds=round(days * 86_400)))
        if strikes:
            self.clock_strikes()

    def clock_strikes(self) -> None:
        """Whatever is due is done: members stand where the ladder puts them, and nothing is left to expire."""
        for job in CLOCKWORK:
            job()
        self.proven = False
        with self.open() as session:
            known = programs.load(session, [self.shop])
            for member in session.scalars(sa.select(Member).where(Member.merged_into.is_(None))).all():
                assert member.tier_review_at is None or member.tier_review_at > self.now
                assert member.expiry_look_at is None or member.expiry_look_at > self.now
                assert member.tier_key == tier_at(session, known, self.shop, member.id, self.now + INSTANT).key
                ahead = expiry.expiring(session, [member], known, self.now)[self.shop, member.id]
                assert all(due.at > self.now for due in ahead)
                assert sum(due.points for due in ahead) in (0, member.available)

    # The store.

    def say(self, now: bool, *news: Delivery) -> None:
        self.told += news
        self.held += news
        if now:
            self.held = self.held[: -len(news)]
            self.arrive(list(news))

    def arrive(self, news: list[Delivery]) -> None:
        self.house.settle(self.shop, news)
        assert self.house.states(self.shop).keys() <= {"done"}
        self.proven = False

    def tell(self, now: bool, topics: Sequence[str], order: Order, customer: Customer | None) -> None:
        self.say(now, *(delivery(topic, payloads.body(topic, DEMO, order, customer)) for topic in topics))

    @initialize()
    def somebody_joins(self) -> None:
        with self.open() as session:
            products.keep(session, self.shop, TAGGED | PLAIN, START + timedelta(days=300))
        joins = [delivery("customers/create", payloads.customer_payload(DEMO, customer)) for customer in PEOPLE[:2]]
        self.say(True, *joins)
        self.somebody_orders(0, "paid", 150, 0, 2, 0, 1, True)

    @rule(
        person=who,
        status=st.sampled_from(("paid", "paid", "authorized", "pending")),
        dollars=st.integers(1, 300),
        item=st.integers(0, 2),
        pieces=st.integers(1, 3),
        code=which,
        times=st.integers(1, 2),
        now=prompt,
    )
    def somebody_orders(
        self, person: int, status: str, dollars: int, item: int, pieces: int, code: int, times: int, now: bool
    ) -> None:
        customer = PEOPLE[person]
        for _ in range(times):
            basket = Basket([(GOODS[item]._replace(price=dollars * 100 // pieces), pieces)], self.code_for(code))
            self.place(basket, now, customer=customer, status=status, source=("web", "pos")[code % 2])

    @rule(dollars=st.integers(1, 300), now=prompt)
    def a_guest_orders(self, dollars: int, now: bool) -> None:
        self.place(Basket([(GOODS[0]._replace(price=dollars * 100), 1)]), now, email=GUEST)

    def place(self, basket: Basket, now: bool, *, customer: Customer | None = None, **more: Any) -> None:
        number = next(self.numbers)
        order, topics = store.place(
            DEMO, 900_000 + number, number, basket, int(self.now.timestamp()), customer=customer, **more
        )
        self.orders.append((order, customer))
        self.tell(now, topics, order, customer)

    def code_for(self, number: int) -> list[Discount]:
        """Whoever has a code uses it most of the time; Shopify takes a code once, and until its end."""
        spent = {discount.code for order, _ in self.orders for discount in order.discounts if not order.cancelled_at}
        usable = [
            row for row in self.rewards_held()
            if row.status == "issued" and row.amount and row.code not in spent
            and (row.expires_at is None or row.expires_at > self.now)
        ]  # fmt: skip
        return [Discount(row.code, "fixed_amount", row.amount or 0) for row in usable[:1] if number % 4]

    @rule(person=who, now=prompt, change=st.sampled_from(("", "cancel", "refund", "add")))
    def somebody_pays_with_points(self, person: int, change: str, now: bool) -> None:
        """From points to a code to an order in one go, and perhaps back."""
        with self.house.database.transaction(self.shop) as session:
            member = session.scalar(sa.select(Member.id).where(Member.customer_id == PEOPLE[person].id))
        if member:
            self.redeem(member, "any", 50, "")
            self.a_reward_goes_on(-1, "issued")
            self.somebody_orders(person, "paid", 30, 1, 1, 2, 1, now)
            if change:
                self.an_order_changes(0, [change], now)

    @precondition(lambda self: self.orders)
    @rule(number=which, now=prompt, changes=st.lists(st.sampled_from(CHANGES), min_size=1, max_size=3))
    def an_order_changes(self, number: int, changes: list[str], now: bool) -> None:
        order, customer = self.orders[-1 - number % len(self.orders)]
        for change in changes:
            with suppress(OrderError):
                topics = self.changed(order, change)
                self.tell(now, topics, order, customer)

    def changed(self, order: Order, change: str) -> tuple[str, ...]:
        at, one = int(self.now.timestamp()), {order.lines[0].id: 1}
        match change:
            case "pay":
                return store.pay(DEMO, order, at)
            case "refund":
                return store.refund(DEMO, order, one, at)
            case "cancel":
                return store.cancel(DEMO, order, at)
            case "fulfil":
                return store.fulfil(order, at)
            case "add":
                return store.edit(DEMO, order, at, add=[(GOODS[-1]._replace(price=2500), 1)])
            case _:
                return store.edit(DEMO, order, at, remove=one, as_refund=bool(order.id % 2))

    @precondition(lambda self: len(self.orders) > 5)
    @rule(kept=who, deleted=who, now=prompt)
    def two_customers_become_one(self, kept: int, deleted: int, now: bool) -> None:
        if kept != deleted:
            merge = payloads.customer_merge_payload(PEOPLE[kept].id, PEOPLE[deleted].id)
            self.say(now, delivery("customers/merge", merge))

    @precondition(lambda self: self.held)
    @rule(chance=dice)
    def some_of_it_arrives(self, chance: int) -> None:
        """Some of what is on its way, in any order, with repeats of what had arrived before."""
        roll = random.Random(chance)
        roll.shuffle(self.held)
        arriving = [self.held.pop() for _ in range(roll.randint(1, len(self.held)))]
        arriving += [delivery(old.topic, old.body) for old in roll.sample(self.told, min(3, len(self.told)))]
        roll.shuffle(arriving)
        self.arrive(arriving)

    # Members.

    def open(self) -> Any:
        self.proven = False
        return self.house.database.transaction(self.shop)

    def member(self, number: int) -> int:
        """Some member's id, perhaps one that was merged: nobody may come to harm by asking for it."""
        with self.house.database.transaction(self.shop) as session:
            ids = session.scalars(sa.select(Member.id).order_by(Member.id)).all()
        return int(ids[number % len(ids)])

    def rewards_held(self) -> Sequence[MemberReward]:
        with self.house.database.transaction(self.shop) as session:
            return session.scalars(sa.select(MemberReward).order_by(MemberReward.id)).all()

    @rule(number=which, key=st.sampled_from([reward["key"] for reward in REWARDS]), again=st.booleans(),
          then=st.sampled_from(("issued", "issued", "failed", "")))  # fmt: skip
    def somebody_redeems(self, number: int, key: str, again: bool, then: str) -> None:
        member, points = self.member(number), 50 * (1 + number % 3) if key == "any" else None
        request = f"request {next(self.numbers)}"
        for _ in range(1 + again):
            self.redeem(member, key, points, request)
        if then:
            self.a_reward_goes_on(-1, then)

    def redeem(self, member: int, key: str, points: int | None, request: str) -> None:
        request = request or f"request {next(self.numbers)}"
        with suppress(RapportError), self.open() as session:
            rewards.redeem(session, self.shop, member, key, points=points, actor="test", key=request)

    @rule(number=which, step=st.sampled_from(STEPS))
    def a_reward_goes_on(self, number: int, step: str) -> None:
        """Also an answer that nobody waits for, or that is known already, harms nobody."""
        held = self.rewards_held()
        if not held:
            return
        row = held[number % len(held)]
        with suppress(RapportError), self.open() as session:
            self.reward_steps(session, row, step)

    def reward_steps(self, session: Any, row: MemberReward, step: str) -> None:
        match step:
            case "give back":
                rewards.give_back(session, self.shop, row.member_id, row.id, actor="test")
            case "issued":
                rewards.mark_issued(session, self.shop, row.id, "gid")
            case "failed":
                rewards.mark_failed(session, self.shop, row.id, "refused")
            case "returned":
                rewards.mark_returned(session, self.shop, row.id)
            case _:
                rewards.mark_kept(session, self.shop, row.id, used=step == "used", error="refused")

    @rule(number=which, key=st.sampled_from(("review", "cups", "coffee", "birthday")))
    def somebody_does_something(self, number: int, key: str) -> None:
        member = self.member(number)
        with suppress(RapportError), self.open() as session:
            told = (session, self.shop, member)
            if key == "coffee":
                activities.answer(*told, key, "Tea", at=self.now, actor="test")
            elif key == "birthday":
                activities.set_birthday(*told, BIRTHDAY.month, BIRTHDAY.day, None, at=self.now)
            else:
                fact, data = f"fact {number % 4}", {"product_id": str(number % 4)}
                activities.act(*told, key, fact=fact, data=data, at=self.now, actor="test")

    # The merchant.

    @rule(number=st.integers(0, len(VARIANTS) - 1))
    def another_program_is_published(self, number: int) -> None:
        with self.open() as session:
            programs.publish(session, self.shop, VARIANTS[number], effective_from=self.now, actor="merchant")

    @rule(number=which, act=st.sampled_from(("take", "give", "gift", "one", "three", "end")), days=which)
    def the_merchant_acts(self, number: int, act: str, days: int) -> None:
        """Points by hand or for everybody, a tier by hand or its end."""
        member, until = self.member(number), self.now + timedelta(days=days) if days % 2 else None
        named = f"by hand {next(self.numbers)}"
        with suppress(RapportError), self.open() as session:
            match act:
                case "take" | "give":
                    points = -80 if act == "take" else 300
                    adjust(session, self.shop, member, points, "by hand", actor="test", key=named)
                case "gift":
                    giving.gift(session, self.shop, points=15, reason="", actor="test", key=named, everybody=True)
                case "end":
                    tiers.end_override(session, self.shop, member, actor="test")
                case _:
                    tiers.override(session, self.shop, member, act, reason="Press", until=until, actor="test")

    # What always holds.

    @invariant()
    def the_books_balance(self) -> None:
        if self.proven:
            return
        assert self.house.differences(self.shop) == []
        with self.house.database.transaction(self.shop) as session:
            postings = session.scalars(sa.select(Posting).order_by(Posting.id)).all()
            members = {member.id: member for member in session.scalars(sa.select(Member))}
        assert len({posting.key for posting in postings}) == len(postings)
        replayed = replay(postings)
        for member in members.values():
            assert replayed.get(member.id, (0, 0)) == (member.available, member.pending)
        assert outstanding(postings) == sum(member.available + member.pending for member in members.values())
        self.rewards_are_paid_for(members, postings)
        self.proven = True

    def rewards_are_paid_for(self, members: dict[int, Member], postings: Sequence[Posting]) -> None:
        """Points are with the shop exactly while the member has, or had, what they bought."""
        paid = Counter[int]()
        for posting in postings:
            if posting.rule == rewards.RULE:
                paid[posting.explanation["reward_id"]] += posting.points * (1 if posting.target == "redeemed" else -1)
        for row in self.rewards_held():
            assert paid.pop(row.id) == (row.points if row.status in PAID else 0), (row.status, row.points)
            assert members[row.member_id].merged_into is None
        assert not paid

    @precondition(lambda self: len(self.told) > 20)
    @rule(chance=dice)
    def what_is_told_again_changes_nothing(self, chance: int) -> None:
        """Once everything has arrived, all that was ever told may come again, in any order, and nothing moves."""
        if self.held:
            self.say(True, *(self.held.pop() for _ in range(len(self.held))))
        before = self.house.ledger(self.shop)
        again = [delivery(old.topic, old.body) for old in self.told]
        random.Random(chance).shuffle(again)
        self.arrive(again)
        assert self.house.ledger(self.shop) == before
        used = {row.code for row in self.rewards_held() if row.status == "used"}
        # An order whose every line was taken off again buys nothing, though it stays paid.
        kept = [order for order, _ in self.orders if any(line.current for line in order.lines)]
        standing = [order for order in kept if order.status not in ("refunded", "voided")]
        assert {discount.code for order in standing for discount in order.discounts} <= used


# What may take a balance below zero: points that were spent are asked back, or a merchant takes them.
CLAWBACK = {"reversal", "adjustment"}


def replay(postings: Sequence[Posting]) -> dict[int, tuple[int, int]]:
    """Available and pending of each member, posting by posting, each as it said it left them."""
    balances: dict[int, tuple[int, int]] = {}
    for posting in postings:
        available, pending = balances.get(posting.member_id, (0, 0))
        step = posting.points
        available += step * ((posting.target == "available") - (posting.source == "available"))
        pending += step * ((posting.target == "pending") - (posting.source == "pending"))
        assert (available, pending) == (posting.available_after, posting.pending_after)
        assert pending >= 0
        if available < 0 and posting.source == "available":
            assert posting.kind in CLAWBACK or posting.explanation["reason"] == "order_used_reward"
        balances[posting.member_id] = available, pending
    return balances


def outstanding(postings: Sequence[Posting]) -> int:
    """What all that came from outside and went there leaves with the members."""
    buckets = Counter(dict.fromkeys(BUCKETS, 0))
    for posting in postings:
        buckets[posting.source] -= posting.points
        buckets[posting.target] += posting.points
    return -sum(buckets[bucket] for bucket in ("issued", "redeemed", "expired", "adjusted"))


def test_nothing_breaks_the_books(house: House) -> None:
    chosen = settings(
        max_examples=10, stateful_step_count=50, deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )  # fmt: skip
    run_state_machine_as_test(lambda: Life(house), settings=chosen)  # type: ignore[no-untyped-call]


def test_a_ladder_that_came_and_went_between_two_measurings_leaves_nobody_where_it_put_them(house: House) -> None:
    life = Life(house)
    life.somebody_joins()
    life.somebody_pays_with_points(change="", now=True, person=0)
    life.another_program_is_published(number=3)
    life.somebody_pays_with_points(change="", now=True, person=0)
    life.another_program_is_published(number=0)
    life.time_passes(days=0.01, strikes=True)
    life.teardown()
