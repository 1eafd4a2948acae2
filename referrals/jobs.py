"""Jobs of referrals: they hold nothing but the call."""

from core import clock
from core.db import database
from referrals import upkeep, visits
from shops.queries import all_shop_ids


def release() -> None:
    upkeep.release(database())


def forget_looks() -> None:
    with database().transaction(*all_shop_ids(database())) as session:
        visits.prune(session, clock.now())
