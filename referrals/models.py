"""Codes and who looked at them, friends who claimed, referrals and how each was decided, and what they brought."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import JSONB, TIMESTAMP, Base

# waiting: the friend's order is not paid yet. holding: it stands, the holding days run. review: a person must look.
# rewarded: the referrer has their side. blocked: refused. void: the order was undone before the referrer's side came.
# reversed: it was undone after, and what could be taken back was.
STATES = ("waiting", "holding", "review", "rewarded", "blocked", "void", "reversed")
CLAIM_STATES = ("making", "made", "used", "ended", "failed")
SIDES = ("friend", "referrer", "milestone")
REWARD_STATES = ("given", "taking_back", "taken_back", "kept")


class ReferralCode(Base):
    """A code that brings friends: a member's (one in use at a time), or a partner's.

    `key` is the code as it is compared: without case, separators and look-alikes. Retired codes stay, so that nobody
    else gets them and old links can say whose they were.
    """

    __tablename__ = "referral_codes"
    __table_args__ = (
        sa.CheckConstraint("(member_id IS NULL) <> (partner_id IS NULL)", name="one_owner"),
        sa.Index(
            "uq_referral_codes_member",
            "shop_id",
            "member_id",
            unique=True,
            postgresql_where=sa.text("retired_at IS NULL AND member_id IS NOT NULL"),
        ),
        sa.Index("ix_referral_codes_of_member", "shop_id", "member_id"),
        sa.Index("ix_referral_codes_partner", "shop_id", "partner_id"),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    code: Mapped[str] = mapped_column(sa.Text)
    member_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    partner_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    # Chosen by a person, not made by us.
    vanity: Mapped[bool] = mapped_column(sa.Boolean, server_default="false")
    # What Shopify calls the discount of a partner's code, which many may use; members' codes are none at a checkout.
    discount_id: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    retired_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)


class ReferralPartner(Base):
    """Somebody who brings customers under the terms of a partnership of the program, by its key."""

    __tablename__ = "referral_partners"
    __table_args__ = (sa.UniqueConstraint("shop_id", "email_index"),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    partnership: Mapped[str] = mapped_column(sa.Text)
    name: Mapped[str] = mapped_column(sa.Text)
    email: Mapped[bytes] = mapped_column(sa.LargeBinary)
    email_index: Mapped[str] = mapped_column(sa.Text)
    actor: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    ended_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)


class ReferralVisit(Base):
    """A look at a code's page. `visitor` and `network` are keyed hashes, of a cookie and of an address."""

    __tablename__ = "referral_visits"
    __table_args__ = (
        sa.Index("ix_referral_visits_code", "shop_id", "code_key", "at"),
        sa.Index("ix_referral_visits_visitor", "shop_id", "visitor"),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    code_key: Mapped[str] = mapped_column(sa.Text)
    visitor: Mapped[str] = mapped_column(sa.Text)
    network: Mapped[str] = mapped_column(sa.Text)
    via: Mapped[str] = mapped_column(sa.Text, server_default="link")
    at: Mapped[datetime] = mapped_column(TIMESTAMP)


class ReferralCount(Base):
    """How often a code was shared and looked at on a day of the shop; visits themselves are not kept for long."""

    __tablename__ = "referral_counts"
    __table_args__ = (sa.Index("ix_referral_counts_day", "shop_id", "day"),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    code_key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    day: Mapped[date] = mapped_column(sa.Date, primary_key=True)
    shares: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    clicks: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    visitors: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")


class ReferralClaim(Base):
    """A friend who left an e-mail, and the code for one use that Shopify makes for it.

    `email_index` is a keyed hash of the normalised address: one claim of it is open at most, for the latest referrer.
    `terms` is the friend's benefit as it was promised. `discount` is the code. `network` and `visitor` are hashes.
    """

    __tablename__ = "referral_claims"
    __table_args__ = (
        sa.CheckConstraint(f"state IN ({', '.join(map(repr, CLAIM_STATES))})", name="state"),
        sa.Index(
            "uq_referral_claims_email",
            "shop_id",
            "email_index",
            unique=True,
            postgresql_where=sa.text("ended_at IS NULL"),
        ),
        sa.Index("ix_referral_claims_mail", "shop_id", "email_index", "at"),
        sa.Index("uq_referral_claims_discount", "shop_id", "discount", unique=True),
        sa.Index("ix_referral_claims_code", "shop_id", "code_key", "id"),
        sa.Index("ix_referral_claims_network", "shop_id", "network", "at"),
        sa.Index("ix_referral_claims_visitor", "shop_id", "visitor", "at"),
        sa.Index("ix_referral_claims_at", "shop_id", "at"),
        sa.Index("ix_referral_claims_expiry", "expires_at", postgresql_where=sa.text("ended_at IS NULL")),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    code_key: Mapped[str] = mapped_column(sa.Text)
    email: Mapped[bytes] = mapped_column(sa.LargeBinary)
    email_index: Mapped[str] = mapped_column(sa.Text)
    visitor: Mapped[str] = mapped_column(sa.Text)
    network: Mapped[str] = mapped_column(sa.Text)
    # The words the friend agreed to, and whether they also asked for news.
    consent: Mapped[str] = mapped_column(sa.Text)
    wants_news: Mapped[bool] = mapped_column(sa.Boolean, server_default="false")
    program_version: Mapped[int] = mapped_column(sa.Integer)
    terms: Mapped[Any] = mapped_column(JSONB)
    discount: Mapped[str] = mapped_column(sa.Text)
    discount_id: Mapped[str | None] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.Text)
    error: Mapped[str | None] = mapped_column(sa.Text)
    at: Mapped[datetime] = mapped_column(TIMESTAMP)
    expires_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    ended_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)


class Referral(Base):
    """One friend brought by one referrer, for ever: `friend` is `m<member id>` or the hash of a guest's address.

    `order_id` is the order that counts. `evidence` is what the checks saw, as keyed hashes, counts and booleans, never
    personal data; `reasons` what they made of it: [{"key", "points", "text"}]. `decision` is a person's, which stands
    over the checks until it is undone. For partnerships in which every order counts, `friend` ends in the order's id.
    """

    __tablename__ = "referrals"
    __table_args__ = (
        sa.CheckConstraint(f"state IN ({', '.join(map(repr, STATES))})", name="state"),
        sa.UniqueConstraint("shop_id", "friend"),
        sa.UniqueConstraint("shop_id", "order_id"),
        sa.Index("ix_referrals_referrer", "shop_id", "referrer_member_id", "id"),
        sa.Index("ix_referrals_partner", "shop_id", "partner_id", "id"),
        sa.Index("ix_referrals_friend_member", "shop_id", "friend_member_id"),
        sa.Index("ix_referrals_due", "due_at", postgresql_where=sa.text("state = 'holding'")),
        sa.Index("ix_referrals_state", "shop_id", "state", "id"),
        # All that numbers ask of a referral, so that they need not read the rows.
        sa.Index(
            "ix_referrals_at",
            "shop_id",
            "at",
            postgresql_include=["id", "state", "amount", "discount", "referrer_member_id", "partner_id"],
        ),
        sa.Index("ix_referrals_repeated", "shop_id", "at", postgresql_where=sa.text("strpos(friend, ':') > 0")),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    friend: Mapped[str] = mapped_column(sa.Text)
    friend_member_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    referrer_member_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    partner_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    code_key: Mapped[str] = mapped_column(sa.Text)
    # How the order told of the referrer: `discount`, `code`, `cart` or `email`.
    via: Mapped[str] = mapped_column(sa.Text)
    claim_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    order_id: Mapped[int] = mapped_column(sa.BigInteger)
    # When the order was placed, and what it counts for, in minor units.
    at: Mapped[datetime] = mapped_column(TIMESTAMP)
    amount: Mapped[int] = mapped_column(sa.BigInteger)
    # What the friend's own code took off what is left of it, in minor units.
    discount: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    currency: Mapped[str] = mapped_column(sa.Text)
    program_version: Mapped[int] = mapped_column(sa.Integer)
    state: Mapped[str] = mapped_column(sa.Text)
    score: Mapped[int] = mapped_column(sa.Integer, server_default="0")
    reasons: Mapped[Any] = mapped_column(JSONB, server_default="[]")
    evidence: Mapped[Any] = mapped_column(JSONB, server_default="{}")
    decision: Mapped[str | None] = mapped_column(sa.Text)
    decided_by: Mapped[str | None] = mapped_column(sa.Text)
    decided_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    due_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    rewarded_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    updated_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class ReferralDecision(Base):
    """What a referral became, when, by whom and why. Only ever added to."""

    __tablename__ = "referral_decisions"
    __table_args__ = (sa.Index("ix_referral_decisions_referral", "shop_id", "referral_id", "id"),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    referral_id: Mapped[int] = mapped_column(sa.BigInteger)
    was: Mapped[str] = mapped_column(sa.Text)
    became: Mapped[str] = mapped_column(sa.Text)
    score: Mapped[int] = mapped_column(sa.Integer)
    reasons: Mapped[Any] = mapped_column(JSONB)
    note: Mapped[str] = mapped_column(sa.Text, server_default="")
    actor: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[datetime] = mapped_column(TIMESTAMP)


class ReferralReward(Base):
    """What a referral brought one side. `ordinal` numbers what was given anew after it had been taken back.

    By its kind it is a reward of the member (`member_reward_id`), points (posted under `referral:<id>…`) or an entry of
    the commission ledger. `benefit` is the program's, as it was.
    """

    __tablename__ = "referral_rewards"
    __table_args__ = (
        sa.CheckConstraint(f"side IN ({', '.join(map(repr, SIDES))})", name="side"),
        sa.CheckConstraint(f"state IN ({', '.join(map(repr, REWARD_STATES))})", name="state"),
        sa.Index("ix_referral_rewards_member", "shop_id", "member_id", "at"),
        sa.Index(
            "uq_referral_rewards_reward",
            "shop_id",
            "member_reward_id",
            unique=True,
            postgresql_where=sa.text("member_reward_id IS NOT NULL"),
        ),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    referral_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    side: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    ordinal: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    member_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    partner_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    benefit: Mapped[Any] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(sa.Text)
    member_reward_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    points: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    # What it costs the shop, in minor units of its currency.
    amount: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    at: Mapped[datetime] = mapped_column(TIMESTAMP)
    ended_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
