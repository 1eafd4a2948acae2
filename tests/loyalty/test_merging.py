"""Two customers become one member, in any order of arrival; a deleted customer's name goes.

deleted   joined +50, order $100 (+100), adjusted +7      157 ─┐
kept      joined +50, order  $40  (+40)                    90 ─┴─> 247
"""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core.db import Database, open_shops
from core.events import Event
from loyalty import audit, operations, programs
from loyalty.merging import MembersMoved, close_member, merge_members
from loyalty.models import Member, Order, Posting
from loyalty.operations import Customer
from loyalty.privacy import erase_person, find_person
from loyalty.program import demo_program
from loyalty.rules import Line, Move, OrderState
from shops.models import Shop
from webhooks.arrivals import Arrival
from webhooks.settlement import settle

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = T0 + timedelta(days=10)
KEPT, DELETED, THIRD = 1001, 1002, 1003


class World:
    """One shop with the demo program; each act is one transaction."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        with self.database.transaction() as session:
            shop = Shop(domain="r.myshopify.com", name="R", currency="USD", timezone="UTC", installed_at=T0)
            session.add(shop)
            session.flush()
            self.shop_id = shop.id
            open_shops(session, [shop.id])
            programs.publish(session, shop.id, demo_program(), effective_from=T0, actor="test")

    def open(self) -> Any:
        return self.database.transaction(self.shop_id)

    def order(self, customer_id: int, order_id: int, dollars: int, *, day: int = 0, status: str = "paid") -> None:
        placed = T0 + timedelta(days=day)
        line = Line(id=1, title="Beans", quantity=1, current=None, price=dollars * 100, discount=0, tax=0, product_id=1)
        state = OrderState(
            order_id=order_id, name=f"#{order_id}", processed_at=placed, updated_at=placed, status=status,
            cancelled_at=None, test=False, currency="USD", digits=2, taxes_included=False, shipping=0, shipping_tax=0,
            lines=(line,),
        )  # fmt: skip
        buyer = Customer(self.shop_id, customer_id, None, False, None, T0)
        with self.open() as session:
            settle(session, [Arrival(self.shop_id, order_id, state, customer=buyer)], now=NOW)

    def merge(self, kept: int = KEPT, deleted: int = DELETED) -> None:
        with self.open() as session:
            merge_members(session, self.shop_id, kept, deleted, at=NOW, resettle=self.resettle(session))

    def resettle(self, session: Any) -> Callable[[list[int], int, int], None]:
        return lambda orders, _, owner: settle(
            session, [Arrival(self.shop_id, order_id, owner=owner, again=True) for order_id in orders], now=NOW
        )

    def adjust(self, customer_id: int, points: int) -> None:
        with self.open() as session:
            member = self.member(customer_id)
            operations.adjust(session, self.shop_id, member.id, points, "sorry", actor="api:1", key=f"adjust:{points}")

    def member(self, customer_id: int) -> Member:
        with self.open() as session:
            return session.scalars(sa.select(Member).where(Member.customer_id == customer_id)).one()

    def balance(self, customer_id: int) -> tuple[int, int, int]:
        member = self.member(customer_id)
        return member.available, member.pending, member.lifetime

    def proven(self) -> bool:
        with self.open() as session:
            return audit.differences(session) == []


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    world = World(database_url)
    yield world
    world.database.dispose()


def test_all_points_move_to_the_kept_member(world: World) -> None:
    world.order(DELETED, 1, 100)
    world.order(KEPT, 2, 40)
    world.adjust(DELETED, 7)
    world.merge()
    assert world.balance(KEPT) == (247, 0, 240)
    assert world.balance(DELETED) == (0, 0, 0)
    assert world.member(DELETED).merged_into == world.member(KEPT).id
    assert world.proven()


def test_pending_points_and_spent_ones_move_too(world: World) -> None:
    world.order(DELETED, 1, 100)
    world.order(DELETED, 2, 30, status="pending")
    with world.open() as session:
        member = operations.locked_member(session, world.shop_id, world.member(DELETED).id)
        move = Move("redeem", "available", "redeemed", 120)
        operations.post(session, member, move, rule="5-off", explanation={}, actor="test", key="spent")
    world.merge()
    assert world.balance(KEPT) == (50 + 150 - 120, 30, 50 + 180)
    assert world.balance(DELETED) == (0, 0, 0)
    assert world.proven()


def test_merging_again_changes_nothing(world: World) -> None:
    world.order(DELETED, 1, 100)
    world.merge()
    with world.open() as session:
        before = session.scalar(sa.select(sa.func.max(Posting.id))), session.scalar(sa.select(sa.func.max(Event.id)))
    world.merge()
    with world.open() as session:
        after = session.scalar(sa.select(sa.func.max(Posting.id))), session.scalar(sa.select(sa.func.max(Event.id)))
    assert before == after


def test_any_order_of_arrival_ends_the_same(world: World) -> None:
    acts: list[Callable[[World], None]] = [
        lambda w: w.order(DELETED, 1, 600),
        lambda w: w.order(KEPT, 2, 40, day=1),
        lambda w: w.order(DELETED, 3, 80, day=2),
        lambda w: w.merge(),
    ]
    ends = set()
    for number, sequence in enumerate(itertools.permutations(acts)):
        ends.add(play(world, sequence, number))
    # 600 and then 40 and 80 at the Advocate's 1.25, and the joining bonus of each.
    assert ends == {((600 + 50 + 100 + 100, 0, 850), "advocate", (0, 0, 0))}


def play(world: World, sequence: Any, number: int) -> Any:
    """Play acts in a shop of their own and give how it ended."""
    with world.database.transaction() as session:
        shop = Shop(domain=f"s{number}.myshopify.com", name="S", currency="USD", timezone="UTC", installed_at=T0)
        session.add(shop)
        session.flush()
        world.shop_id = shop.id
        open_shops(session, [shop.id])
        programs.publish(session, shop.id, demo_program(), effective_from=T0, actor="test")
    for act in sequence:
        act(world)
    assert world.proven()
    return world.balance(KEPT), world.member(KEPT).tier_key, world.balance(DELETED)


@pytest.mark.parametrize("steps", list(itertools.permutations([(KEPT, DELETED), (DELETED, THIRD)])))
def test_a_chain_of_merges_is_flat_in_either_order(world: World, steps: Any) -> None:
    world.order(THIRD, 1, 100)
    for kept, deleted in steps:
        world.merge(kept, deleted)
    kept = world.member(KEPT)
    assert {world.member(DELETED).merged_into, world.member(THIRD).merged_into} == {kept.id}
    assert kept.available == 100 + 3 * 50
    assert world.proven()


def test_of_many_merges_at_once_one_counts(world: World) -> None:
    world.order(DELETED, 1, 100)
    world.order(KEPT, 2, 40)

    def merge(_: int) -> str:
        try:
            world.merge()
        except MembersMoved:
            return "tried again"
        return "merged"

    with ThreadPoolExecutor(6) as threads:
        ends = list(threads.map(merge, range(6)))
    assert "merged" in ends
    assert world.balance(KEPT) == (240, 0, 240)
    assert world.proven()
    with world.open() as session:
        assert session.scalar(sa.select(sa.func.count()).where(Event.kind == "member.merged")) == 2


def test_a_circle_of_merges_is_not_walked(world: World) -> None:
    world.merge(KEPT, DELETED)
    world.merge(DELETED, KEPT)
    world.merge(KEPT, KEPT)
    assert world.member(KEPT).merged_into is None


def test_orders_of_the_deleted_customer_are_the_kept_ones_from_then_on(world: World) -> None:
    world.merge()
    world.order(DELETED, 1, 100)
    with world.open() as session:
        assert session.scalars(sa.select(Order.member_id)).all() == [world.member(KEPT).id]


def test_an_erased_customer_is_not_brought_back_by_a_merge(world: World) -> None:
    world.order(DELETED, 1, 100)
    with world.open() as session:
        erase_person(session, world.shop_id, find_person(session, world.shop_id, customer_id=KEPT))
    world.merge()
    assert world.balance(DELETED) == (150, 0, 150)
    with world.open() as session:
        assert session.scalars(sa.select(Member.customer_id)).all() == [DELETED]


def test_a_merge_names_no_customer_in_the_ledger(world: World) -> None:
    world.order(DELETED, 1, 100)
    world.merge()
    with world.open() as session:
        told = session.scalars(
            sa.select(sa.func.to_jsonb(sa.text("p")).cast(sa.Text)).select_from(sa.text("postings p"))
        )
        assert not any(str(DELETED) in row or str(KEPT) in row for row in told)


def test_a_deleted_customer_loses_the_name_and_keeps_the_points(world: World) -> None:
    told = Customer(world.shop_id, KEPT, "ann@x.example", True, "Ann", T0, updated_at=T0)
    with world.open() as session:
        settle(session, [], [told])
    for _ in range(2):
        with world.open() as session:
            close_member(session, world.shop_id, KEPT, at=NOW)
            close_member(session, world.shop_id, THIRD, at=NOW)
    with world.open() as session:
        settle(session, [], [told])  # late: what it tells is from before
        assert session.scalar(sa.select(sa.func.count()).where(Event.kind == "member.closed")) == 1
    member = world.member(KEPT)
    assert (member.email, member.name, member.closed_at, member.available) == (None, None, NOW, 50)
