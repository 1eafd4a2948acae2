"""The drain: works off the inbox in batches, each in one transaction.

A batch that fails is undone and tried one delivery at a time, so that one poisonous delivery delays no other. What
fails is tried again with back-off, and stays visible when it gives up.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, logs, metrics
from core.db import Database, open_shops, update_rows
from core.errors import InvalidInput, one_line
from core.jobs import Hinted
from webhooks import topics
from webhooks.models import Delivery

BATCH = 500
BACK_OFF = tuple(timedelta(seconds=s) for s in (5, 30, 120, 600, 3600, 14400))

log = logs.logger(__name__)

_CLAIM = sa.text("""
    SELECT shop_id, id, webhook_id, topic, body, attempts, received_at, coalesce(triggered_at, received_at) AS at
    FROM inbox WHERE state = 'pending' AND next_try_at <= :now
    ORDER BY next_try_at, id LIMIT :limit FOR UPDATE SKIP LOCKED""")
_WAITING = sa.text("SELECT EXISTS (SELECT FROM inbox WHERE state = 'pending' AND next_try_at <= :now)")
_CLAIMING = sa.text("SELECT set_config('rapport.claim', 'inbox', true)")
_CLAIMED = sa.text("SELECT set_config('rapport.claim', '', true)")


def drain(database: Database, seconds: float = 300) -> int:
    """Work off what is due, for so many seconds at most, and return how many deliveries that were."""
    worked, end, known = 0, time.monotonic() + seconds, False
    while time.monotonic() < end and (batch := _drain_batch(database)):
        worked += batch
        known = known or _gather_statistics(database)
    return worked


def _gather_statistics(database: Database) -> bool:
    """Have PostgreSQL look at tables that were empty until now. True once it knows all of those the drain works on."""
    with database.transaction() as session:
        return bool(session.scalar(sa.text("SELECT gather_first_statistics()")))


def waiting(database: Database) -> bool:
    """Whether a delivery is due."""
    with database.transaction() as session:
        session.execute(_CLAIMING)
        return bool(session.scalar(_WAITING, {"now": clock.now()}))


def count_waiting(database: Database) -> int:
    """How many deliveries are not worked off yet."""
    with database.transaction() as session:
        session.execute(_CLAIMING)
        return int(session.scalar(sa.text("SELECT count(*) FROM inbox WHERE state = 'pending'")) or 0)


HINT = Hinted("drain", "webhooks.jobs.drain", waiting)


def _drain_batch(database: Database) -> int:
    began = time.perf_counter()
    claimed: Sequence[Any] = []
    try:
        with database.transaction() as session:
            claimed = _claim(session)
            if claimed:
                _work(session, claimed)
    except Exception as error:
        if not claimed:
            raise
        log.warning("batch taken apart", size=len(claimed), error=one_line(error))
        for delivery in claimed:
            _work_alone(database, delivery)
    metrics.DRAIN_SECONDS.observe(time.perf_counter() - began)
    return len(claimed)


def _claim(session: Session) -> Sequence[Any]:
    session.execute(_CLAIMING)
    claimed = session.execute(_CLAIM, {"now": clock.now(), "limit": BATCH}).all()
    session.execute(_CLAIMED)
    open_shops(session, {delivery.shop_id for delivery in claimed})
    return claimed


def _work(session: Session, deliveries: Sequence[Any]) -> None:
    """Hand deliveries to their topics and mark them. InvalidInput marks its delivery alone; all else undoes all."""
    outcomes = topics.handle(session, deliveries)
    _mark(session, [(d, *outcomes[d.shop_id, d.id]) for d in deliveries])


def _work_alone(database: Database, delivery: Any) -> None:
    # A transaction each: locks gathered from one delivery to the next would be in no order, and deadlock with others.
    try:
        with database.transaction(delivery.shop_id) as session:
            if session.scalar(_this(sa.select(Delivery.id), delivery).with_for_update(skip_locked=True)):
                _work(session, [delivery])
    except Exception as error:
        log.warning(
            "delivery failed", shop_id=delivery.shop_id, delivery_id=delivery.webhook_id, topic=delivery.topic,
            attempt=delivery.attempts + 1, error=one_line(error),
        )  # fmt: skip
        with database.transaction(delivery.shop_id) as session:
            _put_back(session, delivery, error)


def _this(statement: Any, delivery: Any) -> Any:
    """The delivery's row, unless another drain has worked it off meanwhile."""
    return statement.where(
        Delivery.shop_id == delivery.shop_id, Delivery.id == delivery.id, Delivery.state == "pending"
    )


def _mark(session: Session, outcomes: Sequence[tuple[Any, str, str | None]]) -> None:
    now = clock.now()
    table: Any = Delivery.__table__
    rows = [(d.shop_id, d.id, state, error, d.attempts + 1, now) for d, state, error in outcomes]
    update_rows(session, table, ("shop_id", "id"), ("state", "error", "attempts", "done_at"), rows)
    for _, state, _ in outcomes:
        metrics.DRAINED.labels(state).inc()


def _put_back(session: Session, delivery: Any, error: Exception) -> None:
    gave_up = delivery.attempts >= len(BACK_OFF) or isinstance(error, InvalidInput)
    metrics.DRAINED.labels("failed" if gave_up else "retried").inc()
    session.execute(
        _this(sa.update(Delivery), delivery).values(
            state="failed" if gave_up else "pending",
            attempts=delivery.attempts + 1,
            error=one_line(error),
            next_try_at=clock.now() + (timedelta() if gave_up else BACK_OFF[delivery.attempts]),
        )
    )


def failed(session: Session, shop_id: int, limit: int = 100) -> Sequence[Delivery]:
    """Deliveries that have given up, newest first, without their bodies."""
    here = sa.select(Delivery).where(Delivery.shop_id == shop_id, Delivery.state == "failed")
    return session.scalars(here.options(sa.orm.defer(Delivery.body)).order_by(Delivery.id.desc()).limit(limit)).all()


def retry(session: Session, shop_id: int, delivery_id: int | None = None) -> bool:
    """Have a failed delivery worked again, at once; without one, all of the shop. False when none had failed."""
    asked = [Delivery.shop_id == shop_id, Delivery.state == "failed"]
    asked += [Delivery.id == delivery_id] if delivery_id is not None else []
    again = sa.update(Delivery).where(*asked).values(state="pending", attempts=0, error=None, next_try_at=clock.now())
    return bool(session.scalars(again.returning(Delivery.id)).all())


def prune(session: Session, days: int) -> int:
    """Delete what was worked off more than so many days ago. Failed deliveries stay until somebody decides."""
    gone: Any = session.execute(
        sa.delete(Delivery)
        .where(Delivery.state.in_(("done", "ignored")), Delivery.received_at < clock.now() - timedelta(days=days))
        .execution_options(synchronize_session=False)
    )
    return int(gone.rowcount)
