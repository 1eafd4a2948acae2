"""The history of members' tiers, what overrides them, and what stands for tiers in Shopify."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import JSONB, TIMESTAMP, Base


class TierPeriod(Base):
    """A member's move to a tier and why. Index: a member's tiers in order of time."""

    __tablename__ = "tier_periods"
    __table_args__ = (sa.Index("ix_tier_periods_member", "shop_id", "member_id", "id"),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger)
    tier_key: Mapped[str] = mapped_column(sa.Text)
    since: Mapped[datetime] = mapped_column(TIMESTAMP)
    reason: Mapped[Any] = mapped_column(JSONB)
    program_version: Mapped[int] = mapped_column(sa.Integer)
    recorded_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class TierOverride(Base):
    """A tier that somebody gave a member by hand, from a moment until another. Ending it early moves `until`.

    The reason is free words and goes with an erased person. Index: a member's overrides in order of time.
    """

    __tablename__ = "tier_overrides"
    __table_args__ = (sa.Index("ix_tier_overrides_member", "shop_id", "member_id", "since"),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger)
    tier_key: Mapped[str] = mapped_column(sa.Text)
    since: Mapped[datetime] = mapped_column(TIMESTAMP)
    until: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    reason: Mapped[str] = mapped_column(sa.Text)
    actor: Mapped[str] = mapped_column(sa.Text)
    recorded_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class TierGift(Base):
    """The points a member got for entering a tier; `given` is false once the promotion was undone.

    `count` numbers the postings, `points` is what is given now.
    """

    __tablename__ = "tier_gifts"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    tier_key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    points: Mapped[int] = mapped_column(sa.BigInteger)
    count: Mapped[int] = mapped_column(sa.Integer)


class TierPerk(Base):
    """What stands for a tier in Shopify: the segment of its members, and its free-shipping discount."""

    __tablename__ = "tier_perks"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    tier_key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    segment_id: Mapped[str | None] = mapped_column(sa.Text)
    discount_id: Mapped[str | None] = mapped_column(sa.Text)
    updated_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class Recalculation(Base):
    """How far a shop's members have been measured against a ladder that came into force. `cursor` is the last one."""

    __tablename__ = "recalculations"
    __table_args__ = (sa.Index("ix_recalculations_open", "shop_id", postgresql_where=sa.text("finished_at IS NULL")),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    program_version: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    total: Mapped[int] = mapped_column(sa.BigInteger)
    done: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    moved: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    cursor: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    started_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    finished_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
