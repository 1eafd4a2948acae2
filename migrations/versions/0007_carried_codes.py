"""How far a card's code had moved on when the card became another member's."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("passes", sa.Column("carried", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("passes", "carried")
