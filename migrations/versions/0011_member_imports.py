"""Imports of members' balances, tiers and birthdays from a spreadsheet."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tenancy import protect

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "member_imports",
        sa.Column("shop_id", sa.BigInteger, nullable=False),
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("file", sa.LargeBinary),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("good", sa.Integer, nullable=False),
        sa.Column("points", sa.BigInteger, nullable=False),
        sa.Column("faults", postgresql.JSONB, nullable=False),
        sa.Column("bad", sa.Integer, nullable=False),
        sa.Column("cursor", sa.Integer, server_default="0", nullable=False),
        sa.Column("done", sa.Integer, server_default="0", nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("started_at", TIMESTAMP),
        sa.Column("finished_at", TIMESTAMP),
        sa.CheckConstraint(
            "state IN ('checked', 'running', 'done', 'cancelled')", name=op.f("ck_member_imports_state")
        ),
        sa.PrimaryKeyConstraint("shop_id", "id", name="pk_member_imports"),
    )
    op.create_index(
        "ix_member_imports_running", "member_imports", ["shop_id"], postgresql_where=sa.text("state = 'running'")
    )
    protect("member_imports")


def downgrade() -> None:
    op.drop_table("member_imports")
