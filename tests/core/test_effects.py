"""Effects: coalesced per target, repeated until done, given up in the open."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock, effects
from core.db import Database
from core.effects import BACK_OFF, LEASE, Effect, PermanentFailure, Wanted
from core.events import Happened, record

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """What the effect `test.done` was carried out on; it follows the event `tested`."""
    carried_out: list[tuple[int, str]] = []
    monkeypatch.setattr(effects, "_handlers", {})
    monkeypatch.setattr(effects, "_following", {})
    effects.wire("test.done", lambda _, shop, target: carried_out.append((shop, target)), after=("tested",))
    return carried_out


def happen(database: Database, shop: int, *members: int, at: datetime = NOW) -> None:
    with clock.fixed_at(at), database.transaction(shop) as session:
        record(session, [Happened(shop, "tested", {}, at, member) for member in members])


def waiting(database: Database, shop: int) -> list[Any]:
    with database.transaction(shop) as session:
        return list(session.execute(sa.select(Effect.target, Effect.state, Effect.attempts, Effect.error)))


def test_ten_changes_of_a_target_are_one_effect(database: Database, done: list[tuple[int, str]]) -> None:
    for _ in range(10):
        happen(database, 1, 7)
    happen(database, 2, 7, 8)
    assert effects.waiting(database)
    assert effects.carry_out_due(database) == 3
    assert sorted(done) == [(1, "7"), (2, "7"), (2, "8")]
    assert not effects.waiting(database)


def test_patient_effects_let_others_go_first(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    for name in ("_handlers", "_following", "_patient"):
        monkeypatch.setattr(effects, name, type(getattr(effects, name))())
    effects.wire("test.tags", lambda _, __, target: turns.append(f"tags {target}"), patient=True)
    effects.wire("test.reward", lambda _, __, target: turns.append(f"reward {target}"))
    with database.transaction(1) as session:
        effects.request(session, [Wanted(1, "test.tags", str(member)) for member in range(3)])
    with database.transaction(1) as session:
        effects.request(session, [Wanted(1, "test.reward", "9")])
    effects.carry_out_due(database)
    assert turns[0] == "reward 9"
    assert sorted(turns[1:]) == ["tags 0", "tags 1", "tags 2"]


def test_an_effect_asked_for_while_it_runs_runs_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def handler(_: Database, shop: int, target: str) -> None:
        if not seen:
            happen(database, shop, int(target))
        seen.append(target)

    monkeypatch.setattr(effects, "_handlers", {"test.done": handler})
    monkeypatch.setattr(effects, "_following", {"tested": ("test.done",)})
    happen(database, 1, 7)
    effects.carry_out_due(database)
    assert seen == ["7", "7"]


def test_a_failure_is_tried_again_with_back_off_and_gives_up_in_the_open(
    database: Database, done: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("nobody there")

    monkeypatch.setitem(effects._handlers, "test.done", fail)
    moment = datetime.now(UTC)
    happen(database, 1, 7)
    for wait in (*BACK_OFF, timedelta()):
        with clock.fixed_at(moment + timedelta(seconds=1)):
            assert effects.carry_out_due(database) == 1
            assert effects.carry_out_due(database) == 0  # not before its time
        moment += wait + timedelta(seconds=1)
    assert waiting(database, 1) == [("7", "failed", len(BACK_OFF) + 1, "OSError: nobody there")]
    monkeypatch.setitem(effects._handlers, "test.done", lambda _, shop, target: done.append((shop, target)))
    with database.transaction(1) as session:
        effects.request(session, [Wanted(1, "test.done", "7")])  # the merchant's "try again"
    effects.carry_out_due(database)
    assert done == [(1, "7")]


def test_what_cannot_work_is_not_tried_again(
    database: Database, done: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermanentFailure("the customer is gone")

    monkeypatch.setitem(effects._handlers, "test.done", refuse)
    happen(database, 1, 7)
    effects.carry_out_due(database)
    assert waiting(database, 1) == [("7", "failed", 1, "the customer is gone")]


def test_a_worker_that_dies_leaves_its_effect_to_another(database: Database, done: list[tuple[int, str]]) -> None:
    happen(database, 1, 7)
    assert effects._claim(database) is not None  # claimed, and then the worker is gone
    assert effects.carry_out_due(database) == 0
    with clock.fixed_at(datetime.now(UTC) + LEASE + timedelta(seconds=1)):
        assert effects.carry_out_due(database) == 1
    assert done == [(1, "7")]


def test_an_undone_transaction_asks_for_nothing(database: Database, done: list[tuple[int, str]]) -> None:
    with database.transaction(1) as session:
        record(session, [Happened(1, "tested", {}, NOW, 7)])
        session.rollback()
    assert not effects.waiting(database)


def test_what_changes_often_waits_and_is_told_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    for name in ("_handlers", "_following", "_delays"):
        monkeypatch.setattr(effects, name, {})
    effects.wire("test.often", lambda *told: seen.append(told[2]), after=("tested",), delay=timedelta(seconds=5))
    for _ in range(3):
        happen(database, 1, 7)
    with database.transaction() as session:
        now = session.scalar(sa.select(sa.func.now()))
    for seconds, times in ((3, 0), (6, 1)):
        with clock.fixed_at(now + timedelta(seconds=seconds)):
            effects.carry_out_due(database)
        assert len(seen) == times
