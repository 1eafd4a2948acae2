"""Referrals: codes, claims, decisions, rewards of both sides, and commission."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tenancy import make_append_only, protect

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)
TABLES = (
    "referral_codes",
    "referral_partners",
    "referral_visits",
    "referral_counts",
    "referral_claims",
    "referrals",
    "referral_decisions",
    "referral_rewards",
    "payees",
    "commission_entries",
    "commission_statements",
    "stripe_events",
)
# Records of what was done: the app adds to them and reads them.
APPEND_ONLY = ("referral_decisions", "commission_entries")

ERASE_SHOP = """
    CREATE OR REPLACE FUNCTION erase_shop_ledger(shop bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
    BEGIN
        IF (shop = ANY (NULLIF(current_setting('rapport.shops', true), '')::bigint[])) IS NOT TRUE THEN
            RAISE EXCEPTION 'this shop is not open' USING ERRCODE = 'insufficient_privilege';
        END IF;
        PERFORM set_config('rapport.erasing', 'shop', true);
        DELETE FROM postings WHERE shop_id = shop;
        DELETE FROM events WHERE shop_id = shop;
        {more}
        PERFORM set_config('rapport.erasing', '', true);
    END $$"""


def upgrade() -> None:
    create_referral_codes()
    create_referral_partners()
    create_referral_visits()
    create_referral_counts()
    create_referral_claims()
    create_referrals()
    create_referral_decisions()
    create_referral_rewards()
    create_payees()
    create_commission_entries()
    create_commission_statements()
    create_stripe_events()
    for table in TABLES:
        if table in APPEND_ONLY:
            protect(table, "SELECT, INSERT")
            make_append_only(table)
        else:
            protect(table)
    deletes = (f"DELETE FROM {table} WHERE shop_id = shop;" for table in APPEND_ONLY)
    op.execute(ERASE_SHOP.format(more=" ".join(deletes)))


def downgrade() -> None:
    op.execute(ERASE_SHOP.format(more=""))
    for table in reversed(TABLES):
        op.drop_table(table)


def create_referral_codes() -> None:
    op.create_table(
        "referral_codes",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=True),
        sa.Column("partner_id", sa.BigInteger(), nullable=True),
        sa.Column("vanity", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("discount_id", sa.Text(), nullable=True),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("retired_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "key", name=op.f("pk_referral_codes")),
        sa.CheckConstraint("(member_id IS NULL) <> (partner_id IS NULL)", name=op.f("ck_referral_codes_one_owner")),
    )
    op.create_index("ix_referral_codes_of_member", "referral_codes", ["shop_id", "member_id"], unique=False)
    op.create_index("ix_referral_codes_partner", "referral_codes", ["shop_id", "partner_id"], unique=False)
    op.create_index(
        "uq_referral_codes_member",
        "referral_codes",
        ["shop_id", "member_id"],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL AND member_id IS NOT NULL"),
    )


def create_referral_partners() -> None:
    op.create_table(
        "referral_partners",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("partnership", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.LargeBinary(), nullable=False),
        sa.Column("email_index", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("ended_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_referral_partners")),
        sa.UniqueConstraint("shop_id", "email_index", name=op.f("uq_referral_partners_shop_id_email_index")),
    )


def create_referral_visits() -> None:
    op.create_table(
        "referral_visits",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("code_key", sa.Text(), nullable=False),
        sa.Column("visitor", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), server_default="link", nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_referral_visits")),
    )
    op.create_index("ix_referral_visits_code", "referral_visits", ["shop_id", "code_key", "at"], unique=False)
    op.create_index("ix_referral_visits_visitor", "referral_visits", ["shop_id", "visitor"], unique=False)


def create_referral_counts() -> None:
    op.create_table(
        "referral_counts",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("code_key", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("shares", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("clicks", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("visitors", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "code_key", "day", name=op.f("pk_referral_counts")),
    )
    op.create_index("ix_referral_counts_day", "referral_counts", ["shop_id", "day"], unique=False)


def create_referral_claims() -> None:
    op.create_table(
        "referral_claims",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("code_key", sa.Text(), nullable=False),
        sa.Column("email", sa.LargeBinary(), nullable=False),
        sa.Column("email_index", sa.Text(), nullable=False),
        sa.Column("visitor", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("consent", sa.Text(), nullable=False),
        sa.Column("wants_news", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("program_version", sa.Integer(), nullable=False),
        sa.Column("terms", postgresql.JSONB(), nullable=False),
        sa.Column("discount", sa.Text(), nullable=False),
        sa.Column("discount_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.Column("ended_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_referral_claims")),
        sa.CheckConstraint(
            "state IN ('making', 'made', 'used', 'ended', 'failed')",
            name=op.f("ck_referral_claims_state"),
        ),
    )
    op.create_index("ix_referral_claims_code", "referral_claims", ["shop_id", "code_key", "id"], unique=False)
    op.create_index(
        "ix_referral_claims_expiry",
        "referral_claims",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_referral_claims_network", "referral_claims", ["shop_id", "network", "at"], unique=False)
    op.create_index("ix_referral_claims_mail", "referral_claims", ["shop_id", "email_index", "at"], unique=False)
    op.create_index("ix_referral_claims_visitor", "referral_claims", ["shop_id", "visitor", "at"], unique=False)
    op.create_index("ix_referral_claims_at", "referral_claims", ["shop_id", "at"], unique=False)
    op.create_index("uq_referral_claims_discount", "referral_claims", ["shop_id", "discount"], unique=True)
    op.create_index(
        "uq_referral_claims_email",
        "referral_claims",
        ["shop_id", "email_index"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def create_referrals() -> None:
    op.create_table(
        "referrals",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("friend", sa.Text(), nullable=False),
        sa.Column("friend_member_id", sa.BigInteger(), nullable=True),
        sa.Column("referrer_member_id", sa.BigInteger(), nullable=True),
        sa.Column("partner_id", sa.BigInteger(), nullable=True),
        sa.Column("code_key", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("claim_id", sa.BigInteger(), nullable=True),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("discount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("program_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("score", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reasons", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("evidence", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", TIMESTAMP, nullable=True),
        sa.Column("due_at", TIMESTAMP, nullable=True),
        sa.Column("rewarded_at", TIMESTAMP, nullable=True),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("updated_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_referrals")),
        sa.UniqueConstraint("shop_id", "friend", name=op.f("uq_referrals_shop_id_friend")),
        sa.CheckConstraint(
            "state IN ('waiting', 'holding', 'review', 'rewarded', 'blocked', 'void', 'reversed')",
            name=op.f("ck_referrals_state"),
        ),
        sa.UniqueConstraint("shop_id", "order_id", name=op.f("uq_referrals_shop_id_order_id")),
    )
    op.create_index(
        "ix_referrals_due", "referrals", ["due_at"], unique=False, postgresql_where=sa.text("state = 'holding'")
    )
    op.create_index("ix_referrals_friend_member", "referrals", ["shop_id", "friend_member_id"], unique=False)
    op.create_index("ix_referrals_partner", "referrals", ["shop_id", "partner_id", "id"], unique=False)
    op.create_index("ix_referrals_referrer", "referrals", ["shop_id", "referrer_member_id", "id"], unique=False)
    op.create_index("ix_referrals_state", "referrals", ["shop_id", "state", "id"], unique=False)
    op.create_index(
        "ix_referrals_at",
        "referrals",
        ["shop_id", "at"],
        unique=False,
        postgresql_include=["id", "state", "amount", "discount", "referrer_member_id", "partner_id"],
    )
    op.create_index(
        "ix_referrals_repeated",
        "referrals",
        ["shop_id", "at"],
        unique=False,
        postgresql_where=sa.text("strpos(friend, ':') > 0"),
    )


def create_referral_decisions() -> None:
    op.create_table(
        "referral_decisions",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("referral_id", sa.BigInteger(), nullable=False),
        sa.Column("was", sa.Text(), nullable=False),
        sa.Column("became", sa.Text(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_referral_decisions")),
    )
    op.create_index(
        "ix_referral_decisions_referral", "referral_decisions", ["shop_id", "referral_id", "id"], unique=False
    )


def create_referral_rewards() -> None:
    op.create_table(
        "referral_rewards",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("referral_id", sa.BigInteger(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=True),
        sa.Column("partner_id", sa.BigInteger(), nullable=True),
        sa.Column("benefit", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("member_reward_id", sa.BigInteger(), nullable=True),
        sa.Column("points", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("ended_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "referral_id", "side", "ordinal", name=op.f("pk_referral_rewards")),
        sa.CheckConstraint("side IN ('friend', 'referrer', 'milestone')", name=op.f("ck_referral_rewards_side")),
        sa.CheckConstraint(
            "state IN ('given', 'taking_back', 'taken_back', 'kept')",
            name=op.f("ck_referral_rewards_state"),
        ),
    )
    op.create_index("ix_referral_rewards_member", "referral_rewards", ["shop_id", "member_id", "at"], unique=False)
    op.create_index(
        "uq_referral_rewards_reward",
        "referral_rewards",
        ["shop_id", "member_reward_id"],
        unique=True,
        postgresql_where=sa.text("member_reward_id IS NOT NULL"),
    )


def create_payees() -> None:
    op.create_table(
        "payees",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=True),
        sa.Column("partner_id", sa.BigInteger(), nullable=True),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("needs", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("told_at", TIMESTAMP, nullable=True),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_payees")),
        sa.CheckConstraint("(member_id IS NULL) <> (partner_id IS NULL)", name=op.f("ck_payees_one_person")),
        sa.CheckConstraint(
            "state IN ('new', 'onboarding', 'active', 'restricted', 'rejected')", name=op.f("ck_payees_state")
        ),
        sa.UniqueConstraint("shop_id", "member_id", name=op.f("uq_payees_shop_id_member_id")),
        sa.UniqueConstraint("shop_id", "partner_id", name=op.f("uq_payees_shop_id_partner_id")),
    )
    op.create_index("uq_payees_account", "payees", ["shop_id", "account"], unique=True)


def create_commission_entries() -> None:
    op.create_table(
        "commission_entries",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("payee_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("referral_id", sa.BigInteger(), nullable=True),
        sa.Column("statement_id", sa.BigInteger(), nullable=True),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("explanation", postgresql.JSONB(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("occurred_at", TIMESTAMP, nullable=False),
        sa.Column("recorded_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_commission_entries")),
        sa.UniqueConstraint("shop_id", "key", name=op.f("uq_commission_entries_shop_id_key")),
        sa.CheckConstraint(
            "kind IN ('earned', 'reversed', 'paid', 'returned')",
            name=op.f("ck_commission_entries_kind"),
        ),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_commission_entries_moves")),
    )
    op.create_index("ix_commission_entries_payee", "commission_entries", ["shop_id", "payee_id", "id"], unique=False)


def create_commission_statements() -> None:
    op.create_table(
        "commission_statements",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("payee_id", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("last_entry", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="1", nullable=False),
        sa.Column("transfer", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", TIMESTAMP, nullable=True),
        sa.Column("paid_at", TIMESTAMP, nullable=True),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_commission_statements")),
        sa.CheckConstraint(
            "state IN ('open', 'approved', 'paying', 'paid', 'failed', 'reversed')",
            name=op.f("ck_commission_statements_state"),
        ),
        sa.UniqueConstraint(
            "shop_id",
            "payee_id",
            "month",
            "currency",
            name=op.f("uq_commission_statements_shop_id_payee_id_month_currency"),
        ),
    )
    op.create_index("ix_commission_statements_state", "commission_statements", ["shop_id", "state", "id"], unique=False)
    op.create_index("uq_commission_statements_transfer", "commission_statements", ["shop_id", "transfer"], unique=True)


def create_stripe_events() -> None:
    op.create_table(
        "stripe_events",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_stripe_events")),
    )
