"""The history of members' tiers."""

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
