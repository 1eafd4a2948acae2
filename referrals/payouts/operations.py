"""The only writers of the commission ledger and of statements. Each takes a session and never commits.

Locks come in one order: payees by id, then statements by id. A payee's entries are added under the payee's lock, so
their ids follow the order in which they can be seen.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import clock, effects
from core.errors import InvalidInput, NotFound
from core.events import Happened, record
from core.i18n import _
from core.money import MAX_MINOR, minor_digits
from loyalty import programs
from loyalty.models import Member
from referrals.payouts import queries, rules
from referrals.payouts.models import CommissionEntry, Payee, Statement
from shops.models import Shop

PAY = "payout.transfer"
ACCOUNT = "payout.account"
CLOSE_BATCH = 200
MOST_APPROVED = 500


# The ledger.


def earn(
    session: Session,
    shop_id: int,
    *,
    member_id: int | None = None,
    partner_id: int | None = None,
    amount: int,
    currency: str,
    referral_id: int | None,
    key: str,
    explanation: Mapping[str, Any],
    at: datetime,
    actor: str = "system",
) -> bool:
    """Add commission that a member or a partner has earned, in minor units. The same `key` adds nothing, nor does 0.

    Returns whether it was added. Raises InvalidInput for an amount or a currency that can't be.
    """
    if not _adds(amount, currency):
        return False
    payee = payee_of(session, shop_id, member_id=member_id, partner_id=partner_id)
    facts: dict[str, Any] = {"referral_id": referral_id, "explanation": explanation, "at": at, "actor": actor}
    return add(session, payee, "earned", amount, currency, key, **facts)


def reverse(
    session: Session,
    shop_id: int,
    *,
    member_id: int | None = None,
    partner_id: int | None = None,
    amount: int,
    currency: str,
    referral_id: int | None,
    key: str,
    explanation: Mapping[str, Any],
    at: datetime,
    actor: str = "system",
) -> bool:
    """Take commission back, from whoever earned it for this referral; else as `earn`.

    What was paid out already makes the balance negative, and less is paid the next time.
    """
    if not _adds(amount, currency):
        return False
    payee_id = queries.earner(session, shop_id, referral_id, currency) if referral_id else None
    if payee_id is None:
        payee_id = payee_of(session, shop_id, member_id=member_id, partner_id=partner_id).id
    payee = locked_payee(session, shop_id, payee_id)
    facts: dict[str, Any] = {"referral_id": referral_id, "explanation": explanation, "at": at, "actor": actor}
    return add(session, payee, "reversed", -amount, currency, key, **facts)


def _adds(amount: int, currency: str) -> bool:
    minor_digits(currency)
    if not 0 <= amount <= MAX_MINOR:
        raise InvalidInput(_("commission is no amount below 0"), code="bad_amount")
    return amount > 0


def add(
    session: Session,
    payee: Payee,
    kind: str,
    amount: int,
    currency: str,
    key: str,
    *,
    explanation: Mapping[str, Any],
    at: datetime,
    referral_id: int | None = None,
    statement_id: int | None = None,
    actor: str = "stripe",
) -> bool:
    """Add an entry of a locked payee, `amount` signed as they see it. Returns False where the key was there before."""
    row = {
        "shop_id": payee.shop_id, "payee_id": payee.id, "kind": kind, "amount": amount, "currency": currency,
        "referral_id": referral_id, "statement_id": statement_id, "key": key, "explanation": dict(explanation),
        "actor": actor, "occurred_at": at, "recorded_at": clock.now(),
    }  # fmt: skip
    added = insert(CommissionEntry).values(row).on_conflict_do_nothing().returning(CommissionEntry.id)
    if session.scalar(added) is None:
        return False
    told = {
        "payee": payee.id, "amount": amount, "currency": currency, "referral": referral_id, "statement": statement_id,
    }  # fmt: skip
    happened(session, payee, f"payout.{kind}", told, at, actor)
    return True


def happened(
    session: Session, payee: Payee, kind: str, data: dict[str, Any], at: datetime, actor: str = "stripe"
) -> None:
    """Record an event, on the timeline of the member whom it is about."""
    record(session, [Happened(payee.shop_id, kind, data, at, payee.member_id, actor=actor)])


def payee_of(session: Session, shop_id: int, *, member_id: int | None = None, partner_id: int | None = None) -> Payee:
    """Who is paid for a member or a partner: made at first asking, and locked. Of a merged member, whom they became."""
    if (member_id is None) == (partner_id is None):
        raise ValueError("a payee is either a member or a partner")
    if member_id is not None:
        member_id = _survivor(session, shop_id, member_id)
        _follow_merge(session, shop_id, member_id)
    row = {"shop_id": shop_id, "member_id": member_id, "partner_id": partner_id, "state": "new"}
    session.execute(insert(Payee).values(row | {"created_at": clock.now()}).on_conflict_do_nothing())
    one = Payee.member_id == member_id if member_id is not None else Payee.partner_id == partner_id
    return session.scalars(sa.select(Payee).where(Payee.shop_id == shop_id, one).with_for_update()).one()


def locked_payee(session: Session, shop_id: int, payee_id: int) -> Payee:
    """Raises NotFound."""
    found = session.get(Payee, (shop_id, payee_id), with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound(_("there is nobody with this id to be paid"), code="no_payee")
    return found


def _survivor(session: Session, shop_id: int, member_id: int) -> int:
    became = sa.func.coalesce(Member.merged_into, Member.id)
    return session.scalar(sa.select(became).where(Member.shop_id == shop_id, Member.id == member_id)) or member_id


def _follow_merge(session: Session, shop_id: int, member_id: int) -> None:
    """Who became another member keeps their account at Stripe, unless the other has one of their own."""
    merged = sa.select(Member.id).where(Member.shop_id == shop_id, Member.merged_into == member_id)
    mine = sa.select(Payee.id).where(Payee.shop_id == shop_id, Payee.member_id == member_id)
    first = sa.select(sa.func.min(Payee.id)).where(Payee.shop_id == shop_id, Payee.member_id.in_(merged))
    moved = sa.update(Payee).where(Payee.shop_id == shop_id, Payee.id == first.scalar_subquery(), ~mine.exists())
    session.execute(moved.values(member_id=member_id))


# Statements.


def close(session: Session, shop_id: int, *, now: datetime, after: int = 0) -> int | None:
    """Make the statements of the month that is over in the shop's zone, for a batch of payees with ids above `after`.

    Returns the last payee looked at, None when there are no more. Whoever is owed less than the program's minimum, or
    nothing, is carried over. A month that was closed stays closed.
    """
    shop = session.get_one(Shop, shop_id)
    program = programs.load(session, [shop_id]).in_force(shop_id, now).program
    month = rules.month_before(now, program.zone)
    payees = queries.unclosed(session, shop_id, month, after=after, limit=CLOSE_BATCH)
    locked = sa.select(Payee).where(Payee.shop_id == shop_id, Payee.id.in_(payees)).order_by(Payee.id)
    held = {payee.id: payee for payee in session.scalars(locked.with_for_update())}
    for owed in queries.owed(session, shop_id, month, list(held)):
        # The minimum is told in the shop's currency; what is owed in one it had before is paid whatever it is.
        least = program.referral.minimum_payout if owed.currency == shop.currency else 1
        if owed.amount >= max(least, 1):
            _close(session, held[owed.payee_id], month, owed, now)
    return payees[-1] if len(payees) == CLOSE_BATCH else None


def _close(session: Session, payee: Payee, month: rules.Month, owed: queries.Owed, now: datetime) -> None:
    row = {
        "shop_id": payee.shop_id, "payee_id": payee.id, "month": month.first, "currency": owed.currency,
        "amount": owed.amount, "last_entry": owed.last_entry, "state": "open", "created_at": now,
    }  # fmt: skip
    made = session.scalar(insert(Statement).values(row).on_conflict_do_nothing().returning(Statement.id))
    if made is not None:
        told = {"statement": made, "month": f"{month.first:%Y-%m}", "amount": owed.amount, "currency": owed.currency}
        happened(session, payee, "payout.closed", told, now, "system")


def approve(session: Session, shop_id: int, statement_ids: Sequence[int], *, actor: str) -> list[Statement]:
    """Have statements paid; those that failed or came back are tried anew. What is approved already stays as it is.

    Returns them by id. Raises NotFound (`no_statement`, with `missing`) and approves none when one is unknown.
    """
    ids = sorted(set(statement_ids))
    mine = sa.select(Statement).where(Statement.shop_id == shop_id, Statement.id.in_(ids)).order_by(Statement.id)
    rows = list(session.scalars(mine.with_for_update().execution_options(populate_existing=True)))
    if missing := sorted(set(ids) - {row.id for row in rows}):
        named = ", ".join(map(str, missing[:5]))
        raise NotFound(f"there is no statement {named}", code="no_statement", missing=[str(id_) for id_ in missing])
    fresh = [row for row in rows if row.state in ("open", "failed", "reversed")]
    for row in fresh:
        _approve(session, row, actor)
    effects.request(session, [effects.Wanted(shop_id, PAY, str(row.id)) for row in fresh])
    return rows


def _approve(session: Session, row: Statement, actor: str) -> None:
    now = clock.now()
    row.state, row.error, row.sent = "approved", None, None
    row.approved_by, row.approved_at = actor, now
    told = {"statement": row.id, "amount": row.amount, "currency": row.currency, "attempt": row.attempt}
    happened(session, session.get_one(Payee, (row.shop_id, row.payee_id)), "payout.approved", told, now, actor)
