"""Rewards that members have redeemed, the stock of each kind, and the journal of calls that can't be repeated."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import JSONB, TIMESTAMP, Base

# issuing: points are taken, Shopify does not know yet. issued: ready to use. used: seen on an order, or handed over.
# returning: given back, Shopify is being told. returned, failed: the points are back. expired: its days are over.
STATUSES = ("issuing", "issued", "used", "returning", "returned", "failed", "expired")


class MemberReward(Base):
    """A reward a member has redeemed. `terms` is the reward of the program as it was then.

    `points` is what it cost, `amount` what it is worth in minor units (null where that depends on the order),
    `reference` what Shopify calls it. `key` makes one request one reward, `posted_count` numbers the postings that its
    orders cause. Indexes: a member's rewards newest first;
    a code seen on an order (unique in the shop); those whose days end; those under way, for the repair.
    """

    __tablename__ = "member_rewards"
    __table_args__ = (
        sa.CheckConstraint(f"status IN ({', '.join(map(repr, STATUSES))})", name="status"),
        sa.UniqueConstraint("shop_id", "key"),
        sa.Index("ix_member_rewards_member", "shop_id", "member_id", "id"),
        sa.Index("uq_member_rewards_code", "shop_id", "code", unique=True),
        sa.Index("ix_member_rewards_order", "shop_id", "order_id", postgresql_where=sa.text("order_id IS NOT NULL")),
        sa.Index("ix_member_rewards_expiry", "expires_at", postgresql_where=sa.text("status = 'issued'")),
        sa.Index(
            "ix_member_rewards_under_way",
            "requested_at",
            postgresql_where=sa.text("status IN ('issuing', 'returning')"),
        ),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger)
    reward_key: Mapped[str] = mapped_column(sa.Text)
    program_version: Mapped[int] = mapped_column(sa.Integer)
    terms: Mapped[Any] = mapped_column(JSONB)
    points: Mapped[int] = mapped_column(sa.BigInteger)
    amount: Mapped[int | None] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.Text)
    status: Mapped[str] = mapped_column(sa.Text)
    code: Mapped[str] = mapped_column(sa.Text)
    key: Mapped[str] = mapped_column(sa.Text)
    reference: Mapped[str | None] = mapped_column(sa.Text)
    error: Mapped[str | None] = mapped_column(sa.Text)
    actor: Mapped[str] = mapped_column(sa.Text)
    requested_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    issued_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    expires_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    order_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    used_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    ended_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    posted_count: Mapped[int] = mapped_column(sa.Integer, server_default="0")


class RewardStock(Base):
    """How many of a reward are taken. Its row is the lock that lets only one have the last."""

    __tablename__ = "reward_stock"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    reward_key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    taken: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")


class RewardCall(Base):
    """A call to Shopify that can't be repeated (store credit, gift cards), noted before it is made.

    One without an outcome is ambiguous: what Shopify shows decides before another is made.
    """

    __tablename__ = "reward_calls"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    reward_id: Mapped[int] = mapped_column(sa.BigInteger)
    document: Mapped[str] = mapped_column(sa.Text)
    began_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    ended_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    outcome: Mapped[str | None] = mapped_column(sa.Text)
    reference: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (sa.Index("ix_reward_calls_reward", "shop_id", "reward_id"),)
