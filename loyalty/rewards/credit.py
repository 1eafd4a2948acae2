"""Store credit, whose calls nothing makes idempotent: each is noted before it is made, and one whose answer was lost
is looked for among the account's transactions before another is made. So it is never given twice and never lost.

A transaction carries no mark of ours, so one is taken for ours by its amount and time, and only once. Money is alike:
if two calls of one customer take each other's, both have still been carried out.
"""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.db import Database
from core.errors import NotAuthenticated, Unavailable
from core.money import to_minor
from loyalty.operations import locked_member
from loyalty.rewards import inputs
from loyalty.rewards.inputs import Task
from loyalty.rewards.models import MemberReward, RewardCall
from shops.admin import Admin, AdminRefused, Ambiguous

CREDIT, DEBIT = "store_credit_credit", "store_credit_debit"
# A call whose answer was lost may still be under way; after so long it has been carried out or never will be.
SETTLES_WITHIN = timedelta(minutes=1)
# How far Shopify's clock may be behind ours.
SKEW = timedelta(minutes=2)
# The newest transactions of an account that are looked through.
LOOKED_THROUGH = 50
_TYPES = {CREDIT: "StoreCreditAccountCreditTransaction", DEBIT: "StoreCreditAccountDebitTransaction"}


def move(database: Database, admin: Admin, task: Task, document: str) -> str:
    """Credit or debit once, however often it is called. Returns the transaction's id.

    Raises Unavailable while the last call may still be under way, and what `shops.admin.Admin.call` raises.
    """
    last = _last(database, task, document)
    if last is not None and last.outcome == "done":
        return str(last.reference)
    if last is not None and last.ended_at is None:
        found = _reconcile(database, admin, task, last)
        if found is not None:
            return found
    return _call(database, admin, task, document)


def find(database: Database, admin: Admin, task: Task, document: str) -> str | None:
    """The transaction of a credit or debit that was made, or None. Raises Unavailable while that can't be said."""
    last = _last(database, task, document)
    if last is None or last.outcome == "done":
        return None if last is None else last.reference
    return _reconcile(database, admin, task, last) if last.ended_at is None else None


def take_back(database: Database, admin: Admin, task: Task) -> bool:
    """Debit what was credited. False when the account holds less than that: it was spent."""
    if find(database, admin, task, CREDIT) is None:
        return True
    try:
        move(database, admin, task, DEBIT)
    except AdminRefused as refused:
        if refused.codes & {"INSUFFICIENT_FUNDS", "ACCOUNT_NOT_FOUND"}:
            return False
        raise
    return True


def _last(database: Database, task: Task, document: str) -> RewardCall | None:
    with database.transaction(task.shop_id) as session:
        return session.scalar(
            sa.select(RewardCall)
            .where(
                RewardCall.shop_id == task.shop_id,
                RewardCall.reward_id == task.reward_id,
                RewardCall.document == document,
            )
            .order_by(RewardCall.id.desc())
            .limit(1)
        )


def _call(database: Database, admin: Admin, task: Task, document: str) -> str:
    call_id = _begin(database, task, document)
    try:
        answer = _ask(admin, task, document)
    except Ambiguous:
        raise
    except AdminRefused:
        _end(database, task, call_id, "refused")
        raise
    except (Unavailable, NotAuthenticated):
        _end(database, task, call_id, "not_made")
        raise
    ((_, payload),) = answer.items()
    return _claim(database, task, call_id, str(payload["storeCreditAccountTransaction"]["id"]))


def _ask(admin: Admin, task: Task, document: str) -> dict[str, Any]:
    if document == CREDIT:
        return admin.call(document, id=task.customer, credit=inputs.store_credit(task))
    return admin.call(document, id=task.customer, debit={"debitAmount": task.money})


def _begin(database: Database, task: Task, document: str) -> int:
    """Committed before the call leaves: a call that nobody noted could not be looked for."""
    with database.transaction(task.shop_id) as session:
        call = RewardCall(shop_id=task.shop_id, reward_id=task.reward_id, document=document, began_at=clock.now())
        session.add(call)
        session.flush()
        return call.id


def _end(database: Database, task: Task, call_id: int, outcome: str) -> None:
    with database.transaction(task.shop_id) as session:
        _write(session, task, call_id, outcome, None)


def _write(session: Session, task: Task, call_id: int, outcome: str, reference: str | None) -> None:
    session.execute(
        sa.update(RewardCall)
        .where(RewardCall.shop_id == task.shop_id, RewardCall.id == call_id)
        .values(outcome=outcome, reference=reference, ended_at=clock.now())
    )


def _claim(database: Database, task: Task, call_id: int, reference: str) -> str:
    """The transaction is this call's, unless another call, unsure of its own, took it first: then that one's is ours
    to look for, or to make. Raises Unavailable for that."""
    with database.transaction(task.shop_id) as session:
        locked_member(session, task.shop_id, task.member_id)
        free = reference not in _claimed(session, task)
        _write(session, task, call_id, "done" if free else "not_made", reference if free else None)
    if not free:
        raise Unavailable("another reward of this customer took this transaction for its own")
    return reference


def _claimed(session: Session, task: Task) -> set[str | None]:
    theirs = sa.select(MemberReward.id).where(
        MemberReward.shop_id == task.shop_id, MemberReward.member_id == task.member_id
    )
    calls = sa.select(RewardCall.reference).where(
        RewardCall.shop_id == task.shop_id, RewardCall.reward_id.in_(theirs), RewardCall.reference.is_not(None)
    )
    return set(session.scalars(calls))


def _reconcile(database: Database, admin: Admin, task: Task, call: RewardCall) -> str | None:
    """What became of a call whose answer was lost: its transaction, or None once it is sure that there is none."""
    listed = _transactions(admin, task, call)
    with database.transaction(task.shop_id) as session:
        claimed = _claimed(session, task)
    for reference in listed:
        if reference not in claimed:
            return _claim(database, task, call.id, reference)
    if clock.now() < call.began_at + SETTLES_WITHIN:
        raise Unavailable("Shopify may still be carrying out the last call")
    _end(database, task, call.id, "not_made")
    return None


def _transactions(admin: Admin, task: Task, call: RewardCall) -> list[str]:
    """The transactions that may be this call's, oldest first."""
    customer = admin.call("store_credit_transactions", id=task.customer, first=LOOKED_THROUGH)["customer"]
    if customer is None:
        raise AdminRefused("the customer is gone")
    every = [one for account in customer["storeCreditAccounts"]["nodes"] for one in account["transactions"]["nodes"]]
    ours = [one for one in every if one["__typename"] == _TYPES[call.document] and _fits(one, task, call)]
    return [str(one["id"]) for one in sorted(ours, key=lambda one: str(one["createdAt"]))]


def _fits(one: dict[str, Any], task: Task, call: RewardCall) -> bool:
    amount = one["amount"]
    if amount["currencyCode"] != task.currency or abs(to_minor(amount["amount"], task.currency)) != task.amount:
        return False
    return datetime.fromisoformat(one["createdAt"]) >= call.began_at - SKEW
