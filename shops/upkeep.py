"""What time does to installed shops: tokens that nobody uses are kept from dying."""

from collections.abc import Sequence
from functools import partial

from core import batches
from core.db import Database
from shops import tokens
from shops.queries import domain_of, installed_shop_ids


def warm_tokens(database: Database) -> None:
    """Exchange refresh tokens that near their end."""
    for shop_id in installed_shop_ids(database):
        batches.apart([shop_id], partial(_warm, database), what="tokens not kept warm")


def _warm(database: Database, shop_ids: Sequence[int]) -> None:
    for shop_id in shop_ids:
        tokens.warm(database, shop_id, domain_of(database, shop_id))
