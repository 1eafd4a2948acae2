"""Referrals of two members who become one: codes, friends and what they brought go over to the one who stays."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from referrals.models import Referral, ReferralCode, ReferralReward
from referrals.operations import request

# One code of a member is in use at a time: where both have one, the other leads to the same person from now on.
_RETIRE = sa.text("""
    UPDATE referral_codes c SET retired_at = :now
    WHERE c.shop_id = :shop_id AND c.member_id = :deleted AND c.retired_at IS NULL AND EXISTS (
        SELECT FROM referral_codes k WHERE k.shop_id = c.shop_id AND k.member_id = :kept AND k.retired_at IS NULL)""")


def merge_referrals(session: Session, shop_id: int, deleted: int, kept: int) -> None:
    """Give the kept member the codes, friends and rewards of both, and have their referrals settled anew.

    Somebody who brought themselves is found out by it. The caller has locked both. Doing it again changes nothing.
    """
    session.execute(_RETIRE, {"shop_id": shop_id, "deleted": deleted, "kept": kept, "now": clock.now()})
    for column in (ReferralCode.member_id, ReferralReward.member_id, Referral.referrer_member_id):
        _pass_on(session, column, shop_id, deleted, kept)
    _pass_on(session, Referral.friend_member_id, shop_id, deleted, kept)
    either = (Referral.friend_member_id == kept) | (Referral.referrer_member_id == kept)
    orders = sa.select(Referral.order_id).where(Referral.shop_id == shop_id, either)
    request(session, shop_id, session.scalars(orders).all())


def _pass_on(session: Session, column: Any, shop_id: int, deleted: int, kept: int) -> None:
    table = column.class_
    session.execute(
        sa.update(table)
        .where(table.shop_id == shop_id, column == deleted)
        .values({column: kept})
        .execution_options(synchronize_session=False)
    )
