"""Storing deliveries by group commit: whoever finds nobody writing writes for everyone who waits.

A commit costs the same for one delivery as for fifty, so under load the first thread drains the list and sends one
INSERT while the others sleep; each is told only after *its* row is committed. Alone, a delivery waits for nobody.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from core import logs, metrics
from core.errors import Unavailable, one_line
from webhooks.connection import connect

GROUP = 64
PATIENCE = 3.5  # seconds a delivery waits in all; Shopify waits 5
WRITING = 2.0  # seconds one group may take

log = logs.logger(__name__)


class NewDelivery(NamedTuple):
    """A verified delivery; the field order is that of the INSERT."""

    shop_id: int
    webhook_id: str
    event_id: str | None
    topic: str
    api_version: str | None
    triggered_at: datetime | None
    body: bytes


# Opening the shops within the statement saves a transaction block and its round trips. No row reaches the policy's
# check before the shops are open, because each comes out of the join with them.
_INSERT = f"""
    WITH opened AS MATERIALIZED (SELECT set_config('rapport.shops', %s, true))
    INSERT INTO inbox ({", ".join(NewDelivery._fields)})
    SELECT delivery.* FROM opened CROSS JOIN unnest(
        %b::bigint[], %b::text[], %b::text[], %b::text[], %b::text[], %b::timestamptz[], %b::bytea[]) AS delivery
    ON CONFLICT (shop_id, webhook_id) DO NOTHING"""


class _Waiting:
    """One delivery on its way to disk. `woken` means: it is done, or it is its turn to write."""

    __slots__ = ("delivery", "done", "error", "woken")

    def __init__(self, delivery: NewDelivery) -> None:
        self.delivery = delivery
        self.woken = threading.Event()
        self.done = False
        self.error: Exception | None = None


class Inbox:
    """Stores deliveries on one connection of its own. `stored` is called after each commit (the hint)."""

    def __init__(self, url: str, stored: Callable[[], object] = lambda: None) -> None:
        self._url = url
        self._stored = stored
        self._lock = threading.Lock()  # guards the two below and is never held while writing
        self._list: list[_Waiting] = []
        self._writing = False
        self._connection: psycopg.Connection[Any] | None = None

    def store(self, delivery: NewDelivery) -> None:
        """Return once the delivery is on disk (or was before). Raises Unavailable; then it may not be stored."""
        mine = _Waiting(delivery)
        with self._lock:
            self._list.append(mine)
            writes, self._writing = not self._writing, True
        if not writes and not mine.woken.wait(PATIENCE):
            self._give_up(mine)
        if not mine.done:
            self._write_until_done(mine)
            self._stored()
        if mine.error is not None:
            raise Unavailable("the delivery could not be stored; try again") from mine.error

    def _give_up(self, mine: _Waiting) -> None:
        """Waited too long. A delivery that is being written this moment costs one repeat, no more."""
        with self._lock:
            if mine in self._list:
                self._list.remove(mine)
            if mine.done:
                return
            if mine.woken.is_set():
                self._pass_on()  # it was to write next, and will not
            mine.done, mine.error = True, TimeoutError("the database is too slow")

    def _write_until_done(self, mine: _Waiting) -> None:
        while not mine.done:
            with self._lock:
                group, self._list = self._list[:GROUP], self._list[GROUP:]
            self._write(group)
        with self._lock:
            self._pass_on()

    def _pass_on(self) -> None:
        """Whoever has waited longest writes next; one is woken, not all. The caller holds the lock."""
        if self._list:
            self._list[0].woken.set()
        else:
            self._writing = False

    def _write(self, group: list[_Waiting]) -> None:
        error: Exception | None = None
        try:
            self._insert([waiting.delivery for waiting in group])
        except Exception as failure:
            # Whatever it is, it must reach all who wait: who is told nothing waits for ever.
            error = failure
            log.warning("group not stored", size=len(group), error=one_line(failure))
            self._hang_up()
            if isinstance(failure, psycopg.OperationalError):
                # The database does not answer. Who came meanwhile has waited long enough to be told the same.
                group = group + self._take_all()
        metrics.GROUP_SIZE.observe(len(group))
        for waiting in group:
            waiting.error, waiting.done = error, True
            waiting.woken.set()

    def _take_all(self) -> list[_Waiting]:
        with self._lock:
            everyone, self._list = self._list, []
        return everyone

    def _insert(self, deliveries: list[NewDelivery]) -> None:
        connection = self._connected()
        shops = "{" + ",".join(sorted({str(delivery.shop_id) for delivery in deliveries})) + "}"
        # In key order: another web process inserting the same repeats must not wait for us while we wait for it.
        columns = [list(column) for column in zip(*sorted(deliveries, key=lambda d: d[:2]), strict=True)]
        connection.execute(_INSERT, (shops, *columns))

    def _connected(self) -> "psycopg.Connection[Any]":
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url, WRITING)
        return self._connection

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
