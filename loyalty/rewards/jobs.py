"""Jobs of rewards."""

from core import clock
from core.db import database
from loyalty.rewards import issue, operations, queries
from shops.queries import all_shop_ids


def expire() -> None:
    """End the rewards whose days are over, a batch a transaction."""
    shops, more = all_shop_ids(database()), True
    while more:
        with database().transaction(*shops) as session:
            more = operations.expire(session, clock.now()) == operations.EXPIRE_BATCH


def repair() -> None:
    """Settle the rewards that wait for Shopify while no effect works on them any more."""
    with database().transaction(*all_shop_ids(database())) as session:
        stuck = queries.stuck(session, clock.now())
    issue.repair_all(database(), stuck)
