"""The saga's far side: Shopify is made equal to what a reward's row says, and the row learns how that went.

No transaction is open while Shopify is asked. What Shopify will never do ends the reward (its points come back, or the
member keeps it); what it may do later is raised, so that the effect is tried again.
"""

import sqlalchemy as sa

from core import clock, effects, logs
from core.db import Database
from core.errors import Unavailable, one_line
from loyalty.models import Member
from loyalty.rewards import operations, rules, shopify
from loyalty.rewards.inputs import Task
from loyalty.rewards.models import MemberReward
from shops.admin import Admin, AdminRefused

log = logs.logger(__name__)


def issue(database: Database, shop_id: int, target: str) -> None:
    """Carry out what a reward waits for: being made, or being taken back. An effect: harmless to repeat.

    Raises PermanentFailure for a shop that has left, NotAuthenticated and Unavailable for another try.
    """
    task = _task(database, shop_id, int(target))
    if task is None:
        return
    if not task.customer_id:
        _settle_refused(database, task, "the customer is gone")
        return
    with Admin.of(database, shop_id) as admin:
        try:
            _carry_out(database, admin, task)
        except AdminRefused as refused:
            _settle_refused(database, task, refused.detail)


def _carry_out(database: Database, admin: Admin, task: Task) -> None:
    if task.status == "issuing" and task.expires_at and task.expires_at <= clock.now():
        _settle_by_what_is(database, admin, task, "its days were over before Shopify could be told")
    elif task.status == "issuing":
        _made(database, admin, task, shopify.make(database, admin, task))
    else:
        unused = shopify.take_back(database, admin, task)
        if task.status == "returning":
            _mark_returned(database, task, unused=unused)


def _settle_by_what_is(database: Database, admin: Admin, task: Task, missing: str) -> None:
    """Nothing is made any more: what Shopify does not have by now is paid back."""
    reference = shopify.find(database, admin, task)
    if reference is None:
        _settle_refused(database, task, missing)
    else:
        _made(database, admin, task, reference)


def _made(database: Database, admin: Admin, task: Task, reference: str) -> None:
    if not _mark_issued(database, task, reference):
        _withdraw(database, admin, task)


def _task(database: Database, shop_id: int, reward_id: int) -> Task | None:
    """The reward as it is now, if it waits for something: a failed one for a withdrawal that did not succeed."""
    with database.transaction(shop_id) as session:
        row = session.get(MemberReward, (shop_id, reward_id))
        if row is None or row.status not in ("issuing", "returning", "failed"):
            return None
        member = session.get_one(Member, (shop_id, row.member_id))
        reward = operations.terms_of(row)
        last_day = rules.last_day(reward, row.requested_at, operations.zone_of(session, row))
    return Task(
        shop_id, reward_id, row.member_id, row.status, row.code, reward, row.amount, row.currency,
        member.customer_id or 0, row.requested_at, row.expires_at, last_day, row.reference,
    )  # fmt: skip


def _mark_issued(database: Database, task: Task, reference: str) -> bool:
    with database.transaction(task.shop_id) as session:
        return operations.mark_issued(session, task.shop_id, task.reward_id, reference)


def _mark_returned(database: Database, task: Task, *, unused: bool) -> None:
    with database.transaction(task.shop_id) as session:
        if unused:
            operations.mark_returned(session, task.shop_id, task.reward_id)
        else:
            error = "it was used in Shopify before it could be taken back"
            operations.mark_kept(session, task.shop_id, task.reward_id, used=True, error=error)


def _withdraw(database: Database, admin: Admin, task: Task) -> None:
    """While Shopify was asked, the repair gave up on the reward and its points went back: nobody may have both."""
    with database.transaction(task.shop_id) as session:
        row = session.get_one(MemberReward, (task.shop_id, task.reward_id))
    if row.status not in rules.PAID:
        shopify.take_back(database, admin, task)


def _settle_refused(database: Database, task: Task, error: str) -> None:
    """Shopify will never do it: a reward that can't be made is paid back, one that can't be taken back is kept."""
    log.warning("shopify refused a reward", shop_id=task.shop_id, reward_id=task.reward_id, error=error)
    with database.transaction(task.shop_id) as session:
        if task.status == "issuing":
            operations.mark_failed(session, task.shop_id, task.reward_id, error)
        else:
            operations.mark_kept(session, task.shop_id, task.reward_id, used=False, error=error)


# The repair: rewards whose effect gave up or was lost.


def repair(database: Database, shop_id: int, reward_id: int) -> None:
    """Settle a reward that nobody works on any more, one way or the other, by what Shopify shows.

    Raises as `issue` does while Shopify can't
    be asked; then the next repair will.
    """
    task = _task(database, shop_id, reward_id)
    if task is not None and task.status == "issuing" and task.customer_id:
        _repair_issuing(database, task)
    elif task is not None:
        issue(database, shop_id, str(reward_id))
    _clear_effect(database, shop_id, reward_id)


def _repair_issuing(database: Database, task: Task) -> None:
    with Admin.of(database, task.shop_id) as admin:
        try:
            _settle_by_what_is(database, admin, task, "Shopify could not be reached for too long")
        except AdminRefused as refused:
            _settle_refused(database, task, refused.detail)


def _clear_effect(database: Database, shop_id: int, reward_id: int) -> None:
    """What gave up is settled now, so it needs nobody's attention."""
    table = effects.Effect
    with database.transaction(shop_id) as session:
        session.execute(
            sa.delete(table).where(
                table.shop_id == shop_id,
                table.kind == operations.EFFECT,
                table.target == str(reward_id),
                table.state == "failed",
            )
        )


def repair_all(database: Database, stuck: list[tuple[int, int]]) -> int:
    """Repair these (shop, reward); one that fails delays no other. Returns how many were settled."""
    settled = 0
    for shop_id, reward_id in stuck:
        try:
            repair(database, shop_id, reward_id)
            settled += 1
        except Exception as error:
            level = log.info if isinstance(error, Unavailable) else log.warning
            level("reward not repaired", shop_id=shop_id, reward_id=reward_id, error=one_line(error))
    return settled
