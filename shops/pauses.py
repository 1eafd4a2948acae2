"""Shops that rest: Shopify answers that one is frozen (402), locked (423) or closed (404). Nothing is lost meanwhile:
effects wait, the shop is asked again ever more rarely, and the first answer wakes it.
"""

from datetime import timedelta

import sqlalchemy as sa

from core import clock, logs
from core.db import Database
from core.errors import Unavailable
from core.i18n import N_
from shops.models import Shop

WHY = {
    402: N_("Shopify has frozen this shop until its bill is paid"),
    404: N_("Shopify has closed this shop"),
    423: N_("Shopify has locked this shop"),
}
SHORTEST, LONGEST = timedelta(minutes=10), timedelta(hours=6)

log = logs.logger(__name__)


class ShopPaused(Unavailable):
    """The shop rests and nothing was done. An effect waits, which counts as no failure."""

    code = "shop_paused"

    def __init__(self, status: int, rest: timedelta = SHORTEST) -> None:
        super().__init__(WHY[status])
        self.until = clock.now() + rest
        self.retry_after = max(1, int(rest.total_seconds()))


def check(shop: Shop) -> None:
    """Raises ShopPaused while a shop is not to be asked."""
    if shop.paused_until and shop.paused_until > clock.now():
        raise ShopPaused(shop.paused_status or 402, shop.paused_until - clock.now())


def pause(database: Database, shop_id: int, status: int) -> ShopPaused:
    """Note that a shop rests, longer each time it still does, and return the error that says so."""
    now = clock.now()
    with database.transaction(shop_id) as session:
        shop = session.get_one(Shop, shop_id, with_for_update=True)
        since = shop.paused_at or now
        rest = min(max(SHORTEST, now - since), LONGEST)
        shop.paused_at, shop.paused_until, shop.paused_status = since, now + rest, status
    log.warning("shop rests", shop_id=shop_id, status=status, until=(now + rest).isoformat())
    return ShopPaused(status, rest)


def wake(database: Database, shop_id: int) -> None:
    """The shop answers again."""
    with database.transaction(shop_id) as session:
        awake = {"paused_at": None, "paused_until": None, "paused_status": None}
        session.execute(sa.update(Shop).where(Shop.id == shop_id).values(**awake))
    log.info("shop is awake again", shop_id=shop_id)
