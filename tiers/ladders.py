"""From a program's document to the ladder that the rules climb."""

import functools
from datetime import timedelta
from fractions import Fraction

from loyalty.program import Ladder as Document
from loyalty.program import Program, Tier
from loyalty.programs import Version
from tiers.rules import ENDLESS, Ladder, Measure, Rung


@functools.lru_cache(maxsize=1024)
def ladder_of(version: Version) -> Ladder:
    """The ladder of a program version, compiled once."""
    return compiled(version.program)


def compiled(program: Program) -> Ladder:
    """The ladder of a program, published or not."""
    document = program.ladder
    return Ladder(tuple(map(_rung, document.tiers)), _measure(program, document), document.demotion == "one_step")


def _measure(program: Program, document: Document) -> Measure:
    if document.period == "rolling":
        return Measure(document.metric, timedelta(days=document.window_days))
    if document.period == "lifetime":
        return Measure(document.metric, ENDLESS)
    return Measure(document.metric, ENDLESS, document.period, program.timezone, timedelta(days=document.grace_days))


def _rung(tier: Tier) -> Rung:
    return Rung(
        tier.key,
        tier.name,
        tier.threshold,
        Fraction(tier.multiplier),
        tier.perks,
        tier.keep,
        tier.entry_gift,
        Fraction(tier.birthday_boost),
    )
