"""Background work on RQ. Postgres is the truth: a hint only says "look now", and a lost hint costs a second.

A hint is one `SET … NX` in Redis; only the first since the last job began enqueues a job, so ten thousand deliveries
make one job, never ten thousand. When Redis is down, slow or empty, the sweep finds the pending rows and hints again.
"""

import contextlib
import functools
import gc
import math
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import redis
import sqlalchemy as sa
from rq import Queue, SimpleWorker
from rq.timeouts import TimerDeathPenalty
from sqlalchemy.orm import Mapped, mapped_column

from core import clock, logs, metrics
from core.config import settings
from core.db import TIMESTAMP, Base, Database, database

HINT_LIVES = 5  # seconds; bounds the wait after a job was enqueued but lost
JOB_TIMEOUT = 600
REDIS_TIMEOUT = 0.2
BREAKER_REST = 1.0
HINT_SPACING = 0.02  # seconds

log = logs.logger(__name__)


class Hinted(NamedTuple):
    """Work that hints start: its queue, the job's dotted path and arguments, and a query that is true when rows wait
    for it.
    """

    queue: str
    job: str
    waiting: Callable[[Database], bool]
    args: tuple[str, ...] = ()


class Periodic(NamedTuple):
    """Work the clock starts every so many seconds, on whichever machine gets to it first."""

    name: str
    every: float
    job: str


class PeriodicRun(Base):
    """When each periodic job is next due. One row a job, the row lock lets one clock of many start it."""

    __tablename__ = "periodic_runs"

    name: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    next_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    last_started_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)


@functools.cache
def connection() -> redis.Redis:
    """Redis for hints: it gives up fast, for a request waits behind it."""
    return redis.Redis.from_url(
        settings().redis_url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT
    )


class Hints:
    """Sends hints, and leaves Redis alone for a second after it failed."""

    def __init__(self) -> None:
        self._rests_until = 0.0

    def send(self, hinted: Hinted) -> bool:
        """True when a job was enqueued. Redis failures are swallowed and counted."""
        if time.monotonic() < self._rests_until:
            return False
        try:
            if not connection().set(_mark(hinted.queue), b"1", nx=True, ex=HINT_LIVES):
                return False
            enqueue(hinted.queue, hinted.job, *hinted.args)
            return True
        except redis.RedisError as error:
            self._rests_until = time.monotonic() + BREAKER_REST
            metrics.REDIS_ERRORS.inc()
            log.warning("redis did not take a hint", queue=hinted.queue, error=type(error).__name__)
            return False


hints = Hints()


class Hinter:
    """Sends hints of one kind from a thread of its own: no request waits for Redis, and a burst sends a few."""

    def __init__(self, hinted: Hinted) -> None:
        self._hinted = hinted
        self._asked = threading.Event()
        threading.Thread(target=self._run, name=f"hints {hinted.queue}", daemon=True).start()

    def ask(self) -> None:
        """Have a hint sent that the queue sees after this call."""
        self._asked.set()

    def _run(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            hints.send(self._hinted)
            time.sleep(HINT_SPACING)


def _mark(queue: str) -> str:
    return f"rapport:hinted:{queue}"


def begin(queue: str) -> None:
    """A hinted job's first act: from here on a new hint enqueues a new job, so nothing that comes later is missed."""
    connection().delete(_mark(queue))


def enqueue(queue: str, job: str, *args: Any, lives: int | None = None) -> None:
    """Put a job on a queue, which nobody begins once it has waited there for `lives` seconds. Arguments are ids.

    Raises redis.RedisError.
    """
    kept = {"job_timeout": JOB_TIMEOUT, "result_ttl": 0, "failure_ttl": 3600, "ttl": lives}
    Queue(queue, connection=connection()).enqueue(job, *args, **kept)


def sweep(hinted: tuple[Hinted, ...]) -> None:
    """Hint for every kind of work that has rows waiting. The clock calls this every second."""
    for work in hinted:
        if work.waiting(database()):
            hints.send(work)


def start_due(periodic: tuple[Periodic, ...]) -> list[str]:
    """Enqueue the periodic jobs that are due and return their names."""
    resting, started = _resting(), []
    for job in periodic:
        if job.name not in resting and _take_turn(job):
            try:
                # Behind a long one they would gather, and then do in a moment what was to take an hour.
                enqueue("periodic", job.job, lives=math.ceil(2 * job.every))
                started.append(job.name)
            except redis.RedisError as error:
                _give_turn_back(job)
                log.warning("periodic job waits for Redis", job=job.name, error=type(error).__name__)
    return started


def _resting() -> set[str]:
    """Jobs whose turn has not come: nearly all of them, nearly always, so one look at them spares many."""
    with database().transaction() as session:
        return set(session.scalars(sa.select(PeriodicRun.name).where(PeriodicRun.next_at > clock.now())))


def _take_turn(job: Periodic) -> bool:
    now = clock.now()
    with database().transaction() as session:
        session.execute(
            sa.text("INSERT INTO periodic_runs (name, next_at) VALUES (:name, :now) ON CONFLICT DO NOTHING"),
            {"name": job.name, "now": now},
        )
        taken = session.scalar(
            sa.update(PeriodicRun)
            .where(PeriodicRun.name == job.name, PeriodicRun.next_at <= now)
            .values(next_at=now + timedelta(seconds=job.every), last_started_at=now)
            .returning(PeriodicRun.name)
        )
        return taken is not None


def _give_turn_back(job: Periodic) -> None:
    with database().transaction() as session:
        session.execute(sa.update(PeriodicRun).where(PeriodicRun.name == job.name).values(next_at=clock.now()))


CLOCK = "clock"
BEAT_LIVES = 30  # seconds


def beat() -> None:
    """The clock's sign that it has just done a turn."""
    with contextlib.suppress(redis.RedisError):
        connection().set(_beat(CLOCK), b"1", ex=BEAT_LIVES)


def answer(asked: str) -> None:
    """The job by which a worker shows that it takes jobs."""
    connection().set(_beat(asked), b"1", ex=BEAT_LIVES)


def silent(queues: Sequence[str], patience: float) -> list[str]:
    """The queues that nobody works, and "clock" where none does a turn, after so many seconds at most.

    Raises redis.RedisError.
    """
    connection().delete(_beat(CLOCK))
    asked = {name: f"{name}:{uuid.uuid4().hex}" for name in queues}
    for queue, token in asked.items():
        enqueue(queue, "core.jobs.answer", token, lives=math.ceil(patience))
    waiting, until = asked | {CLOCK: CLOCK}, time.monotonic() + patience
    while waiting and time.monotonic() < until:
        waiting = {name: token for name, token in waiting.items() if not connection().exists(_beat(token))}
        time.sleep(0.1 if waiting else 0)
    return sorted(waiting)


def _beat(name: str) -> str:
    return f"rapport:beat:{name}"


class Worker(SimpleWorker):
    """Works jobs in its own process: one drain job handles thousands of deliveries, so a fork for each buys nothing."""

    death_penalty_class = TimerDeathPenalty
    max_connection_wait_time = 2  # RQ's default waits up to a minute after Redis is back


def work(queue: str) -> None:
    """Work one queue until asked to stop. A Redis that dies or is emptied only makes the worker start over."""
    # A batch makes many short-lived objects and no cycles: looking for garbage often costs a tenth of the drain.
    gc.set_threshold(100_000, 50, 100)
    while True:
        try:
            patient = redis.Redis.from_url(settings().redis_url)
            worker = Worker([queue], connection=patient, worker_ttl=30, maintenance_interval=30)
            worker.work(logging_level="WARNING")
            if worker._shutdown_requested_date:
                return
        except redis.RedisError as error:
            log.warning("worker lost redis", queue=queue, error=type(error).__name__)
        time.sleep(1)
