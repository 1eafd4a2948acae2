"""Jobs of payouts."""

from core.db import database
from referrals.payouts import receiving, upkeep
from shops.queries import all_shop_ids


def close_month() -> None:
    """Make the statements of the month that is over."""
    upkeep.close_months(database())


def pay_waiting() -> None:
    """Have those approved statements paid that nothing works on any more."""
    upkeep.pay_waiting(database())


def prune_news() -> None:
    """Forget old messages of Stripe's."""
    with database().transaction(*all_shop_ids(database())) as session:
        receiving.prune(session)
