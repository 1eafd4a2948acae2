"""Ladders that contradict themselves are refused, and what is compiled is what was written."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from tests.tiers.members import laddered, tiers
from tiers.ladders import compiled
from tiers.rules import ENDLESS


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tiers": tiers(("a", 0), ("b", 500), ("c", 500))}, "must be more than that of B"),
        ({"tiers": tiers(("a", 0), ("b", 900), ("c", 500))}, "must be more than that of B"),
        ({"tiers": tiers(("a", 0), ("b", 500), ("b", 900))}, "a key of its own"),
        ({"tiers": tiers(("a", 100), ("b", 500))}, "so that every member has a tier"),
        ({"tiers": tiers(("a", 0), ("b", 500), b={"keep": 300})}, "needs a period that ends"),
        (
            {"period": "calendar_year", "tiers": tiers(("a", 0), ("b", 500), ("c", 900), c={"keep": 100})},
            "must not be less than B takes to keep",
        ),
        ({"grace_days": 10}, "must be 0"),
        ({"tiers": tiers(("a", 0), a={"entry_gift": 5})}, "points for joining"),
    ],
)
def test_overlapping_tiers_are_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        laddered(**changes)


def test_compiled() -> None:
    steps = tiers(("a", 0), ("b", 500), b={"keep": 300, "entry_gift": 20, "birthday_boost": "2"})
    program = laddered(tiers=steps, period="membership_year", grace_days=14, metric="orders", demotion="one_step")
    ladder = compiled(program.model_copy(update={"timezone": "Asia/Tokyo"}))
    assert ladder.measure == ("orders", ENDLESS, "membership_year", "Asia/Tokyo", timedelta(days=14))
    assert ladder.one_step
    top = ladder.rungs[1]
    assert (top.to_keep, top.entry_gift, top.birthday_boost, ladder.rungs[0].to_keep) == (300, 20, 2, 0)


def test_ladders_without_years_share_what_they_measure() -> None:
    """Time zone and grace mean nothing to them, so a change of either asks for nothing anew."""
    for period in ("rolling", "lifetime"):
        one = laddered(period=period)
        assert compiled(one).measure == compiled(one.model_copy(update={"timezone": "Asia/Tokyo"})).measure
