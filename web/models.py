"""What the public API keeps of its own: answers to POSTs, so that a repeated one is answered and not done again."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import JSONB, TIMESTAMP, Base


class IdempotencyKey(Base):
    """An `Idempotency-Key` with the request it stood on and the answer it got. Kept for a day."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (sa.Index("ix_idempotency_keys_age", "created_at"),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    request_digest: Mapped[str] = mapped_column(sa.Text)
    status: Mapped[int | None] = mapped_column(sa.SmallInteger)
    answer: Mapped[object | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP)
