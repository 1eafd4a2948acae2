"""Shops that move, rest and come back: Shopify's number of a shop, frozen shops, tokens that no longer work."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("shops", sa.Column("shopify_id", sa.BigInteger(), nullable=True))
    op.create_unique_constraint("uq_shops_shopify_id", "shops", ["shopify_id"])
    op.add_column("shops", sa.Column("paused_at", TIMESTAMP, nullable=True))
    op.add_column("shops", sa.Column("paused_until", TIMESTAMP, nullable=True))
    op.add_column("shops", sa.Column("paused_status", sa.SmallInteger(), nullable=True))
    op.add_column("shop_tokens", sa.Column("refused_at", TIMESTAMP, nullable=True))


def downgrade() -> None:
    op.drop_column("shop_tokens", "refused_at")
    for column in ("paused_status", "paused_until", "paused_at", "shopify_id"):
        op.drop_column("shops", column)
