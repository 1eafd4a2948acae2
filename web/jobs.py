"""Jobs of the faces and of the public API."""

from datetime import timedelta

import sqlalchemy as sa

from core import clock
from core.db import database
from shops.queries import all_shop_ids
from web.mailing import operations as mailing
from web.models import IdempotencyKey

KEPT = timedelta(days=1)


def prune_idempotency_keys() -> None:
    """Forget answers that nobody repeats any more."""
    with database().transaction(*all_shop_ids(database())) as session:
        session.execute(sa.delete(IdempotencyKey).where(IdempotencyKey.created_at < clock.now() - KEPT))


def prune_mails() -> None:
    """Forget which mails members got long ago."""
    with database().transaction(*all_shop_ids(database())) as session:
        mailing.prune(session)
