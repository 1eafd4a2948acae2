"""Statements are paid once, whatever Stripe, the network and our own workers do; and the books agree with Stripe."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock, effects
from core.db import database
from core.effects import Effect
from core.events import Event
from referrals.payouts import paying
from referrals.payouts import stripe as client
from shops.models import Shop
from tests.referrals.payouts.rig import DECEMBER, NOVEMBER, Payouts
from tests.webhooks.rig import at_once


def effect_of(payouts: Payouts, id_: int) -> Effect | None:
    with database().transaction(payouts.shop_id) as session:
        return session.get(Effect, (payouts.shop_id, "payout.transfer", str(id_)))


def later(payouts: Payouts, **ahead: float) -> None:
    """Work as if so much time had passed."""
    with clock.fixed_at(clock.now() + timedelta(**ahead)):
        payouts.work()


def events(payouts: Payouts, kind: str) -> list[Any]:
    with database().transaction(payouts.shop_id) as session:
        return list(session.scalars(sa.select(Event.data).where(Event.kind == kind).order_by(Event.id)))


def test_an_approved_statement_is_paid(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    payouts.work()
    row = payouts.statement(row.id)
    (made,) = payouts.stripe.books.transfers()
    assert (row.state, row.sent, row.transfer, row.error) == ("paid", 40_00, made["id"], None)
    with database().transaction(payouts.shop_id) as session:
        domain = session.get_one(Shop, payouts.shop_id).domain
    assert made["metadata"] == {
        "shop": domain, "shop_id": str(payouts.shop_id), "payee_id": str(row.payee_id),
        "statement_id": str(row.id), "attempt": "1",
    }  # fmt: skip
    assert payouts.entries(1) == [("earned", 40_00), ("paid", -40_00)]
    assert payouts.balance(1) == 0
    assert payouts.differences() == []
    assert payouts.paid() == {"USD": 40_00}
    assert payouts.stripe.books.totals() == {"usd": 40_00}


def test_approving_and_paying_again_changes_nothing(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    for _ in range(3):
        payouts.approve(row.id)
        payouts.work()
        payouts.pay(row.id)
    assert len(payouts.stripe.books.transfers()) == 1
    assert len(payouts.entries(1)) == 2
    assert len(events(payouts, "payout.approved")) == 1


@pytest.mark.parametrize("fault", ["hang_up_after", "hang_up_before", "html", "503", "429", "409"])
def test_a_transfer_that_got_no_answer_moves_money_once(payouts: Payouts, fault: str) -> None:
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    payouts.stripe.news.held = True  # so that nobody else tells us what became of it
    payouts.stripe.faults.plan(fault, "transfers.create")
    payouts.work()
    assert payouts.statement(row.id).state == "paying"
    assert payouts.paid() == {}
    waiting = effect_of(payouts, row.id)
    assert waiting
    assert waiting.state == "waiting"
    assert "asked again" in str(waiting.error)
    later(payouts, seconds=5)
    assert payouts.statement(row.id).state == "paid"
    assert payouts.stripe.books.totals() == {"usd": 40_00}
    assert payouts.paid() == {"USD": 40_00}
    assert payouts.differences() == []


def test_a_transfer_whose_answer_comes_too_late_moves_money_once(
    payouts: Payouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    payouts.stripe.news.held = True
    monkeypatch.setattr(client, "TIMEOUT", (1.0, 0.2))
    client._client.cache_clear()
    payouts.stripe.faults.plan("delay", "transfers.create", seconds=0.5)
    payouts.work()
    assert payouts.statement(row.id).state == "paying"
    client._client.cache_clear()
    monkeypatch.undo()
    later(payouts, seconds=5)
    assert len(payouts.stripe.books.transfers()) == 1
    assert payouts.statement(row.id).state == "paid"
    assert payouts.differences() == []


def test_an_error_that_stripe_remembers_is_outlived(payouts: Payouts) -> None:
    """Under its key Stripe answers 500 for a day. Then the key is forgotten, and the transfer is made."""
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    payouts.stripe.faults.plan("500", "transfers.create")
    payouts.work()
    later(payouts, seconds=5)
    assert payouts.statement(row.id).state == "paying"
    assert payouts.stripe.books.transfers() == []
    begun = payouts.stripe.keys.clock()
    payouts.stripe.keys.clock = lambda: begun + 25 * 3600
    later(payouts, hours=25)
    assert payouts.statement(row.id).state == "paid"
    assert payouts.differences() == []


def test_after_a_day_a_transfer_that_was_made_is_found_though_its_key_is_forgotten(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    payouts.stripe.news.held = True
    payouts.stripe.faults.plan("hang_up_after", "transfers.create")
    payouts.work()
    payouts.stripe.keys.kept.clear()
    later(payouts, hours=30)
    assert len(payouts.stripe.books.transfers()) == 1
    assert payouts.statement(row.id).state == "paid"
    assert payouts.differences() == []


def test_a_worker_killed_between_answer_and_commit_pays_once(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    payouts.stripe.news.held = True
    with database().transaction(payouts.shop_id) as session:
        order = paying.begin(session, payouts.shop_id, row.id)
    assert order is not None
    client.client().pay(order)  # and here the worker dies
    payouts.earn(1, 10_00, at=NOVEMBER)  # which must not change what is asked for
    payouts.work()
    assert payouts.statement(row.id).state == "paid"
    assert payouts.balance(1) == 10_00
    assert payouts.stripe.books.totals() == {"usd": 40_00}
    assert payouts.differences() == []


def test_news_of_a_transfer_is_enough_when_its_answer_was_lost(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    payouts.stripe.faults.plan("hang_up_after", "transfers.create")
    payouts.work()
    assert payouts.statement(row.id).state == "paid"
    assert payouts.differences() == []
    later(payouts, seconds=5)
    assert len(payouts.entries(1)) == 2


def test_workers_and_approvers_at_once_pay_once(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    errors = at_once(*[lambda: payouts.approve(row.id) and None] * 4)
    assert errors == []
    assert len(events(payouts, "payout.approved")) == 1
    payouts.stripe.faults.plan("delay", "transfers.create", seconds=0.1)
    at_once(*[lambda: payouts.pay(row.id)] * 5)  # some hear that another is at work
    payouts.pay(row.id)
    assert len(payouts.stripe.books.transfers()) == 1
    assert payouts.entries(1) == [("earned", 40_00), ("paid", -40_00)]
    assert payouts.differences() == []


def test_what_was_taken_back_since_is_not_paid(payouts: Payouts) -> None:
    row = payouts.owing(1, 50_00)
    payouts.take_back(1, 10_00)
    payouts.approve(row.id)
    payouts.work()
    row = payouts.statement(row.id)
    assert (row.state, row.amount, row.sent) == ("paid", 50_00, 40_00)
    with database().transaction(payouts.shop_id) as session:
        (told,) = session.scalars(sa.text("SELECT explanation FROM commission_entries WHERE kind = 'paid'"))
    assert (told["closed_at"], told["taken_back_since"]) == (50_00, 10_00)
    assert payouts.balance(1) == 0
    assert payouts.differences() == []


def test_nothing_is_paid_when_all_was_taken_back(payouts: Payouts) -> None:
    row = payouts.owing(1, 50_00)
    payouts.take_back(1, 60_00)
    payouts.approve(row.id)
    payouts.work()
    row = payouts.statement(row.id)
    assert row.state == "failed"
    assert "nothing is owed" in str(row.error)
    assert payouts.stripe.books.transfers() == []
    payouts.earn(1, 45_00, at=NOVEMBER)
    second = payouts.close(DECEMBER)[-1]
    assert second.amount == 35_00
    assert payouts.balance(1) == 35_00


def test_two_statements_never_pay_more_than_is_owed(payouts: Payouts) -> None:
    first = payouts.owing(1, 50_00)
    payouts.earn(1, 30_00, at=NOVEMBER)
    second = payouts.close(DECEMBER)[-1]
    assert (first.amount, second.amount) == (50_00, 30_00)
    payouts.take_back(1, 40_00, at=DECEMBER)
    payouts.approve(first.id, second.id)
    at_once(lambda: payouts.pay(first.id), lambda: payouts.pay(second.id))
    payouts.work()
    assert sum(row.sent or 0 for row in payouts.statements()) == 40_00 == payouts.paid()["USD"]
    assert payouts.balance(1) == 0
    assert payouts.differences() == []


def test_a_short_balance_is_said_and_tried_again_with_another_key(payouts: Payouts) -> None:
    payouts.stripe.books.fund("usd", 10_00)
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    for _ in range(3):
        payouts.work()
        paying.pay_waiting(database(), payouts.shop_id)
    row = payouts.statement(row.id)
    assert row.state == "approved"
    assert row.error == ("the balance at Stripe does not cover $40.00; it is tried again every hour")
    assert len(events(payouts, "payout.waiting")) == 1
    payouts.stripe.books.fund("usd", 100_00)
    payouts.work()
    row = payouts.statement(row.id)
    assert (row.state, row.error) == ("paid", None)
    assert payouts.differences() == []
    assert payouts.stripe.books.balance() == {"usd": 60_00}


def test_an_account_restricted_on_the_way_is_paid_when_stripe_lets_it(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    account = str(payouts.payee(1).account)
    payouts.stripe.news.held = True  # Stripe's word comes late: we still believe that it can be paid
    payouts.stripe.books.restrict(account)
    payouts.approve(row.id)
    payouts.work()
    row = payouts.statement(row.id)
    assert row.state == "approved"
    assert row.error == "waits until Stripe lets their account be paid again"
    payee = payouts.payee(1)
    assert (payee.state, payee.needs) == ("restricted", ["identity"])
    assert payouts.stripe.books.transfers() == []
    payouts.stripe.news.held = False
    payouts.stripe.books.finish(account)
    payouts.stripe.news.settle()
    payouts.work()
    assert payouts.statement(row.id).state == "paid"
    assert payouts.differences() == []


def test_somebody_without_an_account_is_waited_for(payouts: Payouts) -> None:
    payouts.earn(1, 40_00)
    (row,) = payouts.close()
    payouts.approve(row.id)
    payouts.work()
    assert payouts.statement(row.id).error == "waits until they have an account at Stripe"
    payouts.with_account(1)
    payouts.work()
    assert payouts.statement(row.id).state == "paid"


def test_a_currency_that_an_account_can_not_take_fails_and_pays_nothing(payouts: Payouts) -> None:
    payouts.stripe.books.fund("eur", 1000_00)
    row = payouts.owing(1, 40_00, currency="EUR")
    payouts.approve(row.id)
    payouts.work()
    row = payouts.statement(row.id)
    assert row.state == "failed"
    assert str(row.error).startswith("Stripe refused: Invalid currency: eur")
    assert payouts.stripe.books.transfers() == []
    assert payouts.balance(1, "EUR") == 40_00
    assert payouts.differences() == []


def test_an_account_abroad_can_only_receive_and_is_paid_in_its_currency(payouts: Payouts) -> None:
    payouts.stripe.books.fund("eur", 1000_00)
    row = payouts.owing(1, 40_00, currency="EUR", country="DE")
    assert payouts.stripe.books.accounts()[0]["tos_acceptance"] == {"service_agreement": "recipient"}
    payouts.approve(row.id)
    payouts.work()
    assert payouts.statement(row.id).state == "paid"
    assert payouts.stripe.books.totals() == {"eur": 40_00}


@pytest.mark.parametrize(
    ("currency", "country", "owed", "sent", "at_stripe"),
    [
        ("JPY", "JP", 4000, 4000, 4000),
        ("KWD", "KW", 12_345, 12_340, 12_340),
        ("ISK", "IS", 500, 500, 50_000),
        ("MGA", "MG", 12_345, 12_300, 123),
    ],
)
def test_stripe_is_asked_in_its_own_units(
    payouts: Payouts, currency: str, country: str, owed: int, sent: int, at_stripe: int
) -> None:
    payouts.stripe.books.fund(currency.lower(), 10**9)
    row = payouts.owing(1, owed, currency=currency, country=country)
    payouts.approve(row.id)
    payouts.work()
    assert payouts.statement(row.id).sent == sent
    assert payouts.stripe.books.totals() == {currency.lower(): at_stripe}
    assert payouts.balance(1, currency) == owed - sent
    assert payouts.differences() == []


def test_a_transfer_taken_back_is_owed_again_and_can_be_paid_anew(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    payouts.work()
    payouts.stripe.books.reverse(str(payouts.statement(row.id).transfer))
    payouts.stripe.news.settle()
    row = payouts.statement(row.id)
    assert (row.state, row.attempt, row.sent) == ("reversed", 2, None)
    assert payouts.balance(1) == 40_00
    assert payouts.differences() == []
    payouts.approve(row.id)
    payouts.work()
    assert payouts.statement(row.id).state == "paid"
    assert payouts.stripe.books.totals() == {"usd": 40_00}
    assert payouts.balance(1) == 0
    assert payouts.differences() == []


def test_a_part_taken_back_is_owed_again_next_month(payouts: Payouts) -> None:
    row = payouts.owing(1, 90_00)
    payouts.approve(row.id)
    payouts.work()
    made = str(payouts.statement(row.id).transfer)
    payouts.stripe.books.reverse(made, 10_00)
    payouts.stripe.books.reverse(made, 20_00)
    payouts.stripe.news.settle()
    assert payouts.statement(row.id).state == "paid"
    assert payouts.balance(1) == 30_00
    assert payouts.differences() == []
    assert payouts.close(DECEMBER)[-1].amount == 30_00


def test_the_proof_sees_what_does_not_agree(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    payouts.work()
    assert payouts.differences() == []
    payouts.stripe.news.held = True
    payouts.stripe.books.reverse(str(payouts.statement(row.id).transfer))
    (found,) = payouts.differences()
    assert (found.ledger, found.other) == (40_00, 0)


def test_the_proof_on_the_command_line(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    payouts.work()
    run = payouts.store.app.test_cli_runner()
    good = run.invoke(args=["payouts", "verify"])
    assert (good.exit_code, good.output) == (0, "$40.00 paid out; transfers at Stripe 1, differences 0\n")
    payouts.stripe.news.held = True
    payouts.stripe.books.reverse(str(payouts.statement(row.id).transfer))
    bad = run.invoke(args=["payouts", "verify"])
    assert bad.exit_code == 1
    assert "ledger 4000, other 0" in bad.output


def test_an_effect_that_gave_up_is_taken_up_again(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    payouts.stripe.faults.plan("401", "transfers.list", times=20)
    moment = clock.now()
    for _ in range(len(effects.BACK_OFF) + 1):
        moment += timedelta(hours=8)
        with clock.fixed_at(moment):
            payouts.work()
    gave_up = effect_of(payouts, row.id)
    assert gave_up
    assert gave_up.state == "failed"
    assert payouts.statement(row.id).error == "Stripe does not accept STRIPE_SECRET_KEY for this"
    payouts.stripe.faults.clear()
    paying.pay_waiting(database(), payouts.shop_id)
    payouts.work()
    row = payouts.statement(row.id)
    assert (row.state, row.error) == ("paid", None)
