"""The ladder's thinking: which tier a sum of spend reaches, and how much was spent in the window before any moment.

Pure: time is an argument, amounts are minor units.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import accumulate

# The window includes its first moment, so what happened then leaves it one instant later.
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Rung:
    """One tier of the ladder: reached when the window holds at least `threshold`."""

    key: str
    name: str
    threshold: int
    multiplier: Fraction
    perks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ladder:
    """Rungs from the lowest up, and the length of the window in which spend counts."""

    rungs: tuple[Rung, ...]
    window: timedelta

    def reached(self, spend: int) -> Rung:
        """The highest rung that this much spend reaches."""
        return next(rung for rung in reversed(self.rungs) if spend >= rung.threshold or rung is self.rungs[0])

    def above(self, key: str) -> Rung | None:
        """The next rung up, or None at the top. A key from an older ladder counts as the lowest rung."""
        keys = [rung.key for rung in self.rungs]
        position = keys.index(key) if key in keys else 0
        return self.rungs[position + 1] if position + 1 < len(self.rungs) else None

    def rung(self, key: str) -> Rung:
        """The rung with this key; a key from an older ladder stands for the lowest."""
        return next((rung for rung in self.rungs if rung.key == key), self.rungs[0])


class SpendHistory:
    """A member's changes of spend in order of time, asked for the sum in a window.

    `base` is the sum of what lies in [since - window, since). `entries` holds the single changes (moment, amount): all
    at or after `since`, and of the earlier ones those that leave a window that is asked for. So a member with years of
    orders costs one sum in the database, not a list.
    """

    __slots__ = ("_base", "_since", "_sums", "moments")

    def __init__(self, since: datetime, base: int, entries: Iterable[tuple[datetime, int]]) -> None:
        ordered = sorted(entries)
        self._since = since
        self._base = base
        self.moments = [at for at, _ in ordered]
        self._sums = list(accumulate((amount for _, amount in ordered), initial=0))

    def before(self, moment: datetime, window: timedelta) -> int:
        """The sum from `window` before the moment up to, and without, the moment itself (not before `since`)."""
        came = self._until(moment) - self._until(self._since)
        left = self._until(moment - window) - self._until(self._since - window)
        return self._base + came - left

    def _until(self, moment: datetime) -> int:
        return self._sums[bisect_left(self.moments, moment)]


def lapse(history: SpendHistory, ladder: Ladder, key: str, now: datetime) -> datetime | None:
    """When a member of tier `key` would fall below it if nothing more were bought; None on the lowest rung.

    Needs a history that holds every change in the window before `now`.
    """
    rung = ladder.rung(key)
    if rung is ladder.rungs[0]:
        return None
    for at in history.moments:
        leaves = at + ladder.window + INSTANT
        if leaves > now and history.before(leaves, ladder.window) < rung.threshold:
            return leaves
    return now


def next_look(history: SpendHistory, ladder: Ladder, key: str, now: datetime) -> datetime | None:
    """When the tier may change by itself: it lapses, or something dated ahead comes to count."""
    ahead = next((at + INSTANT for at in history.moments if at > now), None)
    return min(filter(None, (lapse(history, ladder, key, now), ahead)), default=None)
