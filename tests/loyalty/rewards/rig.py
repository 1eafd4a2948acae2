"""A shop in the sandbox whose program has a reward of every kind, and a member with points to spend on them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import sqlalchemy as sa

from core import clock, effects
from core.events import Event
from loyalty import operations as ledger
from loyalty import programs
from loyalty.audit import history
from loyalty.models import Member
from loyalty.operations import Customer
from loyalty.program import Program, Reward, demo_program
from loyalty.rewards import operations
from loyalty.rewards.models import MemberReward, RewardCall
from sandbox.catalogue import DEMO
from sandbox.testing import Running
from tests.webhooks.rig import LONG_AGO, House

numbers = count(1)
# One for all: making a client takes longer than a call.
client = httpx.Client(trust_env=False)
START = datetime.now(UTC).replace(microsecond=0)


def rewards(product: int) -> tuple[Reward, ...]:
    """One of each kind; `product` is a Shopify id."""
    return (
        Reward(key="5-off", name="$5 off", cost=500, kind="amount_off", amount=500, minimum_order=2000, valid_days=30),
        Reward(key="20-percent", name="20% off", cost=800, kind="percentage", percentage="20"),
        Reward(key="capped", name="20% off, $15 at most", cost=700, kind="percentage", percentage="20", maximum=1500),
        Reward(key="free-shipping", name="Free shipping", cost=300, kind="free_shipping"),
        Reward(key="mug", name="A mug", cost=900, kind="free_product", amount=1800, products=(product,)),
        Reward(key="any", name="Money off", cost=100, kind="variable", amount=100, step=100, most_points=2000),
        Reward(key="credit", name="$10 store credit", cost=1000, kind="store_credit", amount=1000),
        Reward(key="card", name="$25 gift card", cost=2500, kind="gift_card", amount=2500, valid_days=365),
        Reward(key="dinner", name="Dinner with us", cost=4000, kind="custom", stock=1),
        Reward(key="last", name="The last tote", cost=100, kind="amount_off", amount=100, stock=1),
        Reward(key="once", name="Hello again", cost=100, kind="amount_off", amount=100, per_member=1),
    )


def program(product: int = 1) -> Program:
    return demo_program().model_copy(update={"rewards": rewards(product)})


class Front:
    """What a member, a merchant and Shopify do, one line each. The clock stands at `START` unless told otherwise."""

    def __init__(self, house: House, shop: int, store: Running | None = None) -> None:
        self.house, self.shop, self.store = house, shop, store

    def at(self, **after: float) -> AbstractContextManager[None]:
        return clock.fixed_at(START + timedelta(**after))

    # Members and their points.

    def member(self, customer_id: int, points: int = 0) -> int:
        """A member without joining points who has so many."""
        customer = Customer(self.shop, customer_id, None, False, None, LONG_AGO)
        with self.house.database.transaction(self.shop) as session:
            known = programs.load(session, [self.shop])
            member_id = ledger.enrol(session, [customer], known).members[self.shop, customer_id]
            held = session.get_one(Member, (self.shop, member_id)).available
            if points != held:
                key = f"points {next(numbers)}"
                ledger.adjust(session, self.shop, member_id, points - held, "for the test", actor="test", key=key)
        return member_id

    def points(self, member_id: int) -> int:
        with self.house.database.transaction(self.shop) as session:
            return session.get_one(Member, (self.shop, member_id)).available

    def kinds(self, member_id: int) -> list[tuple[str, int]]:
        """The member's postings about rewards, oldest first, as the member sees them."""
        with self.house.database.transaction(self.shop) as session:
            rows = [row for row in history(session, self.shop, member_id) if row.rule == operations.RULE]
        return [(row.kind, ledger.signed_points(row.source, row.target, row.points)) for row in rows]

    # Rewards.

    def redeem(self, member_id: int, reward: str, key: str | None = None, **more: Any) -> MemberReward:
        with self.house.database.transaction(self.shop) as session:
            return operations.redeem(
                session, self.shop, member_id, reward, actor="test", key=key or f"reward {next(numbers)}", **more
            )

    def give_back(self, row: MemberReward) -> MemberReward:
        with self.house.database.transaction(self.shop) as session:
            return operations.give_back(session, self.shop, row.member_id, row.id, actor="test")

    def fulfil(self, row: MemberReward) -> MemberReward:
        with self.house.database.transaction(self.shop) as session:
            return operations.fulfil(session, self.shop, row.member_id, row.id, actor="test")

    def read(self, row: MemberReward) -> MemberReward:
        with self.house.database.transaction(self.shop) as session:
            return session.get_one(MemberReward, (self.shop, row.id))

    def status(self, row: MemberReward) -> str:
        return self.read(row).status

    def calls(self, row: MemberReward) -> Sequence[str | None]:
        """The outcomes of the journalled calls, in order."""
        with self.house.database.transaction(self.shop) as session:
            calls = sa.select(RewardCall.outcome).where(RewardCall.reward_id == row.id).order_by(RewardCall.id)
            return session.scalars(calls).all()

    def events(self, row: MemberReward) -> list[str]:
        with self.house.database.transaction(self.shop) as session:
            of_row = Event.data["reward_id"].as_integer() == row.id
            return list(session.scalars(sa.select(Event.kind).where(of_row).order_by(Event.id)))

    def work(self, *, minutes: float = 0) -> int:
        """Carry out the effects that are due so long after now; how many were tried."""
        with clock.fixed_at(datetime.now(UTC) + timedelta(minutes=minutes, seconds=1)):
            return effects.carry_out_due(self.house.database)

    def effects(self, row: MemberReward) -> list[str]:
        """The state of what is still to be done, or could not be."""
        table = effects.Effect
        with self.house.database.transaction(self.shop) as session:
            mine = sa.select(table.state).where(table.kind == operations.EFFECT, table.target == str(row.id))
            return list(session.scalars(mine))

    def even(self) -> bool:
        return self.house.differences(self.shop) == []

    # The store.

    def ask(self, path: str) -> Any:
        return client.get(f"{self._url}/{DEMO.domain}/{path}").json()

    def tell(self, path: str, **body: Any) -> httpx.Response:
        return client.post(f"{self._url}/{path}", json=body)

    def fault(self, kind: str, field: str | None = None, **more: Any) -> None:
        assert self.tell("faults", kind=kind, field=field, **{"seconds": 0} | more).status_code == 204

    def calm(self) -> None:
        """No more faults."""
        client.delete(f"{self._url}/faults")

    def discounts(self, customer: int) -> list[dict[str, Any]]:
        """Those for this customer, oldest first."""
        return [one for one in self.ask("discounts")["discounts"] if customer in one["customers"]]

    def new_customer(self) -> int:
        name = f"noor{next(numbers)}"
        made = self.tell(f"{DEMO.domain}/customers", first_name=name, last_name="H", email=f"{name}@example.com")
        assert made.status_code == 201, made.text
        customer: int = made.json()["id"]
        return customer

    def buy(self, customer: int, codes: Sequence[str] = (), **more: Any) -> httpx.Response:
        """An order of two of the dearest thing, paid with these codes."""
        dearest = max(self.ask("products")["products"], key=lambda item: item["price"])
        lines = [{"variant_id": dearest["variant_id"], "quantity": 2}]
        return self.tell(f"{DEMO.domain}/orders", customer_id=customer, lines=lines, codes=list(codes), **more)

    @property
    def _url(self) -> str:
        assert self.store is not None
        return f"{self.store.url}/sandbox"
