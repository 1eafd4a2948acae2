"""Effects: coalesced per target, repeated until done, given up in the open."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock, effects, jobs
from core.db import Database
from core.effects import BACK_OFF, LEASE, Effect, NotYet, PermanentFailure, Wanted
from core.events import Happened, record

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.dispose()


def unwire(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_wired", "_following"):
        monkeypatch.setattr(effects, name, {})


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """What the effect `test.done` was carried out on; it follows the event `tested`."""
    carried_out: list[tuple[int, str]] = []
    unwire(monkeypatch)
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
    unwire(monkeypatch)
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
    seen: list[str] = []

    def handler(_: Database, shop: int, target: str) -> None:
        if not seen:
            happen(database, shop, int(target))
        seen.append(target)

    unwire(monkeypatch)
    effects.wire("test.done", handler, after=("tested",))
    happen(database, 1, 7)
    effects.carry_out_due(database)
    assert seen == ["7", "7"]


def test_a_failure_is_tried_again_with_back_off_and_gives_up_in_the_open(
    database: Database, done: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("nobody there")

    effects.wire("test.done", fail)
    moment = datetime.now(UTC)
    happen(database, 1, 7)
    for wait in (*BACK_OFF, timedelta()):
        with clock.fixed_at(moment + timedelta(seconds=1)):
            assert effects.carry_out_due(database) == 1
            assert effects.carry_out_due(database) == 0  # not before its time
        moment += wait + timedelta(seconds=1)
    assert waiting(database, 1) == [("7", "failed", len(BACK_OFF) + 1, "OSError: nobody there")]
    effects.wire("test.done", lambda _, shop, target: done.append((shop, target)))
    with database.transaction(1) as session:
        effects.request(session, [Wanted(1, "test.done", "7")])  # the merchant's "try again"
    effects.carry_out_due(database)
    assert done == [(1, "7")]


def test_what_cannot_work_is_not_tried_again(
    database: Database, done: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermanentFailure("the customer is gone")

    effects.wire("test.done", refuse)
    happen(database, 1, 7)
    effects.carry_out_due(database)
    assert waiting(database, 1) == [("7", "failed", 1, "the customer is gone")]


def test_a_worker_that_dies_leaves_its_effect_to_another(database: Database, done: list[tuple[int, str]]) -> None:
    happen(database, 1, 7)
    assert effects._claim(database)  # claimed, and then the worker is gone
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
    unwire(monkeypatch)
    effects.wire("test.often", lambda *told: seen.append(told[2]), after=("tested",), delay=timedelta(seconds=5))
    for _ in range(3):
        happen(database, 1, 7)
    with database.transaction() as session:
        now = session.scalars(sa.select(sa.func.now())).one()
    for seconds, times in ((3, 0), (6, 1)):
        with clock.fixed_at(now + timedelta(seconds=seconds)):
            effects.carry_out_due(database)
        assert len(seen) == times


# Many at a time.


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The targets of `test.many` as they were handed over; it follows the event `tested`, three at a time."""
    handed: list[list[str]] = []

    def handler(_: Database, wanted: Sequence[Wanted]) -> dict[Wanted, Exception]:
        handed.append(sorted(one.target for one in wanted))
        return {}

    unwire(monkeypatch)
    effects.wire_many("test.many", handler, after=("tested",), size=3, queue="many", lease=timedelta(seconds=30))
    return handed


def test_many_are_handed_over_together_across_shops(database: Database, batches: list[list[str]]) -> None:
    happen(database, 1, 1, 2, 3, 4)
    happen(database, 2, 5)
    assert effects.carry_out_due(database) == 5
    assert [len(batch) for batch in batches] == [3, 2]
    assert sorted(itertools.chain(*batches)) == ["1", "2", "3", "4", "5"]
    assert not effects.waiting(database)


def test_each_queue_has_its_own_turn(database: Database, batches: list[list[str]]) -> None:
    slow: list[str] = []
    effects.wire("test.slow", lambda _, __, target: slow.append(target), after=("tested",))
    happen(database, 1, 7)
    assert (effects.waiting(database, "many"), effects.waiting(database, effects.QUEUE)) == (True, True)
    assert effects.carry_out_due(database, "many") == 1
    assert (batches, slow) == ([["7"]], [])
    assert (effects.waiting(database, "many"), effects.waiting(database, effects.QUEUE)) == (False, True)


def test_one_that_fails_holds_up_none_of_its_neighbours(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    later = NOW + timedelta(days=900)

    def handler(_: Database, wanted: Sequence[Wanted]) -> dict[Wanted, Exception]:
        said: dict[str, Exception] = {"2": OSError("away"), "3": PermanentFailure("no"), "4": NotYet(later)}
        return {one: said[one.target] for one in wanted if one.target in said}

    unwire(monkeypatch)
    effects.wire_many("test.many", handler, after=("tested",))
    happen(database, 1, 1, 2, 3, 4)
    assert effects.carry_out_due(database) == 4
    assert sorted(waiting(database, 1)) == [
        ("2", "waiting", 1, "OSError: away"),
        ("3", "failed", 1, "no"),
        ("4", "waiting", 0, None),
    ]
    with database.transaction(1) as session:
        due = dict(session.execute(sa.select(Effect.target, Effect.due_at)).all())  # type: ignore[arg-type]
        assert due["4"] == later
        assert session.scalars(sa.select(Effect.leased_until)).all() == [None] * 3


def test_a_handler_that_raises_is_asked_for_one_at_a_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def handler(_: Database, wanted: Sequence[Wanted]) -> dict[Wanted, Exception]:
        targets = [one.target for one in wanted]
        if "2" in targets:
            raise ValueError("a poisonous one")
        done.extend(targets)
        return {}

    unwire(monkeypatch)
    effects.wire_many("test.many", handler, after=("tested",))
    happen(database, 1, 1, 2, 3)
    effects.carry_out_due(database)
    assert sorted(done) == ["1", "3"]
    assert waiting(database, 1) == [("2", "waiting", 1, "ValueError: a poisonous one")]


def test_what_is_asked_for_while_its_batch_runs_runs_again(database: Database, batches: list[list[str]]) -> None:
    handler = effects._wired["test.many"].handler

    def asking(opened: Database, wanted: Sequence[Wanted]) -> Mapping[Wanted, Exception]:
        if not batches:
            happen(opened, 1, 2)
        return handler(opened, wanted)

    effects.wire_many("test.many", asking)
    happen(database, 1, 1, 2, 3)
    effects.carry_out_due(database)
    assert batches == [["1", "2", "3"], ["2"]]


def test_a_batch_is_written_down_though_somebody_holds_one_of_its_rows(
    database: Database, batches: list[list[str]]
) -> None:
    """Whoever settles orders holds the rows it has asked for until it commits, and may want one that we hold."""
    happen(database, 1, 1, 2, 3)
    with database.transaction(1) as session:
        effects.request(session, [Wanted(1, "test.many", "2")])
        batch = [*effects._claim(database)]
        assert [one.target for one in batch] == ["1", "3"]
    first = effects._claim(database)
    with database.transaction(1) as session:
        effects.request(session, [Wanted(1, "test.many", "1"), Wanted(1, "test.many", "2")])
        writing = threading.Thread(target=effects._carry_out, args=(database, [*batch, *first]))
        writing.start()
        # All but the two that are held; and these as soon as they are let go.
        deadline = time.monotonic() + 5
        while "3" in {row[0] for row in waiting(database, 1)}:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert writing.is_alive()
        effects.request(session, [Wanted(1, "test.many", "3")])
    writing.join(5)
    assert not writing.is_alive()
    assert sorted(row[0] for row in waiting(database, 1)) == ["1", "2", "3"]
    with database.transaction(1) as session:
        assert session.scalars(sa.select(Effect.leased_until)).all() == [None] * 3


def test_a_worker_that_dies_leaves_its_batch_to_another(database: Database, batches: list[list[str]]) -> None:
    happen(database, 1, 1, 2)
    assert len(effects._claim(database)) == 2  # claimed, and then the worker is gone
    assert effects.carry_out_due(database) == 0
    with clock.fixed_at(datetime.now(UTC) + timedelta(seconds=31)):
        assert effects.carry_out_due(database) == 2
    assert batches == [["1", "2"]]


def test_workers_share_what_is_due(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each target is carried out once, whoever does it, and what is asked for all the while is not lost."""
    seen = Counter[str]()

    def handler(_: Database, batch: Sequence[Wanted]) -> dict[Wanted, Exception]:
        seen.update(one.target for one in batch)
        return {}

    unwire(monkeypatch)
    effects.wire_many("test.many", handler, after=("tested",), size=4)
    happen(database, 1, *range(1, 60))
    workers = [threading.Thread(target=effects.carry_out_due, args=(database,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for member in range(60, 80):
        happen(database, 1, member)
    for worker in workers:
        worker.join()
    effects.carry_out_due(database)
    assert seen == Counter(str(number) for number in range(1, 80))


def test_patient_requests_of_a_kind_let_its_others_go_first(database: Database, batches: list[list[str]]) -> None:
    with database.transaction(1) as session:
        effects.request(session, [Wanted(1, "test.many", target) for target in "123"], patient=True)
    happen(database, 1, 3, 9)  # the third can't wait any more
    effects.carry_out_due(database)
    assert {"3", "9"} < set(batches[0])
    assert sorted(itertools.chain(*batches)) == ["1", "2", "3", "9"]


def test_a_job_stays_for_what_is_due_again_soon(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []

    def handler(_: Database, wanted: Sequence[Wanted]) -> dict[Wanted, Exception]:
        tries.append(time.monotonic())
        soon = NotYet(clock.now() + timedelta(seconds=0.4))
        return dict.fromkeys(wanted, soon) if len(tries) == 1 else {}

    unwire(monkeypatch)
    effects.wire_many("test.many", handler, queue="many")
    monkeypatch.setattr(effects, "database", lambda: database)
    monkeypatch.setattr(jobs, "begin", lambda _: None)
    with database.transaction(1) as session:
        effects.request(session, [Wanted(1, "test.many", "7")])
    effects.carry_out("many")
    assert 0.4 <= tries[1] - tries[0] < 1
