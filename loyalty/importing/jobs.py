"""The job of imports. One that fails delays no other."""

from core import logs
from core.db import database
from core.errors import one_line
from loyalty.importing import operations
from shops.queries import all_shop_ids

log = logs.logger(__name__)


def bring_in() -> None:
    """Bring in what merchants have started."""
    with database().transaction(*all_shop_ids(database())) as session:
        waiting = operations.running(session)
    for shop_id, import_id in waiting:
        try:
            operations.bring_in(database(), shop_id, import_id)
        except Exception as error:
            log.warning("import not brought in", shop_id=shop_id, import_id=import_id, error=one_line(error))
