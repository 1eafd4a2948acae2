"""What a measurement is: figures paired in rounds, boiled down to one number that a goal judges."""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct, field

Unit = Literal["ratio", "ms", "µs", "/s", "count"]


class Goal(NamedTuple):
    """`at_least` is a floor for speeds; without it the limit is a ceiling, for times and costs."""

    name: str
    limit: float
    at_least: bool
    unit: Unit = "ratio"


class Result(Struct):
    """One goal's outcome. `rounds` holds one value a round, `figures` what they were made of (per second, or ms)."""

    goal: Goal
    rounds: list[float]
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def value(self) -> float:
        return statistics.median(self.rounds)

    @property
    def met(self) -> bool:
        return self.value >= self.goal.limit if self.goal.at_least else self.value <= self.goal.limit


class Effort(NamedTuple):
    """How long to measure. `seconds` is one side of one round, `orders` one drain, `postings` the large ledger."""

    rounds: int
    seconds: int
    orders: int
    paced_seconds: int
    postings: int


FULL = Effort(rounds=5, seconds=6, orders=4000, paced_seconds=30, postings=10_000_000)
QUICK = Effort(rounds=3, seconds=3, orders=1000, paced_seconds=8, postings=100_000)


def alternate(rounds: int, **sides: Callable[[], float]) -> dict[str, list[float]]:
    """Measure every side once a round, in turn forwards and backwards, so that what drifts drifts for all alike."""
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sides if number % 2 == 0 else reversed(sides):
            measured[name].append(sides[name]())
    return measured


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """The quotient of each round's pair."""
    return [a / b for a, b in zip(above, below, strict=True)]


def medians(measured: dict[str, list[float]]) -> dict[str, float]:
    return {name: round(statistics.median(values), 3) for name, values in measured.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of all values do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]
