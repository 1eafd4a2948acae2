"""Which shops are known, kept in memory for the door: asked of the database at most once a few seconds per shop."""

import threading
import time
from typing import Any, NamedTuple

import psycopg

from core.errors import Unavailable
from webhooks.connection import connect

FRESH = 5.0  # seconds
ANSWERING = 1.0  # seconds the database may take
REST = 1.0  # seconds without asking again after it did not answer in time


class ShopRef(NamedTuple):
    id: int
    installed: bool


class Register:
    """Domain to shop, on one connection of its own.

    Only signed requests ask, so an unknown domain costs a look-up but cannot flood the memory.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._known: dict[str, tuple[float, ShopRef]] = {}
        self._asking = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._rests_until = 0.0

    def find(self, domain: str) -> ShopRef | None:
        """The shop of a domain, or None. Raises Unavailable when the database can't be asked and nothing is known."""
        held = self._known.get(domain)
        if held and time.monotonic() - held[0] < FRESH:
            return held[1]
        try:
            return self._ask(domain)
        except (psycopg.Error, TimeoutError):
            if held:
                return held[1]  # the insert will say whether the database is really gone
            raise Unavailable("the database does not answer; try again") from None

    def find_numbered(self, shopify_id: int) -> ShopRef | None:
        """The shop that Shopify calls by this number, whatever its domain is now. Raises Unavailable."""
        try:
            return self._look_up(shopify_id)
        except (psycopg.Error, TimeoutError):
            raise Unavailable("the database does not answer; try again") from None

    def _look_up(self, name: str | int) -> ShopRef | None:
        with self._asking:
            if time.monotonic() < self._rests_until:
                raise TimeoutError
            began = time.monotonic()
            try:
                return self._read(name)
            except psycopg.Error:
                self._hang_up()
                # A connection that a restart cut off fails at once and costs nothing to replace.
                if time.monotonic() - began > ANSWERING / 2:
                    self._rests_until = time.monotonic() + REST
                raise

    def _ask(self, domain: str) -> ShopRef | None:
        shop = self._look_up(domain)
        if shop is None:
            self._known.pop(domain, None)
        else:
            self._known[domain] = (time.monotonic(), shop)
        return shop

    def _read(self, name: str | int) -> ShopRef | None:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url, ANSWERING)
        named = "domain" if isinstance(name, str) else "shopify_id"
        found = f"SELECT id, uninstalled_at FROM shops WHERE {named} = %s"  # type: ignore[str-format]
        row = self._connection.execute(found, [name]).fetchone()
        return row and ShopRef(row[0], row[1] is None)

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
