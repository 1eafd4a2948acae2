"""Birthdays and anniversaries of all members of a shop, day by day, by the set.

A round goes over the days since the last one that was completed, so that a day on which nothing ran is made up for.
Today is gone over again and again until it is past: whoever comes to be due during the day is not missed, and what
was given is known by its key.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.db import Database, insert_rows, rows_by
from loyalty import programs
from loyalty.activities import queries, rules
from loyalty.activities.models import ActivityDone, Round
from loyalty.activities.operations import explain
from loyalty.activities.points import Earned, note_points
from loyalty.operations import Entry, post_many
from loyalty.program import Activity
from loyalty.program.earning import Birthday
from loyalty.programs import Programs, Version
from loyalty.rules import Move

BATCH = 500
_DONE: Any = ActivityDone.__table__
_COLUMNS = ("shop_id", "member_id", "rule", "kind", "fact", "at", "points", "data", "actor")


class Due(NamedTuple):
    """A member whose day it is; `years` is how long they have been one, 0 on a birthday."""

    member_id: int
    tier_key: str
    years: int


class Feast(NamedTuple):
    """A rule that comes round on a day of a shop."""

    shop_id: int
    version: Version
    rule: Activity
    day: date

    def points(self, due: Due) -> int:
        if isinstance(self.rule, Birthday):
            return rules.birthday_points(self.rule.points, queries.tier_of(self.version, due.tier_key))
        return self.rule.points


def go_round(database: Database, shop_id: int, now: datetime) -> int:
    """Celebrate what has come round in a shop, one transaction a batch. Returns how many members got points."""
    given = 0
    for kind, due_on in _DUE.items():
        with database.transaction(shop_id) as session:
            feasts = _feasts(session, shop_id, kind, now)
        for feast in feasts:
            given += _celebrate(database, feast, due_on, now)
            with database.transaction(shop_id) as session:
                _complete(session, shop_id, kind, feast.day, rules.local_day(now, feast.version.program.zone))
    return given


def _feasts(session: Session, shop_id: int, kind: str, now: datetime) -> list[Feast]:
    """The days to go round for the rule of a kind that is in force. Without one the last round is forgotten, so that
    a rule that comes back later celebrates nothing of the time between."""
    published = programs.load(session, [shop_id])
    version = published.in_force(shop_id, now) if published.of(shop_id) else None
    rule = next((a for a in version.program.activities if a.kind == kind), None) if version else None
    if version is None or rule is None:
        session.execute(sa.delete(Round).where(Round.shop_id == shop_id, Round.kind == kind))
        return []
    zone = version.program.zone
    last = session.scalar(sa.select(Round.day).where(Round.shop_id == shop_id, Round.kind == kind))
    days = rules.days_to_go_round(last, rules.local_day(now, zone))
    return [Feast(shop_id, version, rule, day) for day in days]


def _complete(session: Session, shop_id: int, kind: str, day: date, today: date) -> None:
    """Note that a day is done: today is not before it is over."""
    done = min(day, today - rules.ONE_DAY)
    session.execute(
        insert(Round)
        .values(shop_id=shop_id, kind=kind, day=done)
        .on_conflict_do_update(index_elements=["shop_id", "kind"], set_={"day": done})
    )


def _celebrate(database: Database, feast: Feast, due_on: "DueOn", now: datetime) -> int:
    if not rules.runs_on(feast.rule, feast.version.program.zone, feast.day):
        return 0
    given, after = 0, 0
    while True:
        with database.transaction(feast.shop_id) as session:
            found = due_on(session, feast, after)
            given += _give(session, feast, found, now)
        if len(found) < BATCH:
            return given
        after = found[-1].member_id


def _give(session: Session, feast: Feast, found: Sequence[Due], now: datetime) -> int:
    """Give a batch of members their points. Returns how many got some."""
    shop_id, rule, zone = feast.shop_id, feast.rule, feast.version.program.zone
    bounds = rules.day_bounds(rules.local_day(now, zone), zone)
    used = queries.used(session, shop_id, rule.key, [due.member_id for due in found], bounds)
    entries = []
    for due in found:
        worth = feast.points(due)
        verdict = rules.judge_member(rule, worth, tier_key=due.tier_key, used=used[due.member_id])
        if not verdict.refused:
            entries.append(_entry(feast, due, worth, verdict, now))
    posted = post_many(session, entries)
    _note(session, feast, posted, programs.load(session, [shop_id]))
    return len(posted)


def _entry(feast: Feast, due: Due, worth: int, verdict: rules.Verdict, now: datetime) -> Entry:
    told = explain(feast.rule, worth, verdict)
    if due.years:
        told["years"] = due.years
    if worth != feast.rule.points:
        told |= {"tier": due.tier_key, "boosted_from": feast.rule.points}
    return Entry(
        feast.shop_id, due.member_id, Move("bonus", "issued", "available", verdict.points),
        f"{feast.rule.kind}:{due.member_id}:{feast.day.year}", feast.rule.key, told, "system", now,
        feast.version.number,
    )  # fmt: skip


def _note(session: Session, feast: Feast, posted: Sequence[Entry], published: Programs) -> None:
    """Remember what was given, for limits, for the next year and for the ladder."""
    rows = [
        (
            e.shop_id, e.member_id, feast.rule.key, feast.rule.kind, str(feast.day.year), e.occurred_at, e.move.points,
            msgspec.json.encode({"day": feast.day.isoformat()}).decode(), e.actor,
        )
        for e in posted
    ]  # fmt: skip
    insert_rows(session, _DONE, _COLUMNS, rows, suffix="ON CONFLICT DO NOTHING")
    earned = [Earned(e.shop_id, e.member_id, e.key, e.occurred_at, e.move.points) for e in posted]
    note_points(session, published, earned)


# Whose day it is. Members who were merged, erased or deleted in the shop are not.

DueOn = Callable[[Session, Feast, int], list[Due]]
_LIVING = "m.merged_into IS NULL AND m.erased_at IS NULL AND m.closed_at IS NULL"
_HAD = "SELECT 1 FROM activities a WHERE a.shop_id = m.shop_id AND a.member_id = m.id"


def _birthdays(session: Session, feast: Feast, after: int) -> list[Due]:
    """Members whose birthday it is, who told it long enough before and have not had their points this year."""
    rule, zone = feast.rule, feast.version.program.zone
    assert isinstance(rule, Birthday)
    told_by, _ = rules.day_bounds(rules.last_day_to_tell(feast.day, rule.days_before) + rules.ONE_DAY, zone)
    rows = rows_by(
        session,
        "SELECT m.id, m.tier_key FROM {keys} AS k(shop_id, month, day) JOIN birthdays b "
        "ON b.shop_id = k.shop_id AND b.month = k.month AND b.day = k.day AND b.set_at < %s "
        f"JOIN members m ON m.shop_id = b.shop_id AND m.id = b.member_id AND m.id > %s AND {_LIVING} "
        f"WHERE NOT EXISTS ({_HAD} AND a.kind = 'birthday' AND (a.fact = %s OR (a.data->>'day')::date > %s)) "
        f"ORDER BY m.id LIMIT {BATCH}",
        ("bigint", "smallint", "smallint"),
        [(feast.shop_id, *month_and_day) for month_and_day in rules.dates_of(feast.day)],
        told_by, after, str(feast.day.year), feast.day - rules.BETWEEN_BIRTHDAYS,
    )  # fmt: skip
    return [Due(row[0], row[1], 0) for row in rows]


def _anniversaries(session: Session, feast: Feast, after: int) -> list[Due]:
    """Members who joined on this day of an earlier year and have not had their points this year."""
    zone = feast.version.program.zone
    joined = rules.joining_days(feast.day)
    rows = rows_by(
        session,
        "SELECT m.id, m.tier_key, k.years FROM {keys} AS k(shop_id, years, begins, ends) JOIN members m "
        f"ON m.shop_id = k.shop_id AND m.joined_at >= k.begins AND m.joined_at < k.ends AND m.id > %s AND {_LIVING} "
        f"WHERE NOT EXISTS ({_HAD} AND a.kind = 'anniversary' AND a.fact = %s) ORDER BY m.id LIMIT {BATCH}",
        ("bigint", "integer", "timestamptz", "timestamptz"),
        [(feast.shop_id, feast.day.year - day.year, *rules.day_bounds(day, zone)) for day in joined],
        after, str(feast.day.year),
    )  # fmt: skip
    return [Due(*row) for row in rows]


_DUE: dict[str, DueOn] = {"birthday": _birthdays, "anniversary": _anniversaries}
