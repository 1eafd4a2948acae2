"""What rules ask of products that orders don't tell: tags and collections, as last read from the shop."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.db import insert_rows, rows_by
from loyalty.earning.rules import Labels
from loyalty.models import Product

# Collections change without a word to us, so what is older than this is read again for the next order.
FRESH_FOR = timedelta(hours=24)

Key = tuple[int, int]


def labels_of(session: Session, products: Iterable[Key], now: datetime) -> dict[Key, Labels]:
    """The labels of these (shop, product id), as far as they are known and fresh."""
    rows = rows_by(
        session,
        "SELECT p.shop_id, p.product_id, p.tags, p.collections FROM {keys} AS k(shop_id, product_id) "
        "JOIN products p ON p.shop_id = k.shop_id AND p.product_id = k.product_id WHERE p.fetched_at > %s",
        ("bigint", "bigint"),
        sorted(set(products)),
        now - FRESH_FOR,
    )
    return {(row[0], row[1]): Labels(frozenset(row[2]), frozenset(row[3])) for row in rows}


def keep(session: Session, shop_id: int, labels: dict[int, Labels], now: datetime) -> None:
    """Remember the labels of products by id."""
    encode = msgspec.json.encode
    rows = [
        (shop_id, product, encode(sorted(known.tags)).decode(), encode(sorted(known.collections)).decode(), now)
        for product, known in sorted(labels.items())
    ]
    insert_rows(
        session,
        Product.__table__,  # type: ignore[arg-type]
        ("shop_id", "product_id", "tags", "collections", "fetched_at"),
        rows,
        suffix="ON CONFLICT (shop_id, product_id) DO UPDATE SET tags = excluded.tags, "
        "collections = excluded.collections, fetched_at = excluded.fetched_at",
    )


def forget(session: Session, shop_id: int, product_id: int) -> None:
    """The product changed: the next order that asks has it read again."""
    table: Any = Product.__table__
    session.execute(sa.delete(table).where(table.c.shop_id == shop_id, table.c.product_id == product_id))
