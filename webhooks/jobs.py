"""Jobs of the inbox: they hold nothing but the call."""

from core import jobs
from core.config import settings
from core.db import database
from shops.queries import all_shop_ids
from webhooks import drain as inbox
from webhooks import reconcile as reconciling
from webhooks import upkeep


def drain() -> None:
    jobs.begin(inbox.HINT.queue)
    inbox.drain(database())


def prune() -> None:
    with database().transaction(*all_shop_ids(database())) as session:
        inbox.prune(session, settings().inbox_retention_days)
        reconciling.forget_old(session)


def release_points() -> None:
    upkeep.release_points(database())


def claim_guest_orders() -> None:
    upkeep.claim_guest_orders(database())


def reconcile() -> None:
    reconciling.request(database(), reconciling.RECENT)


def sweep() -> None:
    reconciling.request(database(), reconciling.SWEEP)
