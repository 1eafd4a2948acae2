"""Jobs of Google Wallet."""

from core.db import database
from shops.queries import all_shop_ids
from wallet_passes.google import receiving


def prune_callbacks() -> None:
    with database().transaction(*all_shop_ids(database())) as session:
        receiving.prune(session)
