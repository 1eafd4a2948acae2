"""The ladder: thresholds to the cent, the window to the second."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiers.rules import INSTANT, Ladder, Measure, Override, Rung, SpendHistory, lapse, next_look, standing

YEAR = timedelta(days=365)
T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
LADDER = Ladder(
    (
        Rung("insider", "Insider", 0, Fraction(1)),
        Rung("advocate", "Advocate", 500_00, Fraction("1.25")),
        Rung("ambassador", "Ambassador", 1500_00, Fraction("1.5")),
    ),
    Measure(window=YEAR),
)


@pytest.mark.parametrize(
    ("spend", "key"),
    [
        (-100, "insider"),
        (0, "insider"),
        (499_99, "insider"),
        (500_00, "advocate"),
        (1499_99, "advocate"),
        (1500_00, "ambassador"),
        (10**12, "ambassador"),
    ],
)
def test_reached(spend: int, key: str) -> None:
    assert LADDER.reached(spend).key == key


def test_next_rung() -> None:
    rungs = [LADDER.above(key) for key in ("insider", "advocate", "ambassador", "from-an-old-ladder")]
    assert [rung and rung.key for rung in rungs] == ["advocate", "ambassador", None, "advocate"]


@pytest.mark.parametrize(
    ("placed", "counts"),
    [
        (T0, False),  # not before the moment
        (T0 - INSTANT, True),
        (T0 - YEAR, True),  # the window includes its first moment
        (T0 - YEAR - INSTANT, False),
        (datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC), True),  # no leap day in between: 365 days to the second
        (datetime(2025, 3, 1, 11, 59, 59, tzinfo=UTC), False),
    ],
)
def test_the_window_to_the_second(placed: datetime, counts: bool) -> None:
    history = SpendHistory(min(placed, T0 - YEAR), 0, [(placed, 100)])
    assert history.before(T0, YEAR) == (100 if counts else 0)


moments = st.integers(-800, 800).map(lambda days: T0 + timedelta(days=days))
facts = st.lists(st.tuples(moments, st.integers(-100, 1000)), max_size=30)


@given(facts, st.integers(-400, 400), st.integers(0, 400))
def test_a_base_and_a_few_entries_answer_like_the_whole_list(
    told: list[tuple[datetime, int]], first: int, ahead: int
) -> None:
    since = T0 + timedelta(days=first)
    asked = since + timedelta(days=ahead)
    base = sum(amount for at, amount in told if since - YEAR <= at < since)
    entries = [(at, amount) for at, amount in told if at >= since or since - YEAR <= at < asked - YEAR]
    plain = sum(amount for at, amount in told if asked - YEAR <= at < asked)
    assert SpendHistory(since, base, entries).before(asked, YEAR) == plain


def test_when_a_tier_lapses() -> None:
    history = SpendHistory(T0 - YEAR, 0, [(T0 - 300 * timedelta(days=1), 300_00), (T0 - timedelta(days=10), 300_00)])
    falls = lapse(history, LADDER, "advocate", T0)
    assert falls == T0 + timedelta(days=65) + INSTANT
    assert LADDER.reached(history.before(falls, YEAR)).key == "insider"
    assert LADDER.reached(history.before(falls - INSTANT, YEAR)).key == "advocate"
    assert lapse(history, LADDER, "insider", T0) is None


@given(facts)
def test_a_lapse_is_the_first_moment_below(told: list[tuple[datetime, int]]) -> None:
    spent = [(at, abs(amount) * 100) for at, amount in told if at < T0]
    history = SpendHistory(T0 - 5 * YEAR, 0, spent)
    key = LADDER.reached(history.before(T0, YEAR)).key
    falls = lapse(history, LADDER, key, T0)
    if key == "insider":
        assert falls is None
    else:
        assert falls is not None
        assert falls > T0
        assert LADDER.reached(history.before(falls - INSTANT, YEAR)).key == key
        assert history.before(falls, YEAR) < LADDER.rung(key).threshold


def test_a_change_that_becomes_known_later_counts_like_one_known_before() -> None:
    told = [(T0 + timedelta(days=n), 100 + n) for n in (5, 1, 3, 3, 9)]
    grown = SpendHistory(T0, 7, told[:1])
    for at, amount in told[1:]:
        grown.add(at, amount)
    whole = SpendHistory(T0, 7, told)
    for day in range(12):
        moment = T0 + timedelta(days=day)
        assert grown.before(moment, YEAR) == whole.before(moment, YEAR)


GIVEN = [
    Override("ambassador", T0, T0 + timedelta(days=10)),
    Override("advocate", T0 + timedelta(days=2), T0 + timedelta(days=4)),
    Override("gone-from-this-ladder", T0 + timedelta(days=5)),
]


@pytest.mark.parametrize(
    ("moment", "key", "by_hand"),
    [
        (T0, "insider", False),  # what happens at a moment is known just after it
        (T0 + INSTANT, "ambassador", True),
        (T0 + timedelta(days=3), "advocate", True),  # the later word holds
        (T0 + timedelta(days=4), "advocate", True),
        (T0 + timedelta(days=4) + INSTANT, "ambassador", True),
        (T0 + timedelta(days=10), "ambassador", True),  # a tier this ladder lacks is passed over
        (T0 + timedelta(days=10) + INSTANT, "insider", False),
    ],
)
def test_a_tier_by_hand_holds_while_it_lasts(moment: datetime, key: str, by_hand: bool) -> None:
    held = standing(LADDER, SpendHistory(T0 - YEAR, 0, [(T0 - YEAR, 20_00)]), moment, None, GIVEN)
    assert (held.rung.key, held.by_hand) == (key, by_hand)


def test_a_tier_by_hand_is_looked_at_when_it_ends() -> None:
    history = SpendHistory(T0 - YEAR, 0, [])
    assert next_look(history, LADDER, "ambassador", T0, override=GIVEN[0]) == T0 + timedelta(days=10) + INSTANT
    assert next_look(history, LADDER, "ambassador", T0, override=GIVEN[2]) is None


def test_what_is_dated_ahead_is_looked_at_when_its_time_comes() -> None:
    ahead = T0 + timedelta(days=1)
    assert next_look(SpendHistory(T0 - YEAR, 0, [(ahead, 900_00)]), LADDER, "insider", T0) == ahead + INSTANT
