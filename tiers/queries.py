"""Where members stand on the ladder, for pages and the API."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from loyalty.models import Member
from loyalty.programs import Programs, Version
from tiers import courses
from tiers.courses import Courses
from tiers.ladders import ladder_of
from tiers.models import TierOverride, TierPeriod
from tiers.rules import INSTANT, Kept, Rung

# An order that the shop's clock dates a little ahead of ours has been placed.
AHEAD = timedelta(minutes=10)


class NextTier(NamedTuple):
    """The rung above and how much is missing to reach it: minor units, points or orders, as the ladder counts."""

    key: str
    name: str
    remaining: int


class Standing(NamedTuple):
    """A member's tier and what counts for it: minor units, points or orders, as `metric` says.

    `until` is when the tier ends unless `missing` more comes by then; None when nothing ends it. A tier given by hand
    ends at `until` whatever comes.
    """

    key: str
    name: str
    since: datetime
    next: NextTier | None
    metric: str
    value: int
    by_hand: bool
    until: datetime | None
    missing: int


def standings(session: Session, members: Sequence[Member], version: Version, now: datetime) -> dict[int, Standing]:
    """The standing of each of one shop's members by id, on the ladder of `version`, at `now`."""
    if not members:
        return {}
    shop_id = members[0].shop_id
    ends = [member.tier_review_at for member in members if member.tier_review_at and member.tier_review_at > now]
    since = {(shop_id, member.id): now for member in members}
    course = courses.load(session, Programs({shop_id: [version]}), since, max([now + AHEAD, *ends]) + INSTANT)
    given = _by_hand(session, shop_id, [member.id for member in members], now)
    return {member.id: _standing(member, version, course, given.get(member.id), now) for member in members}


def _standing(member: Member, version: Version, course: Courses, given: TierOverride | None, now: datetime) -> Standing:
    ladder, key = ladder_of(version), (member.shop_id, member.id)
    rung, above = ladder.rung(member.tier_key), ladder.above(member.tier_key)
    placed = min(max(now, member.last_order_at or now), now + AHEAD)
    value = course.at(key, placed + INSTANT, version).value
    following = NextTier(above.key, above.name, max(0, above.threshold - value)) if above else None
    if given is not None:
        kept = Kept(given.until, 0) if given.until else None
    else:
        kept = _kept(member, rung, version, course, now)
    return Standing(
        rung.key, rung.name, member.tier_since, following, ladder.measure.metric, value, given is not None,
        kept.until if kept else None, kept.missing if kept else 0,
    )  # fmt: skip


def _kept(member: Member, rung: Rung, version: Version, course: Courses, now: datetime) -> Kept | None:
    """Until when the tier is held: a year's decision, or the moment at which the window will hold too little."""
    key, ladder, review_at = (member.shop_id, member.id), ladder_of(version), member.tier_review_at
    if ladder.measure.by_years:
        return course.kept(key, rung.key, now, version)
    if review_at is None or review_at <= now:
        return None
    missing = rung.threshold - course.at(key, review_at, version).value
    return Kept(review_at, missing) if missing > 0 else None


def _by_hand(session: Session, shop_id: int, member_ids: Sequence[int], now: datetime) -> dict[int, TierOverride]:
    holding = sa.select(TierOverride).where(
        TierOverride.shop_id == shop_id,
        TierOverride.member_id.in_(member_ids),
        TierOverride.until.is_(None) | (TierOverride.until > now),
    )
    return {row.member_id: row for row in session.scalars(holding.order_by(TierOverride.id))}


def tier_at(session: Session, programs: Programs, shop_id: int, member_id: int, moment: datetime) -> Rung:
    """The tier a member held at any moment: the ladder in force then, applied to what had happened before it."""
    key = (shop_id, member_id)
    course = courses.load(session, programs, {key: moment}, moment)
    return course.at(key, moment, programs.in_force(shop_id, moment)).rung


def tier_history(session: Session, shop_id: int, member_id: int) -> list[TierPeriod]:
    """Every move between tiers as it was made, oldest first, each with its reason."""
    moves = sa.select(TierPeriod).where(TierPeriod.shop_id == shop_id, TierPeriod.member_id == member_id)
    return list(session.scalars(moves.order_by(TierPeriod.id)))


def override_of(session: Session, shop_id: int, member_id: int, now: datetime) -> TierOverride | None:
    """The tier a member holds by hand now, if any."""
    return _by_hand(session, shop_id, [member_id], now).get(member_id)
