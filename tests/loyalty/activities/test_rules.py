"""What an activity may bring, and when yearly things come round: tables of exact examples."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.activities import rules
from loyalty.activities.rules import Verdict, judge
from loyalty.earning.rules import Used
from loyalty.program import JoiningRule, Limit, Tier
from loyalty.program.parts import Rule

LONDON, AUCKLAND, NEW_YORK = ZoneInfo("Europe/London"), ZoneInfo("Pacific/Auckland"), ZoneInfo("America/New_York")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY, EVER = "day", "ever"


def rule(**parts: Any) -> Rule:
    return Rule(**parts)


def verdict(made: Rule, points: int = 10, *, at: datetime = NOON, zone: ZoneInfo = LONDON, tier: str = "insider",
            used: Used | None = None) -> Verdict:  # fmt: skip
    return judge(made, points, zone=zone, at=at, tier_key=tier, used=used or Used())


# 10 points, so much had today and ever, in points and in times.
@pytest.mark.parametrize(
    ("limit", "today", "ever", "times_today", "times_ever", "expected"),
    [
        ({}, 900, 9000, 90, 900, (10, None, None)),
        ({"points_per_day": 25}, 0, 0, 0, 0, (10, None, None)),
        ({"points_per_day": 25}, 15, 15, 2, 2, (10, None, None)),
        ({"points_per_day": 25}, 20, 20, 2, 2, (5, None, DAY)),
        ({"points_per_day": 25}, 25, 25, 3, 3, (0, "limit_reached", DAY)),
        ({"points_per_day": 25}, 0, 500, 0, 50, (10, None, None)),
        ({"points_ever": 25}, 0, 20, 0, 2, (5, None, EVER)),
        ({"points_ever": 25}, 0, 25, 0, 3, (0, "limit_reached", EVER)),
        # A limit that was lowered later leaves nothing, not less than nothing.
        ({"points_ever": 25}, 0, 400, 0, 40, (0, "limit_reached", EVER)),
        ({"times_per_day": 2}, 10, 10, 1, 1, (10, None, None)),
        ({"times_per_day": 2}, 20, 20, 2, 2, (0, "limit_reached", DAY)),
        ({"times_ever": 2}, 0, 20, 0, 2, (0, "limit_reached", EVER)),
        ({"times_per_day": 2, "points_ever": 18}, 10, 10, 1, 1, (8, None, EVER)),
        ({"points_per_day": 12, "points_ever": 18}, 6, 12, 1, 2, (6, None, EVER)),
        ({"points_per_day": 12, "points_ever": 99}, 6, 12, 1, 2, (6, None, DAY)),
        # Both are used up: tomorrow there is no more either.
        ({"points_per_day": 10, "points_ever": 10}, 10, 10, 1, 1, (0, "limit_reached", EVER)),
    ],
)
def test_limits_cut_points_to_the_room_left(
    limit: dict[str, int], today: int, ever: int, times_today: int, times_ever: int, expected: tuple[Any, ...]
) -> None:
    used = Used(points_today=today, points_ever=ever, times_today=times_today, times_ever=times_ever)
    assert verdict(rule(limit=Limit(**limit)), used=used) == Verdict(*expected)


@given(
    st.integers(1, 1000), st.integers(0, 1000), st.integers(0, 1000), st.none() | st.integers(1, 1000),
    st.none() | st.integers(1, 1000),
)  # fmt: skip
def test_a_limit_is_never_passed(points: int, today: int, before: int, per_day: int | None, ever: int | None) -> None:
    limited = rule(limit=Limit(points_per_day=per_day, points_ever=ever))
    found = verdict(limited, points, used=Used(points_today=today, points_ever=today + before))
    assert 0 <= found.points <= points
    assert per_day is None or found.points == 0 or today + found.points <= per_day
    assert ever is None or found.points == 0 or today + before + found.points <= ever
    assert (found.points == 0) == (found.refused is not None)


@pytest.mark.parametrize(
    ("tiers", "tier", "refused"),
    [((), "insider", None), (("advocate",), "advocate", None), (("advocate",), "insider", "not_your_tier")],
)
def test_tiers(tiers: tuple[str, ...], tier: str, refused: str | None) -> None:
    assert verdict(rule(tiers=tiers), tier=tier).refused == refused


# 27 November 2026 from midnight to midnight on the shop's clock.
@pytest.mark.parametrize(
    ("zone", "at", "refused"),
    [
        (LONDON, "2026-11-26T23:59:59Z", "not_open"),
        (LONDON, "2026-11-27T00:00:00Z", None),
        (LONDON, "2026-11-27T23:59:59Z", None),
        (LONDON, "2026-11-28T00:00:00Z", "over"),
        (AUCKLAND, "2026-11-26T10:59:59Z", "not_open"),
        (AUCKLAND, "2026-11-26T11:00:00Z", None),
        (AUCKLAND, "2026-11-27T11:00:00Z", "over"),
        (NEW_YORK, "2026-11-27T04:59:59Z", "not_open"),
        (NEW_YORK, "2026-11-28T04:59:59Z", None),
    ],
)
def test_a_span_follows_the_shops_clock(zone: ZoneInfo, at: str, refused: str | None) -> None:
    campaign = rule(starts_at="2026-11-27T00:00", ends_at="2026-11-28T00:00")
    assert verdict(campaign, zone=zone, at=datetime.fromisoformat(at)).refused == refused


@pytest.mark.parametrize(
    ("zone", "day", "begins", "ends", "hours"),
    [
        (LONDON, date(2026, 6, 1), "2026-05-31T23:00Z", "2026-06-01T23:00Z", 24),
        (LONDON, date(2026, 3, 29), "2026-03-29T00:00Z", "2026-03-29T23:00Z", 23),
        (LONDON, date(2026, 10, 25), "2026-10-24T23:00Z", "2026-10-26T00:00Z", 25),
        (AUCKLAND, date(2026, 1, 1), "2025-12-31T11:00Z", "2026-01-01T11:00Z", 24),
        (AUCKLAND, date(2026, 4, 5), "2026-04-04T11:00Z", "2026-04-05T12:00Z", 25),
        (AUCKLAND, date(2026, 9, 27), "2026-09-26T12:00Z", "2026-09-27T11:00Z", 23),
        # Midnight itself is skipped: the day begins at one o'clock.
        (ZoneInfo("Asia/Beirut"), date(2026, 3, 29), "2026-03-28T22:00Z", "2026-03-29T21:00Z", 23),
    ],
)
def test_the_bounds_of_a_day(zone: ZoneInfo, day: date, begins: str, ends: str, hours: int) -> None:
    bounds = rules.day_bounds(day, zone)
    assert bounds == (datetime.fromisoformat(begins), datetime.fromisoformat(ends))
    assert bounds[1] - bounds[0] == timedelta(hours=hours)
    assert rules.local_day(bounds[0], zone) == day
    assert rules.local_day(bounds[1] - timedelta(microseconds=1), zone) == day


@pytest.mark.parametrize(
    ("date_of_birth", "year", "celebrated"),
    [
        ((7, 14), 2026, date(2026, 7, 14)),
        ((2, 29), 2024, date(2024, 2, 29)),
        ((2, 29), 2026, date(2026, 2, 28)),
        ((2, 29), 2100, date(2100, 2, 28)),
        ((2, 28), 2024, date(2024, 2, 28)),
        ((12, 31), 2026, date(2026, 12, 31)),
    ],
)
def test_the_day_of_a_birthday(date_of_birth: tuple[int, int], year: int, celebrated: date) -> None:
    assert rules.yearly_day(*date_of_birth, year) == celebrated
    assert date_of_birth in rules.dates_of(celebrated)


def test_every_day_of_the_calendar_is_celebrated_once_a_year() -> None:
    for year in (2024, 2026):
        first = date(year, 1, 1)
        days = [first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days)]
        celebrated = [found for day in days for found in rules.dates_of(day)]
        assert len(celebrated) == len(set(celebrated)) == 366


@pytest.mark.parametrize(
    ("last", "today", "days"),
    [
        (None, date(2026, 3, 2), [date(2026, 3, 2)]),
        (date(2026, 3, 1), date(2026, 3, 2), [date(2026, 3, 2)]),
        (date(2026, 2, 27), date(2026, 3, 2), [date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 2)]),
        # The shop moved to a zone where it is still yesterday.
        (date(2026, 3, 2), date(2026, 3, 2), []),
    ],
)
def test_days_missed_are_made_up_for(last: date | None, today: date, days: list[date]) -> None:
    assert list(rules.days_to_go_round(last, today)) == days


def test_no_more_than_a_month_is_made_up_for() -> None:
    days = list(rules.days_to_go_round(date(2020, 1, 1), date(2026, 3, 2)))
    assert (days[0], days[-1], len(days)) == (date(2026, 1, 30), date(2026, 3, 2), 32)


# Today is 1 March 2026; the date has to be told 30 days before.
@pytest.mark.parametrize(
    ("birthday", "set_on", "last", "expected"),
    [
        ((3, 31), date(2026, 3, 1), None, date(2026, 3, 31)),
        ((3, 30), date(2026, 3, 1), None, date(2027, 3, 30)),
        ((3, 1), date(2026, 1, 1), None, date(2026, 3, 1)),
        ((3, 1), date(2026, 1, 1), date(2026, 3, 1), date(2027, 3, 1)),
        ((2, 28), date(2026, 1, 1), date(2026, 2, 28), date(2027, 2, 28)),
        ((2, 29), date(2026, 3, 1), date(2026, 2, 28), date(2027, 2, 28)),
        ((1, 10), date(2025, 12, 20), date(2025, 11, 1), date(2027, 1, 10)),
        # Moved from November to July: 270 days after the last one at the earliest, so not in the same year of life.
        ((7, 1), date(2026, 1, 15), date(2025, 11, 1), date(2027, 7, 1)),
        ((8, 1), date(2026, 1, 15), date(2025, 11, 1), date(2026, 8, 1)),
    ],
)
def test_when_a_birthday_is_next_celebrated(
    birthday: tuple[int, int], set_on: date, last: date | None, expected: date
) -> None:
    assert (
        rules.next_celebration(birthday, set_on=set_on, days_before=30, today=date(2026, 3, 1), last=last) == expected
    )


@pytest.mark.parametrize(
    ("points", "boost", "expected"), [(100, "1", 100), (101, "1.5", 151), (3, "1.3333", 3), (100, "2", 200)]
)
def test_a_tiers_boost_is_rounded_down(points: int, boost: str, expected: int) -> None:
    assert rules.birthday_points(points, Tier(key="t", name="T", threshold=0, birthday_boost=boost)) == expected


@pytest.mark.parametrize(
    ("after", "free"),
    [
        (timedelta(hours=23), timedelta(hours=23)),
        (timedelta(days=1), timedelta(days=365)),
        (timedelta(days=364), timedelta(days=365)),
    ],
)
def test_a_birthday_may_be_mended_at_once_and_changed_after_a_year(after: timedelta, free: timedelta) -> None:
    assert rules.may_change_at(NOON, NOON + after) == NOON + free


@pytest.mark.parametrize(
    ("joined", "today", "last", "expected"),
    [
        (date(2026, 3, 1), date(2026, 3, 1), None, date(2027, 3, 1)),
        (date(2025, 3, 1), date(2026, 3, 1), None, date(2026, 3, 1)),
        (date(2025, 3, 1), date(2026, 3, 1), date(2026, 3, 1), date(2027, 3, 1)),
        (date(2024, 2, 29), date(2026, 1, 1), None, date(2026, 2, 28)),
        (date(2024, 2, 29), date(2027, 12, 1), None, date(2028, 2, 29)),
        (date(2025, 12, 31), date(2026, 1, 1), None, date(2026, 12, 31)),
    ],
)
def test_when_joining_next_comes_round(joined: date, today: date, last: date | None, expected: date) -> None:
    assert rules.next_anniversary(joined, today, last) == expected


def test_who_joined_on_a_day_of_earlier_years() -> None:
    assert rules.joining_days(date(2026, 3, 1))[:3] == [date(2025, 3, 1), date(2024, 3, 1), date(2023, 3, 1)]
    assert rules.joining_days(date(2026, 2, 28))[:4] == [
        date(2025, 2, 28),
        date(2024, 2, 28),
        date(2024, 2, 29),
        date(2023, 2, 28),
    ]
    assert rules.joining_days(date(2028, 2, 28))[0] == date(2027, 2, 28)
    assert rules.joining_days(date(2028, 2, 29)) == [date(y, 2, 29) for y in (2024, 2020, 2016, 2012, 2008)]


@pytest.mark.parametrize(
    ("month", "day", "year", "there_is"),
    [(2, 29, None, True), (2, 29, 2000, True), (2, 29, 1999, False), (2, 30, None, False), (13, 1, None, False)],
)
def test_is_there_such_a_date(month: int, day: int, year: int | None, there_is: bool) -> None:
    assert rules.is_date(month, day, year) == there_is


def test_joining_brings_points_while_its_rule_runs() -> None:
    joining = JoiningRule(points=50, starts_at="2026-06-01T09:00", ends_at="2026-06-02T09:00")
    begins = datetime(2026, 6, 1, 8, tzinfo=UTC)
    moments = (begins - timedelta(seconds=1), begins, begins + timedelta(hours=24))
    assert [rules.joining_points(joining, LONDON, at) for at in moments] == [0, 50, 0]


@pytest.mark.parametrize(
    ("parts", "runs"),
    [
        ({}, True),
        ({"starts_at": "2026-06-01T09:00"}, True),
        ({"starts_at": "2026-06-02T00:00"}, False),
        ({"ends_at": "2026-06-01T00:00"}, False),
        ({"ends_at": "2026-06-01T00:01"}, True),
    ],
)
def test_what_comes_round_is_celebrated_on_every_day_its_rule_touches(parts: dict[str, str], runs: bool) -> None:
    assert rules.runs_on(rule(**parts), LONDON, date(2026, 6, 1)) == runs


def test_the_next_answer_counts_after_so_many_days() -> None:
    assert rules.nps_again(date(2026, 1, 31), 90) == date(2026, 5, 1)
