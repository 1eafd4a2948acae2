"""A ladder that changes: who would move where, and moving them once it is in force.

Members are taken in ranges of ids, each range in a transaction of its own: one statement measures them all, and what
changes is written by the set. The row in `recalculations` says how far it has come, so that it goes on where it
stopped.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from core import clock, effects
from core.db import Database
from core.errors import Conflict
from core.events import Happened, record
from core.i18n import _, number
from loyalty import programs as published
from loyalty.models import Member, ProgramVersion
from loyalty.program import Program
from loyalty.programs import Programs, Version
from shops.queries import installed_shop_ids
from tiers import early_access, perks
from tiers.ladders import ladder_of
from tiers.measuring import count_moves, move_range
from tiers.models import Recalculation
from tiers.operations import move
from tiers.rules import Ladder

BATCH = 5000
SAMPLES = 5
_END = 2**63 - 1

_TABLE: Any = Recalculation.__table__


class Move(NamedTuple):
    """Members who go from one tier (its key) to another, with the ids of a few of them."""

    before: str
    after: str
    direction: str  # up, down, or other for a tier that only one of the ladders has
    members: int
    sample: tuple[int, ...]


@dataclass
class Preview:
    """What a ladder would do: how many members were looked at, and who goes where."""

    members: int = 0
    moves: list[Move] = field(default_factory=list)

    def going(self, direction: str) -> int:
        return sum(move.members for move in self.moves if move.direction == direction)


def preview(session: Session, shop_id: int, version: Version, now: datetime) -> Preview:
    """Who would move where if the ladder of this version, published or not, were in force now. Changes nothing."""
    seen, samples = Preview(), dict[tuple[str, str], list[int]]()
    counts = Counter[tuple[str, str]]()
    for found in count_moves(session, shop_id, ladder_of(version), now, BATCH):
        seen.members += found.members
        if found.before != found.after:
            counts[found.before, found.after] += found.members
            samples.setdefault((found.before, found.after), []).extend(found.sample)
    held = published.load(session, [shop_id])
    ladders = [ladder_of(version), *([ladder_of(held.in_force(shop_id, now))] if held.of(shop_id) else [])]
    seen.moves = [
        Move(before, after, _direction(ladders, before, after), count, tuple(samples[before, after][:SAMPLES]))
        for (before, after), count in sorted(counts.items())
    ]
    return seen


def object_to_demotions(session: Session, shop_id: int, program: Program) -> None:
    """Raises Conflict when members would fall if this program's ladder were in force now, and says how many."""
    held, now = published.load(session, [shop_id]), clock.now()
    if not held.of(shop_id) or held.in_force(shop_id, now).program.ladder == program.ladder:
        return
    seen = preview(session, shop_id, Version(0, now, program), now)
    falling = seen.going("down")
    if falling:
        detail = _(
            "%(falling)s of %(members)s members would fall to a lower tier: accept that to publish it",
            falling=number(falling), members=number(seen.members),
        )  # fmt: skip
        raise Conflict(detail, code="would_demote", members=falling)


def _direction(ladders: Sequence[Ladder], before: str, after: str) -> str:
    """Up or down on the first ladder that has both tiers."""
    ladder = next((ladder for ladder in ladders if ladder.has(before) and ladder.has(after)), None)
    if ladder is None:
        return "other"
    return "up" if ladder.place(after) > ladder.place(before) else "down"


def _living(shop_id: int) -> tuple[Any, ...]:
    return Member.shop_id == shop_id, Member.merged_into.is_(None), Member.erased_at.is_(None)


# Moving them.


def due(database: Database, now: datetime) -> list[int]:
    """Shops where a version has come into force that members have not been measured against yet."""
    newest = (
        sa.select(ProgramVersion.shop_id, ProgramVersion.version)
        .where(ProgramVersion.effective_from <= now)
        .ext(postgresql.distinct_on(ProgramVersion.shop_id))
        .order_by(ProgramVersion.shop_id, ProgramVersion.effective_from.desc(), ProgramVersion.version.desc())
        .subquery()
    )
    finished = sa.exists().where(
        Recalculation.shop_id == newest.c.shop_id,
        Recalculation.program_version == newest.c.version,
        Recalculation.finished_at.is_not(None),
    )
    waiting = sa.select(newest.c.shop_id).where(~finished).order_by(newest.c.shop_id)
    with database.transaction(*installed_shop_ids(database)) as session:
        return list(session.scalars(waiting))


def run(database: Database, shop_id: int, progress: Callable[[Recalculation], None] = lambda _: None) -> Recalculation:
    """Measure all members against the ladder in force, range by range, each committed. Tells of each range."""
    while True:
        with database.transaction(shop_id) as session:
            row = advance(session, shop_id, clock.now())
        progress(row)
        if row.finished_at is not None:
            return row


def rows(session: Session, shop_id: int) -> Sequence[Recalculation]:
    """A shop's recalculations, the newest first."""
    of_shop = sa.select(Recalculation).where(Recalculation.shop_id == shop_id)
    return session.scalars(of_shop.order_by(Recalculation.started_at.desc()).limit(100)).all()


def restart(session: Session, shop_id: int, now: datetime) -> None:
    """Have the members measured anew against the version in force, though that was done before."""
    version = published.load(session, [shop_id]).in_force(shop_id, now)
    session.execute(sa.delete(_TABLE).where(_TABLE.c.shop_id == shop_id, _TABLE.c.program_version == version.number))
    _begin(session, shop_id, [version], now).cursor = 0


def advance(session: Session, shop_id: int, now: datetime) -> Recalculation:
    """Measure the next range of members against the ladder in force and move those it puts elsewhere."""
    programs = published.load(session, [shop_id])
    held = _held_since(programs, shop_id, _measured_before(session, programs, shop_id), now)
    row = _locked(session, shop_id, held[-1].number) or _begin(session, shop_id, held, now)
    if row.finished_at is None:
        _measure(session, row, programs, held, now)
    session.flush()
    return row


def _measured_before(session: Session, programs: Programs, shop_id: int) -> Version:
    """The version whose ladder all members were last measured against; a shop's first one needs no measuring."""
    finished = sa.select(Recalculation.program_version).where(
        Recalculation.shop_id == shop_id, Recalculation.finished_at.is_not(None)
    )
    number = session.scalar(finished.order_by(Recalculation.finished_at.desc()).limit(1))
    return programs.of(shop_id)[0] if number is None else programs.numbered(shop_id, number)


def _held_since(programs: Programs, shop_id: int, before: Version, now: datetime) -> list[Version]:
    """What has been in force since all were last measured, with both ends: an order in between moved its member."""
    version = programs.in_force(shop_id, now)
    since = [held for held in programs.of(shop_id) if before.effective_from <= held.effective_from <= now]
    return [*(held for held in since if held is not version), version]


def _locked(session: Session, shop_id: int, number: int) -> Recalculation | None:
    this = sa.select(Recalculation).where(Recalculation.shop_id == shop_id, Recalculation.program_version == number)
    return session.scalar(this.with_for_update().execution_options(populate_existing=True))


def _drop_unfinished(session: Session, shop_id: int) -> bool:
    """What an earlier version began is of no use any more. Whether there was any."""
    unfinished = sa.delete(_TABLE).where(_TABLE.c.shop_id == shop_id, _TABLE.c.finished_at.is_(None))
    return bool(session.execute(unfinished.returning(_TABLE.c.program_version)).fetchall())


def _begin(session: Session, shop_id: int, held: Sequence[Version], now: datetime) -> Recalculation:
    """Its row, locked, whoever began it. A ladder that was the same all along puts nobody elsewhere: done at once."""
    version = held[-1]
    interrupted = _drop_unfinished(session, shop_id)
    total = session.scalar(sa.select(sa.func.count()).select_from(Member).where(*_living(shop_id))) or 0
    cursor = _END if all(_same(other, version) for other in held) and not interrupted else 0
    row = postgresql.insert(_TABLE).values(
        shop_id=shop_id, program_version=version.number, total=total, cursor=cursor, started_at=now
    )
    session.execute(row.on_conflict_do_nothing())
    return session.get_one(Recalculation, (shop_id, version.number), populate_existing=True, with_for_update=True)


def _same(one: Version, other: Version) -> bool:
    """Whether two versions put every member in the same place, with the same perks."""
    return _essence(ladder_of(one)) == _essence(ladder_of(other))


def _essence(ladder: Ladder) -> tuple[Any, ...]:
    rungs = tuple((rung.key, rung.threshold, rung.to_keep, rung.perks) for rung in ladder.rungs)
    return rungs, ladder.measure, ladder.one_step


def _changed_perks(held: Sequence[Version]) -> frozenset[str]:
    """Tiers whose perks were others before: their members' tags and metafields change though they don't move."""
    olds = [{rung.key: rung.perks for rung in ladder_of(version).rungs} for version in held]
    return frozenset(
        rung.key for rung in ladder_of(held[-1]).rungs if any(old.get(rung.key) != rung.perks for old in olds)
    )


def _measure(session: Session, row: Recalculation, programs: Programs, held: Sequence[Version], now: datetime) -> None:
    found = move_range(session, row.shop_id, ladder_of(held[-1]), now, row.cursor, BATCH)
    if found is None:
        _finish(session, row, now)
        return
    record(session, move(session, row.shop_id, found.moved, programs, now))
    if changed := _changed_perks(held):
        _renew_perks(session, row.shop_id, changed, row.cursor, found.last)
    row.done, row.moved, row.cursor = row.done + found.members, row.moved + len(found.moved), found.last


def _renew_perks(session: Session, shop_id: int, tiers: frozenset[str], after: int, last: int) -> None:
    """Have the tags and metafields of a range's members in these tiers made right."""
    in_range = sa.select(Member.id).where(*_living(shop_id), Member.id > after, Member.id <= last)
    members = session.scalars(in_range.where(Member.tier_key.in_(tiers)))
    effects.request(session, [perks.of_member(shop_id, member) for member in members])


def _finish(session: Session, row: Recalculation, now: datetime) -> None:
    row.finished_at = now
    if row.done:
        told = {"members": row.done, "moved": row.moved}
        record(session, [Happened(row.shop_id, "ladder.recalculated", told, now, None, None, row.program_version)])
    effects.request(session, [perks.of_shop(row.shop_id), early_access.of_shop(row.shop_id)])
