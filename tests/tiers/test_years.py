"""Ladders that go by years: what is carried on, what is lost, and when, to the second."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiers.rules import INSTANT, Ladder, Measure, Rung, SpendHistory, Years, kept, next_look, standing

DAY = timedelta(days=1)
CALENDAR = Years("UTC")


def ladder(grace: int = 0, one_step: bool = False, zone: str = "UTC", keeps: tuple[int, int] = (300, 1000)) -> Ladder:
    """Bronze, silver from 500 and gold from 1,500; `keeps` says what silver and gold take to be kept."""
    return Ladder(
        (
            Rung("bronze", "Bronze", 0, Fraction(1)),
            Rung("silver", "Silver", 500, Fraction(1), keep=keeps[0]),
            Rung("gold", "Gold", 1500, Fraction(1), keep=keeps[1]),
        ),
        Measure(period="calendar_year", zone=zone, grace=timedelta(days=grace)),
        one_step,
    )


def on(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def at(moment: str, ladder: Ladder, *facts: tuple[str, int], years: Years = CALENDAR) -> str:
    history = SpendHistory(on("2000-01-01"), 0, [(on(when), amount) for when, amount in facts])
    return standing(ladder, history, on(moment), years).rung.key


REACHED = ("2024-05-01", 600)

TABLE: list[tuple[str, Ladder, list[tuple[str, int]], str, str]] = [
    ("not before the moment", ladder(), [REACHED], "2024-05-01", "bronze"),
    ("at once", ladder(), [REACHED], "2024-05-01T00:00:00.000001", "silver"),
    ("to the end of the year", ladder(), [REACHED], "2024-12-31T23:59:59", "silver"),
    ("and of the following year", ladder(), [REACHED], "2025-12-31T23:59:59.999999", "silver"),
    ("which kept nothing", ladder(), [REACHED], "2026-01-01", "bronze"),
    ("kept with 300", ladder(), [REACHED, ("2025-06-01", 300)], "2026-01-01", "silver"),
    ("not kept with 299", ladder(), [REACHED, ("2025-06-01", 299)], "2026-01-01", "bronze"),
    ("what comes at midnight is the new year's", ladder(), [REACHED, ("2026-01-01", 300)], "2026-01-02", "bronze"),
    ("refunded in the year it was reached", ladder(), [REACHED, ("2024-07-01", -200)], "2024-07-02", "bronze"),
    ("refunded in the year after", ladder(), [REACHED, ("2025-02-01", -600)], "2025-02-02", "silver"),
    ("and then the year is short of it", ladder(), [REACHED, ("2025-02-01", -600), ("2025-03-01", 800)],
     "2026-01-01", "bronze"),
    ("a refund leaves what was carried in", ladder(),
     [REACHED, ("2025-03-01", 1600), ("2025-04-01", -1600)], "2025-05-01", "silver"),
    ("in grace it is still held", ladder(30), [REACHED], "2026-01-30T23:59:59", "silver"),
    ("decided when grace ends", ladder(30), [REACHED], "2026-01-31", "bronze"),
    ("made up for in grace", ladder(30), [REACHED, ("2025-06-01", 250), ("2026-01-30", 50)], "2026-01-31", "silver"),
    ("too late for grace", ladder(30), [REACHED, ("2025-06-01", 250), ("2026-01-31", 50)], "2026-02-01", "bronze"),
    ("a refund in grace counts", ladder(30), [REACHED, ("2025-06-01", 320), ("2026-01-10", -50)],
     "2026-02-01", "bronze"),
    ("grace counts for the new year too", ladder(30), [("2026-01-10", 500)], "2027-12-31", "silver"),
    ("gold falls to bronze", ladder(), [("2024-05-01", 1500)], "2026-01-01", "bronze"),
    ("gold falls to what would keep silver", ladder(), [("2024-05-01", 1500), ("2025-06-01", 400)],
     "2026-01-01", "silver"),
    ("gold falls one step", ladder(one_step=True), [("2024-05-01", 1500)], "2026-01-01", "silver"),
    ("and another a year later", ladder(one_step=True), [("2024-05-01", 1500)], "2027-01-01", "bronze"),
    ("gold kept with 1,000, less than it takes", ladder(), [("2024-05-01", 1500), ("2025-06-01", 1000)],
     "2026-12-31", "gold"),
    ("a tier that takes nothing to keep", ladder(keeps=(0, 0)), [("2004-05-01", 1500)], "2026-01-01", "gold"),
    ("the last day of a leap year", ladder(), [("2024-12-31T23:59:59", 600)], "2025-12-31", "silver"),
    ("nothing ever", ladder(), [], "2026-01-01", "bronze"),
]  # fmt: skip


@pytest.mark.parametrize(("ladder", "facts", "moment", "key"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
def test_what_is_held(ladder: Ladder, facts: list[tuple[str, int]], moment: str, key: str) -> None:
    assert at(moment, ladder, *facts) == key


def test_years_begin_at_midnight_on_the_shops_clock() -> None:
    auckland = Years("Pacific/Auckland")
    assert auckland.start(2026) == on("2025-12-31T11:00")  # summer there: thirteen hours ahead
    placed = ("2025-12-31T10:59:59", 600)
    assert at("2026-12-31T10:59:59", ladder(zone="Pacific/Auckland"), placed, years=auckland) == "silver"
    assert at("2026-12-31T11:00:00", ladder(zone="Pacific/Auckland"), placed, years=auckland) == "bronze"


@pytest.mark.parametrize(
    ("joined", "zone", "year", "starts"),
    [
        ("2024-02-29T12:00", "UTC", 2025, "2025-02-28T00:00"),
        ("2024-02-29T12:00", "UTC", 2028, "2028-02-29T00:00"),
        ("2024-03-10T20:00", "America/New_York", 2024, "2024-03-10T05:00"),  # midnight before the clocks change
        ("2024-03-11T20:00", "America/New_York", 2024, "2024-03-11T04:00"),
        ("2024-06-30T23:30", "Europe/Berlin", 2025, "2025-06-30T22:00"),  # already 1 July there
        ("2018-11-04T12:00", "America/Sao_Paulo", 2018, "2018-11-04T03:00"),  # a day without a midnight
    ],
)
def test_membership_years(joined: str, zone: str, year: int, starts: str) -> None:
    assert Years.since(on(joined), zone).start(year) == on(starts)


@given(
    st.integers(1_262_304_000, 2_208_988_800).map(lambda second: datetime.fromtimestamp(second, UTC)),
    st.dates(date(2010, 1, 1), date(2040, 1, 1)),
    st.sampled_from(["UTC", "Pacific/Auckland", "Pacific/Pago_Pago", "America/New_York", "Asia/Kolkata"]),
)
def test_every_moment_lies_in_one_year(moment: datetime, joined: date, zone: str) -> None:
    years = Years(zone, joined.month, joined.day)
    year = years.of(moment)
    assert years.start(year) <= moment < years.start(year + 1)


def test_when_a_year_ladder_is_looked_at_again() -> None:
    history, now = SpendHistory(on("2000-01-01"), 0, [(on("2025-05-01"), 600)]), on("2025-06-01")
    assert next_look(history, ladder(), "silver", now, CALENDAR) == on("2026-01-01")
    assert next_look(history, ladder(30), "silver", now, CALENDAR) == on("2026-01-31")
    assert next_look(history, ladder(30), "silver", on("2026-01-15"), CALENDAR) == on("2026-01-31")
    assert next_look(history, ladder(), "bronze", now, CALENDAR) is None


@pytest.mark.parametrize(
    ("facts", "until", "missing"),
    [
        ([("2025-05-01", 600)], "2027-01-01", 300),  # reached this year: this one and the next
        ([("2024-05-01", 600), ("2025-05-01", 100)], "2026-01-01", 200),
        ([("2024-05-01", 600), ("2025-05-01", 300)], "2027-01-01", 300),
    ],
)
def test_until_when_a_tier_is_kept(facts: list[tuple[str, int]], until: str, missing: int) -> None:
    history = SpendHistory(on("2000-01-01"), 0, [(on(when), amount) for when, amount in facts])
    assert kept(ladder(), history, "silver", on("2025-06-01"), CALENDAR) == (on(until), missing)


# The same told once more, the slow way: a diary that is kept day by day.

FIRST = date(2020, 1, 1)
facts = st.lists(st.tuples(st.integers(0, 4 * 366), st.integers(-400, 900)), max_size=25)


def diary(ladder: Ladder, spent: dict[date, int], years: Years, last: date) -> Iterator[int]:
    """The place at the end of each day. A year's book stays open through its grace."""
    place, carried, book, kept_open = 0, 0, 0, None
    grace = ladder.measure.grace.days
    day = FIRST
    while day <= last:
        if day == years.start(day.year).astimezone(ZoneInfo(years.zone)).date():
            kept_open, book, opened = (place, book), 0, day
            carried = place
        if kept_open and (day - opened).days == grace:
            held, old = kept_open
            enough = max(n for n, rung in enumerate(ladder.rungs) if n == 0 or (n <= held and old >= rung.to_keep))
            carried, kept_open = max(enough, held - 1 if ladder.one_step else 0), None
        book += spent.get(day, 0)
        if kept_open:
            kept_open = kept_open[0], kept_open[1] + spent.get(day, 0)
        place = max(carried, *(n for n, rung in enumerate(ladder.rungs) if n == 0 or book >= rung.threshold))
        yield place
        day += DAY


@given(
    facts,
    st.sampled_from([0, 1, 30, 180]),
    st.booleans(),
    st.integers(0, 4 * 366),
    st.sampled_from([(1, 1), (2, 29), (7, 15)]),
)
def test_the_ladder_tells_what_a_diary_tells(
    told: list[tuple[int, int]], grace: int, one_step: bool, last: int, begins: tuple[int, int]
) -> None:
    years, climbed = Years("UTC", *begins), ladder(grace, one_step)
    spent: dict[date, int] = {}
    for day, amount in told:
        spent[FIRST + day * DAY] = spent.get(FIRST + day * DAY, 0) + amount
    entries = [(datetime(d.year, d.month, d.day, 12, tzinfo=UTC), amount) for d, amount in spent.items()]
    *_, place = diary(climbed, spent, years, FIRST + last * DAY)
    evening = datetime.combine(FIRST + last * DAY, datetime.max.time(), UTC)
    held: Any = standing(climbed, SpendHistory(entries[0][0] if entries else evening, 0, entries), evening, years)
    assert climbed.place(held.rung.key) == place


def test_an_instant_before_a_year_ends_is_that_year() -> None:
    assert CALENDAR.of(on("2026-01-01") - INSTANT) == 2025
