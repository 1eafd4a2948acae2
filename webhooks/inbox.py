"""Storing deliveries by group commit: whoever gets hold of a pen writes for everyone who waits.

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
PENS = 2  # groups written at once: one is packed by PostgreSQL while the other's commit is on its way to the disk
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


class _Pen:
    """A connection that writes; who holds it writes for everyone who waits."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None

    def write(self, deliveries: list[NewDelivery]) -> None:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url, WRITING)
        shops = "{" + ",".join(sorted({str(delivery.shop_id) for delivery in deliveries})) + "}"
        # In key order: another group with the same repeats must not wait for us while we wait for it.
        columns = [list(column) for column in zip(*sorted(deliveries, key=lambda d: d[:2]), strict=True)]
        self._connection.execute(_INSERT, (shops, *columns))

    def hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Waiting:
    """One delivery on its way to disk. When `woken` it is done, or it has been handed a pen."""

    __slots__ = ("delivery", "done", "error", "pen", "woken")

    def __init__(self, delivery: NewDelivery) -> None:
        self.delivery = delivery
        self.woken = threading.Event()
        self.pen: _Pen | None = None
        self.done = False
        self.error: Exception | None = None


class Inbox:
    """Stores deliveries on connections of its own. `stored` is called after each commit (the hint)."""

    def __init__(self, url: str, stored: Callable[[], object] = lambda: None) -> None:
        self._stored = stored
        self._lock = threading.Lock()  # guards the two below and is never held while writing
        self._list: list[_Waiting] = []
        self._pens = [_Pen(url) for _ in range(PENS)]

    def store(self, delivery: NewDelivery) -> None:
        """Return once the delivery is on disk (or was before). Raises Unavailable; then it may not be stored."""
        mine = _Waiting(delivery)
        with self._lock:
            if self._pens:
                mine.pen = self._pens.pop()
            else:
                self._list.append(mine)
        if mine.pen is None and not mine.woken.wait(PATIENCE):
            self._give_up(mine)
        if mine.pen is not None and not mine.done:
            self._write_group(mine.pen, mine)
            self._stored()
        if mine.error is not None:
            raise Unavailable("the delivery could not be stored; try again") from mine.error

    def _give_up(self, mine: _Waiting) -> None:
        """Waited too long. A delivery that is being written this moment costs one repeat, no more."""
        with self._lock:
            if mine in self._list:
                self._list.remove(mine)
            if mine.pen is not None:
                self._pass_on(mine.pen)  # it was to write next, and will not
            if not mine.done:
                mine.done, mine.error = True, TimeoutError("the database is too slow")

    def _write_group(self, pen: _Pen, mine: _Waiting) -> None:
        with self._lock:
            group, self._list = [mine, *self._list[: GROUP - 1]], self._list[GROUP - 1 :]
        self._write(pen, group)
        with self._lock:
            self._pass_on(pen)

    def _pass_on(self, pen: _Pen) -> None:
        """Whoever has waited longest writes next; one is woken, not all. The caller holds the lock."""
        if self._list:
            following = self._list.pop(0)
            following.pen = pen
            following.woken.set()
        else:
            self._pens.append(pen)

    def _write(self, pen: _Pen, group: list[_Waiting]) -> None:
        error: Exception | None = None
        try:
            pen.write([waiting.delivery for waiting in group])
        except Exception as failure:
            # Whatever it is, it must reach all who wait: who is told nothing waits for ever.
            error = failure
            log.warning("group not stored", size=len(group), error=one_line(failure))
            pen.hang_up()
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
