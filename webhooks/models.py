"""The inbox: every delivery, stored with its raw body before it is answered."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import TIMESTAMP, Base

STATES = ("pending", "done", "ignored", "failed")


class Delivery(Base):
    """One webhook delivery. Unique on Shopify's webhook id, so a repeat is stored once.

    Index: what is due, oldest first, across shops (the drain's claim); what failed, by shop (the merchant's list);
    what is old (pruning).
    """

    __tablename__ = "inbox"
    __table_args__ = (
        sa.UniqueConstraint("shop_id", "webhook_id"),
        sa.CheckConstraint("state IN ('pending', 'done', 'ignored', 'failed')", name="state"),
        sa.Index("ix_inbox_due", "next_try_at", "id", postgresql_where=sa.text("state = 'pending'")),
        sa.Index("ix_inbox_age", "received_at", postgresql_using="brin"),
        sa.Index("ix_inbox_failed", "shop_id", "id", postgresql_where=sa.text("state = 'failed'")),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    webhook_id: Mapped[str] = mapped_column(sa.Text)
    event_id: Mapped[str | None] = mapped_column(sa.Text)
    topic: Mapped[str] = mapped_column(sa.Text)
    api_version: Mapped[str | None] = mapped_column(sa.Text)
    triggered_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    body: Mapped[bytes] = mapped_column(sa.LargeBinary)
    received_at: Mapped[datetime] = mapped_column(TIMESTAMP, server_default=sa.func.clock_timestamp())
    state: Mapped[str] = mapped_column(sa.Text, server_default="pending")
    attempts: Mapped[int] = mapped_column(sa.SmallInteger, server_default="0")
    next_try_at: Mapped[datetime] = mapped_column(TIMESTAMP, server_default=sa.func.clock_timestamp())
    error: Mapped[str | None] = mapped_column(sa.Text)
    done_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)


class Reconciliation(Base):
    """What one walk over a shop's orders found; see `webhooks.reconcile.Summary`. Written once and signed.

    The primary key answers "what did the newest find?"; the index "where did this scope's last walk come to?".
    """

    __tablename__ = "reconciliations"
    __table_args__ = (sa.Index("ix_reconciliations_scope", "shop_id", "scope", "id"),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    scope: Mapped[str] = mapped_column(sa.Text)
    since_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    until_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    seen: Mapped[int] = mapped_column(sa.Integer)
    settled: Mapped[int] = mapped_column(sa.Integer)
    differences: Mapped[int] = mapped_column(sa.Integer)
    repaired: Mapped[int] = mapped_column(sa.Integer)
    overlapped: Mapped[int] = mapped_column(sa.Integer)
    done: Mapped[bool] = mapped_column(sa.Boolean)
    started_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    finished_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    signature: Mapped[str] = mapped_column(sa.Text)


class Backfill(Base):
    """How far a shop's past has been brought in; see `webhooks.backfill`. One row a shop.

    `operation` and `url` are Shopify's bulk operation and its file for the stage; the first `read_bytes` of its
    `file_size` are in the inbox. `tries` counts files of the stage that broke off.
    """

    __tablename__ = "backfills"
    __table_args__ = (sa.CheckConstraint("state IN ('running', 'done', 'failed')", name="state"),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    state: Mapped[str] = mapped_column(sa.Text)
    stage: Mapped[str] = mapped_column(sa.Text)
    operation: Mapped[str | None] = mapped_column(sa.Text)
    url: Mapped[str | None] = mapped_column(sa.Text)
    file_size: Mapped[int | None] = mapped_column(sa.BigInteger)
    read_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    customers: Mapped[int] = mapped_column(sa.Integer)
    orders: Mapped[int] = mapped_column(sa.Integer)
    tries: Mapped[int] = mapped_column(sa.SmallInteger)
    error: Mapped[str | None] = mapped_column(sa.Text)
    requested_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    finished_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
