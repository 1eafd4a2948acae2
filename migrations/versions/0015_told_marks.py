"""How far Flow and Klaviyo have been told."""

import sqlalchemy as sa
from alembic import op

from migrations.tenancy import protect

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "told_marks",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "channel", "member_id", name=op.f("pk_told_marks")),
    )
    protect("told_marks")


def downgrade() -> None:
    op.drop_table("told_marks")
