"""From a program's document to the ladder that the rules climb."""

import functools
from datetime import timedelta
from fractions import Fraction

from loyalty.programs import Version
from tiers.rules import Ladder, Rung


@functools.lru_cache(maxsize=1024)
def ladder_of(version: Version) -> Ladder:
    """The ladder of a program version, compiled once."""
    program = version.program
    return Ladder(
        tuple(
            Rung(tier.key, tier.name, tier.threshold, Fraction(tier.multiplier), tier.perks)
            for tier in program.ladder.tiers
        ),
        timedelta(days=program.ladder.window_days),
    )
