"""Reads of drafts and of the versions of a shop's program."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.errors import NotFound
from core.i18n import _
from loyalty.models import ProgramDraft, ProgramVersion

PAST, IN_FORCE, SCHEDULED = "past", "in_force", "scheduled"


class Listed(NamedTuple):
    """A version, and where it stands: `past`, `in_force` or `scheduled`.

    `until` is when the next version came or will come into force.
    """

    row: ProgramVersion
    state: str
    until: datetime | None


def draft(session: Session, shop_id: int) -> ProgramDraft | None:
    """The shop's draft as it is now, also where this session has seen an earlier one."""
    return session.get(ProgramDraft, shop_id, populate_existing=True)


def known_draft(session: Session, shop_id: int) -> ProgramDraft:
    """The shop's draft. Raises NotFound."""
    found = draft(session, shop_id)
    if found is None:
        raise NotFound(_("this shop has no draft"), code="no_draft")
    return found


def latest_number(session: Session, shop_id: int) -> int | None:
    """The highest version number, in force or not; None before the first."""
    return session.scalar(sa.select(sa.func.max(ProgramVersion.version)).where(ProgramVersion.shop_id == shop_id))


def versions(session: Session, shop_id: int) -> list[Listed]:
    """All versions, in the order in which they came or will come into force."""
    order = (ProgramVersion.effective_from, ProgramVersion.version)
    rows = list(session.scalars(sa.select(ProgramVersion).where(ProgramVersion.shop_id == shop_id).order_by(*order)))
    now = clock.now()
    begun = [row for row in rows if row.effective_from <= now] or rows[:1]
    states = [PAST] * (len(begun) - 1) + [IN_FORCE] * bool(rows) + [SCHEDULED] * (len(rows) - len(begun))
    ends = [*(row.effective_from for row in rows[1:]), None]
    return list(map(Listed, rows, states, ends))


def in_force(session: Session, shop_id: int) -> Listed:
    """The version in force now. Raises NotFound for a shop without one."""
    found = next((listed for listed in versions(session, shop_id) if listed.state == IN_FORCE), None)
    if found is None:
        raise NotFound(_("this shop has published no program yet"), code="no_program")
    return found


def version(session: Session, shop_id: int, number: int) -> Listed:
    """A version by its number. Raises NotFound."""
    found = next((listed for listed in versions(session, shop_id) if listed.row.version == number), None)
    if found is None:
        raise NotFound(_("program version %(version)s does not exist", version=number), code="no_program")
    return found
