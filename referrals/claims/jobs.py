"""Jobs of claims."""

from core import clock
from core.db import database
from referrals import partners
from referrals.claims import operations
from shops.queries import installed_shop_ids


def expire() -> None:
    """End the claims whose days are over, and fail those that Shopify never made; a batch a transaction."""
    shops, more = installed_shop_ids(database()), True
    while more:
        with database().transaction(*shops) as session:
            more = operations.expire(session, clock.now()) == operations.EXPIRE_BATCH
    with database().transaction(*shops) as session:
        operations.give_up(session)


def stand_partners() -> None:
    """Have partners' codes in Shopify follow a program that has changed, and what was changed in Shopify by hand."""
    with database().transaction(*installed_shop_ids(database())) as session:
        partners.ask_all(session)
