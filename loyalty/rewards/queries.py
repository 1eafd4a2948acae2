"""Rewards read for pages, the API and the repair. Every query names its shop, but for the repair's."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.effects import Effect
from loyalty.models import Member
from loyalty.program import Reward
from loyalty.programs import Version
from loyalty.queries import tier_names
from loyalty.rewards import rules
from loyalty.rewards.models import MemberReward, RewardStock
from loyalty.rewards.operations import EFFECT
from loyalty.rewards.rules import Refusal, Standing
from shops.models import Shop

# After so long without an effect at work, a reward under way is stuck.
STUCK_AFTER = timedelta(hours=1)
STUCK_BATCH = 200


class Offer(NamedTuple):
    """A reward of the program. `left` is its stock, None for no end; `refused` is why this member can't have it now."""

    reward: Reward
    left: int | None
    refused: Refusal | None = None


def rewards_of(
    session: Session, shop_id: int, member_id: int, *, before: int | None = None, limit: int
) -> Sequence[MemberReward]:
    """A member's rewards, newest first, from those with ids below `before`."""
    statement = sa.select(MemberReward).where(MemberReward.shop_id == shop_id, MemberReward.member_id == member_id)
    if before is not None:
        statement = statement.where(MemberReward.id < before)
    return session.scalars(statement.order_by(MemberReward.id.desc()).limit(limit)).all()


def offers(session: Session, shop_id: int, version: Version) -> list[Offer]:
    """What a program offers, with the stock left, in its own order."""
    taken = _taken(session, shop_id)
    return [Offer(reward, _left(reward, taken)) for reward in version.program.rewards]


def offers_for(session: Session, member: Member, version: Version, channel: str | None = None) -> list[Offer]:
    """The same, and which of them this member can have now. A variable reward counts as its fewest points."""
    return offers_of_many(session, [member], version, channel)[member.id]


def offers_of_many(
    session: Session, members: Sequence[Member], version: Version, channel: str | None = None
) -> dict[int, list[Offer]]:
    """What each of one shop's members can have now, by their ids."""
    shop_id = members[0].shop_id
    taken, had, now = _taken(session, shop_id), _had(session, members), clock.now()
    names = tier_names(version.program)

    def judged(reward: Reward, member: Member) -> Offer:
        standing = Standing(
            member.available, member.tier_key, had.get((member.id, reward.key), 0), taken.get(reward.key, 0), now,
            version.program.zone, names, channel,
        )  # fmt: skip
        return Offer(reward, _left(reward, taken), rules.refusal(reward, standing, reward.cost))

    return {member.id: [judged(reward, member) for reward in version.program.rewards] for member in members}


def _left(reward: Reward, taken: dict[str, int]) -> int | None:
    return None if reward.stock is None else max(0, reward.stock - taken.get(reward.key, 0))


def _taken(session: Session, shop_id: int) -> dict[str, int]:
    rows = session.execute(sa.select(RewardStock.reward_key, RewardStock.taken).where(RewardStock.shop_id == shop_id))
    return {row.reward_key: row.taken for row in rows}


def _had(session: Session, members: Sequence[Member]) -> dict[tuple[int, str], int]:
    """How often each of one shop's members had each reward."""
    here = MemberReward
    rows = session.execute(
        sa.select(here.member_id, here.reward_key, sa.func.count())
        .where(
            here.shop_id == members[0].shop_id,
            here.member_id.in_([member.id for member in members]),
            here.status.in_(rules.PAID),
        )
        .group_by(here.member_id, here.reward_key)
    )
    return {(member_id, reward_key): times for member_id, reward_key, times in rows}


def stuck(session: Session, now: datetime) -> list[tuple[int, int]]:
    """Some of the opened shops' rewards (shop, id) that wait for Shopify while no effect works on them.

    Any of them, for the oldest may be those of a shop that can't be asked, and would keep all others waiting.
    """
    at_work = sa.select(Effect.target).where(
        Effect.shop_id == MemberReward.shop_id,
        Effect.kind == EFFECT,
        Effect.target == sa.cast(MemberReward.id, sa.Text),
        Effect.state == "waiting",
    )
    rows = session.execute(
        sa.select(MemberReward.shop_id, MemberReward.id)
        .join(Shop, Shop.id == MemberReward.shop_id)
        .where(
            MemberReward.status.in_(("issuing", "returning")),
            MemberReward.requested_at < now - STUCK_AFTER,
            Shop.uninstalled_at.is_(None),
            ~at_work.exists(),
        )
        .order_by(sa.func.random())
        .limit(STUCK_BATCH)
    )
    return [(row.shop_id, row.id) for row in rows]
