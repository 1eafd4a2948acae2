"""What reconciling found, signed."""

import sqlalchemy as sa
from alembic import op

from migrations.tenancy import protect

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "reconciliations",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("since_at", TIMESTAMP, nullable=False),
        sa.Column("until_at", TIMESTAMP, nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("settled", sa.Integer(), nullable=False),
        sa.Column("differences", sa.Integer(), nullable=False),
        sa.Column("repaired", sa.Integer(), nullable=False),
        sa.Column("overlapped", sa.Integer(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("started_at", TIMESTAMP, nullable=False),
        sa.Column("finished_at", TIMESTAMP, nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_reconciliations")),
    )
    op.create_index("ix_reconciliations_scope", "reconciliations", ["shop_id", "scope", "id"])
    # What was found is never found otherwise: nobody may change a row.
    protect("reconciliations", "SELECT, INSERT, DELETE")


def downgrade() -> None:
    op.drop_table("reconciliations")
