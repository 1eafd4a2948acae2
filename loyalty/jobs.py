"""Jobs of the ledger's room."""

from core.db import database
from loyalty import privacy
from shops.queries import all_shop_ids


def prune_exports() -> None:
    with database().transaction(*all_shop_ids(database())) as session:
        privacy.prune_exports(session)
