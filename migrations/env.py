"""Runs the migrations as the owner of the tables, one at a time across machines."""

from importlib import import_module

import sqlalchemy as sa
from alembic import context

from core.config import settings
from core.db import Base, driver_url

# Every module that declares tables, so that `alembic check` can compare them with the database.
TABLES = (
    "core.effects", "core.events", "core.jobs", "shops.models", "loyalty.models", "loyalty.activities.models",
    "loyalty.rewards.models", "referrals.models", "referrals.payouts.models", "tiers.models", "wallet_passes.models",
    "wallet_passes.designs.models", "wallet_passes.google.models", "wallet_passes.messages.models", "webhooks.models",
    "web.models", "web.mailing.models",
)  # fmt: skip
for module in TABLES:
    import_module(module)

MIGRATION_LOCK = 0x5261_7070


def run() -> None:
    url = context.get_x_argument(as_dictionary=True).get("url") or settings().database_url
    engine = sa.create_engine(driver_url(url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        # Two releases at once: the second waits, then finds nothing to do.
        connection.execute(sa.text("SELECT pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
        connection.commit()
        context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


run()
