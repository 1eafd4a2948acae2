"""Gifts reach everybody they are meant for, once, also when they are interrupted."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import Conflict, InvalidInput
from loyalty.activities import giving
from loyalty.activities.giving import give_batch
from loyalty.activities.models import Gift
from loyalty.models import Member, Posting
from tests.loyalty.activities.rig import T0, World, program


def decide(world: World, points: int = 100, reason: str = "Happy holidays", key: str = "k", **whom: Any) -> int:
    with world.open() as session:
        return giving.gift(session, world.shop_id, points=points, reason=reason, actor="api:1", key=key, **whom).id


def give(world: World, gift_id: int) -> None:
    while step(world, gift_id):
        pass


def step(world: World, gift_id: int) -> bool:
    with world.open() as session:
        return give_batch(session, world.shop_id, gift_id, T0)


def gift(world: World, gift_id: int) -> Gift:
    with world.open() as session:
        return giving.find(session, world.shop_id, gift_id)


def balances(world: World, members: Sequence[int]) -> list[int]:
    return [world.member(member).available for member in members]


def test_a_gift_to_some(world: World) -> None:
    ann, bob, eve = (world.join() for _ in range(3))
    made = decide(world, members=[eve, ann, ann])
    assert gift(world, made).total == 2
    give(world, made)
    assert balances(world, [ann, bob, eve]) == [150, 50, 150]
    assert world.told(ann) == ["100 points, a gift from the shop: Happy holidays."]
    done = gift(world, made)
    assert (done.given, done.finished_at) == (2, T0)
    with world.open() as session:
        assert session.scalars(sa.select(Posting.key).where(Posting.rule == "gift")).all() == [
            f"gift:{made}:{ann}",
            f"gift:{made}:{eve}",
        ]
    assert world.proven()


def test_a_gift_to_tiers_and_to_everybody(world: World) -> None:
    insider, advocate = world.join(), world.join(tier="advocate")
    of_tier = decide(world, key="a", tiers=["advocate"])
    to_all = decide(world, key="b", everybody=True)
    late = world.join()
    for made in (of_tier, to_all):
        give(world, made)
    assert balances(world, [insider, advocate, late]) == [150, 250, 50]
    assert [gift(world, made).total for made in (of_tier, to_all)] == [1, 2]


def test_merged_members_lead_to_who_remained_before_and_while_it_is_given(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving, "BATCH", 1)
    first, second, third, fourth = (world.join() for _ in range(4))

    def merge(gone: int, kept: int) -> None:
        with world.open() as session:
            session.execute(sa.update(Member).where(Member.id == gone).values(merged_into=kept))

    merge(second, first)
    made = decide(world, members=[first, second, fourth])
    assert gift(world, made).total == 2
    assert step(world, made)
    merge(fourth, third)
    give(world, made)
    assert balances(world, [first, second, third, fourth]) == [150, 50, 150, 50]


def test_a_merge_while_a_batch_waits_for_its_members_costs_nobody_the_gift(world: World) -> None:
    """The batch has read whom it is for and waits for a lock; then they are somebody else."""
    gone, kept = world.join(), world.join()
    made = decide(world, members=[gone])
    with ThreadPoolExecutor() as pool:
        with world.database.transaction(world.shop_id) as merge:
            merge.execute(sa.update(Member).where(Member.id == gone).values(merged_into=kept))
            batch = pool.submit(give, world, made)
            wait_for_a_lock(world)
        batch.result()
    assert balances(world, [gone, kept]) == [50, 150]
    assert gift(world, made).given == 1


def wait_for_a_lock(world: World) -> None:
    """Until some transaction waits for another."""
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(500):
        with world.database.transaction(world.shop_id) as session:
            if session.scalar(waiting):
                return
        sleep(0.01)
    raise AssertionError("nothing waits")


def test_unknown_members_are_named(world: World) -> None:
    ann = world.join()
    with pytest.raises(InvalidInput) as caught:
        decide(world, members=[ann, 777, 778])
    assert caught.value.detail == "there are no such members: 777, 778"
    assert caught.value.extra == {"members": ["777", "778"]}
    with pytest.raises(InvalidInput) as caught:
        decide(world, members=list(range(1000, 1030)))
    assert caught.value.detail.endswith("1019 and 10 more")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"points": 0}, "bad_points"),
        ({"points": -5}, "bad_points"),
        ({"points": 2**31}, "bad_points"),
        ({"everybody": False}, "bad_recipients"),
        ({"tiers": ["insider"]}, "bad_recipients"),
        ({"everybody": False, "tiers": ["gold"]}, "unknown_tiers"),
        ({"everybody": False, "members": list(range(1, 10_002))}, "bad_recipients"),
    ],
)
def test_a_gift_that_cannot_be_is_refused(world: World, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decide(world, **{"everybody": True} | changes)
    assert caught.value.code == code


def test_a_key_makes_one_gift(world: World) -> None:
    world.join()
    decide(world, everybody=True)
    with pytest.raises(Conflict):
        decide(world, everybody=True)


def test_five_thousand_are_given_to_once_though_it_was_stopped_half_way(world: World) -> None:
    members = world.join_many(5000)
    made = decide(world, everybody=True)
    assert all(step(world, made) for _ in range(4))
    with pytest.raises(KeyboardInterrupt):
        die_before_the_commit(world, made)
    half = gift(world, made)
    assert (half.given, half.cursor, half.finished_at) == (2000, members[1999], None)
    give(world, made)
    assert gift(world, made).given == 5000
    with world.open() as session:
        assert session.execute(
            sa.select(sa.func.min(Member.available), sa.func.max(Member.available), sa.func.count())
        ).one() == (150, 150, 5000)
        assert session.scalar(sa.select(sa.func.count()).where(Posting.rule == "gift")) == 5000
    assert world.proven()


def die_before_the_commit(world: World, made: int) -> None:
    with world.open() as session:
        give_batch(session, world.shop_id, made, T0)
        raise KeyboardInterrupt


def test_two_workers_never_give_the_same_batch(world: World) -> None:
    world.join()
    made = decide(world, everybody=True)
    with world.open() as session, world.database.transaction(world.shop_id) as other:
        session.scalars(sa.select(Gift).where(Gift.id == made).with_for_update()).one()
        assert not give_batch(other, world.shop_id, made, T0)
        assert give_batch(session, world.shop_id, made, T0) is False
    assert gift(world, made).given == 1


def test_gifts_count_for_a_ladder_that_goes_by_points(world: World) -> None:
    ladder = program().ladder.model_dump(mode="json") | {"metric": "points"}
    world.publish(program(ladder=ladder, joining={"points": 0}), T0)
    ann = world.join(at=T0)
    made = decide(world, members=[ann])
    give(world, made)
    assert world.facts() == [(ann, f"gift:{made}:{ann}", 100)]
