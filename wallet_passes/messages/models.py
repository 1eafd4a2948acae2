"""Messages and who got them."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import JSONB, TIMESTAMP, Base

STATES = ("draft", "scheduled", "sending", "sent", "cancelled")


class WalletMessage(Base):
    """A short message to the cards of some members. `audience` says whose.

    Cards show it until `ends_at` or the next one, then `ended_at` says that they were told. `quiet` ones change the
    card and announce nothing. `edits` counts changes of what it says: who saves says which they had read. `total` is
    whom it was for when it began, `shown`, `limited` and `gone` (had left) what became of them; `cursor` is the last
    member of the work under way: sending it, later taking it off the cards.
    Indexes: what is to be sent; what is to leave the cards.
    """

    __tablename__ = "wallet_messages"
    __table_args__ = (
        sa.CheckConstraint(f"state IN ({', '.join(map(repr, STATES))})", name="state"),
        sa.Index("ix_wallet_messages_due", "send_at", postgresql_where=sa.text("state IN ('scheduled', 'sending')")),
        sa.Index(
            "ix_wallet_messages_ends",
            "ends_at",
            postgresql_where=sa.text("state IN ('sent', 'cancelled') AND ended_at IS NULL AND ends_at IS NOT NULL"),
        ),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    title: Mapped[str] = mapped_column(sa.Text)
    body: Mapped[str] = mapped_column(sa.Text)
    link: Mapped[str | None] = mapped_column(sa.Text)
    audience: Mapped[Any] = mapped_column(JSONB)
    quiet: Mapped[bool] = mapped_column(sa.Boolean, server_default="false")
    state: Mapped[str] = mapped_column(sa.Text)
    send_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    ends_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    edits: Mapped[int] = mapped_column(sa.Integer, server_default="1")
    total: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    shown: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    limited: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    gone: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    cursor: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    actor: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    started_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    finished_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    ended_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)


class MessageRecipient(Base):
    """What became of a message for one member: `shown` on their card, or why not (`limited`, `left`).

    `told_at` is when a wallet first took the change. Index: a member's latest (limits, and what their card shows).
    """

    __tablename__ = "wallet_message_recipients"
    __table_args__ = (sa.Index("ix_wallet_message_recipients_member", "shop_id", "member_id", "at"),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    message_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    outcome: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[datetime] = mapped_column(TIMESTAMP)
    told_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
