"""The ladder's thinking: what counts for a member at a moment, which tier that reaches, and when it may change.

Pure: time is an argument. What counts is minor units, points or orders, as the ladder's metric says. Everything is a
function of what had happened strictly before the moment, as if the ladder asked about had always existed.

**Rolling and lifetime** ladders have no memory: the tier is what the window (for a lifetime, an endless one) reaches.

**Years** begin at midnight on the shop's clock: on 1 January, or on the day the member joined (29 February becomes
28 February in other years). A year carries in a tier, and the year so far may lift the member above it at once; a
refund that takes the year so far below the threshold undoes that in the same year. When the year has ended, and the
grace days after it, all that came since the year began decides what is carried on:

    silver from 500, kept with 300, 30 days of grace

    spent    ······600···················|······250·····|·40···20·······|··············
    tier     insider│ silver             │ silver       │  grace: silver│ silver (250 + 40 + 20 ≥ 300)
                  at once            year's end     year's end     decided: with 290 it would be insider

A tier is kept by what keeping it takes, which is never more than entering it takes. Who has too little falls to the
highest tier below that what they have would keep, or one step at a time. What came in the grace days counts for both
years: for keeping in the old, for climbing in the new.

**By hand.** A tier that somebody gave a member holds from its moment until its end, whatever counts meanwhile; then
the member stands where the facts put them.
"""

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple
from zoneinfo import ZoneInfo

# The window includes its first moment, so what happened then leaves it one instant later.
INSTANT = timedelta(microseconds=1)
# Longer than any shop has sold, and short enough to be taken from any date.
ENDLESS = timedelta(days=365_000)


@dataclass(frozen=True, slots=True)
class Rung:
    """One tier of the ladder: entered with at least `threshold`, kept with at least `keep` (None: the same)."""

    key: str
    name: str
    threshold: int
    multiplier: Fraction
    perks: tuple[str, ...] = ()
    keep: int | None = None
    entry_gift: int = 0
    birthday_boost: Fraction = Fraction(1)

    @property
    def to_keep(self) -> int:
        return self.threshold if self.keep is None else self.keep


class Measure(NamedTuple):
    """What is summed up, and over which time. Ladders that agree in it share a member's history.

    `zone` and `grace` are those of a ladder that goes by years, whose period is not `rolling`.
    """

    metric: str = "eligible_spend"
    window: timedelta = ENDLESS
    period: str = "rolling"
    zone: str = "UTC"
    grace: timedelta = timedelta()

    @property
    def by_years(self) -> bool:
        return self.period != "rolling"


@dataclass(frozen=True, slots=True)
class Ladder:
    """Rungs from the lowest up, what counts on them, and whether members fall one step at a time."""

    rungs: tuple[Rung, ...]
    measure: Measure
    one_step: bool = False

    @property
    def window(self) -> timedelta:
        """How long something that happened can matter for a member's tier."""
        return self.measure.window

    def reached(self, value: int) -> Rung:
        """The highest rung that this much enters."""
        return self.rungs[self._entered(value)]

    def above(self, key: str) -> Rung | None:
        """The next rung up, or None at the top. A key from an older ladder counts as the lowest rung."""
        position = self.place(key)
        return self.rungs[position + 1] if position + 1 < len(self.rungs) else None

    def rung(self, key: str) -> Rung:
        """The rung with this key; a key from an older ladder stands for the lowest."""
        return self.rungs[self.place(key)]

    def place(self, key: str) -> int:
        """How far up a rung is: 0 is the lowest, also for a key from an older ladder."""
        return next((place for place, rung in enumerate(self.rungs) if rung.key == key), 0)

    def has(self, key: str) -> bool:
        return any(rung.key == key for rung in self.rungs)

    def _entered(self, value: int) -> int:
        return max((place for place, rung in enumerate(self.rungs) if value >= rung.threshold), default=0)

    def _kept(self, held: int, value: int) -> int:
        """Where a member who held a rung goes on with what they have at the end of a year and its grace."""
        enough = max((place for place in range(held + 1) if value >= self.rungs[place].to_keep), default=0)
        return max(enough, held - 1) if self.one_step else enough


class SpendHistory:
    """A member's changes of what counts in order of time, asked for the sum in a window.

    `base` is the sum of what lies in [since - window, since). `entries` holds the single changes (moment, amount): all
    at or after `since`, and of the earlier ones those that leave a window that is asked for. So a member with years of
    orders costs one sum in the database, not a list.
    """

    __slots__ = ("_amounts", "_base", "_since", "_sums", "moments")

    def __init__(self, since: datetime, base: int, entries: Iterable[tuple[datetime, int]]) -> None:
        ordered = sorted(entries)
        self._since = since
        self._base = base
        self.moments = [at for at, _ in ordered]
        self._amounts = [amount for _, amount in ordered]
        self._sums = list(accumulate(self._amounts, initial=0))

    def add(self, at: datetime, amount: int) -> None:
        """A change that becomes known now; it may not lie before `since`."""
        place = bisect_right(self.moments, at)
        self.moments.insert(place, at)
        self._amounts.insert(place, amount)
        self._sums[place:] = accumulate(self._amounts[place:], initial=self._sums[place])

    def before(self, moment: datetime, window: timedelta) -> int:
        """The sum from `window` before the moment up to, and without, the moment itself (not before `since`)."""
        left = self.between(self._since - window, moment - window)
        return self._base + self.between(self._since, moment) - left

    def between(self, first: datetime, end: datetime) -> int:
        """The sum of the entries in [first, end)."""
        return self._until(end) - self._until(first)

    def _until(self, moment: datetime) -> int:
        return self._sums[bisect_left(self.moments, moment)]


@functools.lru_cache(maxsize=65_536)
def midnight(zone: str, year: int, month: int, day: int) -> datetime:
    """When a day begins on a shop's clock, in UTC; 29 February is 28 February in a year without one."""
    local = datetime(year, month, min(day, 28) if month == 2 and not _leap(year) else day, tzinfo=ZoneInfo(zone))
    return local.astimezone(UTC)


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


class Years(NamedTuple):
    """A member's qualifying years: the day on which they begin, and the shop's time zone."""

    zone: str
    month: int = 1
    day: int = 1

    @classmethod
    def since(cls, joined: datetime, zone: str) -> "Years":
        """Years that begin on the day of joining, on the shop's clock."""
        on: date = joined.astimezone(ZoneInfo(zone)).date()
        return cls(zone, on.month, on.day)

    def start(self, year: int) -> datetime:
        return midnight(self.zone, year, self.month, self.day)

    def of(self, moment: datetime) -> int:
        """The calendar year in which the qualifying year of this moment began."""
        year = moment.year + 1  # no zone is a whole year away
        while self.start(year) > moment:
            year -= 1
        return year

    def cuts(self, first: datetime, end: datetime, grace: timedelta) -> Iterator[datetime]:
        """From the start of the first moment's year: years' beginnings and decisions, in order, before `end`."""
        for year in range(self.of(first), self.of(end) + 1):
            yield self.start(year)
            if grace and self.start(year) + grace < end:
                yield self.start(year) + grace

    def next_decision(self, now: datetime, grace: timedelta) -> datetime:
        """When it is next decided what a year carries on: after it has ended, and its grace."""
        year = self.of(now)
        return next(at for n in (year, year + 1) if (at := self.start(n) + grace) > now)


class Override(NamedTuple):
    """A tier given by hand: holds after `since`, up to `until` or for good."""

    key: str
    since: datetime
    until: datetime | None = None


class Standing(NamedTuple):
    """A member's rung at a moment, and what counted there: minor units, points or orders since `counted_from`."""

    rung: Rung
    value: int
    by_hand: bool
    counted_from: datetime


def standing(
    ladder: Ladder,
    history: SpendHistory,
    moment: datetime,
    years: Years | None = None,
    overrides: Sequence[Override] = (),
) -> Standing:
    """Where a member stood on a ladder by what had happened strictly before the moment."""
    counted_from = years.start(years.of(moment)) if years else moment - ladder.window
    place, value = earned(ladder, history, moment, years)
    given = in_force(ladder, overrides, moment)
    rung = ladder.rung(given.key) if given else ladder.rungs[place]
    return Standing(rung, value, given is not None, counted_from)


def in_force(ladder: Ladder, overrides: Sequence[Override], moment: datetime) -> Override | None:
    """The tier by hand that holds at the moment, the latest given where there are several.

    One that this ladder does not have is passed over.
    """
    holding = [o for o in overrides if o.since < moment and (o.until is None or moment <= o.until)]
    return next((override for override in reversed(holding) if ladder.has(override.key)), None)


def earned(ladder: Ladder, history: SpendHistory, moment: datetime, years: Years | None) -> tuple[int, int]:
    """The place on the ladder that the facts give, and what counted: in the window, or in the year so far."""
    if years is None:
        value = history.before(moment, ladder.window)
        return ladder._entered(value), value
    value = history.between(years.start(years.of(moment)), moment)
    return max(carried(ladder, history, moment, years), ladder._entered(value)), value


def carried(ladder: Ladder, history: SpendHistory, moment: datetime, years: Years) -> int:
    """The place on the ladder that the years before the moment's own bring into it."""
    now = years.of(moment)
    first = years.of(history.moments[0]) if history.moments else now
    place = 0
    for year in range(first, now):
        began, ended = years.start(year), years.start(year + 1)
        place = max(place, ladder._entered(history.between(began, ended)))
        decided = ended + ladder.measure.grace
        if decided <= moment:
            place = ladder._kept(place, history.between(began, decided))
    return place


def lapse(history: SpendHistory, ladder: Ladder, key: str, now: datetime) -> datetime | None:
    """When a member of tier `key` would fall below it if nothing more counted; None on the lowest rung.

    For a ladder without years. Needs a history that holds every change in the window before `now`.
    """
    rung = ladder.rung(key)
    if rung is ladder.rungs[0] or ladder.window >= ENDLESS:
        return None
    for at in history.moments:
        leaves = at + ladder.window + INSTANT
        if leaves > now and history.before(leaves, ladder.window) < rung.threshold:
            return leaves
    return now


class Kept(NamedTuple):
    """Until when a tier is held if nothing more counts, and how much more by then would keep it."""

    until: datetime
    missing: int


def kept(ladder: Ladder, history: SpendHistory, key: str, now: datetime, years: Years) -> Kept | None:
    """For how long a year ladder keeps a member in a tier; None for good, and on the lowest rung."""
    place, decided = ladder.place(key), now
    for _ in range(2):  # a tier is held to the end of the following year at the most, unless keeping it takes nothing
        decided = years.next_decision(decided, ladder.measure.grace)
        if earned(ladder, history, decided, years)[0] < place:
            ended = years.start(years.of(decided) - 1)
            return Kept(decided, max(0, ladder.rungs[place].to_keep - history.between(ended, decided)))
    return None


def next_look(
    history: SpendHistory,
    ladder: Ladder,
    key: str,
    now: datetime,
    years: Years | None = None,
    override: Override | None = None,
) -> datetime | None:
    """When the tier may change by itself: it lapses, a year is decided, a tier by hand ends, or something dated ahead
    comes to count. None when it can't."""
    if override is not None:
        return override.until + INSTANT if override.until else None
    ahead = next((at + INSTANT for at in history.moments if at > now), None)
    if years is None:
        falls = lapse(history, ladder, key, now)
    else:
        falls = years.next_decision(now, ladder.measure.grace) if ladder.place(key) else None
    return min(filter(None, (falls, ahead)), default=None)
