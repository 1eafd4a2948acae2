"""What is known of the member behind a pass, read for its card."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import crypto
from loyalty import programs, queries
from loyalty.models import Member, Posting
from loyalty.programs import Programs, Version
from loyalty.rewards.queries import offers_for
from loyalty.wording import sentence
from shops.models import Shop
from tiers.queries import standings
from wallet_passes import barcode, content
from wallet_passes.content import Card, Facts, NextTier, Offer
from wallet_passes.models import Pass

_CODES = "barcode"


def keys() -> tuple[bytes, ...]:
    """What barcodes are signed with."""
    return crypto.keyring(_CODES)


def card_of(session: Session, row: Pass, shop: Shop, now: datetime) -> Card:
    """The card of a pass as it is now. Its `generation` must be current."""
    code = barcode.write(keys(), row.shop_id, row.handle, row.generation)
    member = session.get_one(Member, (row.shop_id, row.member_id))
    return content.card(_facts(session, member, shop, now), code, barcode.grouped(code))


def is_over(member: Member, shop: Shop) -> bool:
    """Whether a member's card is of no use any more."""
    return bool(member.merged_into or member.closed_at or member.erased_at or shop.uninstalled_at)


def _facts(session: Session, member: Member, shop: Shop, now: datetime) -> Facts:
    published = programs.load(session, [member.shop_id])
    version = published.in_force(member.shop_id, now)
    if is_over(member, shop):
        return Facts(shop.name, version.program.name, None, 0, "", None, (), shop.currency, ended=True)
    standing = standings(session, [member], version, now)[member.id]
    ahead = standing.next
    return Facts(
        shop=shop.name,
        program=version.program.name,
        member=member.name,
        points=member.available,
        pending=member.pending,
        tier=standing.name,
        look=standing.key,
        next_tier=NextTier(ahead.name, standing.metric, ahead.remaining) if ahead else None,
        offers=_offers(session, member, version),
        currency=shop.currency,
        latest=_latest(session, member, published),
        website=shop.public_url,
    )


def _offers(session: Session, member: Member, version: Version) -> tuple[Offer, ...]:
    """What the member can have now, or could with more points."""
    return tuple(
        Offer(offer.reward.name, offer.reward.cost)
        for offer in offers_for(session, member, version)
        if offer.refused is None or offer.refused.code == "points_short"
    )


def _latest(session: Session, member: Member, published: Programs) -> str | None:
    """Why points last came or went, in words."""
    latest: Posting | None = next(iter(queries.postings(session, member.shop_id, member.id, limit=1)), None)
    if latest is None:
        return None
    number = latest.program_version
    names = queries.tier_names(published.numbered(member.shop_id, number).program) if number else {}
    return sentence(latest, names)


def redemptions(session: Session, row: Pass) -> int:
    """How often the member of a pass has redeemed."""
    counted = sa.select(sa.func.count()).where(
        Posting.shop_id == row.shop_id, Posting.member_id == row.member_id, Posting.kind == "redeem"
    )
    return session.scalar(counted) or 0
