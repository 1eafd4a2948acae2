"""Which shops are known, kept in memory for the door: asked of the database at most once a few seconds per shop."""

import time
from typing import NamedTuple

import sqlalchemy as sa

from core.db import Database
from core.errors import Unavailable
from shops.models import Shop

FRESH = 5.0  # seconds


class ShopRef(NamedTuple):
    id: int
    installed: bool


class Register:
    """Domain to shop. Only signed requests ask, so an unknown domain costs a look-up but cannot flood the memory."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[float, ShopRef]] = {}

    def find(self, domain: str) -> ShopRef | None:
        """The shop of a domain, or None. Raises Unavailable when the database can't be asked and nothing is known."""
        held = self._known.get(domain)
        if held and time.monotonic() - held[0] < FRESH:
            return held[1]
        try:
            shop = self._read(domain)
        except sa.exc.DBAPIError:
            if held:
                return held[1]  # the insert will say whether the database is really gone
            raise Unavailable("the database does not answer; try again") from None
        if shop is None:
            self._known.pop(domain, None)
            return None
        self._known[domain] = (time.monotonic(), shop)
        return shop

    def _read(self, domain: str) -> ShopRef | None:
        with self._database.transaction() as session:
            row = session.execute(sa.select(Shop.id, Shop.uninstalled_at).where(Shop.domain == domain)).one_or_none()
        return row and ShopRef(row.id, row.uninstalled_at is None)
