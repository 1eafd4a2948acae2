"""What orders make of rewards, and the law above all: points are never both spent and returned.

issued ── #1 uses it ──▶ used ── #1 is cancelled ──▶ returned ── #1 stands after all ──▶ used
             0                      + points                        - points
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
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
from core.events import record
from loyalty import operations as ledger
from loyalty.accounts import lock_accounts, write_accounts
from loyalty.models import Posting
from loyalty.rewards import operations, rules, uses
from loyalty.rewards.models import MemberReward
from loyalty.rewards.uses import CodeSeen
from tests.loyalty.rewards.rig import START, Front

GIVE_BACK, KEEP = True, False


def settle(shop: Front, *seen: CodeSeen, returns: bool = GIVE_BACK) -> int:
    """What settlement does with the codes of a batch; how many postings that made."""
    with shop.house.database.transaction(shop.shop) as session:
        held = uses.held(session, [(one.shop_id, one.code) for one in seen])
        accounts = lock_accounts(session, sorted({(one.shop_id, one.member_id) for one in held}))
        now = clock.now()
        entries, happened = uses.settle_uses(session, seen, lambda *_: returns, now)
        postings = [ledger.enter(accounts[entry.shop_id, entry.member_id], entry, now) for entry in entries]
        ledger.write_postings(session, postings)
        write_accounts(session, accounts.values())
        record(session, happened)
        return len(entries)


def seen(row: MemberReward, order: int = 1, *, undone: bool = False, code: str | None = None) -> CodeSeen:
    return CodeSeen(row.shop_id, code or row.code, order, START + timedelta(minutes=order), undone, f"#{order}")


def ready(shop: Front, key: str = "5-off", points: int = 1000) -> MemberReward:
    row = shop.redeem(shop.member(next(CUSTOMERS), points), key)
    mark(shop, row, "mark_issued", "gid://shopify/DiscountCodeNode/1")
    return row


CUSTOMERS = iter(range(10_000, 10**9))


def mark(shop: Front, row: MemberReward, end: str, *given: Any, **more: Any) -> bool:
    with shop.house.database.transaction(shop.shop) as session:
        done: bool = getattr(operations, end)(session, shop.shop, row.id, *given, **more)
        return done


def test_a_code_on_an_order_is_a_reward_used(shop: Front) -> None:
    row = ready(shop)
    assert settle(shop, seen(row, 7)) == 0
    after = shop.read(row)
    assert (after.status, after.order_id, after.used_at) == ("used", 7, START + timedelta(minutes=7))
    assert shop.events(row)[-1] == "reward.used"


def test_codes_are_the_same_in_any_case(shop: Front) -> None:
    row = ready(shop)
    with shop.house.database.transaction(shop.shop) as session:
        (held,) = uses.held(session, [(shop.shop, f" {row.code.lower()}"), (shop.shop, "WELCOME10")])
    assert (held.reward_id, held.member_id) == (row.id, row.member_id)
    settle(shop, seen(row, code=row.code.lower()))
    assert shop.status(row) == "used"


def test_another_shops_code_is_nobodys(shop: Front) -> None:
    row = ready(shop)
    elsewhere = Front(shop.house, shop.house.open_shop())
    settle(elsewhere, seen(row)._replace(shop_id=elsewhere.shop))
    assert shop.status(row) == "issued"


def test_an_undone_order_gives_the_points_back_and_takes_them_again(shop: Front) -> None:
    row = ready(shop, "last")
    member = row.member_id
    settle(shop, seen(row))
    assert settle(shop, seen(row, undone=True)) == 1
    assert (shop.status(row), shop.points(member)) == ("returned", 1000)
    assert settle(shop, seen(row, undone=True)) == 0
    assert settle(shop, seen(row)) == 1
    assert (shop.status(row), shop.points(member)) == ("used", 900)
    assert settle(shop, seen(row, undone=True)) == 1
    assert shop.kinds(member) == [("redeem", -100), ("reimbursement", 100), ("redeem", -100), ("reimbursement", 100)]
    with shop.house.database.transaction(shop.shop) as session:
        told = session.scalars(sa.select(Posting).where(Posting.key == f"reimburse:{row.id}:1")).one().explanation
    assert (told["reason"], told["order"], told["name"]) == ("order_undone", "#1", "The last tote")
    assert shop.even()


def test_a_program_may_keep_the_points(shop: Front) -> None:
    row = ready(shop)
    settle(shop, seen(row), returns=KEEP)
    assert settle(shop, seen(row, undone=True), returns=KEEP) == 0
    assert (shop.status(row), shop.points(row.member_id)) == ("used", 500)


def test_all_in_one_batch(shop: Front) -> None:
    rows = [ready(shop) for _ in range(3)]
    made = settle(shop, *[seen(row, undone=undone) for row in rows for undone in (False, True)])
    assert made == 3
    assert [shop.points(row.member_id) for row in rows] == [1000] * 3


def test_a_code_used_before_it_could_be_taken_back_costs_its_points(shop: Front) -> None:
    """The order was placed first, but we heard of it only after the points had gone back."""
    row = ready(shop)
    shop.give_back(row)
    mark(shop, row, "mark_returned")
    assert shop.points(row.member_id) == 1000
    assert settle(shop, seen(row)) == 1
    assert (shop.status(row), shop.points(row.member_id), shop.even()) == ("used", 500, True)


def test_an_order_beats_the_end_of_days(shop: Front) -> None:
    row = ready(shop)
    with shop.house.database.transaction(shop.shop) as session:
        operations.expire(session, START + timedelta(days=50))
    assert shop.status(row) == "expired"
    assert settle(shop, seen(row)) == 0
    assert shop.status(row) == "used"


def test_an_order_that_is_known_before_shopify_answered(shop: Front) -> None:
    row = shop.redeem(shop.member(next(CUSTOMERS), 1000), "5-off")
    settle(shop, seen(row))
    assert mark(shop, row, "mark_issued", "late") is False
    after = shop.read(row)
    assert (after.status, after.issued_at) == ("used", after.requested_at)


@pytest.mark.parametrize("returns", [GIVE_BACK, KEEP])
def test_order_of_arrival_makes_no_difference(shop: Front, returns: bool) -> None:
    """#1 uses the code and is cancelled; the shop lets #2 use it. As each order's latest state, in every order."""
    ends = set()
    for told in permutations([(1, True), (2, False), (1, True), (2, False)]):
        row = ready(shop)
        for order, undone in told:
            settle(shop, seen(row, order, undone=undone), returns=returns)
        after = shop.read(row)
        ends.add((after.status, after.order_id, shop.points(row.member_id)))
    assert ends == {("used", 2, 500)}
    assert shop.even()


def attempt(call: Callable[[], object]) -> str | None:
    """The code it was refused with, if it was."""
    try:
        call()
    except RapportError as error:
        return error.code
    return None


class Life(RuleBasedStateMachine):
    """A member's rewards through everything that can befall them, in any order."""

    shop: Front

    @initialize()
    def begin(self) -> None:
        self.member = self.shop.member(next(CUSTOMERS), 1000)
        self.rows: list[MemberReward] = []

    @rule(key=st.sampled_from(["5-off", "free-shipping", "last", "once", "dinner"]))
    def redeem(self, key: str) -> None:
        refused = attempt(lambda: self.rows.append(self.shop.redeem(self.member, key)))
        assert refused in (None, "points_short", "out_of_stock", "reward_limit")

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), end=st.sampled_from(["mark_issued", "mark_failed", "mark_returned", "used", "kept"]))
    def shopify_answers(self, data: st.DataObject, end: str) -> None:
        row = data.draw(st.sampled_from(self.rows))
        if end in ("used", "kept"):
            mark(self.shop, row, "mark_kept", used=end == "used", error="so it is")
        else:
            mark(self.shop, row, end, *(() if end == "mark_returned" else ("what it says",)))

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), act=st.sampled_from(["give_back", "fulfil"]))
    def somebody_asks(self, data: st.DataObject, act: str) -> None:
        row = data.draw(st.sampled_from(self.rows))
        refused = attempt(lambda: getattr(self.shop, act)(row))
        assert refused is None or refused.startswith(("reward_", "not_custom"))

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), order=st.sampled_from([1, 2]), undone=st.booleans(), returns=st.booleans())
    def an_order_tells(self, data: st.DataObject, order: int, undone: bool, returns: bool) -> None:
        settle(self.shop, seen(data.draw(st.sampled_from(self.rows)), order, undone=undone), returns=returns)

    @rule(days=st.sampled_from([0, 10, 40]))
    def days_go_by(self, days: int) -> None:
        with self.shop.house.database.transaction(self.shop.shop) as session:
            operations.expire(session, START + timedelta(days=days))

    @invariant()
    def points_are_spent_or_returned(self) -> None:
        if not hasattr(self, "rows"):
            return
        current = [self.shop.read(row) for row in self.rows]
        spent = sum(row.points for row in current if row.status in rules.PAID)
        assert self.shop.points(self.member) == 1000 - spent
        for row in current:
            assert _net(self.shop, row) == (row.points if row.status in rules.PAID else 0)

    def teardown(self) -> None:
        assert self.shop.even()


def _net(shop: Front, row: MemberReward) -> int:
    """The points of one reward that are spent, by the ledger."""
    with shop.house.database.transaction(shop.shop) as session:
        postings: Sequence[Posting] = session.scalars(
            sa.select(Posting).where(Posting.explanation["reward_id"].as_integer() == row.id)
        ).all()
    return sum(posting.points if posting.target == "redeemed" else -posting.points for posting in postings)


def test_points_are_never_both_spent_and_returned(shop: Front) -> None:
    Life.shop = shop
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
