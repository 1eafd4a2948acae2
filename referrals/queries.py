"""Reads of referrals: which orders concern them, for the settlement of a whole batch; and what one is, for the rest."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.db import Database, rows_by
from core.effects import Wanted
from core.errors import NotFound
from core.i18n import _
from referrals.models import Referral, ReferralDecision, ReferralReward
from shops.queries import installed_shop_ids


class Word(NamedTuple):
    """Something of an order that may name a referrer; None for what it does not say.

    `mail` is the index of the buyer's address, `discount` a code as Shopify has it, `key` one as ours are compared.
    """

    shop_id: int
    order_id: int
    member_id: int | None = None
    mail: str | None = None
    discount: str | None = None
    key: str | None = None


def referring(session: Session, shop_ids: Collection[int]) -> dict[int, bool]:
    """Those of these shops where anybody has a code to bring friends with, and whether any friend has claimed there."""
    rows = rows_by(
        session,
        "SELECT k.shop_id, EXISTS (SELECT FROM referral_claims c WHERE c.shop_id = k.shop_id) "
        "FROM {keys} AS k(shop_id) WHERE EXISTS (SELECT FROM referral_codes c WHERE c.shop_id = k.shop_id)",
        ("bigint",),
        [(shop_id,) for shop_id in sorted(shop_ids)],
    )
    return {row[0]: row[1] for row in rows}


# Orders that name a referrer; those that a referral counts; and those of other orders of the same friend.
_CONCERNED = """
    WITH k AS (SELECT * FROM {keys} AS k(shop_id, order_id, member_id, mail, discount, key))
    SELECT k.shop_id, k.order_id FROM k JOIN referral_codes c ON c.shop_id = k.shop_id AND c.key = k.key
    UNION SELECT k.shop_id, k.order_id FROM k
        JOIN referral_claims c ON c.shop_id = k.shop_id AND c.discount = k.discount
    UNION SELECT k.shop_id, k.order_id FROM k
        JOIN referral_claims c ON c.shop_id = k.shop_id AND c.email_index = k.mail
    UNION SELECT r.shop_id, r.order_id FROM k JOIN referrals r ON r.shop_id = k.shop_id AND r.order_id = k.order_id
    UNION SELECT r.shop_id, r.order_id FROM k
        JOIN referrals r ON r.shop_id = k.shop_id AND r.friend_member_id = k.member_id
    UNION SELECT r.shop_id, r.order_id FROM k JOIN referrals r ON r.shop_id = k.shop_id AND r.friend = k.mail"""


def concerned(session: Session, words: Sequence[Word]) -> list[tuple[int, int]]:
    """The (shop, order id) of referrals that these words of orders may change."""
    rows = rows_by(session, _CONCERNED, ("bigint", "bigint", "bigint", "text", "text", "text"), words)
    return [(row[0], row[1]) for row in rows]


def due(database: Database, now: datetime) -> list[tuple[int, int]]:
    """The (shop, order id) of referrals whose holding days are over, longest first, in shops that have the app."""
    with database.transaction(*installed_shop_ids(database)) as session:
        over = sa.select(Referral.shop_id, Referral.order_id).where(Referral.state == "holding", Referral.due_at <= now)
        return [(row.shop_id, row.order_id) for row in session.execute(over.order_by(Referral.due_at))]


def referral(session: Session, shop_id: int, referral_id: int) -> Referral:
    """Raises NotFound (`no_referral`)."""
    found = session.get(Referral, (shop_id, referral_id))
    if found is None:
        raise NotFound(_("there is no such referral"), code="no_referral")
    return found


def decisions_of(session: Session, shop_id: int, referral_id: int) -> Sequence[ReferralDecision]:
    """What a referral became, oldest first."""
    theirs = sa.select(ReferralDecision).where(
        ReferralDecision.shop_id == shop_id, ReferralDecision.referral_id == referral_id
    )
    return session.scalars(theirs.order_by(ReferralDecision.id)).all()


def rewards_of(session: Session, shop_id: int, referral_ids: Collection[int]) -> Sequence[ReferralReward]:
    """All that these referrals ever brought, in the order of referrals, sides and ordinals."""
    brought = sa.select(ReferralReward).where(
        ReferralReward.shop_id == shop_id, ReferralReward.referral_id.in_(referral_ids)
    )
    return session.scalars(
        brought.order_by(ReferralReward.referral_id, ReferralReward.side, ReferralReward.ordinal)
    ).all()


def with_rewards_under_way(session: Session, wanted: Sequence[Wanted]) -> list[Wanted]:
    """Those of these members of whose rewards for referrals one is being taken back, or could not be made."""
    rows = rows_by(
        session,
        "SELECT k.shop_id, k.kind, k.target FROM {keys} AS k(shop_id, kind, target, member_id) WHERE EXISTS ("
        "SELECT FROM referral_rewards r JOIN member_rewards m ON m.shop_id = r.shop_id AND m.id = r.member_reward_id "
        "WHERE r.shop_id = k.shop_id AND r.member_id = k.member_id AND (r.state = 'taking_back' "
        # An event may be recorded before its reward's new status is written.
        "OR r.state = 'given' AND m.status IN ('issuing', 'failed')))",
        ("bigint", "text", "text", "bigint"),
        [(*one, int(one.target)) for one in wanted],
    )
    return [Wanted(*row) for row in rows]
