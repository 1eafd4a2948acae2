"""Wallet passes: members' cards, and the phones that hold them."""

import sqlalchemy as sa
from alembic import op

from migrations.tenancy import APP_ROLE, protect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)
TABLES = ("passes", "apple_files", "apple_devices", "apple_registrations")
LIVE = "removed_at IS NULL"
# A device asks about all its passes at once, whichever shops they are of: it may learn which shops, and nothing else
# is read until those are opened.
ASKING = "((SELECT current_setting('rapport.claim', true)) = 'apple_registrations')"


def upgrade() -> None:
    op.execute("CREATE SEQUENCE pass_tags")
    op.execute(f"GRANT USAGE ON SEQUENCE pass_tags TO {APP_ROLE}")
    create_passes()
    create_apple_tables()
    for table in TABLES:
        protect(table)
    op.execute(f"CREATE POLICY claimed ON apple_registrations FOR SELECT USING {ASKING}")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute("DROP SEQUENCE pass_tags")


def create_passes() -> None:
    op.create_table(
        "passes",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("digest", sa.Text(), server_default="", nullable=False),
        sa.Column("tag", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("modified_at", TIMESTAMP, nullable=False),
        sa.Column("ended_at", TIMESTAMP, nullable=True),
        sa.Column("told_at", TIMESTAMP, nullable=True),
        sa.Column("fetched_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fetched_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "serial", name=op.f("pk_passes")),
        sa.UniqueConstraint("shop_id", "member_id", name=op.f("uq_passes_shop_id_member_id")),
        sa.UniqueConstraint("shop_id", "handle", name=op.f("uq_passes_shop_id_handle")),
    )
    op.create_table(
        "apple_files",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("signer", sa.Text(), nullable=False),
        sa.Column("file", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "serial", name=op.f("pk_apple_files")),
    )
    # It is zipped and signed: nothing in it gets smaller.
    op.execute("ALTER TABLE apple_files ALTER COLUMN file SET STORAGE EXTERNAL")


def create_apple_tables() -> None:
    op.create_table(
        "apple_devices",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("push_token", sa.Text(), nullable=False),
        sa.Column("token_at", TIMESTAMP, nullable=False),
        sa.Column("asked_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "device", name=op.f("pk_apple_devices")),
    )
    op.create_index("ix_apple_devices_token", "apple_devices", ["shop_id", "push_token"], unique=False)
    op.create_table(
        "apple_registrations",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("registered_at", TIMESTAMP, nullable=False),
        sa.Column("removed_at", TIMESTAMP, nullable=True),
        sa.Column("told_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("told_at", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("shop_id", "device", "serial", name=op.f("pk_apple_registrations")),
    )
    op.create_index("ix_apple_registrations_serial", "apple_registrations", ["shop_id", "serial"], unique=False)
    op.create_index(
        "ix_apple_registrations_device",
        "apple_registrations",
        ["device"],
        unique=False,
        postgresql_where=sa.text(LIVE),
    )
