"""Expiry: reads of what a member earned outside orders, newest first, and of what expired or was taken back."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CREDITS = "order_id IS NULL AND target = 'available' AND source IN ('issued', 'adjusted')"
EXPIRIES = "kind = 'expiry' OR (order_id IS NOT NULL AND kind IN ('reversal', 'adjustment'))"


def upgrade() -> None:
    op.create_index(
        "ix_postings_credits",
        "postings",
        ["shop_id", "member_id", "occurred_at"],
        unique=False,
        postgresql_include=["points"],
        postgresql_where=sa.text(CREDITS),
    )
    op.create_index(
        "ix_postings_expiries",
        "postings",
        ["shop_id", "member_id", "id"],
        unique=False,
        postgresql_where=sa.text(EXPIRIES),
    )


def downgrade() -> None:
    op.drop_index("ix_postings_expiries", table_name="postings")
    op.drop_index("ix_postings_credits", table_name="postings")
