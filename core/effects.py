"""Effects: what must happen outside the database because of what happened inside it.

A row says "this target of this shop is out of date". Asking again while it waits only raises its version, so ten
changes make one call; the handler reads the *current* state and makes the target equal to it, so a repeat is harmless.
Rows are claimed with a lease, one or many at a time, retried with back-off, and stay visible with their error when
they give up. Each queue has workers of its own, so that what is slow in one holds up no other.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import clock, jobs, logs, metrics
from core.db import TIMESTAMP, Base, Database, database, delete_rows, open_shops, rows_by, update_rows
from core.errors import RapportError, one_line
from core.jobs import Hinted

# Longer than a handler takes with all its tries; after that its worker is believed dead.
LEASE = timedelta(minutes=10)
BACK_OFF = tuple(timedelta(seconds=s) for s in (2, 10, 60, 300, 1800, 7200, 21600))
QUEUE = "effects"
# Seconds. A job ends before RQ would end it; the sweep starts the next one.
JOB_LASTS = 300.0
# What is due again so soon a job waits for: the sweep would come late for it.
SOON = timedelta(seconds=2)
POLL = 0.05  # seconds

log = logs.logger(__name__)

_REQUESTED = "effects requested"
_CLAIMING = sa.text("SELECT set_config('rapport.claim', 'effects', true)")
_CLAIMED = sa.text("SELECT set_config('rapport.claim', '', true)")


class Effect(Base):
    """Indexes: what is due of a kind, in the order of its turns, across shops (for the worker); what gave up, by shop
    (for the merchant). `patient` ones let all others go first.
    """

    __tablename__ = "effects"
    __table_args__ = (
        sa.CheckConstraint("state IN ('waiting', 'failed')", name="state"),
        sa.Index("ix_effects_turn", "kind", "patient", "due_at", postgresql_where=sa.text("state = 'waiting'")),
        sa.Index("ix_effects_failed", "shop_id", postgresql_where=sa.text("state = 'failed'")),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    target: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    version: Mapped[int] = mapped_column(sa.Integer, server_default="1")
    state: Mapped[str] = mapped_column(sa.Text, server_default="waiting")
    patient: Mapped[bool] = mapped_column(sa.Boolean, server_default="false")
    attempts: Mapped[int] = mapped_column(sa.Integer, server_default="0")
    error: Mapped[str | None] = mapped_column(sa.Text)
    requested_at: Mapped[datetime] = mapped_column(TIMESTAMP, server_default=sa.func.now())
    due_at: Mapped[datetime] = mapped_column(TIMESTAMP, server_default=sa.func.now())
    leased_until: Mapped[datetime | None] = mapped_column(TIMESTAMP)


class Wanted(NamedTuple):
    """An effect to be carried out: which shop, what kind, and which target (an id as text)."""

    shop_id: int
    kind: str
    target: str


class PermanentFailure(RapportError):
    """Trying again would not help; the effect gives up at once and shows why."""

    code = "effect_failed"


class NotYet(Exception):
    """The effect is to be carried out again at a later moment, and nothing went wrong: changes are being gathered."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"not before {until:%H:%M:%S}")
        self.until = until


def _not_before(error: Exception) -> datetime | None:
    """When to carry out again what did not fail. An error of a room above may say so, too, by its `until`."""
    until: datetime | None = getattr(error, "until", None)
    return until


class Source(Protocol):
    """The part of an event that decides which effects follow."""

    @property
    def shop_id(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def member_id(self) -> int | None: ...


Handler = Callable[[Database, int, str], None]
# Carries out effects of one kind, each of another target, and tells of those that failed, with why. What it does not
# speak of is done.
HandlerMany = Callable[[Database, Sequence[Wanted]], Mapping[Wanted, Exception]]
# Which of these effects, all of one kind, concern anything at all; asked in the transaction that requests them.
Concern = Callable[[Session, Sequence[Wanted]], Iterable[Wanted]]


class Wiring(NamedTuple):
    """How effects of a kind are carried out: see `wire_many`."""

    handler: HandlerMany
    size: int = 1
    queue: str = QUEUE
    lease: timedelta = LEASE
    delay: timedelta = timedelta()
    concern: Concern | None = None
    patient: bool = False


class Claimed(NamedTuple):
    """An effect under lease, at the version that was claimed."""

    shop_id: int
    kind: str
    target: str
    version: int
    attempts: int

    @property
    def wanted(self) -> Wanted:
        return Wanted(*self[:3])


# Filled by app.py when the parts are wired together. `_following`: event kind -> effect kinds on the event's member.
_wired: dict[str, Wiring] = {}
_following: dict[str, tuple[str, ...]] = {}


def wire(
    kind: str,
    handler: Handler,
    *,
    after: Iterable[str] = (),
    delay: timedelta = timedelta(),
    concern: Concern | None = None,
    patient: bool = False,
    queue: str = QUEUE,
) -> None:
    """Have `handler(database, shop_id, target)` carry out effects of `kind`, one at a time; else as `wire_many`."""

    def alone(database: Database, wanted: Sequence[Wanted]) -> dict[Wanted, Exception]:
        for one in wanted:
            handler(database, one.shop_id, one.target)
        return {}

    wire_many(kind, alone, after=after, delay=delay, concern=concern, patient=patient, queue=queue, size=1)


def wire_many(
    kind: str,
    handler: HandlerMany,
    *,
    after: Iterable[str] = (),
    delay: timedelta = timedelta(),
    concern: Concern | None = None,
    patient: bool = False,
    queue: str = QUEUE,
    size: int = 200,
    lease: timedelta = LEASE,
) -> None:
    """Have `handler(database, wanted)` carry out effects of `kind`, up to `size` at a time, after the named events.

    With a delay they wait so long after the first request, so that what changes often is told once. With a concern
    only those are requested that it returns. Patient effects let all others go first: nobody looks at them, and a shop
    that brings 20,000 customers along asks for as many. A handler that raises is asked again with one at a time.
    """
    _wired[kind] = Wiring(handler, size, queue, lease, delay, concern, patient)
    for event in after:
        _following[event] = tuple(dict.fromkeys((*_following.get(event, ()), kind)))


def wired(kind: str) -> bool:
    """Whether effects of this kind are carried out at all."""
    return kind in _wired


def following(events: Iterable[Source]) -> list[Wanted]:
    """The effects that these events ask for, each target once."""
    wanted = {
        Wanted(event.shop_id, kind, str(event.member_id))
        for event in events
        if event.member_id
        for kind in _following.get(event.kind, ())
    }
    return sorted(wanted)


def request(session: Session, wanted: Iterable[Wanted], *, patient: bool = False) -> None:
    """Mark targets as out of date, in the caller's transaction. Sorted, so that two transactions never deadlock.

    `patient` ones let all others of their kind go first, unless they were asked for impatiently, too.
    """
    rows = sorted(_concerning(session, set(wanted)))
    session.info.setdefault(_REQUESTED, set()).update(_wiring(row.kind).queue for row in rows)
    rows_by(
        session,
        "INSERT INTO effects (shop_id, kind, target, patient, due_at) "
        "SELECT k.shop_id, k.kind, k.target, k.patient, now() + k.delay "
        "FROM {keys} AS k(shop_id, kind, target, patient, delay) ON CONFLICT (shop_id, kind, target) DO UPDATE SET "
        "version = effects.version + 1, state = 'waiting', attempts = 0, error = NULL, "
        "patient = effects.patient AND EXCLUDED.patient, due_at = "
        "CASE WHEN effects.state = 'waiting' AND effects.attempts = 0 THEN least(effects.due_at, EXCLUDED.due_at) "
        "ELSE EXCLUDED.due_at END "
        "RETURNING shop_id",
        ("bigint", "text", "text", "boolean", "interval"),
        [(*row, patient or _wiring(row.kind).patient, _wiring(row.kind).delay) for row in rows],
    )


def _concerning(session: Session, wanted: set[Wanted]) -> set[Wanted]:
    for kind in {one.kind for one in wanted}:
        if concern := _wiring(kind).concern:
            asked = {one for one in wanted if one.kind == kind}
            wanted = wanted - asked | set(concern(session, sorted(asked)))
    return wanted


def _wiring(kind: str) -> Wiring:
    return _wired.get(kind) or Wiring(_refuse)


def _refuse(database: Database, wanted: Sequence[Wanted]) -> Mapping[Wanted, Exception]:
    raise NotImplementedError(f"nothing carries out {wanted[0].kind}")


# Hints, and the jobs they start.


def failed(session: Session, shop_id: int, limit: int = 100) -> Sequence[Effect]:
    """Effects of a shop that have given up, newest first."""
    here = sa.select(Effect).where(Effect.shop_id == shop_id, Effect.state == "failed")
    return session.scalars(here.order_by(Effect.requested_at.desc(), Effect.kind, Effect.target).limit(limit)).all()


def retry(session: Session, shop_id: int, kind: str | None = None, target: str | None = None) -> int:
    """Have effects that have given up carried out again, at once: one, those of a kind, or all of a shop. How many."""
    asked = [Effect.shop_id == shop_id, Effect.state == "failed"]
    asked += [Effect.kind == kind] if kind is not None else []
    asked += [Effect.target == target] if target is not None else []
    again = sa.update(Effect).where(*asked).values(state="waiting", attempts=0, error=None, due_at=clock.now())
    return len(session.scalars(again.returning(Effect.target)).all())


def hinted(queue: str) -> Hinted:
    """The work of one queue."""
    return Hinted(queue, "core.effects.carry_out", lambda database: waiting(database, queue), (queue,))


def waiting(database: Database, queue: str | None = None, by: datetime | None = None) -> bool:
    """Whether an effect is due now, or `by` a moment; of a queue or of any."""
    with database.transaction() as session:
        session.execute(_CLAIMING)
        due = sa.select(Effect.shop_id).where(Effect.kind.in_(_kinds(queue)), *_due(by or clock.now()))
        return bool(session.scalar(sa.select(due.exists())))


def _kinds(queue: str | None) -> list[str]:
    return [kind for kind, wiring in _wired.items() if queue in (None, wiring.queue)]


def carry_out(queue: str = QUEUE) -> None:
    """The job that a hint starts."""
    jobs.begin(queue)
    end = time.monotonic() + JOB_LASTS
    carry_out_due(database(), queue, end=end)
    while time.monotonic() < end and waiting(database(), queue, clock.now() + SOON):
        time.sleep(POLL)
        carry_out_due(database(), queue, end=end)


def hint_after_commit(session: Session) -> None:
    """Start the effects that a transaction asked for, once it is committed."""
    for queue in sorted(session.info.pop(_REQUESTED, ())):
        jobs.hints.send(hinted(queue))


# Carrying them out.


def carry_out_due(database: Database, queue: str | None = None, *, end: float = float("inf")) -> int:
    """Carry out what is due, of a queue or of all, until nothing is. Returns how many were tried.

    Past `end` (of the monotonic clock) nothing new is begun.
    """
    tried = 0
    while time.monotonic() < end and (batch := _claim(database, queue)):
        _carry_out(database, batch)
        tried += len(batch)
    return tried


_HEADS = """
    SELECT e.kind FROM unnest(CAST(:kinds AS text[])) AS k(kind), LATERAL (
        SELECT kind, patient, due_at FROM effects
        WHERE kind = k.kind AND state = 'waiting' AND due_at <= :now AND (leased_until IS NULL OR leased_until <= :now)
        ORDER BY patient, due_at LIMIT 1 FOR UPDATE SKIP LOCKED) AS e
    ORDER BY e.patient, e.due_at LIMIT 1"""


def _claim(database: Database, queue: str | None = None) -> list[Claimed]:
    """Lease what is due, of the kind whose turn it is. Asking for it again meanwhile does not end the lease, so no two
    workers race.
    """
    now = clock.now()
    with database.transaction() as session:
        session.execute(_CLAIMING)
        kind = session.scalar(sa.text(_HEADS), {"kinds": _kinds(queue), "now": now})
        batch = _first(session, now, kind) if kind else []
        session.execute(_CLAIMED)
        if batch:
            open_shops(session, {one.shop_id for one in batch})
            until = now + _wired[batch[0].kind].lease
            update_rows(session, _TABLE, _KEY, ("leased_until",), [(*one.wanted, until) for one in batch])
    return batch


def _first(session: Session, now: datetime, kind: str) -> list[Claimed]:
    due = (
        sa.select(Effect.shop_id, Effect.kind, Effect.target, Effect.version, Effect.attempts)
        .where(Effect.kind == kind, *_due(now))
        .order_by(Effect.patient, Effect.due_at)
        .limit(_wired[kind].size)
        .with_for_update(skip_locked=True)
    )
    return [Claimed(*row) for row in session.execute(due)]


def _due(now: datetime) -> tuple[Any, ...]:
    free = Effect.leased_until.is_(None) | (Effect.leased_until <= now)
    return Effect.state == "waiting", Effect.due_at <= now, free


def _carry_out(database: Database, batch: Sequence[Claimed]) -> None:
    kind = batch[0].kind
    failed = _failures(database, _wired[kind].handler, [one.wanted for one in batch])
    metrics.EFFECTS.labels(kind, "done").inc(len(batch) - len(failed))
    for one in _write(database, batch, failed):
        _write(database, [one], failed, wait=True)


def _failures(database: Database, handler: HandlerMany, wanted: Sequence[Wanted]) -> dict[Wanted, Exception]:
    """What failed and why. When all failed together, each is tried alone: its neighbours must not wait for it."""
    try:
        return dict(handler(database, wanted))
    except Exception as error:
        if len(wanted) == 1:
            return {wanted[0]: error}
        log.warning("effects tried apart", kind=wanted[0].kind, effects=len(wanted), error=one_line(error))
    failed: dict[Wanted, Exception] = {}
    for one in wanted:
        failed |= _failures(database, handler, [one])
    return failed


# Writing down what became of them.

_TABLE: Any = Effect.__table__
_KEY = ("shop_id", "kind", "target")
_VERSION = (*_KEY, "version")


def _write(
    database: Database, batch: Sequence[Claimed], failed: Mapping[Wanted, Exception], *, wait: bool = False
) -> list[Claimed]:
    """Write down what became of a batch. Returns those that somebody is just asking for anew: whoever waited for one
    of them while holding others could wait for ever, so they are written one at a time.
    """
    with database.transaction(*{one.shop_id for one in batch}) as session:
        held = _hold(session, batch, wait=wait)
        ours = [one for one in batch if one.wanted in held]
        # Of what was asked for while we worked only the lease ends: its row stays, due at once.
        delete_rows(session, _TABLE, _VERSION, [one[:4] for one in ours if one.wanted not in failed])
        update_rows(session, _TABLE, _KEY, ("leased_until",), [(*one.wanted, None) for one in ours])
        _write_failures(session, [(one, failed[one.wanted]) for one in ours if one.wanted in failed])
    return [] if wait else [one for one in batch if one.wanted not in held]


def _hold(session: Session, batch: Sequence[Claimed], *, wait: bool) -> set[Wanted]:
    rows = rows_by(
        session,
        "SELECT e.shop_id, e.kind, e.target FROM {keys} AS k(shop_id, kind, target) "
        "JOIN effects e ON e.shop_id = k.shop_id AND e.kind = k.kind AND e.target = k.target "
        f"FOR UPDATE OF e {'' if wait else 'SKIP LOCKED'}",
        ("bigint", "text", "text"),
        [one.wanted for one in batch],
    )
    return {Wanted(*row) for row in rows}


def _write_failures(session: Session, failed: Sequence[tuple[Claimed, Exception]]) -> None:
    # Also when it was asked for meanwhile: that is what the waiting is for.
    later = [(*one.wanted, until) for one, error in failed if (until := _not_before(error))]
    update_rows(session, _TABLE, _KEY, ("due_at",), later)
    wrong = [_put_back(one, error) for one, error in failed if not _not_before(error)]
    update_rows(session, _TABLE, _VERSION, ("state", "attempts", "error", "due_at"), wrong)


def _put_back(one: Claimed, error: Exception) -> tuple[Any, ...]:
    gave_up = isinstance(error, PermanentFailure) or one.attempts >= len(BACK_OFF)
    metrics.EFFECTS.labels(one.kind, "failed" if gave_up else "retried").inc()
    log.warning("effect failed", **one.wanted._asdict(), gave_up=gave_up, error=one_line(error))
    due_at = clock.now() + (timedelta() if gave_up else BACK_OFF[one.attempts])
    return *one[:4], "failed" if gave_up else "waiting", one.attempts + 1, one_line(error), due_at
