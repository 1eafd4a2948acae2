"""Staff at the counter, the locations they work at, and their failed tries to sign in."""

import sqlalchemy as sa
from alembic import op

from migrations.tenancy import protect

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_staff()
    create_locations()
    create_staff_tries()
    for table in ("staff", "locations", "staff_tries"):
        protect(table)


def create_staff() -> None:
    op.create_table(
        "staff",
        sa.Column("shop_id", sa.BigInteger, nullable=False),
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("pin", sa.Text),
        sa.Column("generation", sa.Integer, server_default="0", nullable=False),
        sa.Column("invited_at", TIMESTAMP, nullable=False),
        sa.Column("joined_at", TIMESTAMP),
        sa.Column("last_seen_at", TIMESTAMP),
        sa.Column("locked_at", TIMESTAMP),
        sa.Column("revoked_at", TIMESTAMP),
        sa.PrimaryKeyConstraint("shop_id", "id", name="pk_staff"),
    )
    op.create_index(
        "uq_staff_pin",
        "staff",
        ["shop_id", "pin"],
        unique=True,
        postgresql_where=sa.text("pin IS NOT NULL AND revoked_at IS NULL"),
    )


def create_locations() -> None:
    op.create_table(
        "locations",
        sa.Column("shop_id", sa.BigInteger, nullable=False),
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("retired_at", TIMESTAMP),
        sa.PrimaryKeyConstraint("shop_id", "id", name="pk_locations"),
    )
    op.create_index(
        "uq_locations_name",
        "locations",
        ["shop_id", sa.text("lower(name)")],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL"),
    )


def create_staff_tries() -> None:
    op.create_table(
        "staff_tries",
        sa.Column("shop_id", sa.BigInteger, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("last_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "subject", name="pk_staff_tries"),
    )


def downgrade() -> None:
    for table in ("staff_tries", "locations", "staff"):
        op.drop_table(table)
