"""The only writers of drafts, and the way a merchant's program comes into force. Each takes a session, none commits.

One lock a shop makes publishers take turns: each gets a number of its own, none overwrites what it has not seen.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, effects
from core.errors import Conflict, InvalidInput
from core.events import Happened, record
from core.i18n import _
from loyalty import programs
from loyalty.activities.points import note_all
from loyalty.expiry.operations import policy_changed
from loyalty.models import ProgramDraft, ProgramVersion
from loyalty.program import Program, instant
from loyalty.program.document import time_zones
from loyalty.publishing import queries
from loyalty.publishing.faults import read
from shops.models import Shop

LATEST_YEAR = 2199
# The effect that settles a shop's orders again, so that the points each earned are known to ladders that go by them.
COUNT_POINTS = "orders.count_points"
# JSON may hold the character that PostgreSQL can't keep; an escaped backslash before "u0000" is no such character.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

# What other rooms have to say to a program before it comes into force: each raises Conflict. Filled by app.py.
Objection = Callable[[Session, int, Program], None]
objections: list[Objection] = []


class Published(NamedTuple):
    """A version's number, and when it came or will come into force."""

    version: int
    effective_from: datetime


def save_draft(
    session: Session,
    shop_id: int,
    document: Mapping[str, Any],
    *,
    seen: datetime | None,
    actor: str,
    based_on: int | None = None,
) -> ProgramDraft:
    """Keep a document as the shop's draft, valid or not.

    `seen` is the `updated_at` of the draft it replaces, None where there was none: raises Conflict if that is not the
    draft there is. `based_on` is the version it started from: by default the draft's, for a new one the latest.
    """
    check_storable(document)
    _lock(session, shop_id)
    draft = queries.draft(session, shop_id)
    _check_seen(draft, seen)
    if draft is None:
        draft = ProgramDraft(shop_id=shop_id, based_on=based_on or queries.latest_number(session, shop_id))
        session.add(draft)
    draft.document = dict(document)
    draft.based_on = based_on or draft.based_on
    draft.actor = actor
    # Strictly later than before, for it tells two drafts apart.
    draft.updated_at = max(clock.now(), (seen or clock.now()) + timedelta(microseconds=1))
    session.flush()
    return draft


def discard_draft(session: Session, shop_id: int) -> bool:
    """Forget the draft; False if there was none."""
    _lock(session, shop_id)
    discarded = session.execute(
        sa.delete(ProgramDraft).where(ProgramDraft.shop_id == shop_id).returning(ProgramDraft.shop_id)
    )
    return discarded.one_or_none() is not None


def publish_draft(
    session: Session,
    shop_id: int,
    *,
    actor: str,
    at: datetime | None = None,
    note: str | None = None,
    seen: datetime | None = None,
    accept_demotions: bool = False,
) -> Published:
    """Publish the draft, and be done with it. With `seen`, only if it is still the draft that was updated then.

    Raises NotFound, InvalidProgram, and Conflict if another version was published since the draft was begun.
    """
    _lock(session, shop_id)
    draft = queries.known_draft(session, shop_id)
    if seen is not None:
        _check_seen(draft, seen)
    published = publish(
        session, shop_id, draft.document, actor=actor, at=at, note=note, based_on=draft.based_on,
        accept_demotions=accept_demotions,
    )  # fmt: skip
    session.delete(draft)
    session.flush()
    return published


def publish(
    session: Session,
    shop_id: int,
    document: Mapping[str, Any],
    *,
    actor: str,
    at: datetime | None = None,
    note: str | None = None,
    based_on: int | None = None,
    accept_demotions: bool = False,
) -> Published:
    """Publish a document as the shop's next version: now, or at a moment to come (without an offset the shop's clock).

    Raises InvalidProgram; InvalidInput for a moment that has passed; with `based_on`, Conflict if that is no longer
    the latest version; and, unless demotions are accepted, Conflict if members would fall to lower tiers.
    """
    check_storable(document)
    program = read(with_timezone(session, shop_id, document))
    _lock(session, shop_id)
    latest = queries.latest_number(session, shop_id)
    if based_on is not None and latest is not None and based_on != latest:
        detail = _(
            "version %(version)s was published meanwhile: see what it changed, then publish on top of it",
            version=latest,
        )
        raise Conflict(detail, code="program_changed", version=latest)
    starts = _starts(at, program)
    if not accept_demotions:
        for objection in objections:
            objection(session, shop_id, program)
    known = programs.load(session, [shop_id])
    before = known.in_force(shop_id, starts).program.expiry if known.of(shop_id) else None
    number = programs.publish(session, shop_id, program, effective_from=starts, actor=actor, note=note)
    if program.ladder.metric == "points" and not known.traits(shop_id).by_points:
        # What was earned so far counts for such a ladder, too, and has not been noted down.
        note_all(session, shop_id)
        effects.request(session, [effects.Wanted(shop_id, COUNT_POINTS, "orders")])
    told = {"version": number, "effective_from": starts}
    happened = Happened(shop_id, "program.published", told, clock.now(), program_version=number, actor=actor)
    record(session, [happened])
    policy_changed(session, shop_id, before, program.expiry, starts, actor=actor)
    return Published(number, starts)


def withdraw(session: Session, shop_id: int, number: int, *, actor: str) -> None:
    """Take back a version that is not in force yet. Raises NotFound, and Conflict for one that is or was in force."""
    _lock(session, shop_id)
    known = programs.load(session, [shop_id])
    version, now = known.numbered(shop_id, number), clock.now()
    if version.effective_from <= now or known.in_force(shop_id, now) is version:
        detail = _(
            "version %(version)s has come into force: publish another instead, orders keep the version of their time",
            version=number,
        )
        raise Conflict(detail, code="program_in_force")
    session.execute(sa.delete(ProgramVersion).where(*_this(shop_id, number)))
    record(session, [Happened(shop_id, "program.withdrawn", {"version": number}, now, actor=actor)])


def roll_back(
    session: Session,
    shop_id: int,
    number: int,
    *,
    actor: str,
    at: datetime | None = None,
    note: str | None = None,
    accept_demotions: bool = False,
) -> Published:
    """Publish an old version's document again, as a new version. Raises NotFound, and what `publish` raises."""
    document = queries.version(session, shop_id, number).row.document
    note = note or f"Version {number} again"
    return publish(session, shop_id, document, actor=actor, at=at, note=note, accept_demotions=accept_demotions)


def with_timezone(session: Session, shop_id: int, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document with the shop's time zone, if it names none itself."""
    zone = session.scalar(sa.select(Shop.timezone).where(Shop.id == shop_id))
    if not isinstance(document, Mapping) or "timezone" in document or zone not in time_zones():
        return document
    return {**document, "timezone": zone}


def candidate(session: Session, shop_id: int, document: Mapping[str, Any] | None) -> Program:
    """The program that a document, or the draft where there is none, would publish. Raises NotFound, InvalidProgram."""
    if document is None:
        document = queries.known_draft(session, shop_id).document
    return read(with_timezone(session, shop_id, document))


def _starts(at: datetime | None, program: Program) -> datetime:
    now = clock.now()
    if at is None:
        return now
    if at.year > LATEST_YEAR:
        raise InvalidInput(_("a program can't start that late"), code="bad_start")
    # The first moments of all lie before the first in UTC.
    starts = instant(at, program.zone) if at.year > 1 else None
    if starts is None or starts <= now:
        raise InvalidInput(
            _("a program can't start in the past: orders keep the version of their time"), code="back_dated"
        )
    return starts


def _lock(session: Session, shop_id: int) -> None:
    name = {"name": f"program:{shop_id}"}
    session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), name)


def _this(shop_id: int, number: int) -> tuple[sa.ColumnElement[bool], ...]:
    return ProgramVersion.shop_id == shop_id, ProgramVersion.version == number


def _check_seen(draft: ProgramDraft | None, seen: datetime | None) -> None:
    updated_at = draft.updated_at if draft else None
    if updated_at != seen:
        detail = _("the draft was changed meanwhile: read it again, then make your change")
        raise Conflict(detail, code="draft_changed", updated_at=updated_at and updated_at.isoformat())


def check_storable(document: Mapping[str, Any]) -> None:
    """Raises InvalidInput for JSON that a database can't keep: NaN, half characters, the character zero."""
    try:
        text = json.dumps(document, allow_nan=False, ensure_ascii=False)
        text.encode()
    except ValueError as error:
        raise InvalidInput(_("the document holds a number or a character that JSON does not have")) from error
    if _NUL.search(text):
        raise InvalidInput(_("the document holds a character that is no text"))
