"""The foundation: shops, inbox, members, orders, ledger, program, tiers, events, effects, API.

Postings and events are append-only: by grants for the app, by a trigger for everyone. The two exceptions the law asks
for, erasing a shop and blanking a person's words, are functions that run as the owner and name what they may touch.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.tenancy import APP_ROLE, allow_claims, create_app_role, make_append_only, protect

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)
APPEND_ONLY = ("postings", "events")
TENANT_TABLES = (
    "api_keys",
    "data_exports",
    "effects",
    "erasures",
    "idempotency_keys",
    "inbox",
    "members",
    "orders",
    "program_versions",
    "shop_tokens",
    "spend_facts",
    "tier_periods",
)
CLAIMED = ("inbox", "effects")

REFUSE_CHANGE = """
    CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE erasing text := current_setting('rapport.erasing', true);
    BEGIN
        IF TG_OP = 'DELETE' AND erasing = 'shop' THEN RETURN OLD; END IF;
        IF TG_OP = 'UPDATE' AND erasing = 'person'
            AND to_jsonb(NEW) - ARRAY['explanation', 'data'] = to_jsonb(OLD) - ARRAY['explanation', 'data']
        THEN RETURN NEW; END IF;
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END $$"""

# Postings and events go with the whole shop (shop/redact). The owner may be a superuser, whom row-level security does
# not bind, so both functions ask for themselves whether the shop is open.
ERASE_SHOP = """
    CREATE FUNCTION erase_shop_ledger(shop bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
    BEGIN
        IF (shop = ANY (NULLIF(current_setting('rapport.shops', true), '')::bigint[])) IS NOT TRUE THEN
            RAISE EXCEPTION 'this shop is not open' USING ERRCODE = 'insufficient_privilege';
        END IF;
        PERFORM set_config('rapport.erasing', 'shop', true);
        DELETE FROM postings WHERE shop_id = shop;
        DELETE FROM events WHERE shop_id = shop;
        PERFORM set_config('rapport.erasing', '', true);
    END $$"""

# Numbers stay; the free words that somebody typed about the person go (customers/redact).
ERASE_PERSON = """
    CREATE FUNCTION erase_person_words(shop bigint, person bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
    BEGIN
        IF (shop = ANY (NULLIF(current_setting('rapport.shops', true), '')::bigint[])) IS NOT TRUE THEN
            RAISE EXCEPTION 'this shop is not open' USING ERRCODE = 'insufficient_privilege';
        END IF;
        PERFORM set_config('rapport.erasing', 'person', true);
        UPDATE postings SET explanation = explanation - 'reason_given'
            WHERE shop_id = shop AND member_id = person AND explanation ? 'reason_given';
        UPDATE events SET data = data - 'reason_given'
            WHERE shop_id = shop AND member_id = person AND data ? 'reason_given';
        PERFORM set_config('rapport.erasing', '', true);
    END $$"""


def upgrade() -> None:
    create_app_role()
    create_tables()
    for table in TENANT_TABLES:
        protect(table)
    for function in (REFUSE_CHANGE, ERASE_SHOP, ERASE_PERSON):
        op.execute(function)
    for table in APPEND_ONLY:
        protect(table, "SELECT, INSERT")
        make_append_only(table)
    for table in CLAIMED:
        allow_claims(table)
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON shops, periodic_runs TO {APP_ROLE}")
    for function in ("erase_shop_ledger(bigint)", "erase_person_words(bigint, bigint)"):
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {APP_ROLE}")
    compress_bodies()


def downgrade() -> None:
    for table in reversed((*TENANT_TABLES, *APPEND_ONLY, "shops", "periodic_runs")):
        op.drop_table(table)
    op.execute("DROP FUNCTION erase_shop_ledger, erase_person_words, refuse_ledger_change")
    op.execute(f"REVOKE USAGE ON SCHEMA public FROM {APP_ROLE}")


def compress_bodies() -> None:
    """LZ4 packs a 10 KB order several times faster than PostgreSQL's own method; not every build has it."""
    op.execute("""
        DO $$ BEGIN
            IF (SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression') THEN
                ALTER TABLE inbox ALTER COLUMN body SET COMPRESSION lz4;
            END IF;
        END $$""")


def create_tables() -> None:
    op.create_table(
        "api_keys",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("revoked_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("shop_id", "digest", name=op.f("uq_api_keys_shop_id_digest")),
    )
    op.create_table(
        "data_exports",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_data_exports")),
    )
    op.create_table(
        "effects",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("requested_at", TIMESTAMP, server_default=sa.text("now()"), nullable=False),
        sa.Column("due_at", TIMESTAMP, server_default=sa.text("now()"), nullable=False),
        sa.Column("leased_until", TIMESTAMP, nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'failed')", name=op.f("ck_effects_state")),
        sa.PrimaryKeyConstraint("shop_id", "kind", "target", name=op.f("pk_effects")),
    )
    op.create_index(
        "ix_effects_due", "effects", ["due_at"], unique=False, postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_index(
        "ix_effects_failed", "effects", ["shop_id"], unique=False, postgresql_where=sa.text("state = 'failed'")
    )
    op.create_table(
        "erasures",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("erased_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "subject", name=op.f("pk_erasures")),
    )
    op.create_table(
        "events",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=True),
        sa.Column("order_id", sa.BigInteger(), nullable=True),
        sa.Column("data", JSONB, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("program_version", sa.Integer(), nullable=True),
        sa.Column("occurred_at", TIMESTAMP, nullable=False),
        sa.Column("recorded_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_timeline", "events", ["shop_id", "member_id", "id"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("answer", JSONB, nullable=True),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_age", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "inbox",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("api_version", sa.Text(), nullable=True),
        sa.Column("triggered_at", TIMESTAMP, nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", TIMESTAMP, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("next_try_at", TIMESTAMP, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("done_at", TIMESTAMP, nullable=True),
        sa.CheckConstraint("state IN ('pending', 'done', 'ignored', 'failed')", name=op.f("ck_inbox_state")),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("shop_id", "webhook_id", name=op.f("uq_inbox_shop_id_webhook_id")),
    )
    op.create_index("ix_inbox_age", "inbox", ["received_at"], unique=False, postgresql_using="brin")
    op.create_index(
        "ix_inbox_due", "inbox", ["next_try_at", "id"], unique=False, postgresql_where=sa.text("state = 'pending'")
    )
    op.create_index(
        "ix_inbox_failed", "inbox", ["shop_id", "id"], unique=False, postgresql_where=sa.text("state = 'failed'")
    )
    op.create_table(
        "members",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_verified", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("customer_updated_at", TIMESTAMP, nullable=True),
        sa.Column("joined_at", TIMESTAMP, nullable=False),
        sa.Column("available", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pending", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lifetime", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_order_at", TIMESTAMP, nullable=True),
        sa.Column("tier_key", sa.Text(), nullable=False),
        sa.Column("tier_since", TIMESTAMP, nullable=False),
        sa.Column("tier_review_at", TIMESTAMP, nullable=True),
        sa.Column("merged_into", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", TIMESTAMP, nullable=True),
        sa.Column("erased_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_members")),
        sa.UniqueConstraint("shop_id", "customer_id", name=op.f("uq_members_shop_id_customer_id")),
    )
    op.create_index("ix_members_email", "members", ["shop_id", "email"], unique=False)
    op.create_index(
        "ix_members_tier_review",
        "members",
        ["tier_review_at"],
        unique=False,
        postgresql_where=sa.text("tier_review_at IS NOT NULL"),
    )
    op.create_table(
        "orders",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=True),
        sa.Column("guest_email", sa.Text(), nullable=True),
        sa.Column("processed_at", TIMESTAMP, nullable=True),
        sa.Column("state", JSONB, nullable=True),
        sa.Column("refunds", JSONB, server_default="{}", nullable=False),
        sa.Column("deleted_at", TIMESTAMP, nullable=True),
        sa.Column("tier_key", sa.Text(), nullable=True),
        sa.Column("program_version", sa.Integer(), nullable=True),
        sa.Column("settled", JSONB, nullable=True),
        sa.Column("posted_pending", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("posted_available", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("posted_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("release_at", TIMESTAMP, nullable=True),
        sa.Column("settled_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "order_id", name=op.f("pk_orders")),
    )
    op.create_index(
        "ix_orders_guest",
        "orders",
        ["shop_id", "guest_email"],
        unique=False,
        postgresql_where=sa.text("guest_email IS NOT NULL"),
    )
    op.create_index("ix_orders_member", "orders", ["shop_id", "member_id", "processed_at"], unique=False)
    op.create_index(
        "ix_orders_release", "orders", ["release_at"], unique=False, postgresql_where=sa.text("release_at IS NOT NULL")
    )
    op.create_table(
        "periodic_runs",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next_at", TIMESTAMP, nullable=False),
        sa.Column("last_started_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_periodic_runs")),
    )
    op.create_table(
        "postings",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=True),
        sa.Column("program_version", sa.Integer(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("explanation", JSONB, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("occurred_at", TIMESTAMP, nullable=False),
        sa.Column("recorded_at", TIMESTAMP, nullable=False),
        sa.Column("available_after", sa.BigInteger(), nullable=False),
        sa.Column("pending_after", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(source = 'issued' AND target = 'pending') OR (source = 'issued' AND target = 'available') OR (source = 'pending' AND target = 'available') OR (source = 'available' AND target = 'pending') OR (source = 'pending' AND target = 'issued') OR (source = 'available' AND target = 'issued') OR (source = 'available' AND target = 'redeemed') OR (source = 'redeemed' AND target = 'available') OR (source = 'available' AND target = 'expired') OR (source = 'expired' AND target = 'available') OR (source = 'available' AND target = 'adjusted') OR (source = 'adjusted' AND target = 'available')",
            name=op.f("ck_postings_legal_move"),
        ),
        sa.CheckConstraint(
            "kind IN ('earn', 'release', 'redeem', 'reversal', 'reimbursement', 'expiry', 'adjustment', 'bonus', 'referral')",
            name=op.f("ck_postings_kind"),
        ),
        sa.CheckConstraint("points > 0", name=op.f("ck_postings_positive")),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_postings")),
        sa.UniqueConstraint("shop_id", "key", name=op.f("uq_postings_shop_id_key")),
    )
    op.create_index("ix_postings_member", "postings", ["shop_id", "member_id", "id"], unique=False)
    op.create_index(
        "ix_postings_order",
        "postings",
        ["shop_id", "order_id"],
        unique=False,
        postgresql_where=sa.text("order_id IS NOT NULL"),
    )
    op.create_table(
        "program_versions",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.Column("effective_from", TIMESTAMP, nullable=False),
        sa.Column("published_at", TIMESTAMP, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "version", name=op.f("pk_program_versions")),
    )
    op.create_table(
        "shop_tokens",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("access_token", sa.LargeBinary(), nullable=False),
        sa.Column("access_expires_at", TIMESTAMP, nullable=True),
        sa.Column("refresh_token", sa.LargeBinary(), nullable=True),
        sa.Column("refresh_expires_at", TIMESTAMP, nullable=True),
        sa.Column("updated_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", name=op.f("pk_shop_tokens")),
    )
    op.create_table(
        "shops",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("public_url", sa.Text(), nullable=True),
        sa.Column("scopes", sa.Text(), server_default="", nullable=False),
        sa.Column("settings", JSONB, server_default="{}", nullable=False),
        sa.Column("installed_at", TIMESTAMP, nullable=False),
        sa.Column("returned", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("uninstalled_at", TIMESTAMP, nullable=True),
        sa.Column("redacted_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shops")),
        sa.UniqueConstraint("domain", name=op.f("uq_shops_domain")),
    )
    op.create_table(
        "spend_facts",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "order_id", "cause", name=op.f("pk_spend_facts")),
    )
    op.create_index(
        "ix_spend_facts_window",
        "spend_facts",
        ["shop_id", "member_id", "at"],
        unique=False,
        postgresql_include=["amount"],
    )
    op.create_table(
        "tier_periods",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("tier_key", sa.Text(), nullable=False),
        sa.Column("since", TIMESTAMP, nullable=False),
        sa.Column("reason", JSONB, nullable=False),
        sa.Column("program_version", sa.Integer(), nullable=False),
        sa.Column("recorded_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_tier_periods")),
    )
    op.create_index("ix_tier_periods_member", "tier_periods", ["shop_id", "member_id", "id"], unique=False)
