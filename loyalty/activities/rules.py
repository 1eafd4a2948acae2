"""May a member earn an activity's points now, how many of them, and on which days do yearly things come round.

Pure: no database, no HTTP, no clock. Days are those of the shop's own clock.
"""

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from loyalty.earning.rules import Limit as Ends
from loyalty.earning.rules import Used, room
from loyalty.program import JoiningRule, Limit, Tier, instant
from loyalty.program.parts import Rule

ONE_DAY = timedelta(days=1)
# A birthday may be moved once in so long; right after it was told, a slip may be mended.
CHANGE_EVERY = timedelta(days=365)
MENDING = timedelta(days=1)
# Whoever moves their birthday still waits about a year from one celebration to the next.
BETWEEN_BIRTHDAYS = timedelta(days=270)
# A clock that stood still makes up for so many days.
MOST_MISSED = 31
# Shopify's first year: nobody joined a shop's program before.
FIRST_YEAR = 2006


class Verdict(NamedTuple):
    """The points that may be earned, 0 with the reason as a stable code.

    `capped` says which limit cut them, or leaves none: that of the `day`, or `ever`.
    """

    points: int
    refused: str | None = None
    capped: str | None = None


def judge(rule: Rule, points: int, *, zone: ZoneInfo, at: datetime, tier_key: str, used: Used) -> Verdict:
    """What a rule worth `points` brings a member of this tier at this moment, when so much of its limit is used."""
    return not_running(rule, zone, at) or judge_member(rule, points, tier_key=tier_key, used=used)


def judge_member(rule: Rule, points: int, *, tier_key: str, used: Used) -> Verdict:
    """The same for a rule that runs: is it for this member, and what is left of its limit?"""
    if rule.tiers and tier_key not in rule.tiers:
        return Verdict(0, "not_your_tier")
    left, capped = room_left(rule.limit, used)
    if left is None or left >= points:
        return Verdict(points)
    return Verdict(left, None if left else "limit_reached", capped)


def not_running(rule: Rule, zone: ZoneInfo, at: datetime) -> Verdict | None:
    """The refusal of a rule that has not begun or has ended, else None. The start belongs to it, the end does not."""
    starts_at, ends_at = instant(rule.starts_at, zone), instant(rule.ends_at, zone)
    if starts_at is not None and at < starts_at:
        return Verdict(0, "not_open")
    if ends_at is not None and at >= ends_at:
        return Verdict(0, "over")
    return None


def runs_on(rule: Rule, zone: ZoneInfo, day: date) -> bool:
    """Whether a rule runs at any time of a day, so that what comes round that day is celebrated from midnight on."""
    begins, ends = day_bounds(day, zone)
    starts_at, ends_at = instant(rule.starts_at, zone), instant(rule.ends_at, zone)
    return (starts_at is None or starts_at < ends) and (ends_at is None or ends_at > begins)


def room_left(limit: Limit, used: Used) -> tuple[int | None, str]:
    """The points left under a limit (None: no end), and whether what binds is the limit of the `day` or `ever`."""
    left = room(_ends(limit), used)
    for_good = room(Ends(points_ever=limit.points_ever, times_ever=limit.times_ever), used)
    return left, "ever" if left == for_good else "day"


def _ends(limit: Limit) -> Ends:
    return Ends(limit.points_per_day, limit.points_ever, limit.times_per_day, limit.times_ever)


# Days.


def local_day(at: datetime, zone: ZoneInfo) -> date:
    """The shop's day of a moment."""
    return at.astimezone(zone).date()


def day_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """When a day of the shop begins and when it ends, in UTC: 23 to 25 hours apart."""
    begins, ends = (datetime.combine(d, time.min, zone).astimezone(UTC) for d in (day, day + ONE_DAY))
    return begins, ends


def yearly_day(month: int, day: int, year: int) -> date:
    """The day of a year on which this date comes round: 29 February on the 28th where there is none."""
    if (month, day) == (2, 29) and not calendar.isleap(year):
        return date(year, 2, 28)
    return date(year, month, day)


def dates_of(day: date) -> list[tuple[int, int]]:
    """The (month, day) that come round on a day."""
    dates = [(day.month, day.day)]
    if dates == [(2, 28)] and not calendar.isleap(day.year):
        dates.append((2, 29))
    return dates


def next_round(month: int, day: int, not_before: date) -> date:
    """The first day from `not_before` on when this date comes round."""
    this_year = yearly_day(month, day, not_before.year)
    return this_year if this_year >= not_before else yearly_day(month, day, not_before.year + 1)


def days_to_go_round(last: date | None, today: date) -> Iterator[date]:
    """The days after the last one that was completed, today included; without one, today."""
    first = today if last is None else max(last + ONE_DAY, today - timedelta(days=MOST_MISSED))
    while first <= today:
        yield first
        first += ONE_DAY


# Birthdays.


def birthday_points(points: int, tier: Tier | None) -> int:
    """A birthday's points for a member of this tier: times its boost, rounded down."""
    exact = points * Fraction(tier.birthday_boost if tier else 1)
    return exact.numerator // exact.denominator


def is_date(month: int, day: int, year: int | None) -> bool:
    """Whether there is such a day; without a year 29 February is one."""
    try:
        date(year or 2000, month, day)
    except ValueError:
        return False
    return True


def may_change_at(set_at: datetime, now: datetime) -> datetime:
    """From when on a birthday told at `set_at` may be changed: now, while a slip may still be mended."""
    return now if now < set_at + MENDING else set_at + CHANGE_EVERY


def next_celebration(
    birthday: tuple[int, int], *, set_on: date, days_before: int, today: date, last: date | None
) -> date:
    """When a birthday next brings points: told long enough before, and a year after the `last` one."""
    earliest = max(today, set_on + timedelta(days=days_before))
    if last is not None:
        earliest = max(earliest, date(last.year + 1, 1, 1), last + BETWEEN_BIRTHDAYS)
    return next_round(*birthday, earliest)


def last_day_to_tell(birthday: date, days_before: int) -> date:
    """The last day on which a birthday may be told for it to count this time."""
    return birthday - timedelta(days=days_before)


# Membership.


def joining_days(day: date) -> list[date]:
    """The days of earlier years whose anniversary a day is, the latest first."""
    return [
        date(year, *month_and_day)
        for year in range(day.year - 1, FIRST_YEAR - 1, -1)
        for month_and_day in dates_of(day)
        if is_date(*month_and_day, year)
    ]


def next_anniversary(joined: date, today: date, last: date | None) -> date:
    """When the day a member joined next comes round: a year after joining at the earliest, and once a year."""
    earliest = max(today, date(joined.year + 1, 1, 1))
    if last is not None:
        earliest = max(earliest, date(last.year + 1, 1, 1))
    return next_round(joined.month, joined.day, earliest)


def joining_points(rule: JoiningRule, zone: ZoneInfo, at: datetime) -> int:
    """What joining at a moment brings: nothing before the rule begins or once it has ended."""
    return 0 if not_running(rule, zone, at) else rule.points


# Answers to "would you recommend us?".


def nps_again(last: date, every_days: int) -> date:
    """The first day on which the next answer counts."""
    return last + timedelta(days=every_days)
