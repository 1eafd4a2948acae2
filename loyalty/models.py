"""Members, orders as last known, the append-only ledger, and the program's versions."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import JSONB, TIMESTAMP, Base

BUCKETS = ("issued", "pending", "available", "redeemed", "expired", "adjusted")
KINDS = ("earn", "release", "redeem", "reversal", "reimbursement", "expiry", "adjustment", "bonus", "referral")
# Every way points may move. The database refuses all others.
MOVES = (
    ("issued", "pending"),
    ("issued", "available"),
    ("pending", "available"),
    ("available", "pending"),
    ("pending", "issued"),
    ("available", "issued"),
    ("available", "redeemed"),
    ("redeemed", "available"),
    ("available", "expired"),
    ("expired", "available"),
    ("available", "adjusted"),
    ("adjusted", "available"),
)


def _one_of(column: str, allowed: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in allowed)})"


def _legal_moves() -> str:
    return " OR ".join(f"(source = '{source}' AND target = '{target}')" for source, target in MOVES)


class Member(Base):
    """A customer in the program, with the balances that the ledger proves.

    Unique on the Shopify customer (one member each). Indexes: by e-mail (API, guest claims); tiers due for review;
    points that may expire or be reminded of; anniversaries.
    """

    __tablename__ = "members"
    __table_args__ = (
        sa.UniqueConstraint("shop_id", "customer_id"),
        sa.Index("ix_members_email", "shop_id", "email"),
        sa.Index("ix_members_tier_review", "tier_review_at", postgresql_where=sa.text("tier_review_at IS NOT NULL")),
        sa.Index("ix_members_expiry", "expiry_look_at", postgresql_where=sa.text("expiry_look_at IS NOT NULL")),
        sa.Index("ix_members_joined", "shop_id", "joined_at"),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    customer_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    email: Mapped[str | None] = mapped_column(sa.Text)
    email_verified: Mapped[bool] = mapped_column(sa.Boolean, server_default="false")
    name: Mapped[str | None] = mapped_column(sa.Text)
    customer_updated_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    joined_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    available: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    pending: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    lifetime: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    last_order_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    tier_key: Mapped[str] = mapped_column(sa.Text)
    tier_since: Mapped[datetime] = mapped_column(TIMESTAMP)
    tier_review_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    # The latest earning, spending or order; null only while there was none.
    last_active_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    # When points may next expire or need a reminder: never too late, sometimes too early.
    expiry_look_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    # The expiry that was last reminded of, and how many days ahead.
    expiry_reminded_of: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    expiry_reminded_days: Mapped[int | None] = mapped_column(sa.SmallInteger)
    merged_into: Mapped[int | None] = mapped_column(sa.BigInteger)
    # From when on they redeem nothing and what they buy earns nothing; null unless the shop said so.
    blocked_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    closed_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    erased_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)


class MemberTerm(Base):
    """A word under which a member is found: of their name, or of their e-mail. Kept by triggers on `members`.

    The key answers "whose words begin so?" by itself, in the order of the bytes, whatever the database's collation.
    """

    __tablename__ = "member_terms"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    term: Mapped[str] = mapped_column(sa.Text(collation="C"), primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)


class Order(Base):
    """An order's latest known state, and what it has earned so far (`posted_*`, proven by the ledger).

    `state` is null while only a refund of the order is known. `refunds` maps a refund's id to it. `guest_email` holds
    the points of an order without a customer until somebody with that address enrols.
    `labels` are the tags and collections of its products, frozen when it was first settled under a rule that asks for
    them; `labels_wanted` marks an order that still waits for them.
    Indexes: a member's orders by time (late facts, history); guest orders by address; points due for release; orders
    that wait for their products; an order by the number people know.
    """

    __tablename__ = "orders"
    __table_args__ = (
        sa.Index("ix_orders_name", "shop_id", "name", postgresql_where=sa.text("name IS NOT NULL")),
        sa.Index("ix_orders_member", "shop_id", "member_id", "processed_at"),
        sa.Index("ix_orders_guest", "shop_id", "guest_email", postgresql_where=sa.text("guest_email IS NOT NULL")),
        sa.Index("ix_orders_release", "release_at", postgresql_where=sa.text("release_at IS NOT NULL")),
        sa.Index("ix_orders_labels", "shop_id", "order_id", postgresql_where=sa.text("labels_wanted")),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    order_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    member_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    guest_email: Mapped[str | None] = mapped_column(sa.Text)
    processed_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    state: Mapped[Any | None] = mapped_column(JSONB)
    # As people know it: "#1043".
    name: Mapped[str | None] = mapped_column(sa.Text, sa.Computed("(state ->> 'name')", persisted=True))
    refunds: Mapped[Any] = mapped_column(JSONB, server_default="{}")
    deleted_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    tier_key: Mapped[str | None] = mapped_column(sa.Text)
    program_version: Mapped[int | None] = mapped_column(sa.Integer)
    settled: Mapped[Any | None] = mapped_column(JSONB)
    posted_pending: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    posted_available: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    posted_count: Mapped[int] = mapped_column(sa.Integer, server_default="0")
    release_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    labels: Mapped[Any | None] = mapped_column(JSONB)
    labels_wanted: Mapped[bool] = mapped_column(sa.Boolean, server_default="false")
    settled_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class SpendFact(Base):
    """One change of what qualifies a member for tiers, at one moment: an order, a refund of it, its cancel.

    In minor units, in orders (1, or -1 for a cancel) and, where the ladder goes by points, in points earned. Derived
    from the order's state and rewritten with it; an activity's points have order 0 and name the activity as their
    cause. The index answers "how much in this window?" by itself.
    """

    __tablename__ = "spend_facts"
    __table_args__ = (
        sa.Index(
            "ix_spend_facts_window",
            "shop_id",
            "member_id",
            "at",
            postgresql_include=["amount", "orders", "points"],
        ),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    order_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    cause: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger)
    at: Mapped[datetime] = mapped_column(TIMESTAMP)
    amount: Mapped[int] = mapped_column(sa.BigInteger)
    orders: Mapped[int] = mapped_column(sa.SmallInteger, server_default="0")
    points: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")


class OrderUse(Base):
    """What a limited rule brought one order, so that its limits hold. Derived and rewritten with the order.

    Index: how much a rule has brought a member, ever and on a day.
    """

    __tablename__ = "order_uses"
    __table_args__ = (
        sa.Index("ix_order_uses_rule", "shop_id", "member_id", "rule", "at", postgresql_include=["points"]),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    order_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    rule: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger)
    at: Mapped[datetime] = mapped_column(TIMESTAMP)
    points: Mapped[int] = mapped_column(sa.BigInteger)


class Product(Base):
    """What rules ask of a product that orders don't tell: its tags and its collections (ids)."""

    __tablename__ = "products"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    product_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    tags: Mapped[Any] = mapped_column(JSONB)
    collections: Mapped[Any] = mapped_column(JSONB)
    fetched_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class Posting(Base):
    """A positive number of points of one member moved from one bucket (`source`) to another (`target`).

    Append-only: the app's role may only INSERT, and a trigger refuses UPDATE and DELETE to everyone. The unique key
    makes a business fact count once. Indexes: a member's postings newest first; an order's postings; what a member
    earned outside orders, newest first (lots); what expired or was taken back.
    """

    __tablename__ = "postings"
    __table_args__ = (
        sa.UniqueConstraint("shop_id", "key"),
        sa.Index("ix_postings_member", "shop_id", "member_id", "id"),
        sa.Index("ix_postings_order", "shop_id", "order_id", postgresql_where=sa.text("order_id IS NOT NULL")),
        sa.Index(
            "ix_postings_credits",
            "shop_id",
            "member_id",
            "occurred_at",
            postgresql_include=["points"],
            postgresql_where=sa.text("order_id IS NULL AND target = 'available' AND source IN ('issued', 'adjusted')"),
        ),
        sa.Index(
            "ix_postings_expiries",
            "shop_id",
            "member_id",
            "id",
            postgresql_where=sa.text(
                "kind = 'expiry' OR (order_id IS NOT NULL AND kind IN ('reversal', 'adjustment'))"
            ),
        ),
        sa.CheckConstraint("points > 0", name="positive"),
        sa.CheckConstraint(_one_of("kind", KINDS), name="kind"),
        sa.CheckConstraint(_legal_moves(), name="legal_move"),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger)
    kind: Mapped[str] = mapped_column(sa.Text)
    source: Mapped[str] = mapped_column(sa.Text)
    target: Mapped[str] = mapped_column(sa.Text)
    points: Mapped[int] = mapped_column(sa.BigInteger)
    key: Mapped[str] = mapped_column(sa.Text)
    order_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    program_version: Mapped[int | None] = mapped_column(sa.Integer)
    rule: Mapped[str] = mapped_column(sa.Text)
    explanation: Mapped[Any] = mapped_column(JSONB)
    actor: Mapped[str] = mapped_column(sa.Text)
    occurred_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    recorded_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    available_after: Mapped[int] = mapped_column(sa.BigInteger)
    pending_after: Mapped[int] = mapped_column(sa.BigInteger)


class ProgramVersion(Base):
    """A published program. An order is settled by the version in force when it was placed, for ever."""

    __tablename__ = "program_versions"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    version: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    document: Mapped[Any] = mapped_column(JSONB)
    effective_from: Mapped[datetime] = mapped_column(TIMESTAMP)
    published_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    actor: Mapped[str] = mapped_column(sa.Text)
    note: Mapped[str | None] = mapped_column(sa.Text)


class ProgramDraft(Base):
    """The program a shop is working on; it need not be valid yet. `based_on` is the version it started from."""

    __tablename__ = "program_drafts"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    document: Mapped[Any] = mapped_column(JSONB)
    based_on: Mapped[int | None] = mapped_column(sa.Integer)
    updated_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    actor: Mapped[str] = mapped_column(sa.Text)


class Erasure(Base):
    """A person we erased, as a keyed hash, so that a late delivery does not bring them back."""

    __tablename__ = "erasures"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    subject: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class DataExport(Base):
    """What we know of a person who asked, encrypted, for the merchant to hand over. Deleted after 30 days."""

    __tablename__ = "data_exports"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    request_id: Mapped[str] = mapped_column(sa.Text)
    subject: Mapped[str] = mapped_column(sa.Text)
    document: Mapped[bytes] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class ShopDay(Base):
    """What became of points on one day of a shop, counted from the ledger: what came less what went back.

    The key answers "what of these days?". Counted up to a posting (`ShopCount`); what is newer is counted when asked.
    """

    __tablename__ = "shop_days"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    day: Mapped[date] = mapped_column(sa.Date, primary_key=True)
    issued: Mapped[int] = mapped_column(sa.BigInteger)
    redeemed: Mapped[int] = mapped_column(sa.BigInteger)
    expired: Mapped[int] = mapped_column(sa.BigInteger)
    adjusted: Mapped[int] = mapped_column(sa.BigInteger)


class ShopCount(Base):
    """Up to which posting a shop's days are counted, and what takes long to count, as it was `counted_at`."""

    __tablename__ = "shop_counts"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    posting_id: Mapped[int] = mapped_column(sa.BigInteger)
    standing: Mapped[Any] = mapped_column(JSONB, server_default="{}")
    counted_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
