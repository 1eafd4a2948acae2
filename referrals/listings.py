"""Lists of referrals, for the merchant and for the member who brought them, each with all that is told of it."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from loyalty import programs
from loyalty.models import Member
from loyalty.program import Benefit
from loyalty.programs import Programs
from referrals import queries
from referrals.models import Referral, ReferralCode, ReferralPartner, ReferralReward
from referrals.wording import Brought, Told, benefit_of
from shops.models import Shop


class Wanted(NamedTuple):
    """Which referrals: in a state, of a member or of a partner; None asks nothing. They come newest first."""

    state: str | None = None
    member_id: int | None = None
    partner_id: int | None = None


class Listed(NamedTuple):
    """`code` is as its owner writes it."""

    row: Referral
    code: str
    rewards: Sequence[ReferralReward]
    told: Told


def listing(session: Session, shop_id: int, wanted: Wanted, *, before: int | None, limit: int) -> list[Listed]:
    """Referrals with an id below `before`, newest first."""
    asked = {"state": wanted.state, "referrer_member_id": wanted.member_id, "partner_id": wanted.partner_id}
    found = sa.select(Referral).where(Referral.shop_id == shop_id)
    for name, value in asked.items():
        found = found if value is None else found.where(getattr(Referral, name) == value)
    if before is not None:
        found = found.where(Referral.id < before)
    return _listed(session, shop_id, session.scalars(found.order_by(Referral.id.desc()).limit(limit)).all())


def one(session: Session, shop_id: int, referral_id: int) -> Listed:
    """Raises NotFound (`no_referral`)."""
    return _listed(session, shop_id, [queries.referral(session, shop_id, referral_id)])[0]


def _listed(session: Session, shop_id: int, rows: Sequence[Referral]) -> list[Listed]:
    if not rows:
        return []
    shop, published = session.get_one(Shop, shop_id), programs.load(session, [shop_id])
    codes = _codes(session, shop_id, {row.code_key for row in rows})
    tiers = _tiers(session, shop_id, {row.referrer_member_id for row in rows if row.referrer_member_id})
    partners = _partners(session, shop_id, {row.partner_id for row in rows if row.partner_id})
    rewards: dict[int, list[ReferralReward]] = {row.id: [] for row in rows}
    for reward in queries.rewards_of(session, shop_id, rewards.keys()):
        rewards[reward.referral_id].append(reward)
    found = []
    for row in rows:
        brings = _brings(row, published, tiers.get(row.referrer_member_id), partners)
        told = _told(row, shop, published, brings, rewards[row.id])
        found.append(Listed(row, codes.get(row.code_key, row.code_key), rewards[row.id], told))
    return found


def _codes(session: Session, shop_id: int, keys: set[str]) -> dict[str, str]:
    rows = sa.select(ReferralCode.key, ReferralCode.code).where(
        ReferralCode.shop_id == shop_id, ReferralCode.key.in_(keys)
    )
    return {row.key: row.code for row in session.execute(rows)}


def _tiers(session: Session, shop_id: int, ids: set[int]) -> dict[int | None, str]:
    rows = sa.select(Member.id, Member.tier_key).where(Member.shop_id == shop_id, Member.id.in_(ids))
    return {row.id: row.tier_key for row in session.execute(rows)}


def _partners(session: Session, shop_id: int, ids: set[int]) -> dict[int, str]:
    """Under which partnership each of them brings friends."""
    rows = sa.select(ReferralPartner.id, ReferralPartner.partnership).where(
        ReferralPartner.shop_id == shop_id, ReferralPartner.id.in_(ids)
    )
    return {row.id: row.partnership for row in session.execute(rows)}


def _brings(row: Referral, published: Programs, tier: str | None, partners: dict[int, str]) -> Benefit:
    """What the referrer gets by the terms of the order, as far as it is not given yet."""
    terms = published.numbered(row.shop_id, row.program_version).program.referral
    if row.partner_id is None:
        return terms.for_referrer(tier)
    held = terms.partnership(partners.get(row.partner_id, ""))
    return held.referrer if held else Benefit(kind="none")


def _told(row: Referral, shop: Shop, published: Programs, brings: Benefit, rewards: Sequence[ReferralReward]) -> Told:
    program = published.numbered(row.shop_id, row.program_version).program
    return Told(
        state=row.state,
        brings=brings,
        brought=[Brought(reward.side, benefit_of(reward.benefit), reward.state) for reward in _latest(rewards)],
        due_at=row.due_at,
        rewarded_at=row.rewarded_at,
        days=program.referral.holding_days,
        currency=row.currency,
        zone=program.zone,
        shop=shop.name,
        score=row.score,
        decision=row.decision,
        beyond=any(reason["key"] == "monthly_limit" for reason in row.reasons),
    )


def _latest(rewards: Sequence[ReferralReward]) -> list[ReferralReward]:
    """Of what was given anew after it had been taken back, only the last is told."""
    latest = {}
    for reward in rewards:
        latest[reward.side] = reward
    return list(latest.values())
