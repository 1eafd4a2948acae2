"""What members did and what is left for them to do, read for the rules, pages and the API."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.db import rows_by
from loyalty.activities import rules
from loyalty.activities.models import ActivityDone, Answer, Birthday, Consent
from loyalty.activities.rules import Verdict
from loyalty.earning.rules import Used
from loyalty.models import Member
from loyalty.program import Activity, Tier
from loyalty.program.earning import Anniversary, Nps
from loyalty.program.earning import Birthday as BirthdayRule
from loyalty.programs import Version

# These are done once and for all; the others can be done again.
ONCE = frozenset({"question", "newsletter", "sms", "social", "community"})


class Done(NamedTuple):
    """What a rule has brought a member so far."""

    times: int
    points: int
    last_at: datetime


class Way(NamedTuple):
    """A way to earn as one member finds it.

    `points` is what it would bring now, 0 when `status` is not `open`: `done`, `limit_reached`, `not_your_tier`,
    `not_open`, `over`, `waiting` (comes round or may be done again on `next_on`) or `no_birthday`.
    """

    rule: Activity
    status: str
    points: int
    done: Done | None
    left_today: int | None
    left_ever: int | None
    next_on: date | None


def used(
    session: Session, shop_id: int, rule: str, member_ids: Iterable[int], bounds: tuple[datetime, datetime]
) -> dict[int, Used]:
    """How much of a rule's limit each of these members has used, on the day with these bounds and ever."""
    rows = rows_by(
        session,
        "SELECT k.member_id, coalesce(sum(a.points) FILTER (WHERE a.at >= k.begins AND a.at < k.ends), 0), "
        "coalesce(sum(a.points), 0), count(a.at) FILTER (WHERE a.at >= k.begins AND a.at < k.ends), count(a.at) "
        "FROM {keys} AS k(shop_id, member_id, rule, begins, ends) LEFT JOIN activities a "
        "ON a.shop_id = k.shop_id AND a.member_id = k.member_id AND a.rule = k.rule GROUP BY k.member_id",
        ("bigint", "bigint", "text", "timestamptz", "timestamptz"),
        [(shop_id, member_id, rule, *bounds) for member_id in sorted(set(member_ids))],
    )
    return {row[0]: Used(int(row[1]), int(row[2]), row[3], row[4]) for row in rows}


def done(session: Session, shop_id: int, member_id: int, rule: str, fact: str) -> ActivityDone | None:
    """The activity that was about this fact."""
    return session.scalar(_of(shop_id, member_id).where(ActivityDone.rule == rule, ActivityDone.fact == fact))


def last_done(session: Session, shop_id: int, member_id: int, rule: str) -> ActivityDone | None:
    """The latest activity under a rule."""
    return session.scalar(
        _of(shop_id, member_id).where(ActivityDone.rule == rule).order_by(ActivityDone.at.desc()).limit(1)
    )


def _of(shop_id: int, member_id: int) -> sa.Select[Any]:
    return sa.select(ActivityDone).where(ActivityDone.shop_id == shop_id, ActivityDone.member_id == member_id)


def birthday(session: Session, shop_id: int, member_id: int) -> Birthday | None:
    return session.get(Birthday, (shop_id, member_id))


def answers(session: Session, shop_id: int, member_id: int) -> dict[str, str]:
    """What a member answered, by the key of the question's rule."""
    rows = session.execute(
        sa.select(Answer.question, Answer.answer).where(Answer.shop_id == shop_id, Answer.member_id == member_id)
    )
    return {row.question: row.answer for row in rows}


def consents(session: Session, shop_id: int, member_id: int) -> Sequence[Consent]:
    """A member's consents, given or withdrawn, by channel."""
    return session.scalars(
        sa.select(Consent).where(Consent.shop_id == shop_id, Consent.member_id == member_id).order_by(Consent.channel)
    ).all()


def tier_of(version: Version, key: str) -> Tier | None:
    """The tier with this key, if the version's ladder has it."""
    return next((tier for tier in version.program.ladder.tiers if tier.key == key), None)


# All ways of one member.


@dataclass(frozen=True)
class _Look:
    """A member looked at under the program in force, at a moment."""

    member: Member
    version: Version
    now: datetime
    told: Birthday | None

    @property
    def zone(self) -> ZoneInfo:
        return self.version.program.zone

    @property
    def today(self) -> date:
        return rules.local_day(self.now, self.zone)


def ways(session: Session, member: Member, version: Version, now: datetime) -> list[Way]:
    """Every activity of the program in force, as this member finds it now."""
    look = _Look(member, version, now, birthday(session, member.shop_id, member.id))
    found = _all_done(session, member, rules.day_bounds(look.today, look.zone))
    return [_way(look, rule, *found.get(rule.key, (None, Used()))) for rule in version.program.activities]


def _all_done(
    session: Session, member: Member, bounds: tuple[datetime, datetime]
) -> dict[str, tuple[Done | None, Used]]:
    """What each rule has brought a member, and how much of its limit that is."""
    made = ActivityDone
    today = sa.and_(made.at >= bounds[0], made.at < bounds[1])
    rows = session.execute(
        sa.select(
            made.rule, sa.func.count(), sa.func.sum(made.points), sa.func.max(made.at),
            sa.func.count().filter(today), sa.func.coalesce(sa.func.sum(made.points).filter(today), 0),
        )
        .where(made.shop_id == member.shop_id, made.member_id == member.id)
        .group_by(made.rule)
    )  # fmt: skip
    return {
        rule: (Done(times, int(points), last_at), Used(int(points_today), int(points), times_today, times))
        for rule, times, points, last_at, times_today, points_today in rows
    }


def _way(look: _Look, rule: Activity, had: Done | None, use: Used) -> Way:
    points = rule.points
    if isinstance(rule, BirthdayRule):
        points = rules.birthday_points(points, tier_of(look.version, look.member.tier_key))
    verdict = rules.judge(rule, points, zone=look.zone, at=look.now, tier_key=look.member.tier_key, used=use)
    status, next_on = _status(look, rule, had, verdict)
    worth = verdict.points if status in ("open", "waiting") else 0
    today, ever = rule.limit.points_per_day, rule.limit.points_ever
    left_today = None if today is None else max(0, today - use.points_today)
    left_ever = None if ever is None else max(0, ever - use.points_ever)
    return Way(rule, status, worth, had, left_today, left_ever, next_on)


def _status(look: _Look, rule: Activity, had: Done | None, verdict: Verdict) -> tuple[str, date | None]:
    if had is not None and rule.kind in ONCE:
        return "done", None
    if verdict.refused:
        return verdict.refused, look.today + rules.ONE_DAY if verdict.capped == "day" else None
    if isinstance(rule, BirthdayRule) and look.told is None:
        return "no_birthday", None
    next_on = _next_on(look, rule, rules.local_day(had.last_at, look.zone) if had else None)
    return ("open", None) if next_on is None else ("waiting", next_on)


def _next_on(look: _Look, rule: Activity, last: date | None) -> date | None:
    """When what comes round does so next, or what rests may be done again; None for what can be done now."""
    if isinstance(rule, BirthdayRule) and look.told is not None:
        set_on = rules.local_day(look.told.set_at, look.zone)
        theirs = (look.told.month, look.told.day)
        return rules.next_celebration(theirs, set_on=set_on, days_before=rule.days_before, today=look.today, last=last)
    if isinstance(rule, Anniversary):
        return rules.next_anniversary(rules.local_day(look.member.joined_at, look.zone), look.today, last)
    if isinstance(rule, Nps) and last is not None:
        again = rules.nps_again(last, rule.every_days)
        return again if again > look.today else None
    return None
