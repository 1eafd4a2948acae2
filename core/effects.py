"""Effects: what must happen outside the database because of what happened inside it.

A row says "this target of this shop is out of date". Asking again while it waits only raises its version, so ten
changes make one call; the handler reads the *current* state and makes the target equal to it, so a repeat is harmless.
Rows are claimed with a lease, retried with back-off, and stay visible with their error when they give up.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import clock, jobs, logs, metrics
from core.db import TIMESTAMP, Base, Database, database, open_shops, rows_by
from core.errors import RapportError, one_line

# Longer than any handler takes with all its tries; after that its worker is believed dead.
LEASE = timedelta(minutes=10)
BACK_OFF = tuple(timedelta(seconds=s) for s in (2, 10, 60, 300, 1800, 7200, 21600))

log = logs.logger(__name__)

_REQUESTED = "effects requested"
_CLAIMING = sa.text("SELECT set_config('rapport.claim', 'effects', true)")
_CLAIMED = sa.text("SELECT set_config('rapport.claim', '', true)")


class Effect(Base):
    """Indexes: what is due, oldest first, across shops (for the worker); what gave up, by shop (for the merchant)."""

    __tablename__ = "effects"
    __table_args__ = (
        sa.CheckConstraint("state IN ('waiting', 'failed')", name="state"),
        sa.Index("ix_effects_due", "due_at", postgresql_where=sa.text("state = 'waiting'")),
        sa.Index("ix_effects_failed", "shop_id", postgresql_where=sa.text("state = 'failed'")),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    target: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    version: Mapped[int] = mapped_column(sa.Integer, server_default="1")
    state: Mapped[str] = mapped_column(sa.Text, server_default="waiting")
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


class Source(Protocol):
    """The part of an event that decides which effects follow."""

    @property
    def shop_id(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def member_id(self) -> int | None: ...


Handler = Callable[[Database, int, str], None]
# Which of these effects, all of one kind, concern anything at all; asked in the transaction that requests them.
Concern = Callable[[Session, Sequence[Wanted]], Iterable[Wanted]]

# Filled by app.py when the parts are wired together: event kind -> effect kinds on the event's member.
_following: dict[str, tuple[str, ...]] = {}
_handlers: dict[str, Handler] = {}
_delays: dict[str, timedelta] = {}
_concerns: dict[str, Concern] = {}
_patient: set[str] = set()


def wire(
    kind: str,
    handler: Handler,
    *,
    after: Iterable[str] = (),
    delay: timedelta = timedelta(),
    concern: Concern | None = None,
    patient: bool = False,
) -> None:
    """Have `handler(database, shop_id, target)` carry out effects of `kind`, requested after the named events.

    With a delay it waits so long after the first request, so that what changes often is told once. With a concern
    only those are requested that it returns. Patient effects let all others go first: nobody looks at them, and a shop
    that brings 20,000 customers along asks for as many.
    """
    _handlers[kind], _delays[kind] = handler, delay
    if concern:
        _concerns[kind] = concern
    if patient:
        _patient.add(kind)
    for event in after:
        _following[event] = tuple(dict.fromkeys((*_following.get(event, ()), kind)))


def following(events: Iterable[Source]) -> list[Wanted]:
    """The effects that these events ask for, each target once."""
    wanted = {
        Wanted(event.shop_id, kind, str(event.member_id))
        for event in events
        if event.member_id
        for kind in _following.get(event.kind, ())
    }
    return sorted(wanted)


def request(session: Session, wanted: Iterable[Wanted]) -> None:
    """Mark targets as out of date, in the caller's transaction. Sorted, so that two transactions never deadlock."""
    rows = sorted(_concerning(session, set(wanted)))
    if rows:
        session.info[_REQUESTED] = True
    rows_by(
        session,
        "INSERT INTO effects (shop_id, kind, target, due_at) SELECT k.shop_id, k.kind, k.target, now() + k.delay "
        "FROM {keys} AS k(shop_id, kind, target, delay) ON CONFLICT (shop_id, kind, target) DO UPDATE SET "
        "version = effects.version + 1, state = 'waiting', attempts = 0, error = NULL, due_at = "
        "CASE WHEN effects.state = 'waiting' AND effects.attempts = 0 THEN least(effects.due_at, EXCLUDED.due_at) "
        "ELSE EXCLUDED.due_at END "
        "RETURNING shop_id",
        ("bigint", "text", "text", "interval"),
        [(*row, _delays.get(row.kind, timedelta())) for row in rows],
    )


def _concerning(session: Session, wanted: set[Wanted]) -> set[Wanted]:
    for kind, concern in _concerns.items():
        asked = {one for one in wanted if one.kind == kind}
        if asked:
            wanted = wanted - asked | set(concern(session, sorted(asked)))
    return wanted


def waiting(database: Database) -> bool:
    """Whether an effect is due."""
    with database.transaction() as session:
        session.execute(_CLAIMING)
        due = sa.select(Effect.shop_id).where(*_due(clock.now()))
        return bool(session.scalar(sa.select(due.exists())))


def carry_out() -> None:
    """The job that a hint starts."""
    jobs.begin(HINT.queue)
    carry_out_due(database())


HINT = jobs.Hinted("effects", "core.effects.carry_out", waiting)


def hint_after_commit(session: Session) -> None:
    """Start the effects that a transaction asked for, once it is committed."""
    if session.info.pop(_REQUESTED, False):
        jobs.hints.send(HINT)


def carry_out_due(database: Database) -> int:
    """Carry out what is due, one after another, until nothing is. Returns how many were tried."""
    tried = 0
    while effect := _claim(database):
        _carry_out(database, effect)
        tried += 1
    return tried


def _claim(database: Database) -> Any:
    """Lease one target that is due. Asking for it again meanwhile does not end the lease, so no two workers race."""
    now = clock.now()
    with database.transaction() as session:
        session.execute(_CLAIMING)
        effect = _first(session, now, Effect.kind.not_in(_patient)) or _first(session, now, Effect.kind.in_(_patient))
        session.execute(_CLAIMED)
        if effect is not None:
            open_shops(session, [effect.shop_id])
            session.execute(_this(sa.update(Effect), effect).values(leased_until=now + LEASE))
    return effect


def _first(session: Session, now: datetime, *which: Any) -> Any:
    due = sa.select(Effect.shop_id, Effect.kind, Effect.target, Effect.version, Effect.attempts).where(
        *_due(now), *which
    )
    return session.execute(due.order_by(Effect.due_at).limit(1).with_for_update(skip_locked=True)).one_or_none()


def _due(now: datetime) -> tuple[Any, ...]:
    free = Effect.leased_until.is_(None) | (Effect.leased_until <= now)
    return Effect.state == "waiting", Effect.due_at <= now, free


def _this(statement: Any, key: Any) -> Any:
    return statement.where(Effect.shop_id == key.shop_id, Effect.kind == key.kind, Effect.target == key.target)


def _carry_out(database: Database, effect: Any) -> None:
    try:
        _handlers[effect.kind](database, effect.shop_id, effect.target)
    except NotYet as wait:
        _postpone(database, effect, wait.until)
        return
    except Exception as error:
        _put_back(database, effect, error)
        return
    metrics.EFFECTS.labels(effect.kind, "done").inc()
    with database.transaction(effect.shop_id) as session:
        # A newer version was asked for while we worked: leave the row, due at once.
        session.execute(_this(sa.delete(Effect), effect).where(Effect.version == effect.version))
        session.execute(_this(sa.update(Effect), effect).values(leased_until=None))


def _postpone(database: Database, effect: Any, until: datetime) -> None:
    """To be tried again at `until`, also when it was asked for meanwhile: that is what the waiting is for."""
    with database.transaction(effect.shop_id) as session:
        session.execute(_this(sa.update(Effect), effect).values(due_at=until, leased_until=None))


def _put_back(database: Database, effect: Any, error: Exception) -> None:
    gave_up = isinstance(error, PermanentFailure) or effect.attempts >= len(BACK_OFF)
    metrics.EFFECTS.labels(effect.kind, "failed" if gave_up else "retried").inc()
    log.warning(
        "effect failed",
        shop_id=effect.shop_id,
        kind=effect.kind,
        target=effect.target,
        gave_up=gave_up,
        error=one_line(error),
    )
    wait = timedelta() if gave_up else BACK_OFF[effect.attempts]
    with database.transaction(effect.shop_id) as session:
        session.execute(
            _this(sa.update(Effect), effect)
            .where(Effect.version == effect.version)
            .values(
                state="failed" if gave_up else "waiting",
                attempts=effect.attempts + 1,
                error=one_line(error),
                due_at=clock.now() + wait,
            )
        )
        session.execute(_this(sa.update(Effect), effect).values(leased_until=None))
