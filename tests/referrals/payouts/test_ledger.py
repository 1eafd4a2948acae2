"""Commission as a ledger, and months that are closed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from core import clock
from core.config import settings as configured
from core.db import database
from core.errors import InvalidInput, NotFound
from loyalty.models import Member
from referrals.payouts import operations, queries, upkeep
from referrals.payouts.models import Payee, Statement
from tests.referrals.payouts.rig import DECEMBER, NOVEMBER, OCTOBER, Payouts
from tests.webhooks.rig import at_once

JANUARY = datetime(2027, 1, 2, 12, tzinfo=UTC)


def test_a_fact_is_one_entry(payouts: Payouts) -> None:
    told = [payouts.earn(1, 10_00, key="referral:7") for _ in range(3)]
    assert told == [True, False, False]
    assert payouts.balance(1) == 10_00


def test_a_fact_told_at_once_by_many_is_one_entry(payouts: Payouts) -> None:
    assert at_once(*[lambda: payouts.earn(1, 10_00, key="referral:7") and None] * 6) == []
    assert payouts.entries(1) == [("earned", 10_00)]


def test_a_balance_below_zero_is_carried_over(payouts: Payouts) -> None:
    payouts.earn(1, 30_00)
    payouts.take_back(1, 50_00)
    assert payouts.balance(1) == -20_00
    assert payouts.close(DECEMBER) == []
    payouts.earn(1, 60_00, at=DECEMBER)
    (row,) = payouts.close(JANUARY)
    assert (row.amount, f"{row.month:%Y-%m}") == (40_00, "2026-12")


@pytest.mark.parametrize(("amount", "currency"), [(-5, "USD"), (10**15 + 1, "USD"), (5, "ZZZ"), (5, "usd")])
def test_what_can_not_be_earned(payouts: Payouts, amount: int, currency: str) -> None:
    with pytest.raises(InvalidInput):
        payouts.earn(1, amount, currency=currency)


def test_nothing_is_no_entry(payouts: Payouts) -> None:
    assert payouts.earn(1, 0) is False


def test_entries_are_only_added(payouts: Payouts) -> None:
    payouts.earn(1, 10_00)
    for statement in ("UPDATE commission_entries SET amount = 1", "DELETE FROM commission_entries"):
        with pytest.raises(DBAPIError), database().transaction(payouts.shop_id) as session:
            session.execute(sa.text(statement))


def test_commission_of_a_merged_member_follows_them(payouts: Payouts) -> None:
    store = payouts.store
    store.settle(*(store.order(number, store.customer(number)) for number in (1, 2)))
    old, new = (int(store.member_of(store.customer(number))["id"]) for number in (1, 2))
    facts = {"currency": "USD", "referral_id": 7, "explanation": {}, "at": OCTOBER}
    with database().transaction(payouts.shop_id) as session:
        operations.earn(session, payouts.shop_id, member_id=old, amount=10_00, key="a", **facts)
        session.execute(sa.update(Member).where(Member.id == old).values(merged_into=new))
        operations.earn(session, payouts.shop_id, member_id=old, amount=20_00, key="b", **facts)
        operations.reverse(session, payouts.shop_id, member_id=old, amount=5_00, key="c", **facts)
    with database().transaction(payouts.shop_id) as session:
        (payee,) = session.scalars(sa.select(Payee)).all()
        assert payee.member_id == new
        assert queries.balance(session, payee, "USD") == 25_00


def test_what_is_taken_back_is_taken_from_whoever_earned_it(payouts: Payouts) -> None:
    payouts.earn(1, 10_00, referral_id=70)
    payouts.earn(2, 10_00, referral_id=80)
    with database().transaction(payouts.shop_id) as session:
        operations.reverse(
            session, payouts.shop_id, partner_id=2, amount=10_00, currency="USD", referral_id=70, key="back",
            explanation={}, at=NOVEMBER,
        )  # fmt: skip
    assert (payouts.balance(1), payouts.balance(2)) == (0, 10_00)


# Months.


def test_a_month_is_closed_once(payouts: Payouts) -> None:
    payouts.earn(1, 30_00)
    payouts.earn(2, 40_00)
    payouts.earn(1, 99_00, at=NOVEMBER)
    first = payouts.close()
    assert [(row.payee_id, row.amount, row.state) for row in first] == [
        (payouts.payee(1).id, 30_00, "open"), (payouts.payee(2).id, 40_00, "open"),
    ]  # fmt: skip
    assert len(payouts.close()) == 2
    assert [row.amount for row in payouts.close(DECEMBER)][2:] == [99_00]


def test_two_clocks_close_a_month_once(payouts: Payouts) -> None:
    for partner in range(1, 8):
        payouts.earn(partner, 30_00)
    with clock.fixed_at(NOVEMBER):
        assert at_once(*[lambda: upkeep.close_months(database())] * 4) == []
    assert len(payouts.statements()) == 7


def test_less_than_the_minimum_is_carried_over(payouts: Payouts) -> None:
    payouts.earn(1, 24_99)
    assert payouts.close() == []
    payouts.earn(1, 1, at=NOVEMBER)
    assert [row.amount for row in payouts.close(DECEMBER)] == [25_00]


def test_months_that_nobody_approved_are_not_counted_twice(payouts: Payouts) -> None:
    payouts.earn(1, 30_00)
    payouts.close()
    payouts.earn(1, 40_00, at=NOVEMBER)
    assert [row.amount for row in payouts.close(DECEMBER)] == [30_00, 40_00]


def test_what_was_paid_after_a_month_had_ended_leaves_the_next_one_whole(payouts: Payouts) -> None:
    october = payouts.owing(1, 50_00)
    payouts.earn(1, 30_00, at=NOVEMBER)
    with clock.fixed_at(DECEMBER):
        payouts.approve(october.id)
        payouts.pay(october.id)
    payouts.earn(1, 77_00, at=DECEMBER)
    assert [row.amount for row in payouts.close(DECEMBER)] == [50_00, 30_00]


def test_currencies_have_statements_of_their_own(payouts: Payouts) -> None:
    payouts.earn(1, 30_00)
    payouts.earn(1, 3_00, currency="EUR")
    assert sorted((row.currency, row.amount) for row in payouts.close()) == [("EUR", 3_00), ("USD", 30_00)]


def test_many_payees_are_closed_in_batches(payouts: Payouts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "CLOSE_BATCH", 3)
    for partner in range(1, 9):
        payouts.earn(partner, 30_00 if partner % 2 else 1_00)
    assert len(payouts.close()) == 4


def test_nothing_is_closed_where_nobody_is_paid(payouts: Payouts, environ: pytest.MonkeyPatch) -> None:
    payouts.earn(1, 30_00)
    environ.setenv("STRIPE_SECRET_KEY", "")
    configured.cache_clear()
    assert payouts.close() == []


def test_an_unknown_statement_refuses_all(payouts: Payouts) -> None:
    payouts.earn(1, 30_00)
    (row,) = payouts.close()
    with pytest.raises(NotFound) as refused:
        payouts.approve(row.id, row.id + 1)
    assert refused.value.extra == {"missing": [str(row.id + 1)]}
    assert payouts.statement(row.id).state == "open"


# Any life: earned, taken back, closed, approved and paid in any order.

STEPS = st.lists(
    st.tuples(st.sampled_from(("earn", "back", "close", "pay", "taken")), st.integers(1, 60_00)), max_size=25
)


@settings(
    max_examples=10, derandomize=True, database=None, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(steps=STEPS)
def test_whatever_happens_nobody_is_paid_more_than_they_earned(payouts: Payouts, steps: list[tuple[str, int]]) -> None:
    partner, moment = next(payouts.numbers) + 1000, OCTOBER
    payouts.stripe.books.fund("usd", 10**12)
    payouts.earn(partner, 25_00)
    payouts.with_account(partner)
    payee = payouts.payee(partner)
    for step, amount in steps:
        moment += timedelta(days=9)
        _happen(payouts, partner, payee, step, amount, moment)
        assert payouts.differences() == []
    entries = payouts.entries(partner)
    owed = sum(amount for kind, amount in entries if kind in ("earned", "reversed"))
    paid = -sum(amount for kind, amount in entries if kind in ("paid", "returned"))
    assert paid == sum(
        made["amount"] - made["amount_reversed"] for made in payouts.stripe.books.transfers(None, payee.account)
    )
    assert payouts.balance(partner) == owed - paid
    assert not any(earlier < 0 for earlier in _balances_when_paid(entries))


def _happen(payouts: Payouts, partner: int, payee: Payee, step: str, amount: int, moment: datetime) -> None:
    mine = [row for row in payouts.statements() if row.payee_id == payee.id]
    if step == "earn":
        payouts.earn(partner, amount, at=moment)
    elif step == "back":
        payouts.take_back(partner, amount, at=moment)
    elif step == "close":
        payouts.close(moment)
    elif step == "pay" and mine:
        payouts.approve(mine[amount % len(mine)].id)
        payouts.work()
    elif step == "taken":
        _take_a_transfer_back(payouts, mine)


def _take_a_transfer_back(payouts: Payouts, mine: list[Statement]) -> None:
    for row in mine:
        if row.state == "paid":
            payouts.stripe.books.reverse(str(row.transfer))
            payouts.stripe.news.settle()
            return


def _balances_when_paid(entries: list[tuple[str, int]]) -> Iterator[int]:
    """What was owed right after each payment."""
    balance = 0
    for kind, amount in entries:
        balance += amount
        if kind == "paid":
            yield balance
