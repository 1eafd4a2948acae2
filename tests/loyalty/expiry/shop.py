"""A shop whose points expire, on a timeline of days from T0."""

import itertools
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core import clock
from core.db import Database, open_shops
from core.events import Event
from loyalty import audit, operations, programs
from loyalty.expiry import queries, upkeep
from loyalty.expiry.rules import Due
from loyalty.models import Member, Posting
from loyalty.operations import Customer, signed_points
from loyalty.program import Expiry, Program, demo_program
from loyalty.rules import Line, Move, OrderState, Refund, RefundLine
from shops.models import Shop
from webhooks.settlement import Arrival, settle

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOOR, THEO = 1001, 1002
LOT = Expiry(kind="lot", days=90)
IDLE = Expiry(days=90)


def day(number: float) -> datetime:
    return T0 + timedelta(days=number)


def program(expiry: Expiry | None, **changes: Any) -> Program:
    """The demo program without points for joining."""
    demo = demo_program()
    joining = demo.joining.model_copy(update={"points": 0})
    return demo.model_copy(update={"expiry": expiry, "joining": joining, **changes})


class Expiring:
    """Each act is one transaction at its day; `expire` is the periodic job."""

    def __init__(self, url: str, expiry: Expiry | None = LOT, *, since: float = -1000, **changes: Any) -> None:
        self.database = Database(url)
        self.changes = changes
        self.refund_ids = itertools.count(1)
        with self.database.transaction() as session:
            shop = Shop(domain="r.myshopify.com", name="R", currency="USD", timezone="UTC", installed_at=T0)
            session.add(shop)
            session.flush()
            self.shop_id = shop.id
            open_shops(session, [shop.id])
        self.publish(since, expiry)

    def publish(self, at: float, expiry: Expiry | None) -> None:
        with self.open() as session:
            programs.publish(
                session, self.shop_id, program(expiry, **self.changes), effective_from=day(at), actor="test"
            )

    def open(self) -> Any:
        return self.database.transaction(self.shop_id)

    def at(self, number: float) -> AbstractContextManager[None]:
        return clock.fixed_at(day(number))

    def buy(self, on: float, number: int, dollars: int, who: int = NOOR, *, seen: float | None = None) -> None:
        """An order placed on a day, which we hear of then or later."""
        self._tell(on, number, dollars, on if seen is None else seen, who=who)

    def refund(self, on: float, number: int, dollars: int, *, placed: float, of: int) -> None:
        """So much more of an order goes back."""
        parts = (RefundLine(1, 0, dollars * 100, 0),)
        refund = Refund(next(self.refund_ids), day(on), parts)
        self._tell(placed, number, of, on, status="partially_refunded", refunds=(refund,))

    def cancel(self, on: float, number: int, *, placed: float, of: int) -> None:
        self._tell(placed, number, of, on, cancelled_at=day(on))

    def _tell(
        self, placed: float, number: int, dollars: int, told: float, *, who: int = NOOR, refunds: Any = (), **state: Any
    ) -> None:
        line = Line(id=1, title="Beans", quantity=1, current=None, price=dollars * 100, discount=0, tax=0)
        known: dict[str, Any] = {"status": "paid", "cancelled_at": None} | state
        order = OrderState(
            order_id=number, name=f"#{number}", processed_at=day(placed), updated_at=day(told), test=False,
            currency="USD", digits=2, taxes_included=False, shipping=0, shipping_tax=0, lines=(line,), **known,
        )  # fmt: skip
        buyer = Customer(self.shop_id, who, None, False, None, day(placed))
        with self.at(told), self.open() as session:
            settle(session, [Arrival(self.shop_id, number, order, refunds, customer=buyer)], now=day(told))

    def post(self, on: float, kind: str, source: str, target: str, points: int, who: int = NOOR) -> None:
        with self.at(on), self.open() as session:
            member = operations.locked_member(session, self.shop_id, self.member(who).id)
            move = Move(kind, source, target, points)
            operations.post(
                session, member, move, rule="test", explanation={}, actor="test", key=f"{kind}:{source}:{on}:{points}"
            )

    def spend(self, on: float, points: int) -> None:
        self.post(on, "redeem", "available", "redeemed", points)

    def reimburse(self, on: float, points: int) -> None:
        self.post(on, "reimbursement", "redeemed", "available", points)

    def give(self, on: float, points: int) -> None:
        self.post(on, "bonus", "issued", "available", points)

    def expire(self, on: float) -> int:
        with self.at(on):
            return upkeep.expire(self.database)

    def member(self, who: int = NOOR) -> Member:
        with self.open() as session:
            return session.scalars(sa.select(Member).where(Member.customer_id == who)).one()

    def balance(self, who: int = NOOR) -> int:
        return self.member(who).available

    def dues(self, on: float, who: int = NOOR) -> list[Due]:
        with self.at(on), self.open() as session:
            member = session.scalars(sa.select(Member).where(Member.customer_id == who)).one()
            known = programs.load(session, [self.shop_id])
            return queries.expiring(session, [member], known, clock.now())[self.shop_id, member.id]

    def plan(self, on: float, who: int = NOOR) -> list[tuple[float, int]]:
        """(day, points) of what expires when."""
        return [((due.at - T0) / timedelta(days=1), due.points) for due in self.dues(on, who)]

    def expiries(self, who: int = NOOR) -> list[tuple[float, int]]:
        """(day, points as the member sees them) of every expiry, oldest first."""
        return [((p.occurred_at - T0) / timedelta(days=1), _signed(p)) for p in self.postings(who, "expiry")]

    def postings(self, who: int = NOOR, kind: str | None = None) -> list[Posting]:
        member = self.member(who)
        with self.open() as session:
            found = list(audit.history(session, self.shop_id, member.id))
        return [posting for posting in found if kind is None or posting.kind == kind]

    def events(self, kind: str) -> list[Event]:
        with self.open() as session:
            return list(session.scalars(sa.select(Event).where(Event.kind == kind).order_by(Event.id)))

    def reminders(self) -> list[tuple[int, int, str]]:
        """(days ahead, points, the day on which they expire) of every reminder, oldest first."""
        told = [event.data for event in self.events("points.expiring")]
        return [(data["days"], data["points"], data["expires_at"][:10]) for data in told]

    def proven(self) -> bool:
        with self.open() as session:
            return audit.differences(session) == []


def _signed(posting: Posting) -> int:
    return signed_points(posting.source, posting.target, posting.points)
