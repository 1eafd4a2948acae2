"""What a document would do to a shop: whether it is valid, what it changes, and what to know before it is published."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from core import clock
from core.i18n import N_
from loyalty import programs
from loyalty.program import Program
from loyalty.publishing import queries
from loyalty.publishing.advice import advice
from loyalty.publishing.changes import Change, changes
from loyalty.publishing.faults import Fault, Teller, faults
from loyalty.publishing.operations import with_timezone
from loyalty.publishing.values import Voice
from shops.models import Shop

_REPLACED = N_("%(field)s will be replaced by version %(version)s on %(day)s.")


class Preview(NamedTuple):
    """`program` is None when there are `errors`; `warnings` refuse nothing. `against` is the version compared with."""

    program: Program | None
    errors: tuple[Fault, ...]
    warnings: tuple[Fault, ...] = ()
    changes: tuple[Change, ...] = ()
    against: int | None = None


def preview(session: Session, shop_id: int, document: Any, at: datetime | None = None) -> Preview:
    """What would change if the document were published, now or `at` a moment (aware)."""
    if isinstance(document, Mapping):
        document = with_timezone(session, shop_id, document)
    found = faults(document)
    if found:
        return Preview(None, found)
    program, starts = Program.model_validate(document), at or clock.now()
    currency = session.get_one(Shop, shop_id).currency
    known = programs.load(session, [shop_id])
    if not known.of(shop_id):
        return Preview(program, (), advice(program, None, starts, currency))
    held = known.in_force(shop_id, starts)
    warnings = (*advice(program, held.program, starts, currency), *_taking_over(session, shop_id, program, starts))
    return Preview(program, (), warnings, changes(held.program, program, currency), held.number)


def _taking_over(session: Session, shop_id: int, program: Program, starts: datetime) -> list[Fault]:
    """Versions that are scheduled already would replace this one in their turn."""
    voice, told = Voice(program, ""), Teller({})
    return [
        told((), _REPLACED, version=row.version, day=voice.moment(row.effective_from))
        for row, state, _ in queries.versions(session, shop_id)
        if state == queries.SCHEDULED and row.effective_from > starts
    ]
