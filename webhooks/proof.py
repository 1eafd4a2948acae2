"""What reconciling found, as rows that say so under a signature, and what a merchant reads from them.

The signature is an HMAC under a key of this installation: whoever can write to the database but has not its SECRET_KEY
can't make up a walk that found nothing.
"""

import hmac
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, crypto
from webhooks.models import Reconciliation

PURPOSE = "reconcile"
_SIGNED = (
    "shop_id", "scope", "since_at", "until_at", "seen", "settled", "differences", "repaired", "overlapped", "done",
    "started_at", "finished_at",
)  # fmt: skip
LATELY = timedelta(days=30)


class Found(Protocol):
    """What a walk found: see `webhooks.reconcile.Summary`."""

    since: datetime
    until: datetime
    seen: int
    settled: int
    differences: int
    repaired: int
    overlapped: int


class Standing(NamedTuple):
    """How a shop's books stand, for "12,403 orders checked 4 minutes ago. Nothing missing.".

    `checked` orders since `since`, last at `at` (both None before the first walk). `missing` were found missing or
    older by the last walk and are on their way in; `repaired` were brought in during the last thirty days. `genuine` is
    False when a row does not bear our signature: say so, and believe none of it.
    """

    checked: int
    since: datetime | None
    at: datetime | None
    missing: int
    repaired: int
    genuine: bool


def write(session: Session, shop_id: int, scope: str, found: Found, began: datetime, *, done: bool) -> None:
    """Write down and sign what a walk found. `done` is False for one that goes on later."""
    row = Reconciliation(
        shop_id=shop_id, scope=scope, since_at=found.since, until_at=found.until, seen=found.seen,
        settled=found.settled, differences=found.differences, repaired=found.repaired, overlapped=found.overlapped,
        done=done, started_at=began, finished_at=clock.now(),
    )  # fmt: skip
    row.signature = _signature(row)
    session.add(row)
    session.flush()


def last(session: Session, shop_id: int, scope: str) -> Reconciliation | None:
    """The walk of this scope that came last."""
    return session.scalar(
        sa.select(Reconciliation)
        .where(Reconciliation.shop_id == shop_id, Reconciliation.scope == scope)
        .order_by(Reconciliation.id.desc())
        .limit(1)
    )


def walks(session: Session, shop_id: int, limit: int = 50) -> list[Reconciliation]:
    """The newest walks first."""
    newest = sa.select(Reconciliation).where(Reconciliation.shop_id == shop_id).order_by(Reconciliation.id.desc())
    return list(session.scalars(newest.limit(limit)))


def genuine(row: Reconciliation) -> bool:
    """Whether this installation wrote the row, as it stands."""
    return hmac.compare_digest(row.signature, _signature(row))


def standing(session: Session, shop_id: int) -> Standing:
    """How the shop's books stand now."""
    lately = session.scalars(
        sa.select(Reconciliation)
        .where(Reconciliation.shop_id == shop_id, Reconciliation.finished_at > clock.now() - LATELY)
        .order_by(Reconciliation.id.desc())
    ).all()
    if not lately:
        return Standing(0, None, None, 0, 0, genuine=True)
    counted = _since_last_sweep(lately)
    return Standing(
        checked=sum(row.seen - row.overlapped for row in counted),
        since=min(row.since_at for row in counted),
        at=lately[0].finished_at,
        missing=lately[0].differences,
        repaired=sum(row.repaired for row in lately),
        genuine=all(map(genuine, lately)),
    )


def _since_last_sweep(newest_first: Any) -> list[Reconciliation]:
    """The last whole sweep, and the recent walks that came after it; without a sweep all of the recent ones."""
    sweeps = [row for row in newest_first if row.scope == "sweep"]
    ended = next((place for place, row in enumerate(sweeps) if row.done), len(sweeps))
    following = sweeps[ended + 1 :]
    begun = next((place for place, row in enumerate(following) if row.done), len(following))
    sweep = sweeps[ended : ended + 1 + begun]
    until = sweep[0].until_at if sweep else None
    rest = [row for row in newest_first if row.scope != "sweep" and (until is None or row.until_at > until)]
    return [*sweep, *rest] if sweep or rest else list(newest_first)


def _signature(row: Reconciliation) -> str:
    told = [_plain(getattr(row, name)) for name in _SIGNED]
    return crypto.signature(PURPOSE, msgspec.json.encode(told))


def _plain(value: Any) -> Any:
    return value.timestamp() if isinstance(value, datetime) else value
