"""What the clock has done for all shops that pay commission out."""

from collections.abc import Sequence
from functools import partial

from core import batches, clock
from core.db import Database
from referrals.payouts import operations, paying, stripe
from shops.queries import installed_shop_ids


def close_months(database: Database) -> None:
    """Close the month that is over, shop by shop; one that fails is tried again the next time."""
    if stripe.is_set_up():
        batches.apart(installed_shop_ids(database), partial(_close, database), what="month not closed")


def _close(database: Database, shops: Sequence[int]) -> None:
    for shop_id in shops:
        after: int | None = 0
        while after is not None:
            with database.transaction(shop_id) as session:
                after = operations.close(session, shop_id, now=clock.now(), after=after)


def pay_waiting(database: Database) -> None:
    """Go on with statements that nothing works on."""
    if stripe.is_set_up():
        batches.apart(installed_shop_ids(database), partial(_pay, database), what="payouts not resumed")


def _pay(database: Database, shops: Sequence[int]) -> None:
    for shop_id in shops:
        paying.pay_waiting(database, shop_id)
