"""What time does to referrals: the referrer's side comes when the holding days are over."""

from collections.abc import Sequence

from core import batches, clock
from core.db import Database
from referrals.operations import settle
from referrals.queries import due


def release(database: Database) -> int:
    """Settle the referrals whose holding days are over; one that fails is left for the next time. Returns how many."""

    def settle_all(referrals: Sequence[tuple[int, int]]) -> None:
        for shop_id, order_id in referrals:
            settle(database, shop_id, str(order_id))

    over = due(database, clock.now())
    failed = [one for pair in over for one in batches.apart([pair], settle_all, what="referral not released")]
    return len(over) - len(failed)
