"""Gives both sides what a referral brings, and takes it back: the difference between what is held and what should be.

The caller has locked the members and the referral. Writers only add: what is given anew has the next ordinal.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from loyalty import operations as ledger
from loyalty import programs
from loyalty.activities.points import Earned, note_points
from loyalty.models import Member
from loyalty.program import Reward
from loyalty.program.referring import Benefit
from loyalty.rewards import operations as rewards
from loyalty.rewards.models import MemberReward
from loyalty.rules import Move
from loyalty.wording.benefits import benefit_text
from loyalty.wording.words import capital
from referrals.models import Referral, ReferralReward
from referrals.payouts import operations as payouts
from referrals.rules import GRANTED, Give

ACTOR = "system"
RULE = "referral"
_REASONS = {"referrer": "brought_friend", "friend": "came_by_friend", "milestone": "friends_reached"}


def held_by(session: Session, referral: Referral) -> list[ReferralReward]:
    """All that a referral ever brought, oldest first."""
    return list(
        session.scalars(
            sa.select(ReferralReward)
            .where(ReferralReward.shop_id == referral.shop_id, ReferralReward.referral_id == referral.id)
            .order_by(ReferralReward.side, ReferralReward.ordinal)
        )
    )


def settle_side(session: Session, referral: Referral, last: ReferralReward | None, give: Give | None) -> None:
    """Make what one side holds equal to `give`; `last` is what it was last given.

    What is being taken back is waited for: its end asks again.
    """
    if last is not None and last.state == "kept" and give is not None:
        last.state, last.ended_at = "given", None
    if last is not None and last.state == "given" and not _same(last, give):
        take_back(session, referral, last)
    if give is not None and (last is None or last.state == "taken_back") and not _on_hold(session, referral, give):
        hand_out(session, referral, give, 1 if last is None else last.ordinal + 1)


def _on_hold(session: Session, referral: Referral, give: Give) -> bool:
    """Whether the shop has blocked the member who would get it. It is handed out once they are unblocked."""
    blocked = sa.select(Member.blocked_at).where(Member.shop_id == referral.shop_id, Member.id == give.member_id)
    return give.member_id is not None and session.scalar(blocked) is not None


def _same(held: ReferralReward, give: Give | None) -> bool:
    return give is not None and (held.member_id, held.partner_id, held.benefit, held.points, held.amount) == (
        give.member_id, give.partner_id, _benefit(give), give.points, give.amount
    )  # fmt: skip


def _benefit(give: Give) -> dict[str, Any]:
    """The benefit as it is kept, with the number of friends of a milestone."""
    return give.benefit.model_dump(mode="json") | ({"friends": give.friends} if give.friends else {})


def hand_out(session: Session, referral: Referral, give: Give, ordinal: int) -> ReferralReward:
    """Give one side its benefit."""
    made = ReferralReward(
        shop_id=referral.shop_id, referral_id=referral.id, side=give.side, ordinal=ordinal, member_id=give.member_id,
        partner_id=give.partner_id, benefit=_benefit(give), state="given", points=give.points, amount=give.amount,
        at=clock.now(),
    )  # fmt: skip
    if give.points:
        _post(session, referral, made, Move("referral", "issued", "available", give.points), key_of(made))
    elif give.benefit.kind in GRANTED:
        made.member_reward_id = _grant(session, referral, made, give.benefit).id
    else:
        payouts.earn(session, referral.shop_id, **_entry(referral, made, key_of(made)))
    session.add(made)
    session.flush()
    return made


def take_back(session: Session, referral: Referral, held: ReferralReward) -> None:
    """Take back what one side was given, if it was not used."""
    key = f"{key_of(held)}:back"
    if held.points:
        _reverse(session, referral, held, key)
        _end(held, "taken_back")
    elif held.member_reward_id is not None:
        unused = rewards.revoke(session, referral.shop_id, held.member_reward_id, actor=ACTOR)
        _end(held, _after_revoking(session, held) if unused else "kept")
    else:
        payouts.reverse(session, referral.shop_id, **_entry(referral, held, key))
        _end(held, "taken_back")
    session.flush()


def key_of(held: ReferralReward) -> str:
    """The business fact behind what was given, for the ledgers."""
    return f"{RULE}:{held.referral_id}:{held.side}:{held.ordinal}"


def _end(held: ReferralReward, state: str) -> None:
    held.state = state
    held.ended_at = None if state == "taking_back" else clock.now()


def _after_revoking(session: Session, held: ReferralReward) -> str:
    return state_of(session.get_one(MemberReward, (held.shop_id, held.member_reward_id)), "taking_back")


def state_of(reward: MemberReward, state: str) -> str:
    """What became of a reward that was being taken back, or could not be made at all."""
    if reward.status == "failed" or (state == "taking_back" and reward.status in ("returned", "expired")):
        return "taken_back"
    if state == "taking_back" and reward.status in ("used", "issued"):
        return "kept"
    return state


# Rewards that Shopify makes.


def _grant(session: Session, referral: Referral, made: ReferralReward, benefit: Benefit) -> MemberReward:
    assert made.member_id is not None
    return rewards.grant(
        session, referral.shop_id, made.member_id, as_reward(benefit, referral.currency),
        source=f"referral:{made.side}", key=key_of(made), actor=ACTOR,
    )  # fmt: skip


def as_reward(benefit: Benefit, currency: str) -> Reward:
    """A benefit as a reward for `loyalty.rewards.operations.grant`; its cost is not asked."""
    same = {name: getattr(benefit, name) for name in ("kind", "amount", "percentage", "minimum_order", "valid_days")}
    return Reward(key=RULE, name=capital(benefit_text(benefit, currency)), cost=1, **same)


# Points.


def _post(session: Session, referral: Referral, held: ReferralReward, move: Move, key: str, reason: str = "") -> Member:
    assert held.member_id is not None
    member, now = ledger.locked_member(session, held.shop_id, held.member_id), clock.now()
    ledger.post(
        session, member, move, rule=RULE, explanation=_explanation(held, move.points, reason), actor=ACTOR, key=key,
        program_version=referral.program_version, occurred_at=now,
    )  # fmt: skip
    if move.kind != "adjustment":
        signed = ledger.signed_points(move.source, move.target, move.points)
        known = programs.load(session, [held.shop_id])
        note_points(session, known, [Earned(held.shop_id, member.id, key, now, signed)])
    return member


def _explanation(held: ReferralReward, points: int, reason: str) -> dict[str, Any]:
    told = {"rule": RULE, "points": points, "reason": reason or _REASONS[held.side], "referral": held.referral_id}
    return told | ({"friends": held.benefit["friends"]} if "friends" in held.benefit else {})


def _reverse(session: Session, referral: Referral, held: ReferralReward, key: str) -> None:
    """Points that were spent already are forgiven where the program says so, as those of orders are."""
    reason = f"{_REASONS[held.side]}_undone"
    back = Move("reversal", "available", "issued", held.points)
    member = _post(session, referral, held, back, key, reason)
    short = min(held.points, -member.available)
    program = programs.load(session, [held.shop_id]).numbered(held.shop_id, referral.program_version).program
    if short > 0 and program.clawback == "clamp":
        forgiven = Move("adjustment", "adjusted", "available", short)
        _post(session, referral, held, forgiven, f"{key}:forgiven", "spent_points_forgiven")


# Money.


def _entry(referral: Referral, held: ReferralReward, key: str) -> dict[str, Any]:
    benefit = held.benefit
    explanation = {"rule": RULE, "referral": referral.id, "order": referral.order_id, "spent": referral.amount}
    explanation |= {"percentage": benefit["percentage"]} if benefit.get("percentage") else {}
    return {
        "member_id": held.member_id, "partner_id": held.partner_id, "amount": held.amount,
        "currency": referral.currency, "referral_id": referral.id, "key": key, "explanation": explanation,
        "at": clock.now(),
    }  # fmt: skip


# What becomes of rewards that are being taken back.


def follow(session: Session, shop_id: int, member_id: int) -> list[int]:
    """Write down how the taking back of a member's rewards ended. Returns the orders of their referrals, whose other
    needs may have waited for it."""
    pairs = session.execute(
        sa.select(ReferralReward, MemberReward, Referral.order_id)
        .join(
            MemberReward,
            (MemberReward.shop_id == ReferralReward.shop_id) & (MemberReward.id == ReferralReward.member_reward_id),
        )
        .join(Referral, (Referral.shop_id == ReferralReward.shop_id) & (Referral.id == ReferralReward.referral_id))
        .where(
            ReferralReward.shop_id == shop_id,
            ReferralReward.member_id == member_id,
            ReferralReward.state.in_(("given", "taking_back")),
        )
    ).all()
    asking = set()
    for held, reward, order_id in pairs:
        was, state = held.state, state_of(reward, held.state)
        if state != was:
            _end(held, state)
        # A reward that Shopify refused is not tried again by itself: it would refuse it for ever.
        if was == "taking_back" and state != was:
            asking.add(order_id)
    return sorted(asking)


def takes_part(session: Session, shop_id: int, member_id: int) -> bool:
    """Whether a member is still one: not closed, erased or merged."""
    gone = Member.closed_at.is_not(None) | Member.erased_at.is_not(None) | Member.merged_into.is_not(None)
    living = sa.select(Member.id).where(Member.shop_id == shop_id, Member.id == member_id, ~gone)
    return session.scalar(living) is not None
