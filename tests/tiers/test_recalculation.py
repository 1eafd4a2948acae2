"""A ladder that changes: who would move where, moving them, and going on where it stopped."""

import random
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from core import clock
from core.effects import Effect
from core.events import Event
from loyalty.models import Member, Posting
from loyalty.program import Program, demo_program
from loyalty.programs import Version
from tests.tiers.members import Club, Told, laddered, tiers
from tests.webhooks.rig import LONG_AGO, at_once
from tiers import commands, jobs, recalculation
from tiers.models import Recalculation, TierPeriod
from tiers.recalculation import Move, Preview

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
EASIER = laddered(tiers=tiers(("insider", 0), ("advocate", 300_00), ("ambassador", 1000_00)))


@pytest.fixture
def filled(club: Club) -> Club:
    """Nine members who spent 0, 200.00, 400.00, … in May, each in the tier of the demo's ladder."""
    for place, tier in enumerate(["insider"] * 3 + ["advocate"] * 5 + ["ambassador"]):
        (member,) = club.join(1, tier)
        club.tell(member, Told(NOW - 10 * DAY, place * 200_00))
    return club


def seen(club: Club, program: Program) -> Preview:
    with clock.fixed_at(NOW), club.house.database.transaction(club.shop) as session:
        return recalculation.preview(session, club.shop, Version(0, NOW, program), NOW)


def run(club: Club, moment: datetime = NOW) -> Recalculation:
    with clock.fixed_at(moment):
        return recalculation.run(club.house.database, club.shop)


def test_who_would_move_where(filled: Club) -> None:
    told = seen(filled, EASIER)
    ids = filled.ids
    assert told.members == 9
    assert told.moves == [
        Move("advocate", "ambassador", "up", 3, tuple(ids[5:8])),
        Move("insider", "advocate", "up", 1, (ids[2],)),
    ]
    assert (told.going("up"), told.going("down")) == (4, 0)
    assert filled.rows(TierPeriod) == []
    assert set(filled.tiers().values()) == {"insider", "advocate", "ambassador"}


def test_the_ladder_in_force_moves_nobody(filled: Club) -> None:
    assert seen(filled, demo_program()).moves == []


def test_a_tier_that_is_gone_is_neither_up_nor_down(filled: Club) -> None:
    told = seen(filled, laddered(tiers=tiers(("member", 0), ("friend", 500_00))))
    assert {move.direction for move in told.moves} == {"other"}
    assert sum(move.members for move in told.moves) == 9


def test_members_move_once_the_version_is_in_force(filled: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "database", lambda: filled.house.database)
    number = filled.publish(EASIER, NOW)
    for moment, after in ((NOW - DAY, "insider"), (NOW + DAY, "advocate"), (NOW + 2 * DAY, "advocate")):
        with clock.fixed_at(moment):
            jobs.recalculate()
        assert filled.tiers()[filled.ids[2]] == after
    rows = {row.program_version: row for row in filled.rows(Recalculation)}
    assert (rows[number].total, rows[number].done, rows[number].moved) == (9, 9, 4)
    assert rows[number].finished_at == NOW + DAY
    assert len(filled.rows(TierPeriod)) == 4
    kinds = sorted(row.kind for row in filled.rows(Event))
    assert kinds == ["ladder.recalculated", *["tier.changed"] * 4]
    wanted = {(row.kind, row.target) for row in filled.rows(Effect)}
    assert ("shopify.tier_perks", "shop") in wanted


def test_it_goes_on_where_it_stopped(filled: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recalculation, "BATCH", 4)
    filled.publish(EASIER, NOW)
    steps = []

    def stop_after_the_second(row: Recalculation) -> None:
        steps.append((row.done, row.moved))
        if len(steps) == 2:
            raise KeyboardInterrupt

    with clock.fixed_at(NOW), pytest.raises(KeyboardInterrupt):
        recalculation.run(filled.house.database, filled.shop, stop_after_the_second)
    assert steps == [(4, 1), (8, 4)]
    assert (run(filled).done, len(filled.rows(TierPeriod))) == (9, 4)


def test_two_workers_at_once_move_everybody_once(filled: Club) -> None:
    filled.publish(EASIER, NOW)
    assert at_once(*[lambda: recalculation.run(filled.house.database, filled.shop)] * 3) == []
    assert len(filled.rows(TierPeriod)) == 4


def test_a_version_with_the_same_ladder_measures_nobody(filled: Club) -> None:
    filled.publish(demo_program("Another name"), NOW)
    assert (run(filled).done, filled.rows(Event)) == (0, [])


def test_a_version_that_came_and_went_while_it_was_at_work_is_undone(
    filled: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recalculation, "BATCH", 4)
    filled.publish(EASIER, NOW)
    with filled.house.database.transaction(filled.shop) as session:
        recalculation.advance(session, filled.shop, NOW)
    assert filled.tiers()[filled.ids[2]] == "advocate"
    filled.publish(demo_program(), NOW + DAY)
    run(filled, NOW + DAY)
    assert filled.tiers()[filled.ids[2]] == "insider"


def test_tiers_switched_off_and_on_again_demote_nobody_in_silence(filled: Club) -> None:
    """Everybody one tier for a while; then the ladder is back, higher than it was: the preview says who falls."""
    filled.publish(laddered(tiers=tiers(("insider", 0))), NOW)
    run(filled)
    assert set(filled.tiers().values()) == {"insider"}
    harder = laddered(tiers=tiers(("insider", 0), ("advocate", 900_00), ("ambassador", 1500_00)))
    filled.publish(demo_program(), NOW + DAY)
    run(filled, NOW + DAY)
    assert sorted(filled.tiers().values()) == ["advocate"] * 5 + ["ambassador"] + ["insider"] * 3
    assert seen(filled, harder).going("down") == 2


def test_perks_that_change_reach_members_who_stay(filled: Club) -> None:
    demo = demo_program()
    richer = [tier.model_copy(update={"perks": (*tier.perks, "gift-wrap")}) for tier in demo.ladder.tiers[1:2]]
    ladder = demo.ladder.model_copy(update={"tiers": (demo.ladder.tiers[0], *richer, demo.ladder.tiers[2])})
    filled.publish(demo.model_copy(update={"ladder": ladder}), NOW)
    assert run(filled).moved == 0
    wanted = {row.target for row in filled.rows(Effect) if row.kind == "shopify.tier_tag"}
    assert wanted == {str(member) for member in filled.ids[3:8]}


def test_gifts_go_to_those_who_rise(filled: Club) -> None:
    given = {"advocate": {"entry_gift": 100}}
    filled.publish(laddered(tiers=tiers(("insider", 0), ("advocate", 300_00), ("ambassador", 1500_00), **given)), NOW)
    run(filled)
    assert [(row.member_id, row.points) for row in filled.rows(Posting)] == [(filled.ids[2], 100)]


@pytest.mark.parametrize("changes", [
    {"window_days": 90},
    {"period": "lifetime"},
    {"period": "calendar_year", "grace_days": 20},
    {"period": "membership_year", "demotion": "one_step"},
])  # fmt: skip
def test_recalculated_is_what_the_rules_say_of_each(club: Club, changes: dict[str, object]) -> None:
    chance, joined = random.Random(7), datetime(2023, 2, 5, tzinfo=UTC)
    club.join(60, joined=joined)
    moments = [joined + timedelta(days=chance.randrange(1200)) for _ in range(400)]
    club.tell_all((chance.choice(club.ids), Told(at, chance.randrange(-200_00, 1600_00))) for at in moments)
    program = laddered(**changes)
    club.publish(program, NOW)
    expected = {member: club.tier_at(member, NOW + timedelta(microseconds=1), program) for member in club.ids}
    run(club)
    assert club.tiers() == expected
    assert len(set(expected.values())) > 1
    higher = [row for row in club.rows(Member) if row.tier_key != "insider"]
    assert all((row.tier_review_at is None) == (changes.get("period") == "lifetime") for row in higher)


def test_the_command_asks_before_anybody_falls(filled: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "database", lambda: filled.house.database)
    filled.publish(laddered(tiers=tiers(("insider", 0), ("advocate", 900_00), ("ambassador", 1500_00))), LONG_AGO + DAY)
    domain = filled.house.database.transaction(filled.shop)
    with domain as session:
        name = session.scalar(sa.text("SELECT domain FROM shops"))
    with clock.fixed_at(NOW):
        asked = CliRunner().invoke(commands.tiers, ["recalculate", "--shop", str(name)], input="n\n")
        assert "advocate → insider: 2" in asked.output
        assert asked.exit_code == 1
        assert filled.rows(TierPeriod) == []
        done = CliRunner().invoke(commands.tiers, ["recalculate", "--shop", str(name), "--yes"])
    assert done.exit_code == 0, done.output
    assert "100%  9 of 9 members, 2 moved" in done.output
    assert len(filled.rows(TierPeriod)) == 2
