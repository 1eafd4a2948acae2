"""Jobs of the public API."""

from datetime import timedelta

import sqlalchemy as sa

from core import clock
from core.db import database
from shops.queries import all_shop_ids
from web.models import IdempotencyKey

KEPT = timedelta(days=1)


def prune_idempotency_keys() -> None:
    """Forget answers that nobody repeats any more."""
    with database().transaction(*all_shop_ids(database())) as session:
        session.execute(sa.delete(IdempotencyKey).where(IdempotencyKey.created_at < clock.now() - KEPT))
