"""Checking a file and bringing it in, batch by batch. Stopped half-way it goes on where it was; no row counts twice."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from core import clock
from core.db import Database, rows_by
from core.errors import Conflict, InvalidInput, NotFound, RapportError
from core.events import Happened, record
from core.i18n import _
from loyalty import programs, queries
from loyalty.activities.operations import set_birthday
from loyalty.importing import rules
from loyalty.importing.models import MemberImport
from loyalty.importing.rules import BadFile, Fault, Row
from loyalty.operations import Entry, post_many
from loyalty.rules import Move

BATCH = 500
FAULTS_KEPT = 200
# Members read it in their history.
REASON = "Brought from your earlier program."
# A tier that was brought along holds so long; by then the member has earned it here, or not.
TIER_HOLDS = timedelta(days=365)

# Filled by app.py when the parts are wired together: (session, shop, member, tier, until, actor), from the tiers' room.
give_tier: list[Callable[[Session, int, int, str, datetime, str], object]] = []


def check(session: Session, shop_id: int, name: str, data: bytes, *, actor: str) -> MemberImport:
    """Read a file and say what it would bring in and what is wrong. Nothing changes yet. Raises InvalidInput."""
    if not data or len(data) > rules.MOST_BYTES:
        raise InvalidInput(_("Choose a CSV file of at most 20 MB."), code="bad_file")
    good, total, points = 0, 0, 0
    faults: list[tuple[int, str]] = []
    try:
        for batch in _batched(rules.rows(data, _tiers(session, shop_id)), BATCH):
            total += len(batch)
            known = _members(session, shop_id, [one for one in batch if isinstance(one, Row)])
            faults += [fault for one in batch if (fault := _fault(one, known))]
            fine = [one for one in batch if isinstance(one, Row) and one.number in known]
            good, points = good + len(fine), points + sum(one.points for one in fine)
    except BadFile as bad:
        raise InvalidInput(_(str(bad)), code="bad_file") from None
    row = MemberImport(
        shop_id=shop_id, name=name.replace("\x00", "")[:200] or "members.csv", file=data, state="checked", total=total,
        good=good, points=points, faults=faults[:FAULTS_KEPT], bad=len(faults), actor=actor, created_at=clock.now(),
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row


def _batched(found: Iterator[Row | Fault], size: int) -> Iterator[list[Row | Fault]]:
    while batch := list(itertools.islice(found, size)):
        yield batch


def _fault(one: Row | Fault, known: dict[int, int]) -> tuple[int, str] | None:
    if isinstance(one, Fault):
        return one.number, one.text
    if one.number in known:
        return None
    return one.number, _("Nobody in the shop is known by this. Import customers first, or check the spelling.")


def start(session: Session, shop_id: int, import_id: int, *, actor: str) -> MemberImport:
    """Have a checked file brought in. Doing it again changes nothing. Raises NotFound, Conflict (`import_over`)."""
    row = _locked(session, shop_id, import_id)
    if row.state == "cancelled":
        raise Conflict(_("This import was cancelled. Choose the file again."), code="import_over")
    if row.state == "checked":
        row.state, row.started_at = "running", clock.now()
        told = {"import": row.id, "rows": row.good, "points": row.points}
        record(session, [Happened(shop_id, "import.started", told, row.started_at, actor=actor)])
    return row


def cancel(session: Session, shop_id: int, import_id: int, *, actor: str) -> MemberImport:
    """Forget a checked file, or stop one under way: what came in stays. Raises NotFound."""
    row = _locked(session, shop_id, import_id)
    if row.state in ("checked", "running"):
        _end(session, row, "cancelled", actor)
    return row


def running(session: Session) -> list[tuple[int, int]]:
    """The (shop, import) of the opened shops that are under way."""
    found = sa.select(MemberImport.shop_id, MemberImport.id).where(MemberImport.state == "running")
    return [(row.shop_id, row.id) for row in session.execute(found.order_by(MemberImport.id))]


def bring_in(database: Database, shop_id: int, import_id: int) -> None:
    """Bring in all that is left of an import, one transaction a batch."""
    while True:
        with database.transaction(shop_id) as session:
            if not bring_in_batch(session, shop_id, import_id):
                return


def bring_in_batch(session: Session, shop_id: int, import_id: int) -> bool:
    """Bring in the next rows. False when there is no more to do, or somebody else is at it."""
    mine = sa.select(MemberImport).where(MemberImport.shop_id == shop_id, MemberImport.id == import_id)
    row = session.scalar(mine.where(MemberImport.state == "running").with_for_update(skip_locked=True))
    if row is None:
        return False
    batch = list(itertools.islice(_left(row, _tiers(session, shop_id)), BATCH))
    known = _members(session, shop_id, [one for one in batch if isinstance(one, Row)])
    fine = [one for one in batch if isinstance(one, Row) and one.number in known]
    _post(session, row, fine, known)
    for one in fine:
        _bring_the_rest(session, row, one, known[one.number])
    row.done += len(fine)
    if batch:
        row.cursor = batch[-1].number
    if len(batch) < BATCH:
        _end(session, row, "done", row.actor)
    return row.state == "running"


def _left(row: MemberImport, tiers: dict[str, str]) -> Iterator[Row | Fault]:
    return (one for one in rules.rows(row.file or b"", tiers) if one.number > row.cursor)


def _post(session: Session, row: MemberImport, fine: Sequence[Row], known: dict[int, int]) -> None:
    now = clock.now()
    told = {"rule": "adjustment", "reason": "adjusted", "reason_given": REASON, "import": row.id}
    entries = [
        Entry(
            row.shop_id,
            known[one.number],
            Move("adjustment", "adjusted", "available", one.points),
            f"import:{row.id}:{one.number}",
            "adjustment",
            told | {"points": one.points},
            row.actor,
            now,
        )
        for one in fine
        if one.points
    ]
    post_many(session, entries)


def _bring_the_rest(session: Session, row: MemberImport, one: Row, member_id: int) -> None:
    """Tier and birthday. What can't be (a birthday that stands already) leaves the row's points as they are."""
    try:
        with session.begin_nested():
            if one.birthday:
                set_birthday(session, row.shop_id, member_id, *one.birthday, at=clock.now())
            if one.tier:
                for give in give_tier:
                    give(session, row.shop_id, member_id, one.tier, clock.now() + TIER_HOLDS, row.actor)
    except RapportError as error:
        row.faults = [*row.faults, (one.number, error.detail)][:FAULTS_KEPT]
        row.bad += 1


def _end(session: Session, row: MemberImport, state: str, actor: str) -> None:
    row.state, row.finished_at, row.file = state, clock.now(), None
    told = {"import": row.id, "rows": row.done}
    record(session, [Happened(row.shop_id, f"import.{state}", told, row.finished_at, actor=actor)])


def _tiers(session: Session, shop_id: int) -> dict[str, str]:
    return queries.tier_names(programs.load(session, [shop_id]).in_force(shop_id, clock.now()).program)


def _members(session: Session, shop_id: int, wanted: Sequence[Row]) -> dict[int, int]:
    """The member of each row by its number: by customer id, else by e-mail; a merged one as whom they became."""
    ids = [(shop_id, one.customer_id, one.number) for one in wanted if one.customer_id]
    mails = [(shop_id, one.email, one.number) for one in wanted if one.email]
    return _found(session, "email", "text", mails) | _found(session, "customer_id", "bigint", ids)


def _found(session: Session, column: str, kind: str, keys: Sequence[tuple[int, Any, int]]) -> dict[int, int]:
    rows = rows_by(
        session,
        f"SELECT k.number, min(coalesce(m.merged_into, m.id)) FROM {{keys}} AS k(shop_id, value, number) "
        f"JOIN members m ON m.shop_id = k.shop_id AND m.{column} = k.value WHERE m.erased_at IS NULL GROUP BY k.number",
        ("bigint", kind, "bigint"),
        keys,
    )
    return {row[0]: row[1] for row in rows}


def _locked(session: Session, shop_id: int, import_id: int) -> MemberImport:
    row = session.get(MemberImport, (shop_id, import_id), with_for_update=True)
    if row is None:
        raise NotFound(_("There is no such import."), code="no_import")
    return row


def find(session: Session, shop_id: int, import_id: int) -> MemberImport:
    """Raises NotFound."""
    row = session.scalar(_mine(shop_id).where(MemberImport.id == import_id))
    if row is None:
        raise NotFound(_("There is no such import."), code="no_import")
    return row


def latest(session: Session, shop_id: int, limit: int = 20) -> Sequence[MemberImport]:
    """The newest first, without their files."""
    return session.scalars(_mine(shop_id).order_by(MemberImport.id.desc()).limit(limit)).all()


def _mine(shop_id: int) -> sa.Select[Any]:
    return sa.select(MemberImport).options(defer(MemberImport.file)).where(MemberImport.shop_id == shop_id)
