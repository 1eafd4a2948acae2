"""Partners' codes as they stand in Shopify: what should be there is made, what should not is ended. An effect."""

from typing import NamedTuple

from sqlalchemy.orm import Session

from core.db import Database
from core.effects import PermanentFailure
from core.errors import Conflict, NotFound
from loyalty.rewards import coupons
from loyalty.rewards.inputs import Coupon
from referrals import members, offers, partners
from referrals.claims.issue import coupon, new_customers
from referrals.invitations import DISCOUNTS
from referrals.models import ReferralCode, ReferralPartner
from referrals.offers import Offer
from shops.admin import Admin, AdminRefused


class Task(NamedTuple):
    """A partner's codes, and what the one in use gives; None where it gives no discount."""

    shop_id: int
    codes: tuple[ReferralCode, ...]
    offer: Offer | None


def stand(database: Database, shop_id: int, target: str) -> None:
    """Make the shop's discount codes equal to what a partner should have. Harmless to repeat.

    Raises PermanentFailure when Shopify refuses (the code is another discount's) or the shop has left, NotAuthenticated
    and Unavailable for another try.
    """
    task = _task(database, shop_id, int(target))
    if not any(_wanted(task, code) or code.discount_id for code in task.codes):
        return
    with Admin.of(database, shop_id) as admin:
        try:
            for code in task.codes:
                _settle(database, admin, task, code)
        except AdminRefused as refused:
            raise PermanentFailure(refused.detail) from None


def _task(database: Database, shop_id: int, partner_id: int) -> Task:
    with database.transaction(shop_id) as session:
        held = tuple(partners.all_codes(session, shop_id, partner_id))
        partner = session.get(ReferralPartner, (shop_id, partner_id))
        offer = None
        if partner is not None and partner.ended_at is None:
            offer = _offer(session, partner)
        return Task(shop_id, held, offer)


def _offer(session: Session, partner: ReferralPartner) -> Offer | None:
    try:
        version = members.require_referrals(session, partner.shop_id)
    except (NotFound, Conflict):
        return None
    terms = version.program.referral.partnership(partner.partnership)
    if terms is None or terms.friend.kind not in DISCOUNTS:
        return None
    return offers.of_partnership(version, terms, offers.currency_of(session, partner.shop_id))


def _wanted(task: Task, code: ReferralCode) -> bool:
    return task.offer is not None and code.retired_at is None


def _settle(database: Database, admin: Admin, task: Task, code: ReferralCode) -> None:
    if task.offer is not None and _wanted(task, code):
        made = _make(admin, task.offer, code)
        if made != code.discount_id:
            _remember(database, code, made)
    elif code.discount_id:
        _withdraw(admin, code.discount_id)
        _remember(database, code, None)


def _make(admin: Admin, offer: Offer, code: ReferralCode) -> str:
    """A discount of which the terms have changed since is replaced: its title tells them."""
    wish = _coupon(offer, code)
    there = admin.call("discount_by_code", code=code.code)["codeDiscountNodeByCode"]
    if there is not None and there["id"] == code.discount_id:
        if there["codeDiscount"]["title"] == wish.title and there["codeDiscount"]["status"] == "ACTIVE":
            return str(there["id"])
        admin.call("discount_delete", id=there["id"])
    context = {"all": "ALL"} if offer.every_order else new_customers(admin)
    return coupons.make(admin, wish._replace(context=context))


def _coupon(offer: Offer, code: ReferralCode) -> Coupon:
    """For many friends, each once, for as long as the partner has it."""
    wish = coupon(code.code, offer.benefit, offer.currency, code.created_at)
    return wish._replace(title=f"{offer.gift[:1].upper() + offer.gift[1:]} ({code.code})")


def _withdraw(admin: Admin, discount_id: str) -> None:
    """Deleted, so that somebody else may have the code in Shopify. What the merchant deleted is gone already."""
    try:
        admin.call("discount_delete", id=discount_id)
    except AdminRefused as refused:
        if "INVALID" not in refused.codes:
            raise


def _remember(database: Database, code: ReferralCode, discount_id: str | None) -> None:
    with database.transaction(code.shop_id) as session:
        session.get_one(ReferralCode, (code.shop_id, code.key)).discount_id = discount_id
