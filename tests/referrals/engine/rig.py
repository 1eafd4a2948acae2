"""A shop in the sandbox where friends bring friends: people buy, claim and decide, and the app works it off."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import sqlalchemy as sa

from core import clock, effects
from loyalty import programs
from loyalty.models import Member, Posting
from loyalty.operations import signed_points
from loyalty.program import Program, Referral, demo_program
from loyalty.rewards.models import MemberReward
from loyalty.wording import sentence
from referrals import members, operations, upkeep
from referrals.codes import key_of
from referrals.fraud import mails
from referrals.models import (
    Referral as Row,
)
from referrals.models import ReferralClaim, ReferralCode, ReferralDecision, ReferralPartner, ReferralReward
from referrals.payouts.models import CommissionEntry, Payee
from sandbox import orders as store
from sandbox import payloads
from sandbox.catalogue import DEMO
from sandbox.orders import Basket, Customer, Discount, Item, Order
from sandbox.signing import Delivery
from sandbox.testing import Running
from tests.webhooks.rig import LONG_AGO, House, delivery
from webhooks.payloads import REFERRAL

# In the past, so that what is asked for now is due.
T0 = datetime(2026, 1, 5, 10, tzinfo=UTC)
numbers = count(1)
client = httpx.Client(trust_env=False)


def program(**terms: Any) -> Program:
    """The demo program with other terms of referral, and no points for joining or buying."""
    start = demo_program()
    return start.model_copy(
        update={
            "referral": Referral.model_validate(Referral().model_dump() | terms),
            "joining": start.joining.model_copy(update={"points": 0}),
            "orders": start.orders.model_copy(
                update={"limit": start.orders.limit.model_copy(update={"points_ever": 1})}
            ),
        }
    )


class Town:
    """`day` counts from T0. What happens is sent at once, and worked off by `work`."""

    def __init__(self, house: House, shop: int, running: Running) -> None:
        self.house, self.shop, self.running = house, shop, running
        self.day = 0.0
        self.owner = house.owner()

    # The clock and the program.

    def at(self, day: float) -> AbstractContextManager[None]:
        self.day = day
        return clock.fixed_at(T0 + timedelta(days=day))

    def publish(self, day: float = -300, **terms: Any) -> None:
        with self.house.database.transaction(self.shop) as session:
            moment = T0 + timedelta(days=day)
            programs.publish(session, self.shop, program(**terms), effective_from=moment, actor="merchant")

    # People.

    def person(self, name: str | None = None, *, real: bool = False, email: str | None = None) -> Customer:
        """Somebody with an account; a real one is known to the store as well."""
        number = next(numbers)
        name, email = name or f"Friend{number}", email or f"friend{number}.{'abcdefghij'[number % 10]}@mail.example"
        moment = int((T0 - timedelta(days=200)).timestamp())
        customer_id = 70_000 + number
        if real:
            made = self.ask(f"{DEMO.domain}/customers", first_name=name, last_name=f"No{number}", email=email)
            customer_id = made.json()["id"]
        return Customer(customer_id, name, f"No{number}", email, moment, moment)

    def referrer(self, name: str = "Anna", **more: Any) -> tuple[Customer, str]:
        """A member who has bought long ago, and their code."""
        who = self.person(name, **more)
        self.buy(-150, 20, who)
        return who, self.code(who)

    def code(self, who: Customer) -> str:
        with self.at(-150), self.house.database.transaction(self.shop) as session:
            member = self.member(who)
            return members.ensure_codes(session, self.shop, [member.id])[member.id].code

    def member(self, who: Customer) -> Member:
        with self.house.database.transaction(self.shop) as session:
            found = session.scalars(sa.select(Member).where(Member.customer_id == who.id)).one()
            return session.get_one(Member, (self.shop, found.merged_into or found.id))

    def claim(self, day: float, code: str, email: str, benefit: dict[str, Any] | None = None) -> str:
        """A claim as it is kept, and its discount's code."""
        number = next(numbers)
        at, promised = T0 + timedelta(days=day), benefit or {"kind": "amount_off", "amount": 1000}
        row = ReferralClaim(
            shop_id=self.shop, code_key=key_of(code), email=b"", email_index=mails.index(email), visitor="", network="",
            consent="yes", program_version=1, terms=promised, discount=f"FRIEND-{number}", state="made", at=at,
            expires_at=at + timedelta(days=30),
        )  # fmt: skip
        with self.house.database.transaction(self.shop) as session:
            earlier = ReferralClaim.email_index == row.email_index, ReferralClaim.ended_at.is_(None)
            session.execute(sa.update(ReferralClaim).where(*earlier).values(ended_at=at, state="ended"))
            session.add(row)
        return f"FRIEND-{number}"

    def partner(self, partnership: str, code: str) -> int:
        row = ReferralPartner(
            shop_id=self.shop, partnership=partnership, name="Pat", email=b"", email_index=f"partner {code}",
            actor="test", created_at=LONG_AGO,
        )  # fmt: skip
        with self.house.database.transaction(self.shop) as session:
            session.add(row)
            session.flush()
            session.add(
                ReferralCode(shop_id=self.shop, key=key_of(code), code=code, partner_id=row.id, vanity=True,
                             discount_id="gid://shopify/DiscountCodeNode/1", created_at=LONG_AGO)
            )  # fmt: skip
        return row.id

    # Orders.

    def buy(
        self, day: float, dollars: float, who: Customer | None, *, status: str = "paid", pieces: int = 2,
        ref: str | None = None, codes: Sequence[Discount] = (), email: str = "", send: bool = True,
    ) -> Order:  # fmt: skip
        """So many pieces that cost `dollars` together, before the discounts of codes."""
        number = next(numbers)
        item = Item(1, 1, "Beans", None, "B", "North Pier", round(dollars * 100) // pieces)
        order, topics = store.place(
            DEMO, 500_000 + number, number, Basket([(item, pieces)], codes), self.second(day), customer=who,
            email=email, status=status,
        )  # fmt: skip
        order.attributes = {REFERRAL: ref} if ref else {}
        self.tell(day, order, topics, who) if send else None
        return order

    def pay(self, day: float, order: Order, who: Customer | None) -> None:
        self.tell(day, order, store.pay(DEMO, order, self.second(day)), who)

    def refund(self, day: float, order: Order, who: Customer | None, pieces: int = 2) -> None:
        quantities = {order.lines[0].id: pieces}
        self.tell(day, order, store.refund(DEMO, order, quantities, self.second(day)), who)

    def cancel(self, day: float, order: Order, who: Customer | None) -> None:
        self.tell(day, order, store.cancel(DEMO, order, self.second(day)), who)

    def enlarge(self, day: float, order: Order, dollars: int, who: Customer | None) -> None:
        more = Item(2, 2, "Filter", None, "F", "North Pier", dollars * 100)
        self.tell(day, order, store.edit(DEMO, order, self.second(day), add=[(more, 1)]), who)

    def merge(self, day: float, kept: Customer, deleted: Customer) -> None:
        body = payloads.customer_merge_payload(kept.id, deleted.id) | {"status": "completed"}
        self.send(day, [delivery("customers/merge", body)])

    def redact(self, day: float, who: Customer) -> None:
        body = {"customer": {"id": who.id, "email": who.email}, "orders_to_redact": []}
        self.send(day, [delivery("customers/redact", body)])

    def tell(self, day: float, order: Order, topics: Iterable[str], who: Customer | None) -> None:
        self.send(day, [delivery(topic, payloads.body(topic, DEMO, order, who)) for topic in topics])

    def send(self, day: float, told: Sequence[Delivery]) -> None:
        with self.at(day):
            self.house.settle(self.shop, told)
        assert self.house.states(self.shop)["failed"] == 0

    @staticmethod
    def second(day: float) -> int:
        return int((T0 + timedelta(days=day)).timestamp())

    # Working it off.

    def work(self, day: float | None = None) -> None:
        """The clock comes to the day: what is due is released, and every effect carried out."""
        with self.at(self.day if day is None else day):
            upkeep.release(self.house.database)
            while self.carry_out():
                pass
        assert self.failed() == []
        assert self.house.differences(self.shop) == []

    def carry_out(self) -> int:
        """What is asked for is due by the story's clock, which is behind the database's."""
        self.owner.execute("UPDATE effects SET due_at = %s WHERE state = 'waiting'", [LONG_AGO])
        return effects.carry_out_due(self.house.database)

    def failed(self) -> list[tuple[str, str | None]]:
        table = effects.Effect
        with self.house.database.transaction(self.shop) as session:
            rows = session.execute(sa.select(table.kind, table.error).where(table.error.is_not(None))).all()
        return [(row.kind, row.error) for row in rows]

    def waiting(self) -> list[str]:
        """The orders whose referrals are to be settled."""
        table = effects.Effect
        with self.house.database.transaction(self.shop) as session:
            asked = sa.select(table.target).where(table.kind == operations.EFFECT)
            return list(session.scalars(asked.order_by(table.target)))

    # What came of it.

    def rows(self) -> Sequence[Row]:
        with self.house.database.transaction(self.shop) as session:
            return session.scalars(sa.select(Row).order_by(Row.id)).all()

    def row(self, order: Order) -> Row:
        return next(row for row in self.rows() if row.order_id == order.id)

    def states(self) -> list[str]:
        return [row.state for row in self.rows()]

    def given(self, side: str = "referrer") -> list[tuple[str, int, int]]:
        """What one side was given: its state, points and minor units, oldest first."""
        with self.house.database.transaction(self.shop) as session:
            mine = sa.select(ReferralReward).where(ReferralReward.side == side)
            rows = session.scalars(mine.order_by(ReferralReward.referral_id, ReferralReward.ordinal)).all()
        return [(row.state, row.points, row.amount) for row in rows]

    def decisions(self) -> list[tuple[str, str]]:
        with self.house.database.transaction(self.shop) as session:
            rows = session.scalars(sa.select(ReferralDecision).order_by(ReferralDecision.id)).all()
        return [(row.was, row.became) for row in rows]

    def notes(self) -> list[str]:
        with self.house.database.transaction(self.shop) as session:
            return list(session.scalars(sa.select(ReferralDecision.note).order_by(ReferralDecision.id)))

    def decide(self, order: Order, decision: str | None) -> None:
        """A person decides, or takes it back."""
        with self.house.database.transaction(self.shop) as session:
            row = session.scalars(sa.select(Row).where(Row.order_id == order.id)).one()
            row.decision = decision
            operations.request(session, self.shop, [order.id])

    def points(self, who: Customer) -> list[int]:
        """Points for referrals, as the member sees them."""
        with self.house.database.transaction(self.shop) as session:
            mine = sa.select(Posting).where(Posting.member_id == self.member(who).id, Posting.rule == "referral")
            rows = session.scalars(mine.order_by(Posting.id)).all()
        return [signed_points(row.source, row.target, row.points) for row in rows]

    def told(self, who: Customer) -> list[str]:
        with self.house.database.transaction(self.shop) as session:
            mine = sa.select(Posting).where(Posting.member_id == self.member(who).id, Posting.rule == "referral")
            return [sentence(row) for row in session.scalars(mine.order_by(Posting.id))]

    def rewards(self, who: Customer) -> list[MemberReward]:
        with self.house.database.transaction(self.shop) as session:
            mine = sa.select(MemberReward).where(MemberReward.member_id == self.member(who).id)
            return list(session.scalars(mine.order_by(MemberReward.id)))

    def commission(self) -> list[tuple[str, int]]:
        with self.house.database.transaction(self.shop) as session:
            rows = session.scalars(sa.select(CommissionEntry).order_by(CommissionEntry.id)).all()
        return [(row.kind, row.amount) for row in rows]

    def payees(self) -> Sequence[Payee]:
        with self.house.database.transaction(self.shop) as session:
            return session.scalars(sa.select(Payee)).all()

    def ask(self, path: str, **body: Any) -> httpx.Response:
        return client.post(f"{self.running.url}/sandbox/{path}", json=body)

    def discounts(self, who: Customer) -> list[dict[str, Any]]:
        """The store's discounts for this customer."""
        listed = client.get(f"{self.running.url}/sandbox/{DEMO.domain}/discounts").json()["discounts"]
        return [one for one in listed if who.id in one["customers"]]


def off(code: str, dollars: int = 10) -> Discount:
    """A friend's discount on a basket."""
    return Discount(code, "fixed_amount", dollars * 100)
