"""The far side of claims and partners: Shopify is made to have the codes that friends were promised, and no others.

No transaction is open while Shopify is asked. What Shopify will never do fails visibly; what it may do later is raised,
so that the effect is tried again.
"""

from datetime import datetime
from typing import NamedTuple

from core import clock, crypto, logs
from core.db import Database
from core.effects import PermanentFailure
from loyalty.program import Benefit, Reward
from loyalty.rewards import coupons
from loyalty.rewards.inputs import Coupon, Json
from loyalty.wording.benefits import benefit_text
from referrals import offers
from referrals.claims import operations, rules
from referrals.fraud import history
from referrals.invitations import DISCOUNTS
from referrals.models import ReferralClaim
from shops import segments
from shops.admin import Admin, AdminRefused

SEGMENT = "New customers (Rapport)"
# https://shopify.dev/docs/api/shopifyql/segment-query-language-reference
NEW_CUSTOMERS = "number_of_orders = 0"

log = logs.logger(__name__)


class Task(NamedTuple):
    """A claim as far as Shopify cares."""

    row: ReferralClaim
    currency: str

    @property
    def coupon(self) -> Coupon:
        """One code for one new customer, once."""
        return coupon(self.row.discount, operations.benefit_of(self.row), self.currency, self.row.at)._replace(
            ends_at=self.row.expires_at, uses=1
        )


def coupon(code: str, benefit: Benefit, currency: str, starts_at: datetime) -> Coupon:
    """A friend's discount, for whomever it will be limited to, as often as it will be used."""
    worth = benefit_text(benefit, currency)
    same = {name: getattr(benefit, name) for name in ("kind", "amount", "percentage", "minimum_order")}
    reward = Reward(key="friend", name=worth[:1].upper() + worth[1:], cost=1, **same)
    return Coupon(
        f"{reward.name} for a friend ({code})", code, reward, benefit.amount, currency, starts_at, None, {}, None
    )


def issue(database: Database, shop_id: int, target: str) -> None:
    """Make a claim's code, or end it, as the claim asks. An effect: harmless to repeat.

    Raises PermanentFailure for a code that Shopify will not end and for a shop that has left, NotAuthenticated and
    Unavailable for another try.
    """
    task = _task(database, shop_id, int(target))
    if task is None:
        return
    if task.row.state == "making" and task.row.expires_at <= clock.now():
        return
    with Admin.of(database, shop_id) as admin:
        if task.row.state == "making":
            _make(database, admin, task)
        else:
            _end(admin, task)


def _task(database: Database, shop_id: int, claim_id: int) -> Task | None:
    """The claim as it is now, if Shopify must be told."""
    with database.transaction(shop_id) as session:
        row = session.get(ReferralClaim, (shop_id, claim_id))
        if row is None or row.terms["kind"] not in DISCOUNTS or row.state not in ("making", "ended", "failed"):
            return None
        return Task(row, offers.currency_of(session, shop_id))


def _make(database: Database, admin: Admin, task: Task) -> None:
    shop_id, claim_id = task.row.shop_id, task.row.id
    try:
        if _has_ordered(database, admin, shop_id, crypto.decrypt(task.row.email)):
            raise AdminRefused(rules.EXISTING)
        made = coupons.make(admin, task.coupon._replace(context=new_customers(admin)), task.row.discount_id)
    except AdminRefused as refused:
        log.warning("a friend's code was not made", shop_id=shop_id, claim_id=claim_id, error=refused.detail)
        with database.transaction(shop_id) as session:
            operations.mark_failed(session, shop_id, claim_id, refused.detail)
        return
    with database.transaction(shop_id) as session:
        kept = operations.mark_made(session, shop_id, claim_id, made)
    if not kept:
        # While Shopify was asked, another referrer came last: nobody may have both codes.
        _end(admin, task)


def _has_ordered(database: Database, admin: Admin, shop_id: int, email: str) -> bool:
    """Shopify knows customers by the address as it is written, we by the mailbox that it leads to."""
    with database.transaction(shop_id) as session:
        if history.mailbox_has_ordered(session, shop_id, email, clock.now()):
            return True
    known = admin.call("customer_orders", identifier={"emailAddress": email})["customerByIdentifier"]
    return known is not None and int(known["numberOfOrders"]) > 0


def new_customers(admin: Admin) -> Json:
    """Limits a discount to people who have never ordered."""
    return {"customerSegments": {"add": [segments.ensure(admin, SEGMENT, NEW_CUSTOMERS)]}}


def _end(admin: Admin, task: Task) -> None:
    try:
        coupons.end(admin, task.coupon, task.row.discount_id)
    except AdminRefused as refused:
        raise PermanentFailure(refused.detail) from None
