"""What a friend gets by a code, and from whom: the code, whose it is, and the terms it stands for now."""

from typing import NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.i18n import _
from loyalty import queries
from loyalty.models import Member
from loyalty.program import Benefit, Partnership, Program
from loyalty.programs import Version
from referrals import members, sharing
from referrals.models import ReferralCode, ReferralPartner
from shops.models import Shop


class Offer(NamedTuple):
    """What a friend gets under one version of the program. `benefit.minimum_order` is what the first order must be
    worth. `days` is how long a claim holds. `title` and `text` are a partner's own words, empty for the usual ones.
    """

    version: int
    benefit: Benefit
    days: int
    zone: ZoneInfo
    currency: str
    every_order: bool = False
    title: str = ""
    text: str = ""

    @property
    def gift(self) -> str:
        """What the friend gets, in words; empty for nothing."""
        return sharing.gift(self.benefit, self.currency, every_order=self.every_order)


class Referrer(NamedTuple):
    """Whose a code is, and what friends get by it. `name` is what friends are told: a first name, or a partner's."""

    code: ReferralCode
    member: Member | None
    partner: ReferralPartner | None
    name: str | None
    offer: Offer

    @property
    def owner(self) -> tuple[int | None, int | None]:
        """Compares equal for one and the same person, whichever of their codes was used."""
        return self.member.id if self.member else None, self.partner.id if self.partner else None


def referrer_of(session: Session, shop_id: int, text: str) -> Referrer:
    """Whose the code is that somebody typed or followed.

    Raises Conflict (`referrals_off`) and NotFound (`unknown_code`, perhaps with `suggestion`; `code_retired`).
    """
    version = members.require_referrals(session, shop_id)
    return of_code(session, version, members.find(session, shop_id, text))


def of_code(session: Session, version: Version, code: ReferralCode) -> Referrer:
    """Whose a code is. Raises NotFound (`unknown_code`) for people who have left."""
    currency = currency_of(session, code.shop_id)
    if code.partner_id is not None:
        partner = session.get_one(ReferralPartner, (code.shop_id, code.partner_id))
        terms = version.program.referral.partnership(partner.partnership)
        if partner.ended_at is not None or terms is None:
            raise _gone()
        return Referrer(code, None, partner, partner.name, of_partnership(version, terms, currency))
    member = _member(session, code)
    return Referrer(code, member, None, first_name(member.name), of_members(version, currency))


def _member(session: Session, code: ReferralCode) -> Member:
    try:
        member = queries.member(session, code.shop_id, code.member_id or 0)
    except NotFound:
        raise _gone() from None
    if member.closed_at is not None:
        raise _gone()
    return member


def _gone() -> NotFound:
    return NotFound(_("This code isn't used any more."), code="code_retired")


def first_name(name: str | None) -> str | None:
    """The first of somebody's names, None for nobody's."""
    return next(iter((name or "").split()), None)


def of_members(version: Version, currency: str) -> Offer:
    """What friends of members get."""
    terms = version.program.referral
    return _offer(version, terms.friend, terms.friend_minimum, currency)


def of_partnership(version: Version, terms: Partnership, currency: str) -> Offer:
    """What friends of a partner get."""
    offer = _offer(version, terms.friend, terms.friend_minimum, currency)
    return offer._replace(every_order=terms.every_order, title=terms.landing_title, text=terms.landing_text)


def _offer(version: Version, friend: Benefit, minimum: int, currency: str) -> Offer:
    program: Program = version.program
    days = min(friend.valid_days or program.referral.window_days, program.referral.window_days)
    least = max(minimum, friend.minimum_order)
    return Offer(version.number, friend.model_copy(update={"minimum_order": least}), days, program.zone, currency)


def currency_of(session: Session, shop_id: int) -> str:
    return session.scalars(sa.select(Shop.currency).where(Shop.id == shop_id)).one()
