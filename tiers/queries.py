"""Where members stand on the ladder, for pages and the API."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from loyalty.models import Member, SpendFact
from loyalty.programs import Programs, Version
from tiers.ladders import ladder_of
from tiers.models import TierPeriod
from tiers.rules import INSTANT, Ladder, Rung
from tiers.spend import histories


class NextTier(NamedTuple):
    """The rung above and how much is missing to reach it, in minor units of eligible spend."""

    key: str
    name: str
    remaining: int


class Standing(NamedTuple):
    key: str
    name: str
    since: datetime
    next: NextTier | None


def standings(session: Session, members: Sequence[Member], version: Version, now: datetime) -> dict[int, Standing]:
    """The standing of each of one shop's members by id, on the ladder of `version`, at `now`."""
    if not members:
        return {}
    ladder = ladder_of(version)
    spent = window_spend(session, members[0].shop_id, [member.id for member in members], now + INSTANT - ladder.window)
    return {member.id: _standing(member, ladder, spent.get(member.id, 0)) for member in members}


def window_spend(session: Session, shop_id: int, member_ids: Iterable[int], since: datetime) -> dict[int, int]:
    """Qualifying spend of members from a moment on, in minor units; members without any are absent.

    There is no upper end: an order that the shop's clock dates a little ahead of ours has been placed.
    """
    rows = session.execute(
        sa.select(SpendFact.member_id, sa.func.sum(SpendFact.amount))
        .where(SpendFact.shop_id == shop_id, SpendFact.member_id.in_(list(member_ids)), SpendFact.at >= since)
        .group_by(SpendFact.member_id)
    )
    return {member_id: int(amount) for member_id, amount in rows}


def _standing(member: Member, ladder: Ladder, spent: int) -> Standing:
    rung, above = ladder.rung(member.tier_key), ladder.above(member.tier_key)
    following = NextTier(above.key, above.name, max(0, above.threshold - spent)) if above else None
    return Standing(rung.key, rung.name, member.tier_since, following)


def tier_at(session: Session, programs: Programs, shop_id: int, member_id: int, moment: datetime) -> Rung:
    """The tier a member held at any moment: the ladder in force then, applied to what had happened before it."""
    ladder = ladder_of(programs.in_force(shop_id, moment))
    key = (shop_id, member_id, ladder.window)
    history = histories(session, {key: moment}, moment)[key]
    return ladder.reached(history.before(moment, ladder.window))


def tier_history(session: Session, shop_id: int, member_id: int) -> list[TierPeriod]:
    """Every move between tiers as it was made, oldest first, each with its reason."""
    moves = sa.select(TierPeriod).where(TierPeriod.shop_id == shop_id, TierPeriod.member_id == member_id)
    return list(session.scalars(moves.order_by(TierPeriod.id)))
