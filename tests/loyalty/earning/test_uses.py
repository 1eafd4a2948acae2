"""What was used of a limit before an order: on its day of the shop and ever, whatever order uses are added in."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.earning.rules import Used
from loyalty.earning.uses import Use, Uses

NOW = datetime(2026, 3, 29, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
NOOR = (1, 7)

# Few hours and few numbers, so that many orders share a moment; clocks go forward on the 29th.
turns = st.tuples(st.integers(-60, 60).map(lambda hours: NOW + timedelta(hours=hours)), st.integers(1, 5))


@given(st.dictionaries(turns, st.integers(1, 100)), turns, st.sampled_from([0, 70]))
def test_what_was_used_before(
    given_points: dict[tuple[datetime, int], int], turn: tuple[datetime, int], long_ago: int
) -> None:
    uses = Uses()
    if long_ago:
        uses.add_sum(NOOR, "sale", long_ago, 2)
    for (at, order_id), points in given_points.items():
        uses.add(NOOR, "sale", Use(at, order_id, points))
    earlier = {one: points for one, points in given_points.items() if one < turn}
    day = turn[0].astimezone(BERLIN).date()
    today = [points for (at, _), points in earlier.items() if at.astimezone(BERLIN).date() == day]
    ever, times = sum(earlier.values()) + long_ago, len(earlier) + 2 * bool(long_ago)
    assert uses.before(NOOR, "sale", *turn, BERLIN) == Used(sum(today), ever, len(today), times)


@pytest.mark.parametrize(("member", "rule"), [((1, 8), "sale"), ((2, 7), "sale"), (NOOR, "other")])
def test_each_member_and_rule_has_uses_of_its_own(member: tuple[int, int], rule: str) -> None:
    uses = Uses()
    uses.add(NOOR, "sale", Use(NOW, 1, 10))
    assert uses.before(member, rule, NOW + timedelta(hours=1), 2, BERLIN) == Used()
