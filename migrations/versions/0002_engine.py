"""The points engine: activities, rewards, tiers by hand, drafts of programs, and what limits and expiry need."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.tenancy import APP_ROLE, protect

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)
TENANT_TABLES = (
    "activities",
    "answers",
    "birthdays",
    "consents",
    "gifts",
    "member_rewards",
    "order_uses",
    "products",
    "program_drafts",
    "recalculations",
    "reward_calls",
    "reward_stock",
    "rounds",
    "tier_gifts",
    "tier_overrides",
    "tier_perks",
)
# Without statistics PostgreSQL takes a shop's id for selective, and reads all members of a shop to find one; autovacuum
# looks only once a minute, which is too late for a shop that brings its history along. Returns whether none is lacking.
FIRST_STATISTICS = """
    CREATE FUNCTION gather_first_statistics() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
    DECLARE lacking regclass;
        complete boolean := true;
    BEGIN
        FOR lacking IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND reltuples < 0
            AND relname IN ('members', 'orders', 'postings', 'spend_facts', 'events', 'inbox')
        LOOP
            IF pg_relation_size(lacking) > 0 THEN
                EXECUTE format('ANALYZE %s', lacking);
            ELSE
                complete := false;
            END IF;
        END LOOP;
        RETURN complete;
    END $$"""
WINDOW = ("ix_spend_facts_window", "spend_facts", ["shop_id", "member_id", "at"])


def upgrade() -> None:
    create_tables()
    for table in TENANT_TABLES:
        protect(table)
    # A published version is never changed; one that is not in force yet may be withdrawn.
    op.execute(f"REVOKE UPDATE ON program_versions FROM {APP_ROLE}")
    change_tables()
    fill_in()
    op.execute(FIRST_STATISTICS)
    op.execute("REVOKE EXECUTE ON FUNCTION gather_first_statistics FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION gather_first_statistics TO {APP_ROLE}")


def change_tables() -> None:
    op.add_column("members", sa.Column("last_active_at", TIMESTAMP, nullable=True))
    op.add_column("members", sa.Column("expiry_look_at", TIMESTAMP, nullable=True))
    op.add_column("members", sa.Column("expiry_reminded_of", TIMESTAMP, nullable=True))
    op.add_column("members", sa.Column("expiry_reminded_days", sa.SmallInteger(), nullable=True))
    op.create_index(
        "ix_members_expiry",
        "members",
        ["expiry_look_at"],
        unique=False,
        postgresql_where=sa.text("expiry_look_at IS NOT NULL"),
    )
    op.create_index("ix_members_joined", "members", ["shop_id", "joined_at"], unique=False)
    op.add_column("orders", sa.Column("labels", JSONB, nullable=True))
    op.add_column("orders", sa.Column("labels_wanted", sa.Boolean(), server_default="false", nullable=False))
    op.create_index(
        "ix_orders_labels", "orders", ["shop_id", "order_id"], unique=False, postgresql_where=sa.text("labels_wanted")
    )
    op.add_column("program_versions", sa.Column("note", sa.Text(), nullable=True))
    op.add_column("spend_facts", sa.Column("orders", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("spend_facts", sa.Column("points", sa.BigInteger(), server_default="0", nullable=False))
    op.drop_index("ix_spend_facts_window", table_name="spend_facts")
    op.create_index(*WINDOW, postgresql_include=["amount", "orders", "points"])


def fill_in() -> None:
    """What earlier rows would hold had they been written today. Row-level security binds the owner, too."""
    for table, change in (
        ("spend_facts", "orders = CASE cause WHEN 'order' THEN 1 WHEN 'cancel' THEN -1 ELSE 0 END"),
        ("members", "last_active_at = coalesce(last_order_at, joined_at), expiry_look_at = now()"),
    ):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"UPDATE {table} SET {change}")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.execute("DROP FUNCTION gather_first_statistics")
    op.execute(f"GRANT UPDATE ON program_versions TO {APP_ROLE}")
    op.drop_index("ix_spend_facts_window", table_name="spend_facts")
    op.drop_column("spend_facts", "points")
    op.drop_column("spend_facts", "orders")
    op.drop_column("program_versions", "note")
    op.drop_index("ix_orders_labels", table_name="orders", postgresql_where=sa.text("labels_wanted"))
    op.drop_column("orders", "labels_wanted")
    op.drop_column("orders", "labels")
    op.drop_index("ix_members_joined", table_name="members")
    op.drop_index("ix_members_expiry", table_name="members", postgresql_where=sa.text("expiry_look_at IS NOT NULL"))
    op.drop_column("members", "expiry_reminded_days")
    op.drop_column("members", "expiry_reminded_of")
    op.drop_column("members", "expiry_look_at")
    op.drop_column("members", "last_active_at")
    op.create_index(*WINDOW, postgresql_include=["amount"])
    for table in reversed(TENANT_TABLES):
        op.drop_table(table)


def create_tables() -> None:
    op.create_table(
        "activities",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("fact", sa.Text(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("data", JSONB, server_default="{}", nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_activities")),
        sa.UniqueConstraint(
            "shop_id", "member_id", "rule", "fact", name=op.f("uq_activities_shop_id_member_id_rule_fact")
        ),
    )
    op.create_index(
        "ix_activities_rule",
        "activities",
        ["shop_id", "member_id", "rule", "at"],
        unique=False,
        postgresql_include=["points"],
    )
    op.create_table(
        "answers",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("answered_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "member_id", "question", name=op.f("pk_answers")),
    )
    op.create_table(
        "birthdays",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.SmallInteger(), nullable=False),
        sa.Column("day", sa.SmallInteger(), nullable=False),
        sa.Column("year", sa.SmallInteger(), nullable=True),
        sa.Column("set_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "member_id", name=op.f("pk_birthdays")),
    )
    op.create_index("ix_birthdays_day", "birthdays", ["shop_id", "month", "day"], unique=False)
    op.create_table(
        "consents",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "member_id", "channel", name=op.f("pk_consents")),
    )
    op.create_table(
        "gifts",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recipients", JSONB, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("given", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cursor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("finished_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_gifts")),
        sa.UniqueConstraint("shop_id", "key", name=op.f("uq_gifts_shop_id_key")),
    )
    op.create_index(
        "ix_gifts_open", "gifts", ["shop_id"], unique=False, postgresql_where=sa.text("finished_at IS NULL")
    )
    op.create_table(
        "member_rewards",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("reward_key", sa.Text(), nullable=False),
        sa.Column("program_version", sa.Integer(), nullable=False),
        sa.Column("terms", JSONB, nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("requested_at", TIMESTAMP, nullable=False),
        sa.Column("issued_at", TIMESTAMP, nullable=True),
        sa.Column("expires_at", TIMESTAMP, nullable=True),
        sa.Column("order_id", sa.BigInteger(), nullable=True),
        sa.Column("used_at", TIMESTAMP, nullable=True),
        sa.Column("ended_at", TIMESTAMP, nullable=True),
        sa.Column("posted_count", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "status IN ('issuing', 'issued', 'used', 'returning', 'returned', 'failed', 'expired')",
            name=op.f("ck_member_rewards_status"),
        ),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_member_rewards")),
        sa.UniqueConstraint("shop_id", "key", name=op.f("uq_member_rewards_shop_id_key")),
    )
    op.create_index(
        "ix_member_rewards_expiry",
        "member_rewards",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'issued'"),
    )
    op.create_index("ix_member_rewards_member", "member_rewards", ["shop_id", "member_id", "id"], unique=False)
    op.create_index(
        "ix_member_rewards_order",
        "member_rewards",
        ["shop_id", "order_id"],
        unique=False,
        postgresql_where=sa.text("order_id IS NOT NULL"),
    )
    op.create_index(
        "ix_member_rewards_under_way",
        "member_rewards",
        ["requested_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('issuing', 'returning')"),
    )
    op.create_index("uq_member_rewards_code", "member_rewards", ["shop_id", "code"], unique=True)
    op.create_table(
        "order_uses",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "order_id", "rule", name=op.f("pk_order_uses")),
    )
    op.create_index(
        "ix_order_uses_rule",
        "order_uses",
        ["shop_id", "member_id", "rule", "at"],
        unique=False,
        postgresql_include=["points"],
    )
    op.create_table(
        "products",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("tags", JSONB, nullable=False),
        sa.Column("collections", JSONB, nullable=False),
        sa.Column("fetched_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "product_id", name=op.f("pk_products")),
    )
    op.create_table(
        "program_drafts",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.Column("based_on", sa.Integer(), nullable=True),
        sa.Column("updated_at", TIMESTAMP, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("shop_id", name=op.f("pk_program_drafts")),
    )
    op.create_table(
        "recalculations",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("program_version", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("moved", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cursor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("started_at", TIMESTAMP, nullable=False),
        sa.Column("finished_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "program_version", name=op.f("pk_recalculations")),
    )
    op.create_index(
        "ix_recalculations_open",
        "recalculations",
        ["shop_id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "reward_calls",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("reward_id", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("began_at", TIMESTAMP, nullable=False),
        sa.Column("ended_at", TIMESTAMP, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_reward_calls")),
    )
    op.create_index("ix_reward_calls_reward", "reward_calls", ["shop_id", "reward_id"], unique=False)
    op.create_table(
        "reward_stock",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("reward_key", sa.Text(), nullable=False),
        sa.Column("taken", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "reward_key", name=op.f("pk_reward_stock")),
    )
    op.create_table(
        "rounds",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "kind", name=op.f("pk_rounds")),
    )
    op.create_table(
        "tier_gifts",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("tier_key", sa.Text(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "member_id", "tier_key", name=op.f("pk_tier_gifts")),
    )
    op.create_table(
        "tier_overrides",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("tier_key", sa.Text(), nullable=False),
        sa.Column("since", TIMESTAMP, nullable=False),
        sa.Column("until", TIMESTAMP, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_tier_overrides")),
    )
    op.create_index("ix_tier_overrides_member", "tier_overrides", ["shop_id", "member_id", "since"], unique=False)
    op.create_table(
        "tier_perks",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("tier_key", sa.Text(), nullable=False),
        sa.Column("segment_id", sa.Text(), nullable=True),
        sa.Column("discount_id", sa.Text(), nullable=True),
        sa.Column("updated_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "tier_key", name=op.f("pk_tier_perks")),
    )
