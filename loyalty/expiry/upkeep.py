"""Working off what expires, batch by batch, each in a transaction of its own."""

from collections.abc import Sequence

from core import batches, clock
from core.db import Database
from loyalty.expiry import operations, queries
from loyalty.expiry.queries import Key
from shops.queries import all_shop_ids

BATCH = 500


def expire(database: Database) -> int:
    """Look at every member whose points may expire or need a reminder by now. Returns at how many.

    It may be ended at any point and started again, also beside itself; a member that fails delays no other.
    """
    shops = all_shop_ids(database)
    _begin_policies(database, shops)

    def due(limit: int) -> list[Key]:
        with database.transaction(*shops) as session:
            return queries.due(session, clock.now(), limit)

    def look(keys: Sequence[Key]) -> None:
        with database.transaction(*{shop_id for shop_id, _ in keys}) as session:
            operations.look_at(session, keys, clock.now())

    return batches.all_due(due, look, size=BATCH, what="points not expired")


def _begin_policies(database: Database, shops: Sequence[int]) -> None:
    with database.transaction(*shops) as session:
        begun = queries.begun(session, clock.now())

    def begin(found: Sequence[int]) -> None:
        for shop_id in found:
            more = True
            while more:
                with database.transaction(shop_id) as session:
                    more = operations.begin(session, shop_id, begun[shop_id], clock.now(), BATCH)

    if begun:
        batches.apart(list(begun), begin, what="expiry policies not begun")
