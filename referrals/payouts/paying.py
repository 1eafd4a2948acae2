"""Paying a statement: what is owed is fixed first, then Stripe is asked, then the books say what Stripe has.

    approved ──begin──▶ paying ──▶ paid ──▶ reversed        no transaction is open while Stripe is asked
        ▲                  │
        └── can't be now ──┴── refused ──▶ failed

Whatever ends a worker between two steps, the next one asks Stripe for the transfer of the statement before it asks to
make one, and books it by its id: it is made once and booked once.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, effects, logs
from core.db import Database
from core.money import money_text
from referrals.payouts import queries, rules, stripe
from referrals.payouts.models import Payee, Statement
from referrals.payouts.operations import ACCOUNT, PAY, add, happened, locked_payee
from referrals.payouts.rules import Transfer
from referrals.payouts.stripe import AccountPaused, BadKey, NoBalance, Order, StripeRefused
from shops.models import Shop

WAITS = {
    "new": "waits until they have an account at Stripe",
    "onboarding": "waits until they have told Stripe who they are",
    "restricted": "waits until Stripe lets their account be paid again",
    "rejected": "Stripe has closed their account, so it can't be paid",
}

log = logs.logger(__name__)


def pay(database: Database, shop_id: int, target: str) -> None:
    """Pay an approved statement, or finish paying one. An effect: harmless to repeat.

    Raises StripeAway or BadKey for another try.
    """
    client = stripe.client()
    with database.transaction(shop_id) as session:
        order = begin(session, shop_id, int(target))
    if order is None:
        return
    try:
        made = client.pay(order)
    except StripeRefused as refused:
        with database.transaction(shop_id) as session:
            refuse(session, shop_id, order, refused)
    except BadKey as error:
        _note_error(database, shop_id, order, error.detail)
        raise
    else:
        with database.transaction(shop_id) as session:
            note(session, shop_id, made)


def pay_waiting(database: Database, shop_id: int) -> None:
    """Have those statements paid that nothing works on: the balance was short, or Stripe was away for too long."""
    with database.transaction(shop_id) as session:
        waiting = queries.unattended(session, shop_id, PAY)
        effects.request(session, [effects.Wanted(shop_id, PAY, str(id_)) for id_ in waiting])


def pay_approved_of(session: Session, payee: Payee) -> None:
    """Have a payee's approved statements paid, for now they can be."""
    mine = (Statement.shop_id == payee.shop_id, Statement.payee_id == payee.id, Statement.state == "approved")
    found = session.scalars(sa.select(Statement.id).where(*mine))
    effects.request(session, [effects.Wanted(payee.shop_id, PAY, str(id_)) for id_ in found])


# Before Stripe is asked.


def begin(session: Session, shop_id: int, statement_id: int) -> Order | None:
    """What is to be asked of Stripe for a statement; None when it can't be paid, or is not to be.

    Once begun, it stays the same until Stripe has answered, whatever is earned or taken back meanwhile.
    """
    held = _held(session, shop_id, statement_id)
    if held is None:
        return None
    payee, row = held
    if row.state == "approved":
        _begin(session, payee, row)
    return _order(session, payee, row) if row.state == "paying" else None


def _begin(session: Session, payee: Payee, row: Statement) -> None:
    if payee.state != "active" or not payee.account:
        _wait(session, payee, row, WAITS.get(payee.state, WAITS["new"]))
        return
    owed = rules.payable(row.amount, queries.balance(session, payee, row.currency), queries.under_way(session, row))
    sent = rules.in_stripe(owed, row.currency)
    if sent.stripe == 0:
        _fail(session, payee, row, "commission was taken back since the month was closed, so nothing is owed")
        return
    row.state, row.sent = "paying", sent.minor


def _order(session: Session, payee: Payee, row: Statement) -> Order:
    shop = session.get_one(Shop, row.shop_id)
    group = group_of(shop, row.id)
    named = metadata(shop, payee.id) | {"statement_id": str(row.id), "attempt": str(row.attempt)}
    return Order(
        row.id, row.attempt, f"{group}:{row.attempt}", group, rules.in_stripe(row.sent or 0, row.currency).stripe,
        row.currency, payee.account or "", named,
    )  # fmt: skip


def group_of(shop: Shop, statement_id: int | str) -> str:
    """What the transfers of a statement are called at Stripe. Of all installations only this one has the shop."""
    return f"rapport:{shop.domain}:{statement_id}"


def metadata(shop: Shop, payee_id: int) -> dict[str, str]:
    """By which what Stripe tells of an account or a transfer finds its payee, and people in its dashboard the shop."""
    return {"shop": shop.domain, "shop_id": str(shop.id), "payee_id": str(payee_id)}


# After it.


def note(session: Session, shop_id: int, made: Transfer) -> bool:
    """Make the books say what Stripe says of a transfer, whoever tells, however often, and in whatever order.

    Returns False for a transfer that is not of a statement of this shop.
    """
    statement_id = made.metadata.get("statement_id", "")
    held = _held(session, shop_id, int(statement_id)) if statement_id.isdecimal() and len(statement_id) < 19 else None
    if held is None or not _ours(session, *held, made):
        return False
    payee, row = held
    sent, back = (rules.in_minor(amount, row.currency) for amount in (made.amount, made.returned))
    facts: dict[str, Any] = {"statement_id": row.id, "explanation": _explained(row, made, sent)}
    add(session, payee, "paid", -sent, row.currency, f"transfer:{made.id}", at=made.at, **facts)
    known = queries.returned(session, row, made.id)
    if back > known:
        key = f"transfer:{made.id}:returned:{back}"
        add(session, payee, "returned", back - known, row.currency, key, at=clock.now(), **facts)
    if max(back, known) < sent:
        _settle_paid(row, made, sent)
    else:
        _settle_returned(row, made)
    return True


def _ours(session: Session, payee: Payee, row: Statement, made: Transfer) -> bool:
    same = made.group == group_of(session.get_one(Shop, row.shop_id), row.id) and made.currency == row.currency
    return same and made.destination == payee.account


def _explained(row: Statement, made: Transfer, sent: int) -> dict[str, Any]:
    told = {"transfer": made.id, "month": f"{row.month:%Y-%m}"}
    return told | ({"closed_at": row.amount, "taken_back_since": row.amount - sent} if sent < row.amount else {})


def _settle_paid(row: Statement, made: Transfer, sent: int) -> None:
    if row.state == "paid":
        if row.transfer != made.id:
            log.error("two transfers stand for one statement", statement=row.id, transfer=made.id, other=row.transfer)
        return
    row.state, row.transfer, row.sent, row.error, row.paid_at = "paid", made.id, sent, None, made.at


def _settle_returned(row: Statement, made: Transfer) -> None:
    """A statement goes back only for the transfer that it lives by: an older one's news is in the ledger, and known."""
    present = made.metadata.get("attempt") == str(row.attempt)
    if (row.state == "paid" and row.transfer == made.id) or (row.state == "paying" and present):
        row.state, row.transfer, row.sent, row.attempt = "reversed", made.id, None, row.attempt + 1
        row.error = "the transfer was taken back at Stripe; it is owed again"


def refuse(session: Session, shop_id: int, order: Order, refused: StripeRefused) -> None:
    """Stripe did nothing. What only can't be now stays approved; the rest fails until somebody approves it anew."""
    held = _held(session, shop_id, order.statement_id)
    if held is None or (held[1].state, held[1].attempt) != ("paying", order.attempt):
        return
    payee, row = held
    # Stripe answers the same under the same key, so another try needs another.
    row.attempt, row.sent = row.attempt + 1, None
    if isinstance(refused, NoBalance):
        amount = money_text(rules.in_minor(order.amount, row.currency), row.currency)
        _wait(session, payee, row, f"the balance at Stripe does not cover {amount}; it is tried again every hour")
    elif isinstance(refused, AccountPaused):
        _wait(session, payee, row, WAITS["restricted"])
        effects.request(session, [effects.Wanted(shop_id, ACCOUNT, str(payee.id))])
    else:
        _fail(session, payee, row, refused.detail)


def _wait(session: Session, payee: Payee, row: Statement, error: str) -> None:
    if row.error != error:  # else it is told every hour
        happened(session, payee, "payout.waiting", {"statement": row.id, "reason": error}, clock.now())
    row.state, row.error = "approved", error


def _fail(session: Session, payee: Payee, row: Statement, error: str) -> None:
    row.state, row.error, row.sent = "failed", error, None
    happened(session, payee, "payout.failed", {"statement": row.id, "reason": error}, clock.now())


def _note_error(database: Database, shop_id: int, order: Order, error: str) -> None:
    with database.transaction(shop_id) as session:
        held = _held(session, shop_id, order.statement_id)
        if held and held[1].state == "paying":
            held[1].error = error


def _held(session: Session, shop_id: int, statement_id: int) -> tuple[Payee, Statement] | None:
    """A statement and its payee, both locked, in the order of locks."""
    mine = (Statement.shop_id == shop_id, Statement.id == statement_id)
    payee_id = session.scalar(sa.select(Statement.payee_id).where(*mine))
    if payee_id is None:
        return None
    payee = locked_payee(session, shop_id, payee_id)
    fresh = sa.select(Statement).where(*mine).with_for_update().execution_options(populate_existing=True)
    return payee, session.scalars(fresh).one()
