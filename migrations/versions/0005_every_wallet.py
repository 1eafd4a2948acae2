"""Cards in every wallet: designs, shops' own certificates, Google's classes and objects, messages."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tenancy import protect

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)
TABLES = (
    "apple_certificates",
    "wallet_designs",
    "wallet_design_drafts",
    "wallet_images",
    "wallet_rollouts",
    "google_classes",
    "google_objects",
    "google_callbacks",
    "wallet_messages",
    "wallet_message_recipients",
)
# What is of one type of pass, by the columns that name it so far.
TYPED = {"apple_files": ["shop_id", "serial"], "apple_registrations": ["shop_id", "device", "serial"]}


def upgrade() -> None:
    op.add_column("passes", sa.Column("language", sa.Text(), nullable=True))
    op.add_column("passes", sa.Column("card", sa.LargeBinary(), nullable=True))
    for table, key in TYPED.items():
        op.add_column(table, sa.Column("pass_type", sa.Text(), server_default="", nullable=False))
        renew_key(table, [*key, "pass_type"])
    create_apple_certificates()
    create_wallet_designs()
    create_wallet_design_drafts()
    create_wallet_images()
    create_wallet_rollouts()
    create_google_classes()
    create_google_objects()
    create_google_callbacks()
    create_wallet_messages()
    create_wallet_message_recipients()
    # Drawn and compressed already.
    op.execute("ALTER TABLE wallet_images ALTER COLUMN file SET STORAGE EXTERNAL")
    for table in TABLES:
        protect(table)
    op.add_column("effects", sa.Column("patient", sa.Boolean(), server_default="false", nullable=False))
    take_turns("ix_effects_turn", ["kind", "patient", "due_at"], instead_of="ix_effects_due")


def downgrade() -> None:
    take_turns("ix_effects_due", ["due_at"], instead_of="ix_effects_turn")
    op.drop_column("effects", "patient")
    for table in reversed(TABLES):
        op.drop_table(table)
    for table, key in TYPED.items():
        op.execute(f"DELETE FROM {table} WHERE pass_type <> ''")
        renew_key(table, key)
        op.drop_column(table, "pass_type")
    op.drop_column("passes", "card")
    op.drop_column("passes", "language")


def take_turns(index: str, columns: list[str], *, instead_of: str) -> None:
    op.create_index(index, "effects", columns, postgresql_where=sa.text("state = 'waiting'"))
    op.drop_index(instead_of, table_name="effects")


def renew_key(table: str, key: list[str]) -> None:
    op.drop_constraint(op.f(f"pk_{table}"), table, type_="primary")
    op.create_primary_key(op.f(f"pk_{table}"), table, key)


def create_apple_certificates() -> None:
    op.create_table(
        "apple_certificates",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("pass_type", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("nfc", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("nfc_key", sa.Text(), server_default="", nullable=False),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("added_at", TIMESTAMP, nullable=False),
        sa.Column("retired_at", TIMESTAMP, nullable=True),
        sa.Column("warned_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "fingerprint", name=op.f("pk_apple_certificates")),
    )


def create_wallet_designs() -> None:
    op.create_table(
        "wallet_designs",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("published_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "version", name=op.f("pk_wallet_designs")),
    )


def create_wallet_design_drafts() -> None:
    op.create_table(
        "wallet_design_drafts",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("edits", sa.Integer(), server_default="1", nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("updated_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", name=op.f("pk_wallet_design_drafts")),
    )


def create_wallet_images() -> None:
    op.create_table(
        "wallet_images",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("file", sa.LargeBinary(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "digest", name=op.f("pk_wallet_images")),
    )


def create_wallet_rollouts() -> None:
    op.create_table(
        "wallet_rollouts",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("marks", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cursor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("started_at", TIMESTAMP, nullable=False),
        sa.Column("finished_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_wallet_rollouts")),
    )
    op.create_index(
        "uq_wallet_rollouts_open",
        "wallet_rollouts",
        ["shop_id"],
        unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
    )


def create_google_classes() -> None:
    op.create_table(
        "google_classes",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("look", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("told_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "look", name=op.f("pk_google_classes")),
    )


def create_google_objects() -> None:
    op.create_table(
        "google_objects",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("look", sa.Text(), nullable=False),
        sa.Column("points", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("told_version", sa.Integer(), nullable=False),
        sa.Column("told_at", TIMESTAMP, nullable=False),
        sa.Column("notified_at", postgresql.ARRAY(TIMESTAMP), server_default="{}", nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("code_step", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("saved_at", TIMESTAMP, nullable=True),
        sa.Column("removed_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "serial", name=op.f("pk_google_objects")),
    )


def create_google_callbacks() -> None:
    op.create_table(
        "google_callbacks",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "nonce", name=op.f("pk_google_callbacks")),
    )
    op.create_index("ix_google_callbacks_serial", "google_callbacks", ["shop_id", "serial", "expires_at"], unique=False)


def create_wallet_messages() -> None:
    op.create_table(
        "wallet_messages",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("audience", postgresql.JSONB(), nullable=False),
        sa.Column("quiet", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("send_at", TIMESTAMP, nullable=True),
        sa.Column("ends_at", TIMESTAMP, nullable=True),
        sa.Column("edits", sa.Integer(), server_default="1", nullable=False),
        sa.Column("total", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("shown", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("limited", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("gone", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cursor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("started_at", TIMESTAMP, nullable=True),
        sa.Column("finished_at", TIMESTAMP, nullable=True),
        sa.Column("ended_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_wallet_messages")),
        sa.CheckConstraint(
            "state IN ('draft', 'scheduled', 'sending', 'sent', 'cancelled')",
            name=op.f("ck_wallet_messages_state"),
        ),
    )
    op.create_index(
        "ix_wallet_messages_due",
        "wallet_messages",
        ["send_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('scheduled', 'sending')"),
    )
    op.create_index(
        "ix_wallet_messages_ends",
        "wallet_messages",
        ["ends_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('sent', 'cancelled') AND ended_at IS NULL AND ends_at IS NOT NULL"),
    )


def create_wallet_message_recipients() -> None:
    op.create_table(
        "wallet_message_recipients",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("told_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "message_id", "member_id", name=op.f("pk_wallet_message_recipients")),
    )
    op.create_index(
        "ix_wallet_message_recipients_member", "wallet_message_recipients", ["shop_id", "member_id", "at"], unique=False
    )
