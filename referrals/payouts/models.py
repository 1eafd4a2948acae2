"""Commission: who is paid, the append-only ledger of what they earned, and the statements it is paid by."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import JSONB, TIMESTAMP, Base

ENTRIES = ("earned", "reversed", "paid", "returned")
PAYEE_STATES = ("new", "onboarding", "active", "restricted", "rejected")
STATEMENT_STATES = ("open", "approved", "paying", "paid", "failed", "reversed")


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(map(repr, values))})"


class Payee(Base):
    """A member or partner who earns commission, and their account at Stripe, which knows who they are and their taxes.

    `needs` is what Stripe still asks of them. `told_at` is when Stripe's account last changed: older news is ignored.
    """

    __tablename__ = "payees"
    __table_args__ = (
        sa.CheckConstraint("(member_id IS NULL) <> (partner_id IS NULL)", name="one_person"),
        sa.CheckConstraint(_one_of("state", PAYEE_STATES), name="state"),
        sa.UniqueConstraint("shop_id", "member_id"),
        sa.UniqueConstraint("shop_id", "partner_id"),
        sa.Index("uq_payees_account", "shop_id", "account", unique=True),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    member_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    partner_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    account: Mapped[str | None] = mapped_column(sa.Text)
    country: Mapped[str | None] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.Text)
    needs: Mapped[Any] = mapped_column(JSONB, server_default="[]")
    told_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class CommissionEntry(Base):
    """Money earned, taken back, paid out or come back, in minor units, signed as the payee sees it. Only added to.

    What a payee is owed in a currency is the sum. `key` makes one fact one entry.
    """

    __tablename__ = "commission_entries"
    __table_args__ = (
        sa.CheckConstraint(_one_of("kind", ENTRIES), name="kind"),
        sa.CheckConstraint("amount <> 0", name="moves"),
        sa.UniqueConstraint("shop_id", "key"),
        sa.Index("ix_commission_entries_payee", "shop_id", "payee_id", "id"),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    payee_id: Mapped[int] = mapped_column(sa.BigInteger)
    kind: Mapped[str] = mapped_column(sa.Text)
    amount: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.Text)
    referral_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    statement_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    key: Mapped[str] = mapped_column(sa.Text)
    explanation: Mapped[Any] = mapped_column(JSONB)
    actor: Mapped[str] = mapped_column(sa.Text)
    occurred_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    recorded_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class Statement(Base):
    """What a payee is paid for a month, in one currency: entries up to `last_entry` that no earlier one has paid.

    `amount` is what it was closed at, `sent` what was asked of Stripe: less where commission was taken back since.
    `attempt` numbers the transfers: the idempotency key at Stripe is of the statement and the attempt, and only a
    transfer that Stripe says has failed or been reversed begins another.
    """

    __tablename__ = "commission_statements"
    __table_args__ = (
        sa.CheckConstraint(_one_of("state", STATEMENT_STATES), name="state"),
        sa.UniqueConstraint("shop_id", "payee_id", "month", "currency"),
        sa.Index("uq_commission_statements_transfer", "shop_id", "transfer", unique=True),
        sa.Index("ix_commission_statements_state", "shop_id", "state", "id"),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    payee_id: Mapped[int] = mapped_column(sa.BigInteger)
    month: Mapped[date] = mapped_column(sa.Date)
    currency: Mapped[str] = mapped_column(sa.Text)
    amount: Mapped[int] = mapped_column(sa.BigInteger)
    last_entry: Mapped[int] = mapped_column(sa.BigInteger)
    sent: Mapped[int | None] = mapped_column(sa.BigInteger)
    state: Mapped[str] = mapped_column(sa.Text)
    attempt: Mapped[int] = mapped_column(sa.Integer, server_default="1")
    transfer: Mapped[str | None] = mapped_column(sa.Text)
    error: Mapped[str | None] = mapped_column(sa.Text)
    approved_by: Mapped[str | None] = mapped_column(sa.Text)
    approved_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    paid_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class StripeEvent(Base):
    """A message of Stripe's that was taken: it may come again, and out of order."""

    __tablename__ = "stripe_events"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[datetime] = mapped_column(TIMESTAMP)
