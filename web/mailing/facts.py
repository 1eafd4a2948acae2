"""What mails say, read as it is when they are sent: what is over by then is not mailed about."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.effects import NotYet
from loyalty.expiry import queries as expiry
from loyalty.models import Member
from loyalty.program.spending import DISCOUNTS
from loyalty.programs import Programs, Version
from loyalty.rewards.models import MemberReward
from loyalty.rewards.queries import offers_for
from loyalty.wording.rewards import status_text
from referrals.models import Referral, ReferralReward
from shops import mailings
from shops.models import Shop
from tiers import ending
from tiers.models import TierPeriod
from tiers.queries import Standing, standings
from tiers.wording import tier_text
from web import storefronts
from web.mailing import letters
from web.mailing.letters import Letter
from web.mailing.rules import NEWS, Item, Withheld
from web.portal import sessions, words

# How many of the points that expire, and of the rewards one can have, a mail names.
MOST = 4
SOON = timedelta(days=31)
# While Shopify makes a reward, its mail waits so long.
PAUSE = timedelta(seconds=20)


@dataclass(frozen=True)
class About:
    """A member of a shop, and its program, at a moment."""

    session: Session
    shop: Shop
    member: Member
    programs: Programs
    now: datetime

    @property
    def version(self) -> Version:
        return self.programs.in_force(self.shop.id, self.now)

    def standing(self) -> Standing:
        return standings(self.session, [self.member], self.version, self.now)[self.member.id]


def letter(about: About, item: Item) -> tuple[Letter, str]:
    """The words of a mail, and where its button leads. Raises Withheld, NotYet."""
    return _WRITE[item.kind](about, item)


def _expiring(about: About, _item: Item) -> tuple[Letter, str]:
    member, version, key = about.member, about.version, (about.shop.id, about.member.id)
    ahead = expiry.expiring(about.session, [member], about.programs, about.now)[key]
    dues = [due for due in ahead if about.now < due.at <= about.now + SOON][:MOST]
    if not dues or version.program.expiry is None:
        raise Withheld("over")
    offers = offers_for(about.session, member, version)
    can = [offer.reward.name for offer in sorted(offers, key=lambda one: -one.reward.cost) if not offer.refused]
    said = letters.expiring(dues, version.program.expiry, member.available, can[:MOST], version.program.zone)
    return said, _rewards(about)


def _reached(about: About, item: Item) -> tuple[Letter, str]:
    """Only while they still hold it."""
    key, shop, program = str(item.data["tier"]), about.shop, about.version.program
    tier = next((one for one in program.ladder.tiers if one.key == key), None)
    if tier is None or about.member.tier_key != key:
        raise Withheld("over")
    periods = sa.select(TierPeriod).where(TierPeriod.shop_id == shop.id, TierPeriod.member_id == about.member.id)
    row = about.session.scalars(periods.order_by(TierPeriod.id.desc()).limit(1)).first()
    why = tier_text(row, about.version, shop.currency) if row is not None and row.tier_key == key else ""
    ahead = words.standing(about.standing(), program, shop)
    return letters.reached(tier.name, why, words.perks(tier, program, shop), ahead), _rewards(about)


def _ending(about: About, item: Item) -> tuple[Letter, str]:
    held, program = about.standing(), about.version.program
    if held.key != item.data["tier"] or not ending.ends_soon(held, about.now):
        raise Withheld("over")
    assert held.until
    ahead = words.standing(held, program, about.shop)[-1] if held.missing and not held.by_hand else ""
    return letters.ending(held.name, held.until, ahead, program.zone), _rewards(about)


def _reward(about: About, item: Item) -> tuple[Letter, str]:
    """One that a friend's order brought is told of by the mail about the friend, where the shop sends that."""
    row = about.session.get(MemberReward, (about.shop.id, int(item.data["reward_id"])))
    if row is None or row.member_id != about.member.id:
        raise Withheld("over")
    brought = sa.select(ReferralReward.referral_id).where(
        ReferralReward.shop_id == row.shop_id, ReferralReward.member_reward_id == row.id,
        ReferralReward.side == "referrer",
    )  # fmt: skip
    if mailings.FRIEND in mailings.of(about.shop.settings).since and about.session.scalar(brought):
        raise Withheld("by_friend")
    how, place = _ready(about, row)
    discount = row.terms["kind"] in DISCOUNTS
    return letters.reward(row.terms["name"], row.points, how, _code(row), discount=discount), place


def _friend(about: About, item: Item) -> tuple[Letter, str]:
    referral = about.session.get(Referral, (about.shop.id, int(item.data["referral_id"])))
    if referral is None or referral.state != "rewarded" or referral.referrer_member_id != about.member.id:
        raise Withheld("over")
    # Found in a past that came later, it may be of any age; who waited for its holding days heard of the order in time.
    if referral.created_at - referral.at > NEWS:
        raise Withheld("old")
    held = about.session.scalars(
        sa.select(ReferralReward)
        .where(
            ReferralReward.shop_id == about.shop.id, ReferralReward.referral_id == referral.id,
            ReferralReward.side == "referrer", ReferralReward.state == "given",
        )
        .order_by(ReferralReward.ordinal.desc())
        .limit(1)
    ).first()  # fmt: skip
    if held is None or not (held.member_reward_id or held.points):
        raise Withheld("nothing")
    if not held.member_reward_id:
        return letters.friend("", held.points, "", "", discount=False), _rewards(about)
    row = about.session.get_one(MemberReward, (about.shop.id, held.member_reward_id))
    how, place = _ready(about, row)
    discount = row.terms["kind"] in DISCOUNTS
    return letters.friend(row.terms["name"], 0, how, _code(row), discount=discount), place


def _ready(about: About, row: MemberReward) -> tuple[str, str]:
    """How a reward is used, and where. Raises NotYet while it is being made, Withheld for one that has ended."""
    if row.status == "issuing":
        raise NotYet(about.now + PAUSE)
    if row.status != "issued":
        raise Withheld("over")
    discount = row.terms["kind"] in DISCOUNTS
    place = storefronts.with_code(about.shop, row.code) if discount else _rewards(about)
    return status_text(row, about.version.program.zone), place


def _code(row: MemberReward) -> str:
    return "" if row.terms["kind"] == "store_credit" else row.code


def _rewards(about: About) -> str:
    return sessions.link(about.shop, about.member.id)


_WRITE: dict[str, Any] = {
    mailings.EXPIRING: _expiring,
    mailings.REACHED: _reached,
    mailings.ENDING: _ending,
    mailings.REWARD: _reward,
    mailings.FRIEND: _friend,
}
