"""When points expire, what is left of each earning, and which reminders are due.

Pure functions over frozen values: no database, no HTTP, no clock. All moments are aware.

**Lots.** Points are spent oldest first, which are those that expire soonest. So the points a member has left are the
newest earnings that add up to the balance: whatever was spent, expired or taken back by hand came from the older ones.
What an order lost to a refund never counts as earned, so a refund takes from the lot of its own order; and points that
come back from a reward are again as old as they were.

```
 earned   100        50          80            spent 120        left: 30 of the 50, and the 80
          ├──────────┼───────────┼──────────────►
          gone       20 gone     whole
```
"""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import NamedTuple

from loyalty.program import Expiry

# Days ahead of an expiry on which the member is reminded.
REMINDERS = (30, 7, 1)
AHEAD = tuple(timedelta(days=days) for days in REMINDERS)
# Points that expire later than this from now can wait for another look: neither they nor a reminder are due for a day.
NEAR = AHEAD[0] + timedelta(days=1)


class Policy(NamedTuple):
    """An expiry in force. No points expire before `floor`: the notice that was given when the policy came."""

    expiry: Expiry
    floor: datetime

    def ends(self, at: datetime) -> datetime:
        """When points earned, or a member last active, at this moment expire."""
        return max(ends(self.expiry, at), self.floor)


class Lot(NamedTuple):
    """Points earned at one moment: all that were kept, or what is left of them."""

    at: datetime
    points: int


class Due(NamedTuple):
    """Points that expire together. They were earned from `since` to `until`; by inactivity, both are the last one."""

    at: datetime
    points: int
    since: datetime
    until: datetime


class Reminder(NamedTuple):
    """A due and how many days ahead of it the member is reminded."""

    due: Due
    days: int

    @property
    def at(self) -> datetime:
        return self.due.at - timedelta(days=self.days)


def ends(expiry: Expiry, at: datetime) -> datetime:
    """The moment on which the time of `expiry` that began `at` is over.

    Months are calendar months of UTC. A day that the last month lacks becomes the end of that month (31 January and a
    month end with February), so that what was earned later never expires sooner.
    """
    at = at.astimezone(UTC)
    if expiry.days is not None:
        return at + timedelta(days=expiry.days)
    months = at.month - 1 + (expiry.months or 0)
    year, month = at.year + months // 12, months % 12 + 1
    last = monthrange(year, month)[1]
    if at.day > last:
        return datetime(year, month, last, 23, 59, 59, 999999, UTC)
    return at.replace(year=year, month=month)


def same(one: Expiry | None, other: Expiry | None) -> bool:
    """Whether points live equally long under both. The notice makes no difference."""
    return _length(one) == _length(other)


def _length(expiry: Expiry | None) -> tuple[object, ...] | None:
    return None if expiry is None else (expiry.kind, expiry.months, expiry.days)


def policy_in_force(published: Sequence[tuple[datetime, Expiry | None]], now: datetime) -> Policy | None:
    """The policy of a moment, from each version's begin and expiry in their order. None: points never expire.

    Its notice counts from when this kind and length came into force, through all versions since that have the same;
    before the first version, from the first. A version superseded in the second it began was never in force.
    """
    course = [
        said for place, said in enumerate(published) if place + 1 == len(published) or said[0] < published[place + 1][0]
    ]
    place = max(0, bisect_right(course, now, key=lambda said: said[0]) - 1)
    if not course or course[place][1] is None:
        return None
    while place and same(course[place - 1][1], course[place][1]):
        place -= 1
    since, expiry = course[place]
    assert expiry is not None
    return Policy(expiry, since.astimezone(UTC) + timedelta(days=expiry.notice_days))


def remaining(newest_first: Iterable[Lot], available: int) -> list[Lot]:
    """What is left of each earning, newest first: the newest that add up to `available`."""
    left: list[Lot] = []
    for lot in newest_first:
        if available <= 0:
            break
        left.append(Lot(lot.at, min(lot.points, available)))
        available -= lot.points
    return left


def dues(policy: Policy | None, available: int, active_at: datetime, newest_first: Iterable[Lot] = ()) -> list[Due]:
    """Which of the available points expire when, soonest first. Earnings are only asked for where lots expire.

    Points whose earning isn't known (a shortfall that was forgiven and then made good) count from the last activity.
    """
    if policy is None or available <= 0:
        return []
    if policy.expiry.kind == "inactivity":
        return [Due(policy.ends(active_at), available, active_at, active_at)]
    left = remaining(newest_first, available)
    unknown = available - sum(lot.points for lot in left)
    if unknown:
        left.append(Lot(active_at, unknown))
    return _together(policy, sorted(left))


def _together(policy: Policy, oldest_first: Iterable[Lot]) -> list[Due]:
    found = []
    for at, group in groupby(oldest_first, key=lambda lot: policy.ends(lot.at)):
        lots = list(group)
        found.append(Due(at, sum(lot.points for lot in lots), lots[0].at, lots[-1].at))
    return found


def reminders(ahead: Sequence[Due], told_until: datetime | None, now: datetime) -> list[Reminder]:
    """The reminders to give now, in the order in which they fell due; of several for one due, the last.

    `ahead` comes soonest first. `told_until` is when the last reminder that was given fell due. All before it are
    settled: each is given once, and a due that moves to another date is reminded of anew.
    """
    found = {}
    for days, before in zip(REMINDERS, AHEAD, strict=True):
        told = 0 if told_until is None else bisect_right(ahead, told_until + before, key=_at)
        for due in ahead[told : bisect_right(ahead, now + before, key=_at)]:
            if due.at > now and due.at - before > due.until:
                found[due] = Reminder(due, days)
    return sorted(found.values(), key=lambda reminder: (reminder.at, reminder.due.at))


def next_look(ahead: Sequence[Due], now: datetime) -> datetime | None:
    """The first moment after `now` at which one of these expires or is to be reminded of. They come soonest first."""
    moments: list[datetime] = []
    for before in (*AHEAD, timedelta()):
        coming = islice(ahead, bisect_right(ahead, now + before, key=_at), None)
        moments += islice((due.at - before for due in coming if due.at - before > due.until), 1)
    return min(moments, default=None)


def _at(due: Due) -> datetime:
    return due.at


def horizon(expiry: Expiry, now: datetime) -> datetime:
    """A moment after which nothing was earned that is over before `now` + NEAR."""
    until = (now + NEAR).astimezone(UTC)
    if expiry.days is not None:
        return until - timedelta(days=expiry.days)
    months = until.year * 12 + until.month - 1 - (expiry.months or 0)
    year, month = months // 12, months % 12 + 1
    if until.day > monthrange(year, month)[1]:
        return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return until.replace(year=year, month=month)


def first_look(expiry: Expiry | None, at: datetime) -> datetime | None:
    """When points earned, or activity, `at` may first need a reminder or expire. The notice may make it later."""
    if expiry is None:
        return None
    end = ends(expiry, at)
    return next((end - before for before in AHEAD if end - before > at), end)


class Expired(NamedTuple):
    """Points that expired, of those earned by `until`; `in_error` when an order has come to light since."""

    until: datetime
    points: int
    in_error: bool = False


class TakenBack(NamedTuple):
    """Points that an order placed `at` lost (a refund, a cancel) out of the available ones."""

    at: datetime
    points: int


def expired_in_vain(history: Iterable[Expired | TakenBack]) -> int:
    """How many of the points that expired should come back, by what is known now.

    Those that expired in error; and those that were taken back with their order afterwards, which were taken twice:
    had the order never earned them, the expiry would have found so many fewer. `history` is in the order of recording.
    """
    expired: list[Expired] = []
    points = 0
    for step in history:
        if isinstance(step, TakenBack):
            points += _draw(expired, step)
        elif step.in_error:
            points += step.points
        else:
            expired.append(step)
    return points


def _draw(expired: list[Expired], lost: TakenBack) -> int:
    """Take what an order lost from the expiries that its points were part of. Returns how much that is."""
    left = lost.points
    for place, entry in enumerate(expired):
        part = min(left, entry.points) if lost.at <= entry.until else 0
        expired[place] = Expired(entry.until, entry.points - part)
        left -= part
    return lost.points - left
