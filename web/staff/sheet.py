"""What staff see of a member: who it is, what to honour, what they can have, and how fresh their phone is."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from loyalty import programs
from loyalty import queries as members
from loyalty.models import Member
from loyalty.programs import Version
from loyalty.rewards import queries as rewards
from loyalty.rewards.models import MemberReward
from loyalty.rewards.queries import Offer
from tiers.queries import Standing, standings
from wallet_passes import freshness
from wallet_passes.freshness import Phone
from wallet_passes.phones import phones
from web.staff.visits import Visit

COUNTER = "pos"
_OPEN = ("issuing", "issued")
MOST_OPEN = 10


class Sheet(NamedTuple):
    """`offers` are affordable first. `open` are rewards that were redeemed and not used yet, newest first."""

    member: Member
    standing: Standing
    rung: int
    rungs: int
    perks: tuple[str, ...]
    offers: Sequence[Offer]
    open: Sequence[MemberReward]
    phone: Phone | None
    version: Version


def sheet(session: Session, visit: Visit) -> Sheet:
    """Raises NotFound when the member has left."""
    member = members.member(session, visit.shop_id, visit.member_id)
    version = programs.load(session, [visit.shop_id]).in_force(visit.shop_id, clock.now())
    tiers = version.program.ladder.tiers
    rung = next((number for number, tier in enumerate(tiers) if tier.key == member.tier_key), 0)
    offers = rewards.offers_for(session, member, version, COUNTER)
    return Sheet(
        member,
        standings(session, [member], version, clock.now())[member.id],
        rung + 1,
        len(tiers),
        tiers[rung].perks,
        sorted((one for one in offers if _concerns(one)), key=lambda one: (one.refused is not None, one.reward.cost)),
        _open_rewards(session, member),
        freshness.latest(phones(session, member.shop_id, member.id)),
        version,
    )


def _concerns(offer: Offer) -> bool:
    """Whether the counter has to do with it: what is for elsewhere or for others is not shown."""
    return offer.refused is None or offer.refused.code not in ("wrong_channel", "wrong_tier", "reward_over")


def _open_rewards(session: Session, member: Member) -> Sequence[MemberReward]:
    here = MemberReward
    found = sa.select(here).where(
        here.shop_id == member.shop_id, here.member_id == member.id, here.status.in_(_OPEN)
    )  # fmt: skip
    return session.scalars(found.order_by(here.id.desc()).limit(MOST_OPEN)).all()
