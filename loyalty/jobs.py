"""Jobs of the ledger's room."""

from core import clock
from core.db import database
from loyalty import counting, privacy, programs
from shops.queries import all_shop_ids, installed_shop_ids


def prune_exports() -> None:
    with database().transaction(*all_shop_ids(database())) as session:
        privacy.prune_exports(session)


def count_numbers() -> None:
    for shop_id in installed_shop_ids(database()):
        with database().transaction(shop_id) as session:
            published, now = programs.load(session, [shop_id]), clock.now()
        if published.of(shop_id):
            counting.count(database(), shop_id, published.in_force(shop_id, now).program.zone, now)
