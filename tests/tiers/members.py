"""Members of a shop by the set, with facts that no order tells of, and ladders to measure them by."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from core.db import insert_rows
from loyalty import programs
from loyalty.models import Member, SpendFact
from loyalty.program import Ladder, Program, Tier, demo_program
from loyalty.programs import Programs
from tests.webhooks.rig import House
from tiers import courses

JOINED = datetime(2024, 2, 29, 20, tzinfo=UTC)


class Told(NamedTuple):
    """A fact of a member: a change in minor units, in orders and in points."""

    at: datetime
    amount: int
    orders: int = 1
    points: int = 0


@dataclass
class Club:
    house: House
    shop: int
    ids: list[int] = field(default_factory=list)
    facts: int = 0

    def join(self, count: int, tier: str = "insider", joined: datetime = JOINED) -> list[int]:
        rows = [(self.shop, 1000 + len(self.ids) + n, joined, tier, joined) for n in range(count)]
        columns = ("shop_id", "customer_id", "joined_at", "tier_key", "tier_since")
        with self.house.database.transaction(self.shop) as session:
            made = insert_rows(session, Member.__table__, columns, rows, suffix="RETURNING id")  # type: ignore[arg-type]
            assert made
            new = [row[0] for row in made]
        self.ids += new
        return new

    def tell(self, member: int, *told: Told) -> None:
        self.tell_all((member, one) for one in told)

    def tell_all(self, told: Iterable[tuple[int, Told]]) -> None:
        """Each fact is an order of its own, numbered from 1."""
        rows = []
        for member, one in told:
            self.facts += 1
            rows.append((self.shop, self.facts, "order", member, *one))
        columns = ("shop_id", "order_id", "cause", "member_id", "at", "amount", "orders", "points")
        with self.house.database.transaction(self.shop) as session:
            insert_rows(session, SpendFact.__table__, columns, rows)  # type: ignore[arg-type]

    def publish(self, program: Program, at: datetime) -> int:
        with self.house.database.transaction(self.shop) as session:
            return programs.publish(session, self.shop, program, effective_from=at, actor="test")

    def programs(self) -> Programs:
        with self.house.database.transaction(self.shop) as session:
            return programs.load(session, [self.shop])

    def tier_at(self, member: int, moment: datetime, program: Program) -> str:
        version = programs.Version(0, moment, program)
        key = (self.shop, member)
        with self.house.database.transaction(self.shop) as session:
            course = courses.load(session, Programs({self.shop: [version]}), {key: moment}, moment)
        return course.at(key, moment, version).rung.key

    def rows(self, table: Any) -> list[Any]:
        with self.house.database.transaction(self.shop) as session:
            return list(session.scalars(sa.select(table).where(table.shop_id == self.shop)))

    def tiers(self) -> dict[int, str]:
        return {row.id: row.tier_key for row in self.rows(Member)}


def laddered(**changes: Any) -> Program:
    """The demo program on another ladder: its own tiers, unless they are given."""
    demo = demo_program()
    return demo.model_copy(update={"ladder": Ladder(**{"tiers": demo.ladder.tiers, **changes})})


def tiers(*steps: tuple[str, int], **more: dict[str, Any]) -> tuple[Tier, ...]:
    """Tiers by key and threshold; `more` holds other fields by key."""
    return tuple(Tier(key=key, name=key.title(), threshold=takes, **more.get(key, {})) for key, takes in steps)
