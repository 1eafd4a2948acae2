"""When points expire: tables of exact moments, of lots, of reminders; and lots against a replay day by day."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.expiry.rules import (
    NEAR,
    Due,
    Expired,
    Lot,
    Policy,
    TakenBack,
    dues,
    ends,
    expired_in_vain,
    first_look,
    horizon,
    next_look,
    policy_in_force,
    remaining,
    reminders,
)
from loyalty.program import Expiry

YEAR = Expiry(days=365)
MONTH, TWELVE = Expiry(months=1), Expiry(months=12)
LOT = Expiry(kind="lot", months=12)
LOT_90 = Expiry(kind="lot", days=90)
EVER = datetime(2000, 1, 1, tzinfo=UTC)
T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expiry", "earned", "expires"),
    [
        (YEAR, "2026-01-05T10:00:00", "2027-01-05T10:00:00"),
        (YEAR, "2027-03-01T10:00:00", "2028-02-29T10:00:00"),  # 2028 has a day more
        (TWELVE, "2026-01-05T10:00:07", "2027-01-05T10:00:07"),
        (TWELVE, "2027-03-01T10:00:00", "2028-03-01T10:00:00"),
        (TWELVE, "2027-02-28T10:00:00", "2028-02-28T10:00:00"),
        (TWELVE, "2028-02-29T10:00:00", "2029-02-28T23:59:59.999999"),
        (Expiry(months=48), "2028-02-29T10:00:00", "2032-02-29T10:00:00"),
        (MONTH, "2026-01-28T10:00:00", "2026-02-28T10:00:00"),
        (MONTH, "2026-01-29T09:00:00", "2026-02-28T23:59:59.999999"),
        (MONTH, "2026-01-31T00:00:00", "2026-02-28T23:59:59.999999"),
        (MONTH, "2026-02-28T10:00:00", "2026-03-28T10:00:00"),
        (MONTH, "2026-12-31T23:59:59", "2027-01-31T23:59:59"),
        (Expiry(months=6), "2026-08-31T08:00:00", "2027-02-28T23:59:59.999999"),
        (Expiry(months=120), "2026-05-05T05:05:05", "2036-05-05T05:05:05"),
        (Expiry(days=30), "2026-03-28T22:00:00", "2026-04-27T22:00:00"),  # clocks change in between
    ],
)
def test_a_time_is_over_to_the_second(expiry: Expiry, earned: str, expires: str) -> None:
    assert ends(expiry, at(earned)) == at(expires)


def test_the_months_are_those_of_utc() -> None:
    late = datetime(2026, 1, 31, 22, tzinfo=timezone(-timedelta(hours=5)))  # 1 February, 03:00 in UTC
    assert ends(MONTH, late) == at("2026-03-01T03:00:00")


moments = st.integers(0, 10**12).map(lambda millis: T0 + timedelta(milliseconds=millis))
expiries = st.builds(lambda n: Expiry(kind="lot", months=n), st.integers(1, 60)) | st.builds(
    lambda n: Expiry(kind="lot", days=n), st.integers(30, 900)
)


@given(expiries, moments, moments)
def test_what_was_earned_later_never_expires_sooner(expiry: Expiry, one: datetime, other: datetime) -> None:
    assert (one <= other) <= (ends(expiry, one) <= ends(expiry, other))


@given(expiries, moments)
def test_the_first_look_is_never_too_late(expiry: Expiry, earned: datetime) -> None:
    look = first_look(expiry, earned)
    ahead = dues(Policy(expiry, EVER), 10, earned, [Lot(earned, 10)])
    assert look is not None
    assert earned < look == next_look(ahead, earned) <= ends(expiry, earned)


@given(expiries, moments, moments)
def test_nothing_earned_after_the_horizon_is_near(expiry: Expiry, now: datetime, earned: datetime) -> None:
    if earned > horizon(expiry, now):
        assert ends(expiry, earned) > now + 30 * DAY
        assert first_look(expiry, earned) > now
    elif earned < horizon(expiry, now) - 4 * DAY:
        assert ends(expiry, earned) < now + NEAR


def test_without_expiry_nobody_needs_to_look() -> None:
    assert first_look(None, T0) is None
    assert dues(None, 100, T0) == []


@pytest.mark.parametrize(
    ("published", "policy"),
    [
        ([], None),
        ([(0, None)], None),
        ([(0, YEAR)], (YEAR, 30)),
        ([(0, Expiry(days=365, notice_days=90))], (Expiry(days=365, notice_days=90), 90)),
        ([(0, YEAR), (100, LOT)], (LOT, 130)),  # another kind: notice anew
        ([(0, YEAR), (100, TWELVE)], (TWELVE, 130)),  # another length
        ([(0, YEAR), (100, YEAR), (200, YEAR)], (YEAR, 30)),  # the same all along
        ([(0, YEAR), (100, None), (200, YEAR)], (YEAR, 230)),  # it was off in between
        ([(0, YEAR), (100, None)], None),
        ([(0, YEAR), (400, LOT)], (YEAR, 30)),  # not in force yet
        ([(0, YEAR), (100, LOT), (100, YEAR)], (YEAR, 30)),  # superseded in its first second
        ([(500, YEAR)], (YEAR, 530)),  # before the first, the first
    ],
)
def test_the_policy_in_force_and_its_notice(published: list, policy: tuple | None) -> None:
    course = [(T0 + days * DAY, expiry) for days, expiry in published]
    wanted = policy and Policy(policy[0], T0 + policy[1] * DAY)
    assert policy_in_force(course, T0 + 300 * DAY) == wanted


def test_a_policy_begins_in_its_second() -> None:
    course = [(T0, None), (T0 + DAY, YEAR)]
    assert policy_in_force(course, T0 + DAY - SECOND) is None
    assert policy_in_force(course, T0 + DAY) == Policy(YEAR, T0 + 31 * DAY)


def test_points_earned_before_a_policy_stay_until_its_notice_is_over() -> None:
    policy = Policy(LOT_90, T0 + 30 * DAY)
    lots = [Lot(T0 - 10 * DAY, 5), Lot(T0 - 200 * DAY, 7), Lot(T0 - 900 * DAY, 11)]
    assert dues(policy, 23, T0, lots) == [
        Due(T0 + 30 * DAY, 18, T0 - 900 * DAY, T0 - 200 * DAY),
        Due(T0 + 80 * DAY, 5, T0 - 10 * DAY, T0 - 10 * DAY),
    ]


@pytest.mark.parametrize(
    ("available", "left"),
    [
        (0, []),
        (-40, []),
        (1, [(3, 1)]),
        (80, [(3, 80)]),
        (110, [(3, 80), (2, 30)]),
        (130, [(3, 80), (2, 50)]),
        (229, [(3, 80), (2, 50), (1, 99)]),
        (230, [(3, 80), (2, 50), (1, 100)]),
    ],
)
def test_the_oldest_points_are_spent_first(available: int, left: list) -> None:
    earned = [Lot(T0 + 3 * DAY, 80), Lot(T0 + 2 * DAY, 50), Lot(T0 + DAY, 100)]
    assert remaining(earned, available) == [Lot(T0 + day * DAY, points) for day, points in left]


def test_by_inactivity_all_points_expire_together() -> None:
    policy = Policy(YEAR, EVER)
    assert dues(policy, 320, T0) == [Due(T0 + 365 * DAY, 320, T0, T0)]
    assert dues(policy, 0, T0) == dues(policy, -5, T0) == []


def test_points_of_unknown_age_count_from_the_last_activity() -> None:
    policy = Policy(LOT_90, EVER)
    assert dues(policy, 100, T0, [Lot(T0 - DAY, 60)]) == [
        Due(T0 + 89 * DAY, 60, T0 - DAY, T0 - DAY),
        Due(T0 + 90 * DAY, 40, T0, T0),
    ]


def replayed(steps: list[tuple[int, int]]) -> list[Lot]:
    """The lots left when points are earned (above zero) and spent, oldest first, in the order of their days.

    What is spent beyond what there is, the next earnings make good.
    """
    lots: list[list[int]] = []
    owed = 0
    for day, points in sorted(steps, key=lambda step: step[0]):
        if points > 0:
            kept = max(0, points - owed)
            owed -= points - kept
            lots.append([day, kept])
            continue
        owed -= points
        for lot in lots:
            taken = min(lot[1], owed)
            lot[1] -= taken
            owed -= taken
    together: dict[int, int] = {}
    for day, points in lots:
        together[day] = together.get(day, 0) + points
    return [Lot(T0 + day * DAY, points) for day, points in sorted(together.items()) if points]


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(-300, 300).filter(bool)), max_size=40))
def test_lots_are_those_of_a_replay(steps: list[tuple[int, int]]) -> None:
    earned = sorted((Lot(T0 + day * DAY, points) for day, points in steps if points > 0), reverse=True)
    available = sum(points for _, points in steps)
    found = dues(Policy(Expiry(kind="lot", days=30), EVER), available, T0, earned)
    assert [Lot(due.since, due.points) for due in found] == replayed(steps)
    assert sum(due.points for due in found) == max(0, available)


def due_on(day: int, points: int = 10, earned: int = -365) -> Due:
    return Due(T0 + day * DAY, points, T0 + earned * DAY, T0 + earned * DAY)


@pytest.mark.parametrize(
    ("due", "told", "now", "days"),
    [
        (40, None, 9, []),
        (40, None, 10, [30]),
        (40, 10, 10, []),  # given already
        (40, 10, 32, []),
        (40, 10, 33, [7]),
        (40, 33, 38, []),
        (40, 33, 39, [1]),
        (40, 39, 40, []),  # it expires: too late to remind
        (40, None, 36, [7]),  # of those missed, the last
        (40, None, 39, [1]),
        (50, 10, 20, [30]),  # another date reminds anew
        (50, 33, 43, [7]),
    ],
)
def test_each_reminder_is_given_once(due: int, told: int | None, now: int, days: list) -> None:
    until = None if told is None else T0 + told * DAY
    given = reminders([due_on(due)], until, T0 + now * DAY)
    assert [reminder.days for reminder in given] == days


def test_points_that_live_a_month_are_not_reminded_of_when_they_are_earned() -> None:
    assert reminders([due_on(30, earned=0)], None, T0) == []
    assert next_look([due_on(30, earned=0)], T0) == T0 + 23 * DAY


def test_several_dues_are_reminded_of_each_in_its_turn() -> None:
    ahead = [due_on(5), due_on(20), due_on(31), due_on(32)]
    given = reminders(ahead, None, T0 + DAY)
    assert [(reminder.due.at, reminder.days) for reminder in given] == [
        (T0 + 20 * DAY, 30),
        (T0 + 5 * DAY, 7),
        (T0 + 31 * DAY, 30),
    ]
    assert reminders(ahead, given[-1].at, T0 + DAY) == []
    assert next_look(ahead, T0 + DAY) == T0 + 2 * DAY


@pytest.mark.parametrize(
    ("history", "twice"),
    [
        ([], 0),
        ([Expired(T0, 100)], 0),
        ([TakenBack(T0 - DAY, 40)], 0),
        ([TakenBack(T0 - DAY, 40), Expired(T0, 60)], 0),  # refunded before: it did not expire
        ([Expired(T0, 100), TakenBack(T0 - DAY, 40)], 40),
        ([Expired(T0, 100), TakenBack(T0 - DAY, 40), TakenBack(T0 - DAY, 100)], 100),
        ([Expired(T0, 30), TakenBack(T0 - DAY, 40)], 30),  # the other 10 were spent
        ([Expired(T0, 100), TakenBack(T0 + DAY, 40)], 0),  # placed afterwards
        ([Expired(T0, 30), Expired(T0 + DAY, 50), TakenBack(T0 - DAY, 60)], 60),
        ([Expired(T0, 30), Expired(T0 + 2 * DAY, 50), TakenBack(T0 + DAY, 60)], 50),
        ([Expired(T0, 30, in_error=True)], 30),
        ([Expired(T0, 30, in_error=True), TakenBack(T0 - DAY, 20)], 30),
        ([Expired(T0, 30, in_error=True), Expired(T0 + DAY, 10), TakenBack(T0 - DAY, 20)], 40),
    ],
)
def test_points_that_should_not_have_expired(history: list, twice: int) -> None:
    assert expired_in_vain(history) == twice
