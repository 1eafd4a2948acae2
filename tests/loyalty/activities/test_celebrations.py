"""Birthdays and anniversaries come round by the shop's clock, once a year, and a day missed is made up for."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from core import clock
from core.errors import Conflict
from loyalty.activities import celebrations, jobs
from loyalty.activities.models import Round
from loyalty.models import Member, Posting
from shops.models import Shop
from tests.loyalty.activities.rig import ACTIVITIES, LONG_AGO, World, program

DAY = timedelta(days=1)
BIRTHDAY, ANNIVERSARY = ACTIVITIES[:2]


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    world = World(database_url, program([BIRTHDAY]))
    yield world
    world.database.dispose()


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}Z" if "T" in text else f"{text}T09:00:00Z")


def go_round(world: World, moment: str) -> int:
    with clock.fixed_at(at(moment)):
        return celebrations.go_round(world.database, world.shop_id, at(moment))


def born(world: World, month: int, day: int, *, told: str = "2025-10-01", tier: str | None = None) -> int:
    member = world.join(tier=tier)
    world.birthday(member, month, day, at=at(told))
    return member


def test_a_birthday_brings_its_points_once(world: World) -> None:
    ann, bob, eve = born(world, 3, 2), born(world, 3, 2, tier="advocate"), born(world, 3, 3)
    assert [go_round(world, day) for day in ("2026-03-01", "2026-03-02", "2026-03-02T21:00:00")] == [0, 2, 0]
    assert go_round(world, "2026-03-03") == 1
    assert world.earned(ann) == [("birthday", "2026", 101)]
    assert world.told(ann) == ["Happy birthday! 101 points for you."]
    assert world.told(bob) == ["Happy birthday! 151 points for you, instead of 101, because you're an Advocate."]
    assert world.member(eve).available == 151
    assert go_round(world, "2027-03-02") == 2
    with world.open() as session:
        keys = session.scalars(
            sa.select(Posting.key).where(Posting.member_id == ann, Posting.rule == "birthday").order_by(Posting.id)
        )
        assert keys.all() == [f"birthday:{ann}:2026", f"birthday:{ann}:2027"]
    assert world.proven()


@pytest.mark.parametrize(
    ("told", "points"), [("2026-01-31", 101), ("2026-01-31T23:59:59", 101), ("2026-02-01T00:00:00", 0)]
)
def test_the_date_has_to_be_told_thirty_days_before(world: World, told: str, points: int) -> None:
    ann = born(world, 3, 2, told=told)
    go_round(world, "2026-03-02")
    assert world.member(ann).available == 50 + points


@pytest.mark.parametrize(
    ("zone", "before", "on"),
    [
        ("Pacific/Auckland", "2026-03-01T10:59:00", "2026-03-01T11:00:00"),
        ("America/New_York", "2026-03-02T04:59:00", "2026-03-02T05:00:00"),
        ("UTC", "2026-03-01T23:59:00", "2026-03-02T00:00:00"),
    ],
)
def test_the_day_begins_when_it_does_in_the_shop(world: World, zone: str, before: str, on: str) -> None:
    world.publish(program([BIRTHDAY], timezone=zone), LONG_AGO + DAY)
    born(world, 3, 2)
    assert (go_round(world, before), go_round(world, on)) == (0, 1)


def test_a_leap_day_is_celebrated_on_the_28th_of_other_years(world: World) -> None:
    ann, bob = born(world, 2, 29), born(world, 2, 28)
    assert go_round(world, "2026-02-28") == 2
    assert [go_round(world, day) for day in ("2028-02-28", "2028-02-29")] == [1, 1]
    assert [fact for _, fact, _ in world.earned(ann)] == ["2026", "2028"]
    assert [fact for _, fact, _ in world.earned(bob)] == ["2026", "2028"]


def test_days_on_which_nothing_ran_are_made_up_for(world: World) -> None:
    born(world, 12, 30)
    born(world, 1, 2)
    go_round(world, "2025-12-28")
    assert go_round(world, "2026-01-05") == 2
    assert go_round(world, "2026-01-05T11:00:00") == 0


def test_a_rule_that_comes_back_does_not_celebrate_the_time_between(world: World) -> None:
    born(world, 2, 10)
    go_round(world, "2026-02-01")
    world.publish(program([]), at("2026-02-02"))
    go_round(world, "2026-02-03")
    world.publish(program([BIRTHDAY]), at("2026-02-20"))
    assert go_round(world, "2026-02-21") == 0


def test_who_moves_their_birthday_waits_for_about_a_year(world: World) -> None:
    ann = born(world, 12, 1, told="2024-11-30")
    assert go_round(world, "2025-12-01") == 1
    world.birthday(ann, 3, 2, at=at("2026-01-01"))
    assert go_round(world, "2026-03-02") == 0
    with pytest.raises(Conflict):
        world.birthday(ann, 6, 2, at=at("2026-03-03"))
    assert go_round(world, "2027-03-02") == 1


def test_no_birthday_is_missed_that_becomes_due_during_its_day(world: World) -> None:
    changed = [{**BIRTHDAY, "days_before": 0}]
    world.publish(program(changed), LONG_AGO + DAY)
    assert go_round(world, "2026-03-02T00:05:00") == 0
    born(world, 3, 2, told="2026-03-02T08:00:00")
    assert go_round(world, "2026-03-02T08:10:00") == 1


def test_merged_closed_and_erased_members_have_no_birthday(world: World) -> None:
    gone = [born(world, 3, 2) for _ in range(3)]
    for member, change in zip(gone, ({"merged_into": gone[0] + 9}, {"closed_at": at("2026-01-01")},
                                     {"erased_at": at("2026-01-01")}), strict=True):  # fmt: skip
        with world.open() as session:
            session.execute(sa.update(Member).where(Member.id == member).values(**change))
    assert go_round(world, "2026-03-02") == 0


def test_limits_and_tiers_hold_for_birthdays(world: World) -> None:
    rule = BIRTHDAY | {"tiers": ["advocate"], "limit": {"points_ever": 200}}
    world.publish(program([rule]), LONG_AGO + DAY)
    insider, advocate = born(world, 3, 2), born(world, 3, 2, tier="advocate")
    for day in ("2026-03-02", "2027-03-02", "2028-03-02"):
        go_round(world, day)
    assert [points for _, _, points in world.earned(advocate)] == [151, 49]
    assert world.earned(insider) == []


def test_an_anniversary_comes_every_year_after_the_first(world: World) -> None:
    world.publish(program([ANNIVERSARY]), LONG_AGO + DAY)
    ann = world.join(at=at("2024-02-29"))
    bob = world.join(at=at("2026-02-28"))
    for day in ("2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-28", "2028-02-29"):
        go_round(world, day)
    assert [fact for _, fact, _ in world.earned(ann)] == ["2025", "2026", "2027", "2028"]
    assert [fact for _, fact, _ in world.earned(bob)] == ["2027", "2028"]
    assert world.told(ann)[:2] == [
        "80 points for 1 year with us. Thank you!",
        "80 points for 2 years with us. Thank you!",
    ]


def test_batches_go_through_everybody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    members = [born(world, 3, 2) for _ in range(7)]
    monkeypatch.setattr(celebrations, "BATCH", 3)
    monkeypatch.setattr(celebrations, "_DUE", {"birthday": lambda *given: celebrations._birthdays(*given)[:3]})
    assert go_round(world, "2026-03-02") == 7
    assert [len(world.earned(member)) for member in members] == [1] * 7


def test_a_shop_that_fails_or_left_keeps_no_other_from_its_birthdays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.shop_id
    left, second = (world.open_shop(f"{name}.myshopify.com", program([BIRTHDAY])) for name in ("left", "bakery"))
    with world.database.transaction() as session:
        session.execute(sa.update(Shop).where(Shop.id == left).values(uninstalled_at=LONG_AGO))
    for shop in (left, second):
        world.shop_id = shop
        born(world, 3, 2)
    real, seen = celebrations.go_round, []

    def failing(database: object, shop_id: int, now: datetime) -> int:
        seen.append(shop_id)
        if shop_id == first:
            raise RuntimeError("on purpose")
        return real(world.database, shop_id, now)

    monkeypatch.setattr(celebrations, "go_round", failing)
    monkeypatch.setattr(jobs, "database", lambda: world.database)
    with clock.fixed_at(at("2026-03-02")):
        jobs.celebrate()
    assert seen == [first, second]
    with world.database.transaction(left, second) as session:
        assert session.scalars(sa.select(Posting.shop_id).where(Posting.rule == "birthday")).all() == [second]
        assert session.scalars(sa.select(Round.day).where(Round.shop_id == second)).all() == [at("2026-03-01").date()]
