"""Courses answer from the database what the rules say of all facts at once."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from loyalty.operations import adjust
from loyalty.program import Bonus, Program
from loyalty.programs import Programs, Version
from loyalty.rules import Fact
from tests.tiers.members import JOINED, Club, Told, laddered, tiers
from tiers import courses
from tiers.ladders import ladder_of
from tiers.models import TierOverride
from tiers.rules import INSTANT, Override, SpendHistory, Years, standing
from tiers.spend import COLUMNS

FIRST = datetime(2021, 3, 1, tzinfo=UTC)
LADDERS: dict[str, Program] = {
    "rolling": laddered(window_days=90),
    "lifetime": laddered(period="lifetime"),
    "calendar": laddered(period="calendar_year", grace_days=45),
    "membership": laddered(period="membership_year", demotion="one_step"),
    "orders": laddered(metric="orders", period="calendar_year", tiers=tiers(("insider", 0), ("regular", 3))),
    "points": laddered(metric="points", window_days=200, tiers=tiers(("insider", 0), ("collector", 500))),
}
ZONED = {name: program.model_copy(update={"timezone": "Pacific/Auckland"}) for name, program in LADDERS.items()}
VERSIONS = [Version(n, FIRST, program) for n, program in enumerate(ZONED.values(), 1)]


def some_facts(chance: random.Random, count: int) -> list[Told]:
    """Over five years; some at midnight on 1 January there, some on the very moments that are asked about."""
    moments = [FIRST + timedelta(days=chance.randrange(1800), hours=chance.randrange(24)) for _ in range(count)]
    moments += [datetime(2023, 12, 31, 11, tzinfo=UTC), datetime(2024, 2, 28, 11, tzinfo=UTC)]
    return [
        Told(at, chance.randrange(-200_00, 500_00), chance.choice((1, 1, -1)), chance.randrange(300)) for at in moments
    ]


def replayed(told: list[Told], version: Version, moment: datetime, overrides: list[Override]) -> object:
    """The same by the rules alone, from every fact."""
    ladder = ladder_of(version)
    metric, period = ladder.measure.metric, ladder.measure.period
    entries = [(one.at, getattr(one, COLUMNS[metric])) for one in told]
    zone = ladder.measure.zone
    years = {"calendar_year": Years(zone), "membership_year": Years.since(JOINED, zone)}.get(period)
    history = SpendHistory(FIRST - timedelta(days=1), 0, entries)
    return standing(ladder, history, moment, years, overrides)


@pytest.mark.parametrize("seed", range(4))
def test_a_course_is_the_replay_of_all_facts(club: Club, seed: int) -> None:
    chance = random.Random(seed)
    members = club.join(6)
    told = {member: some_facts(chance, chance.randrange(40)) for member in members}
    club.tell_all((member, one) for member, facts in told.items() for one in facts)
    override = Override("advocate", FIRST + timedelta(days=700), FIRST + timedelta(days=900))
    with club.house.database.transaction(club.shop) as session:
        session.add(
            TierOverride(
                shop_id=club.shop, member_id=members[0], tier_key=override.key, since=override.since,
                until=override.until, reason="a friend", actor="test", recorded_at=FIRST,
            )
        )  # fmt: skip
        session.flush()
        for _ in range(12):
            since = chance.choice([FIRST + timedelta(days=chance.randrange(2000)), *(f.at for f in told[members[1]])])
            until = since + timedelta(days=chance.choice((0, 1, 50, 400)))
            keys = {(club.shop, member): since for member in members}
            course = courses.load(session, Programs({club.shop: VERSIONS}), keys, until)
            for member in members:
                for moment in (since, since + (until - since) / 2, until):
                    for version in VERSIONS:
                        given = [override] if member == members[0] else []
                        expected = replayed(told[member], version, moment, given)
                        assert course.at((club.shop, member), moment, version) == expected


def test_what_a_settlement_is_about_to_write_counts_in_place_of_what_is_stored(club: Club) -> None:
    (member,) = club.join(1)
    at = FIRST + timedelta(days=10)
    club.tell(member, Told(at, 100_00), Told(at, 900_00))
    key, version = (club.shop, member), VERSIONS[0]
    fresh = {key: [Fact("order", at, 300_00, 1)]}
    with club.house.database.transaction(club.shop) as session:
        course = courses.load(
            session, Programs({club.shop: [version]}), {key: at}, at + INSTANT, without=frozenset({(club.shop, 2)}),
            fresh=fresh,
        )  # fmt: skip
    assert course.at(key, at, version).value == 0
    assert course.at(key, at + INSTANT, version).value == 400_00
    course.add(key, [Fact("refund:1", at, -50_00), Fact("order", at + INSTANT, 1_00, 1)])
    assert course.at(key, at + INSTANT, version).value == 350_00


def test_orders_before_a_moment(club: Club) -> None:
    (member,) = club.join(1)
    at = FIRST + timedelta(days=10)
    club.tell(member, Told(FIRST, 100_00), Told(at, 0, 1), Told(at + INSTANT, 5, -1))
    bonus = Bonus(key="third", name="Third order", points=100, order_number=3)
    version = Version(1, FIRST, LADDERS["rolling"].model_copy(update={"bonuses": (bonus,)}))
    key = (club.shop, member)
    with club.house.database.transaction(club.shop) as session:
        course = courses.load(session, Programs({club.shop: [version]}), {key: at}, at + timedelta(days=1))
    moments = (at, at + INSTANT, at + 2 * INSTANT)
    assert [course.orders_before(key, moment) for moment in moments] == [1, 2, 1]


def test_a_tier_follows_earnings_and_not_the_balance(club: Club) -> None:
    """Points that were spent count for the tier as before: the ladder sums what was earned, never what is left."""
    (member,) = club.join(1)
    club.tell(member, Told(FIRST, 0, 1, 600))
    with club.house.database.transaction(club.shop) as session:
        adjust(session, club.shop, member, -590, "spent", actor="test", key="spent")
    assert club.tier_at(member, FIRST + timedelta(days=1), LADDERS["points"]) == "collector"
