"""What became of a shop's points day by day, so that its numbers need not be added up from the ledger each time."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tenancy import protect

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shop_days",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("issued", "redeemed", "expired", "adjusted")),
        sa.PrimaryKeyConstraint("shop_id", "day", name="pk_shop_days"),
    )
    op.create_table(
        "shop_counts",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("posting_id", sa.BigInteger(), nullable=False),
        sa.Column("standing", postgresql.JSONB(), nullable=False, server_default="{}"),
        sa.Column("counted_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("shop_id", name="pk_shop_counts"),
    )
    protect("shop_days")
    protect("shop_counts")


def downgrade() -> None:
    op.drop_table("shop_counts")
    op.drop_table("shop_days")
