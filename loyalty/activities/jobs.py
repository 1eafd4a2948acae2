"""Jobs of what members earn beside buying. One shop, or one gift, that fails delays no other."""

from core import clock, logs
from core.db import database
from core.errors import one_line
from loyalty.activities import celebrations, giving
from shops.queries import all_shop_ids, installed_shop_ids

log = logs.logger(__name__)


def celebrate() -> None:
    """Give points for the birthdays and anniversaries that have come round."""
    for shop_id in installed_shop_ids(database()):
        try:
            celebrations.go_round(database(), shop_id, clock.now())
        except Exception as error:
            log.warning("birthdays not celebrated", shop_id=shop_id, error=one_line(error))


def give_gifts() -> None:
    """Give what was decided on."""
    with database().transaction(*all_shop_ids(database())) as session:
        waiting = giving.open_gifts(session)
    for shop_id, gift_id in waiting:
        try:
            giving.give(database(), shop_id, gift_id)
        except Exception as error:
            log.warning("gift not given", shop_id=shop_id, gift_id=gift_id, error=one_line(error))
