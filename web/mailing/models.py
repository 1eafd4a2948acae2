"""What became of each mail to a member."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import TIMESTAMP, Base

OUTCOMES = ("sent", "withheld", "refused")


class MemberMail(Base):
    """One mail of one kind about one fact, which is the key: it is sent once, or not at all for the reason in `why`.

    Holds no address and no words. Index: how many lately, for the merchant and for the pruning.
    """

    __tablename__ = "member_mails"
    __table_args__ = (
        sa.CheckConstraint(f"outcome IN ({', '.join(map(repr, OUTCOMES))})", name="outcome"),
        sa.Index("ix_member_mails_at", "shop_id", "at"),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    fact: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    outcome: Mapped[str] = mapped_column(sa.Text)
    why: Mapped[str | None] = mapped_column(sa.Text)
    at: Mapped[datetime] = mapped_column(TIMESTAMP)
