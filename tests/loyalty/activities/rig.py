"""A shop with a program of activities, and members in it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.db import Database, open_shops
from loyalty import audit, operations, programs
from loyalty.activities import operations as activities
from loyalty.activities.models import ActivityDone
from loyalty.models import Member, Posting, SpendFact
from loyalty.operations import Customer
from loyalty.program import Program, demo_program
from loyalty.wording import sentence
from shops.models import Shop

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)

ACTIVITIES: tuple[dict[str, Any], ...] = (
    {"kind": "birthday", "key": "birthday", "name": "Your birthday", "points": 101, "days_before": 30},
    {"kind": "anniversary", "key": "anniversary", "name": "A year with us", "points": 80},
    {"kind": "question", "key": "coffee", "name": "Coffee", "points": 20, "question": "Coffee or tea?",
     "choices": ["Coffee", "Tea"]},
    {"kind": "newsletter", "key": "news", "name": "Newsletter", "points": 50},
    {"kind": "sms", "key": "texts", "name": "Text messages", "points": 60},
    {"kind": "social", "key": "insta", "name": "Follow us", "points": 10, "network": "Instagram",
     "url": "https://instagram.example/roastery"},
    {"kind": "review", "key": "review", "name": "Write a review", "points": 30, "photo_points": 20,
     "limit": {"points_per_day": 70}},
    {"kind": "community", "key": "club", "name": "Join the club", "points": 25},
    {"kind": "nps", "key": "nps", "name": "How are we doing?", "points": 15, "every_days": 90},
    {"kind": "custom", "key": "cups", "name": "Brought your own cup", "points": 5,
     "limit": {"times_per_day": 2, "points_ever": 18}},
    {"kind": "custom", "key": "tasting", "name": "Came to a tasting", "points": 40, "tiers": ["advocate"]},
)  # fmt: skip


def program(activities: Iterable[dict[str, Any]] = ACTIVITIES, **changes: Any) -> Program:
    """The demo program with activities; an Advocate's birthday is worth half as much again."""
    document = demo_program().model_dump(mode="json") | {"activities": list(activities)}
    document["ladder"]["tiers"][1]["birthday_boost"] = "1.5"
    return Program.model_validate(document | changes)


class World:
    """One shop; each act is one transaction."""

    def __init__(self, url: str, published: Program | None = None) -> None:
        self.database = Database(url, pool_size=8)
        self.shop_id = self.open_shop("roastery.myshopify.com", published or program())
        self.customers = 1000

    def open_shop(self, domain: str, published: Program) -> int:
        with self.database.transaction() as session:
            shop = Shop(domain=domain, name="R", currency="USD", timezone="UTC", installed_at=LONG_AGO)
            session.add(shop)
            session.flush()
            open_shops(session, [shop.id])
            programs.publish(session, shop.id, published, effective_from=LONG_AGO, actor="test")
            return shop.id

    @contextmanager
    def open(self, at: datetime = T0) -> Iterator[Session]:
        with clock.fixed_at(at), self.database.transaction(self.shop_id) as session:
            yield session

    def publish(self, changed: Program, at: datetime) -> None:
        with self.open() as session:
            programs.publish(session, self.shop_id, changed, effective_from=at, actor="test")

    def join(self, *, at: datetime = LONG_AGO, tier: str | None = None, email: str | None = None) -> int:
        """A new member, enrolled at a moment, and their id."""
        self.customers += 1
        customer = Customer(self.shop_id, self.customers, email, email is not None, None, at)
        with self.open(at) as session:
            found = operations.enrol(session, [customer], programs.load(session, [self.shop_id]))
            member_id = found.members[self.shop_id, self.customers]
            if tier:
                session.execute(sa.update(Member).where(Member.id == member_id).values(tier_key=tier))
        return member_id

    def join_many(self, count: int) -> list[int]:
        customers = [Customer(self.shop_id, 10_000 + n, None, False, None, LONG_AGO) for n in range(count)]
        with self.open() as session:
            found = operations.enrol(session, customers, programs.load(session, [self.shop_id]))
            return sorted(found.members.values())

    def award(self, member_id: int, rule: str, fact: str = "once", at: datetime = T0, **data: Any) -> int:
        """The points that came of it."""
        with self.open(at) as session:
            return activities.award(
                session, self.shop_id, member_id, rule, fact=fact, at=at, actor="test", data=data
            ).points

    def award_live(self, member_id: int, rule: str, fact: str) -> int:
        """The same by the real clock, for threads: a fixed one is the whole process's."""
        with self.database.transaction(self.shop_id) as session:
            return activities.award(session, self.shop_id, member_id, rule, fact=fact, at=T0, actor="test").points

    def birthday(self, member_id: int, month: int, day: int, *, at: datetime = T0, year: int | None = None) -> None:
        with self.open(at) as session:
            activities.set_birthday(session, self.shop_id, member_id, month, day, year, at=at)

    def earned(self, member_id: int) -> list[tuple[str, str, int]]:
        """What a member did, in order: (rule, fact, points)."""
        with self.open() as session:
            rows = session.scalars(
                sa.select(ActivityDone).where(ActivityDone.member_id == member_id).order_by(ActivityDone.id)
            )
            return [(row.rule, row.fact, row.points) for row in rows]

    def told(self, member_id: int) -> list[str]:
        """Their postings in words, without joining."""
        names = {"insider": "Insider", "advocate": "Advocate"}
        with self.open() as session:
            rows = session.scalars(sa.select(Posting).where(Posting.member_id == member_id).order_by(Posting.id))
            return [sentence(row, names) for row in rows if row.rule != "joining"]

    def member(self, member_id: int) -> Member:
        with self.open() as session:
            return session.get_one(Member, (self.shop_id, member_id))

    def facts(self) -> list[tuple[int, str, int]]:
        """What counts for the ladder besides orders: (member, cause, points)."""
        with self.open() as session:
            rows = session.scalars(sa.select(SpendFact).where(SpendFact.order_id == 0).order_by(SpendFact.cause))
            return [(row.member_id, row.cause, row.points) for row in rows]

    def proven(self) -> bool:
        with self.open() as session:
            return audit.differences(session) == []
