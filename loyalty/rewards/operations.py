"""The only writers of rewards. Each takes a session and never commits.

Locks come in one order: members, then their rewards, then stock.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import clock, crypto, effects
from core.db import rows_by
from core.errors import Conflict, InvalidInput, NotFound
from core.events import Happened, record
from core.i18n import N_, _
from loyalty import programs
from loyalty.models import Member
from loyalty.operations import acting_member, check_acting, locked_member, post
from loyalty.program import Reward
from loyalty.programs import Version
from loyalty.queries import tier_names
from loyalty.rewards import rules
from loyalty.rewards.models import MemberReward, RewardStock
from loyalty.rewards.rules import Refusal, Standing
from loyalty.rules import Move
from shops.models import Shop

EFFECT = "shopify.reward"
RULE = "redeem"
EXPIRE_BATCH = 500


def redeem(
    session: Session,
    shop_id: int,
    member_id: int,
    reward_key: str,
    *,
    points: int | None = None,
    channel: str | None = None,
    actor: str,
    key: str,
) -> MemberReward:
    """Spend a member's points on a reward of the program in force; Shopify is told after the commit.

    `points` is for a variable reward only. `channel` is where it is asked for (`online`, `pos`), None for anywhere. The
    same `key` answers with the same reward. Raises NotFound (`no_member`, `no_reward`), InvalidInput (`bad_points`,
    `idempotency_key_reused`) and Conflict: `member_merged`, or one of the codes of `rules.refusal`.
    """
    member = acting_member(session, shop_id, member_id)
    if made := _made_before(session, member, key, reward_key, points):
        return made
    if member.blocked_at is not None:
        raise Conflict(_("Your membership is on hold. Please ask the shop."), code="member_blocked")
    version = programs.load(session, [shop_id]).in_force(shop_id, clock.now())
    reward = version.program.reward(reward_key)
    if reward is None:
        raise NotFound(_("there is no such reward"), code="no_reward")
    if wrong := rules.bad_points(reward, points):
        raise InvalidInput(wrong, code="bad_points")
    cost = points or reward.cost
    _refuse(rules.refusal(reward, standing_of(session, member, version, channel, reward), cost))
    _take_from_stock(session, shop_id, reward)
    row = _insert(session, member, version, reward, cost, actor, key)
    _spend(session, member, row, actor)
    if reward.kind != "custom":
        effects.request(session, [effects.Wanted(shop_id, EFFECT, str(row.id))])
    return row


def grant(
    session: Session, shop_id: int, member_id: int, reward: Reward, *, source: str, key: str, actor: str
) -> MemberReward:
    """Give a member a reward that costs no points (`reward.cost` is not asked); Shopify is told after the commit.

    `source` says in the event what it is for. The same `key` answers with the same reward. Raises NotFound
    (`no_member`) and Conflict (`member_merged`).
    """
    member = acting_member(session, shop_id, member_id)
    named = sa.select(MemberReward).where(MemberReward.shop_id == shop_id, MemberReward.key == key)
    if made := session.scalar(named):
        return made
    version = programs.load(session, [shop_id]).in_force(shop_id, clock.now())
    row = _insert(session, member, version, reward, 0, actor, key)
    tell(session, row, "reward.granted", actor, source=source)
    effects.request(session, [effects.Wanted(shop_id, EFFECT, str(row.id))])
    return row


def revoke(session: Session, shop_id: int, reward_id: int, *, actor: str) -> bool:
    """Take back what was granted, if it was not used: Shopify's side ends after the commit, as when it is given back.

    False when it was used. Doing it again changes nothing. Raises NotFound.
    """
    _, row = locked(session, shop_id, reward_id)
    if row.status in ("issuing", "issued"):
        _become(row, "returning")
        row.error = None
        tell(session, row, "reward.revoked", actor)
        effects.request(session, [effects.Wanted(shop_id, EFFECT, str(row.id))])
    return row.status != "used"


def _made_before(
    session: Session, member: Member, key: str, reward_key: str, points: int | None
) -> MemberReward | None:
    made = session.scalar(
        sa.select(MemberReward).where(MemberReward.shop_id == member.shop_id, MemberReward.key == key)
    )
    if made is None:
        return None
    # A code is its member's alone: the key of another request must not bring it to light.
    if (made.member_id, made.reward_key, made.points) != (member.id, reward_key, points or made.terms["cost"]):
        raise InvalidInput("this Idempotency-Key was used for another request", code="idempotency_key_reused")
    return made


def _refuse(refused: Refusal | None) -> None:
    if refused:
        raise Conflict(refused.text, code=refused.code, **refused.extra)


def standing_of(session: Session, member: Member, version: Version, channel: str | None, reward: Reward) -> Standing:
    """What decides whether this member may have this reward now."""
    theirs = sa.select(sa.func.count()).where(
        MemberReward.shop_id == member.shop_id,
        MemberReward.member_id == member.id,
        MemberReward.reward_key == reward.key,
        MemberReward.status.in_(rules.PAID),
    )
    taken = sa.select(RewardStock.taken).where(
        RewardStock.shop_id == member.shop_id, RewardStock.reward_key == reward.key
    )
    return Standing(
        available=member.available,
        tier_key=member.tier_key,
        had=session.scalar(theirs) or 0 if reward.per_member is not None else 0,
        taken=session.scalar(taken) or 0 if reward.stock is not None else 0,
        now=clock.now(),
        zone=version.program.zone,
        tier_names=tier_names(version.program),
        channel=channel,
    )


def _take_from_stock(session: Session, shop_id: int, reward: Reward) -> None:
    """One of a limited stock. The row's lock lets only one have the last; without a limit nobody waits for another."""
    if reward.stock is None:
        return
    table: Any = RewardStock.__table__
    taken = session.scalar(
        insert(table)
        .values(shop_id=shop_id, reward_key=reward.key, taken=1)
        .on_conflict_do_update(
            index_elements=[table.c.shop_id, table.c.reward_key],
            set_={"taken": table.c.taken + 1},
            where=table.c.taken < reward.stock,
        )
        .returning(table.c.taken)
    )
    if taken is None or taken > reward.stock:
        raise Conflict(rules.all_gone(reward), code="out_of_stock")


def _insert(
    session: Session, member: Member, version: Version, reward: Reward, cost: int, actor: str, key: str
) -> MemberReward:
    now, ready = clock.now(), reward.kind == "custom"
    row = MemberReward(
        shop_id=member.shop_id, member_id=member.id, reward_key=reward.key, program_version=version.number,
        terms=reward.model_dump(mode="json"), points=cost, amount=rules.worth(reward, cost),
        currency=_currency(session, member.shop_id), status="issued" if ready else "issuing", code=key, key=key,
        actor=actor, requested_at=now, issued_at=now if ready else None,
        expires_at=rules.expires_at(reward, now, version.program.zone),
    )  # fmt: skip
    session.add(row)
    session.flush()
    row.code = _free_code(session, row, reward.kind)
    session.flush()
    return row


def _currency(session: Session, shop_id: int) -> str:
    return session.scalars(sa.select(Shop.currency).where(Shop.id == shop_id)).one()


def _free_code(session: Session, row: MemberReward, kind: str) -> str:
    """A code of the row's own: nobody can guess it, and whoever makes it again gets the same."""
    tried = 0
    while True:
        code = rules.code_of(kind, crypto.blind_index(f"reward:{row.shop_id}:{row.id}:{tried}"))
        taken = sa.select(MemberReward.id).where(MemberReward.shop_id == row.shop_id, MemberReward.code == code)
        if session.scalar(taken) is None:
            return code
        tried += 1


def _spend(session: Session, member: Member, row: MemberReward, actor: str) -> None:
    post(
        session, member, Move("redeem", "available", "redeemed", row.points), rule=RULE,
        explanation=explanation(row, "redeemed"), actor=actor, key=f"redeem:{row.id}",
        program_version=row.program_version,
    )  # fmt: skip
    tell(session, row, "reward.redeemed", actor)


def explanation(row: MemberReward, reason: str, **more: Any) -> dict[str, Any]:
    """Why points went or came back, for a posting."""
    told = {"rule": RULE, "reason": reason, "points": row.points, "reward": row.reward_key, "reward_id": row.id}
    return {**told, "name": row.terms["name"], **more}


def tell(session: Session, row: MemberReward, kind: str, actor: str, **more: Any) -> None:
    """Record what happened to a reward."""
    record(session, [happened(row, kind, actor, clock.now(), **more)])


def happened(row: Any, kind: str, actor: str, at: datetime, **more: Any) -> Happened:
    """An event of a reward."""
    told = {"reward": row.reward_key, "reward_id": row.id, "points": row.points, **more}
    return Happened(row.shop_id, kind, told, at, row.member_id, row.order_id, row.program_version, actor)


def locked(session: Session, shop_id: int, reward_id: int) -> tuple[Member, MemberReward]:
    """A reward and its member, both locked until the transaction ends, the member first. Raises NotFound."""
    this = sa.select(MemberReward).where(MemberReward.shop_id == shop_id, MemberReward.id == reward_id)
    while True:
        member_id = session.scalar(this.with_only_columns(MemberReward.member_id))
        if member_id is None:
            raise NotFound(_("there is no such reward"), code="no_reward")
        member = locked_member(session, shop_id, member_id)
        row = session.scalars(this.with_for_update().execution_options(populate_existing=True)).one()
        # A merge may have moved it to another member while we waited for the lock.
        if row.member_id == member.id:
            return member, row


def _theirs(session: Session, shop_id: int, member_id: int, reward_id: int) -> tuple[Member, MemberReward]:
    member, row = locked(session, shop_id, reward_id)
    if member.id != member_id:
        raise NotFound(_("this member has no such reward"), code="no_reward")
    check_acting(member)
    return member, row


def _become(row: MemberReward, status: str) -> None:
    assert rules.may_become(row.status, status), (row.status, status)
    row.status = status


_NOT_READY = {
    "issuing": ("reward_issuing", N_("This reward is still being made. Please try again in a moment.")),
    "returning": ("reward_returning", N_("This reward is being given back.")),
    "used": ("reward_used", N_("This reward was used already.")),
    "expired": ("reward_expired", N_("The days of this reward are over.")),
    "returned": ("reward_returned", N_("This reward was given back; the points are yours again.")),
    "failed": ("reward_failed", N_("This reward could not be made; the points are yours again.")),
}


def _check_ready(row: MemberReward) -> None:
    over = row.expires_at is not None and row.expires_at <= clock.now()
    status = "expired" if over and row.status == "issued" else row.status
    if status != "issued":
        code, text = _NOT_READY[status]
        raise Conflict(_(text), code=code, reward_status=status)


def give_back(session: Session, shop_id: int, member_id: int, reward_id: int, *, actor: str) -> MemberReward:
    """Return an unused reward: Shopify's side ends first, then the points come back (at once where there is none).

    Doing it again changes nothing. Raises NotFound, and Conflict with `reward_issuing`, `reward_used`,
    `reward_expired`, `reward_failed` or `reward_gift` (it cost no points).
    """
    member, row = _theirs(session, shop_id, member_id, reward_id)
    if row.status in ("returning", "returned"):
        return row
    if not row.points:
        text = _("This reward was a gift, so there are no points to give back. It's yours.")
        raise Conflict(text, code="reward_gift")
    _check_ready(row)
    if row.terms["kind"] == "custom":
        _return(session, member, row, actor)
        return row
    _become(row, "returning")
    row.error = None
    tell(session, row, "reward.given_back", actor)
    effects.request(session, [effects.Wanted(shop_id, EFFECT, str(row.id))])
    return row


def fulfil(session: Session, shop_id: int, member_id: int, reward_id: int, *, actor: str) -> MemberReward:
    """The merchant has handed a custom reward over. Doing it again changes nothing.

    Raises NotFound, and Conflict with `not_custom` or the codes of `give_back`.
    """
    _member, row = _theirs(session, shop_id, member_id, reward_id)
    if row.terms["kind"] != "custom":
        raise Conflict(_("This reward is used at the checkout, not handed over."), code="not_custom")
    if row.status != "used":
        _check_ready(row)
        _become(row, "used")
        row.used_at = clock.now()
        tell(session, row, "reward.used", actor)
    return row


# How the saga ends. Each looks under the lock whether the reward still waits for this end, and says whether it did.


def mark_issued(session: Session, shop_id: int, reward_id: int, reference: str) -> bool:
    """Shopify has it: the member may use it."""
    _, row = locked(session, shop_id, reward_id)
    if row.status != "issuing":
        return False
    _become(row, "issued")
    row.reference, row.issued_at, row.error = reference, clock.now(), None
    tell(session, row, "reward.issued", "system")
    return True


def mark_failed(session: Session, shop_id: int, reward_id: int, error: str) -> bool:
    """Shopify will never have it: the points come back. `error` is for the merchant."""
    member, row = locked(session, shop_id, reward_id)
    if row.status != "issuing":
        return False
    _become(row, "failed")
    row.error = error
    _reimburse(session, member, row, "reward_failed", "system")
    tell(session, row, "reward.failed", "system")
    return True


def mark_returned(session: Session, shop_id: int, reward_id: int) -> bool:
    """Shopify's side has ended unused: the points come back."""
    member, row = locked(session, shop_id, reward_id)
    if row.status != "returning":
        return False
    _return(session, member, row, "system")
    return True


def mark_kept(session: Session, shop_id: int, reward_id: int, *, used: bool, error: str) -> bool:
    """It can't be given back, because it was used or because Shopify refuses. The member keeps it and no points."""
    _, row = locked(session, shop_id, reward_id)
    if row.status != "returning":
        return False
    _become(row, "used" if used else "issued")
    row.error = error
    row.used_at = clock.now() if used else None
    tell(session, row, "reward.used" if used else "reward.kept", "system")
    return True


def _return(session: Session, member: Member, row: MemberReward, actor: str) -> None:
    _become(row, "returned")
    _reimburse(session, member, row, "given_back", actor)
    tell(session, row, "reward.returned", actor)


def _reimburse(session: Session, member: Member, row: MemberReward, reason: str, actor: str) -> None:
    row.ended_at = clock.now()
    if not row.points:
        return
    post(
        session, member, Move("reimbursement", "redeemed", "available", row.points), rule=RULE,
        explanation=explanation(row, reason), actor=actor, key=f"reimburse:{row.id}",
        program_version=row.program_version,
    )  # fmt: skip
    count_taken(session, [(row, -1)])


# The rows exist since they were first taken from. Locked in one order, so that two batches don't deadlock.
_RESTOCK = """
    WITH k AS (SELECT * FROM {keys} AS k(shop_id, reward_key, change)), held AS (
        SELECT s.shop_id, s.reward_key FROM reward_stock s JOIN k USING (shop_id, reward_key)
        ORDER BY s.shop_id, s.reward_key FOR UPDATE OF s)
    UPDATE reward_stock s SET taken = greatest(0, s.taken + k.change) FROM k JOIN held USING (shop_id, reward_key)
    WHERE s.shop_id = k.shop_id AND s.reward_key = k.reward_key RETURNING s.taken"""


def count_taken(session: Session, changes: Sequence[tuple[Any, int]]) -> None:
    """Count so many more (or fewer) of these rewards as taken, where their stock was limited when they were redeemed.

    An order can use what was given back long ago, so the count may exceed the stock; it never falls below 0.
    """
    sums: dict[tuple[int, str], int] = {}
    for row, change in changes:
        if row.terms["stock"] is not None:
            key = row.shop_id, row.reward_key
            sums[key] = sums.get(key, 0) + change
    rows_by(session, _RESTOCK, ("bigint", "text", "bigint"), [(*key, change) for key, change in sorted(sums.items())])


# Expiry: the points stay spent, Shopify's own end date has ended the code.

_EXPIRE = sa.text("""
    UPDATE member_rewards AS r SET status = 'expired', ended_at = r.expires_at
    FROM (SELECT shop_id, id FROM member_rewards WHERE status = 'issued' AND expires_at <= :now
          ORDER BY expires_at LIMIT :batch FOR UPDATE SKIP LOCKED) AS due
    WHERE r.shop_id = due.shop_id AND r.id = due.id
    RETURNING r.shop_id, r.id, r.reward_key, r.points, r.member_id, r.order_id, r.program_version, r.ended_at""")


def expire(session: Session, now: datetime) -> int:
    """End one batch of the opened shops' rewards whose days are over. Returns how many."""
    over = session.execute(_EXPIRE, {"now": now, "batch": EXPIRE_BATCH}).all()
    record(session, [happened(row, "reward.expired", "system", row.ended_at) for row in over])
    return len(over)


def move_rewards(session: Session, shop_id: int, deleted: int, kept: int) -> None:
    """Give the rewards of a merged member to the one who stays. The caller has locked both.

    Shopify hands over a merged customer's discounts, gift cards and store credit itself.
    Source: https://shopify.dev/docs/api/admin-graphql/latest/mutations/customerMerge
    """
    session.execute(
        sa.update(MemberReward)
        .where(MemberReward.shop_id == shop_id, MemberReward.member_id == deleted)
        .values(member_id=kept)
    )


def zone_of(session: Session, row: MemberReward) -> ZoneInfo:
    """The shop's clock under the program version of a reward."""
    return programs.load(session, [row.shop_id]).numbered(row.shop_id, row.program_version).program.zone


def terms_of(row: MemberReward) -> Reward:
    """The reward of the program as it was when the member redeemed it."""
    return Reward.model_validate_json(msgspec.json.encode(row.terms))
