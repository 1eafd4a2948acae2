"""What became of each mail to a member."""

import sqlalchemy as sa
from alembic import op

from migrations.tenancy import protect

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "member_mails",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("fact", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("outcome IN ('sent', 'withheld', 'refused')", name=op.f("ck_member_mails_outcome")),
        sa.PrimaryKeyConstraint("shop_id", "member_id", "kind", "fact", name=op.f("pk_member_mails")),
    )
    op.create_index("ix_member_mails_at", "member_mails", ["shop_id", "at"])
    protect("member_mails")


def downgrade() -> None:
    op.drop_table("member_mails")
