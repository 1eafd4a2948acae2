"""What SQL says of many members at once is what the rules say of each."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from loyalty.programs import Programs, Version
from tests.tiers.members import Club
from tests.tiers.test_courses import FIRST, ZONED, some_facts
from tiers import courses, measuring
from tiers.courses import look_back
from tiers.ladders import ladder_of
from tiers.models import TierOverride
from tiers.rules import INSTANT

MOMENTS = [
    FIRST - timedelta(days=400),
    datetime(2023, 12, 31, 11, tzinfo=UTC) - 2 * INSTANT,  # midnight there
    datetime(2023, 12, 31, 11, tzinfo=UTC) - INSTANT,
    datetime(2023, 12, 31, 11, tzinfo=UTC),
    datetime(2024, 2, 14, 11, tzinfo=UTC) - INSTANT,  # 45 days of grace are over
    datetime(2024, 2, 28, 11, tzinfo=UTC),
    datetime(2025, 8, 1, 5, tzinfo=UTC),
    datetime(2030, 1, 1, tzinfo=UTC),
]


@pytest.mark.parametrize("name", ZONED)
def test_measured_in_sql_is_measured_by_the_rules(club: Club, name: str) -> None:
    chance = random.Random(name)
    for _ in range(30):  # a tier that no ladder has, so that everybody moves and is told of
        club.join(1, "nowhere", FIRST + timedelta(days=chance.randrange(1800), hours=chance.randrange(24)))
    club.tell_all((member, one) for member in club.ids for one in some_facts(chance, chance.randrange(25)))
    give(club, club.ids[3], "advocate", FIRST, None)
    give(club, club.ids[4], "nowhere", FIRST, None)
    give(club, club.ids[5], "insider", FIRST + timedelta(days=900), MOMENTS[3] + INSTANT)
    version = Version(1, FIRST, ZONED[name])
    for now in MOMENTS:
        compare(club, version, now)


def give(club: Club, member: int, tier: str, since: datetime, until: datetime | None) -> None:
    with club.house.database.transaction(club.shop) as session:
        session.add(
            TierOverride(
                shop_id=club.shop, member_id=member, tier_key=tier, since=since, until=until, reason="x", actor="x",
                recorded_at=since,
            )
        )  # fmt: skip


def compare(club: Club, version: Version, now: datetime) -> None:
    ladder, keys = ladder_of(version), [(club.shop, member) for member in club.ids]
    alone = Programs({club.shop: [version]})
    with club.house.database.transaction(club.shop) as session:
        course = courses.load(session, alone, dict.fromkeys(keys, now), now + INSTANT)
        ahead = courses.load(session, alone, dict.fromkeys(keys, look_back(version, now)), now + INSTANT)
        found, after = {}, 0
        while told := measuring.move_range(session, club.shop, ladder, now, after, 7):
            found |= {moved.member_id: moved for moved in told.moved}
            after = told.last
    assert sorted(found) == club.ids
    for key in keys:
        moved, standing = found[key[1]], course.at(key, now + INSTANT, version)
        assert moved.standing == standing, (key, now)
        exact = ahead.next_look(key, standing.rung.key, now, version)
        assert (moved.look_at is None) == (exact is None)
        assert exact is None or (moved.look_at is not None and now < moved.look_at <= exact)  # never too late
