"""A shop whose members bring friends: what members, friends, merchants and Shopify do, one line each."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, effects
from core.events import Event
from loyalty import operations as ledger
from loyalty import programs
from loyalty.models import Member
from loyalty.operations import Customer
from loyalty.program import Benefit, Partnership, Program, Referral, demo_program
from referrals import members, partners
from referrals.claims import operations
from referrals.models import ReferralClaim, ReferralCode, ReferralPartner
from sandbox.catalogue import DEMO
from sandbox.testing import Running
from tests.webhooks.rig import LONG_AGO, House

numbers = count(1)
# One for all: making a client takes longer than a call.
client = httpx.Client(trust_env=False)
NOW = datetime.now(UTC).replace(microsecond=0)
CREATOR = Partnership(
    key="creators", name="Creators", kind="influencer", friend=Benefit(kind="percentage", percentage="15"),
    friend_minimum=2000, referrer=Benefit(kind="commission", percentage="10"),
)  # fmt: skip
STAFF = Partnership(
    key="staff", name="Staff", kind="employee", friend=Benefit(kind="free_shipping"), every_order=True,
    referrer=Benefit(kind="points", points=100),
)  # fmt: skip


def program(**changes: Any) -> Program:
    """The demo program; `changes` are to its referral part."""
    terms = Referral(partnerships=(CREATOR, STAFF)).model_copy(update=changes)
    return demo_program().model_copy(update={"referral": terms})


class Desk:
    """One shop, and its store where it has one."""

    def __init__(self, house: House, shop: int, store: Running | None = None) -> None:
        self.house, self.shop, self.store = house, shop, store

    def open(self) -> Any:
        return self.house.database.transaction(self.shop)

    def publish(self, **changes: Any) -> None:
        with self.open() as session:
            programs.publish(session, self.shop, program(**changes), effective_from=clock.now(), actor="test")

    # Members and codes.

    def member(self, name: str | None = "Anna", email: str | None = None, *, ordered: bool = False) -> int:
        number = 7_000_000 + next(numbers)
        customer = Customer(self.shop, number, email, email is not None, name, LONG_AGO)
        with self.open() as session:
            known = programs.load(session, [self.shop])
            made = ledger.enrol(session, [customer], known).members[self.shop, number]
            if ordered:
                session.get_one(Member, (self.shop, made)).last_order_at = NOW - timedelta(days=9)
        return made

    def code(self, member_id: int) -> str:
        with self.open() as session:
            return members.code_of(session, self.shop, member_id).code

    def choose(self, member_id: int, text: str) -> str:
        with self.open() as session:
            return members.choose(session, self.shop, member_id, text, "test").code

    def codes(self, member_id: int) -> list[tuple[str, bool]]:
        """Every code of a member, oldest first, and whether it is in use."""
        with self.open() as session:
            rows = session.scalars(
                sa.select(ReferralCode)
                .where(ReferralCode.member_id == member_id)
                .order_by(ReferralCode.created_at, ReferralCode.retired_at)
            )
            return [(row.code, row.retired_at is None) for row in rows]

    # Friends.

    def email(self, name: str = "friend") -> str:
        return f"{name}{next(numbers)}@example.com"

    def claim(self, code: str, email: str | None = None, **more: Any) -> ReferralClaim:
        with self.open() as session:
            return self.claim_in(session, code, email or self.email(), **more)

    def claim_in(self, session: Session, code: str, email: str, **more: Any) -> ReferralClaim:
        told: dict[str, Any] = {"consent": "Yes", "wants_news": False, "visitor": "", "network": "", "actor": "test"}
        return operations.claim(session, self.shop, code, email, **told | more)

    def read(self, row: ReferralClaim) -> ReferralClaim:
        with self.open() as session:
            return session.get_one(ReferralClaim, (self.shop, row.id))

    def claims(self) -> list[ReferralClaim]:
        with self.open() as session:
            mine = sa.select(ReferralClaim).where(ReferralClaim.shop_id == self.shop).order_by(ReferralClaim.id)
            return list(session.scalars(mine))

    def events(self, kind: str = "referral.%") -> list[str]:
        with self.open() as session:
            return list(session.scalars(sa.select(Event.kind).where(Event.kind.like(kind)).order_by(Event.id)))

    def timeline(self, member_id: int) -> list[str]:
        """What happened around a member's code."""
        with self.open() as session:
            mine = sa.select(Event.kind).where(Event.member_id == member_id, Event.kind.like("referral.%"))
            return list(session.scalars(mine.order_by(Event.id)))

    # Partners.

    def partner(self, code: str | None = None, partnership: str = "creators", **more: Any) -> ReferralPartner:
        told = {"name": "Lena Example", "email": self.email("lena")} | more
        with self.open() as session:
            return partners.add(session, self.shop, partnership=partnership, code=code, actor="test", **told)

    def partner_codes(self, row: ReferralPartner) -> list[ReferralCode]:
        with self.open() as session:
            return list(partners.all_codes(session, self.shop, row.id))

    # Effects and the store.

    def work(self, *, minutes: float = 0) -> int:
        """Carry out the effects that are due so long after now; how many were tried."""
        with clock.fixed_at(datetime.now(UTC) + timedelta(minutes=minutes, seconds=1)):
            return effects.carry_out_due(self.house.database)

    def effects(self, kind: str, target: int) -> list[tuple[str, str | None]]:
        """The state and error of what is still to be done, or could not be."""
        table = effects.Effect
        with self.open() as session:
            mine = sa.select(table.state, table.error).where(table.kind == kind, table.target == str(target))
            return [(row.state, row.error) for row in session.execute(mine)]

    def ask(self, path: str) -> Any:
        return client.get(f"{self._url}/{DEMO.domain}/{path}").json()

    def tell(self, path: str, **body: Any) -> httpx.Response:
        return client.post(f"{self._url}/{path}", json=body)

    def fault(self, kind: str, field: str | None = None, **more: Any) -> None:
        assert self.tell("faults", kind=kind, field=field, **{"seconds": 0} | more).status_code == 204

    def calm(self) -> None:
        """No more faults."""
        client.delete(f"{self._url}/faults")

    def discount(self, code: str) -> dict[str, Any] | None:
        """What the store has under a code."""
        return next((one for one in self.ask("discounts")["discounts"] if one["code"] == code), None)

    def customer(self, email: str | None = None) -> int:
        name = f"noor{next(numbers)}"
        address = email or f"{name}@example.com"
        made = self.tell(f"{DEMO.domain}/customers", first_name=name, last_name="H", email=address)
        assert made.status_code == 201, made.text
        return int(made.json()["id"])

    def buy(self, *codes: str, quantity: int = 2, **who: Any) -> httpx.Response:
        """An order of the dearest thing with these codes, by `customer_id` or `email`."""
        dearest = max(self.ask("products")["products"], key=lambda item: item["price"])
        lines = [{"variant_id": dearest["variant_id"], "quantity": quantity}]
        return self.tell(f"{DEMO.domain}/orders", lines=lines, codes=list(codes), **who)

    @property
    def _url(self) -> str:
        assert self.store is not None
        return f"{self.store.url}/sandbox"
