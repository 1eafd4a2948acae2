"""Hints and periodic work, with Redis there, away, and emptied."""

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis
from rq import Queue

from core import clock, config, db, jobs
from core.db import Database
from core.jobs import Hinted, Hints, Periodic

WORK = Hinted("tested", "tests.nothing", lambda _: True)


@pytest.fixture
def wired(monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str) -> Iterator[redis.Redis]:
    database = Database(database_url)
    monkeypatch.setattr(jobs, "database", lambda: database)
    client = redis.Redis.from_url(redis_url)
    monkeypatch.setattr(jobs, "connection", lambda: client)
    yield client
    database.dispose()
    client.close()


def test_many_hints_are_one_job_until_it_begins(wired: redis.Redis) -> None:
    hints = Hints()
    assert [hints.send(WORK) for _ in range(5)] == [True, False, False, False, False]
    assert wired.llen("rq:queue:tested") == 1
    jobs.begin("tested")
    assert hints.send(WORK)
    assert wired.llen("rq:queue:tested") == 2


def test_who_is_silent_is_named(wired: redis.Redis) -> None:
    assert jobs.silent(["tested", "other"], 0.2) == ["clock", "other", "tested"]
    answering = threading.Thread(target=answer_all, args=(wired,))
    answering.start()
    assert jobs.silent(["tested"], 10) == []
    answering.join()


def answer_all(wired: redis.Redis) -> None:
    """A worker and a clock that come late."""
    time.sleep(0.3)
    jobs.beat()
    for job in Queue("tested", connection=wired).jobs:
        job.perform()


def test_a_hint_that_was_lost_is_given_again(wired: redis.Redis) -> None:
    jobs.hints.send(WORK)
    wired.flushdb()
    jobs.sweep((WORK,))
    assert wired.llen("rq:queue:tested") == 1


def test_the_sweep_leaves_alone_what_has_nothing_waiting(wired: redis.Redis) -> None:
    jobs.sweep((WORK._replace(waiting=lambda _: False),))
    assert wired.llen("rq:queue:tested") == 0


@pytest.fixture
def hanging() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []
        stop = threading.Event()

        def take() -> None:
            server.settimeout(0.1)
            while not stop.is_set():
                try:
                    held.append(server.accept())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=take)
        thread.start()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        stop.set()
        thread.join()
        for connection, _ in held:
            connection.close()


def test_a_redis_that_hangs_or_is_gone_costs_little_and_once(hanging: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = jobs.connection.__wrapped__
    for url in (hanging, "redis://127.0.0.1:1/0"):
        chosen = config.Settings(_env_file=None, redis_url=url)  # type: ignore[call-arg]
        monkeypatch.setattr(jobs, "settings", lambda chosen=chosen: chosen)
        client = connect()
        monkeypatch.setattr(jobs, "connection", lambda client=client: client)
        hints = Hints()
        began = time.monotonic()
        assert not any(hints.send(WORK) for _ in range(50))
        assert time.monotonic() - began < 1.0  # the breaker rests: not fifty time-outs


def test_periodic_work_starts_once_however_many_clocks_run(wired: redis.Redis) -> None:
    every_minute = (Periodic("tested", 60, "tests.nothing"),)
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    with clock.fixed_at(moment):
        assert jobs.start_due(every_minute) == ["tested"]
        assert jobs.start_due(every_minute) == []
    with clock.fixed_at(moment + timedelta(seconds=60)):
        started: list[str] = []
        clocks = [threading.Thread(target=lambda: started.extend(jobs.start_due(every_minute))) for _ in range(6)]
        for one in clocks:
            one.start()
        for one in clocks:
            one.join()
        assert started == ["tested"]
    assert wired.llen("rq:queue:periodic") == 2


def test_periodic_work_does_not_gather_behind_a_long_job(wired: redis.Redis) -> None:
    """A worker passes over what has expired: it was due again since."""
    assert jobs.start_due((Periodic("tested", 2, "tests.nothing"),)) == ["tested"]
    ((job,),) = [wired.lrange("rq:queue:periodic", 0, -1)]
    assert 0 < wired.ttl(b"rq:job:" + job) <= 4


def test_only_postgresql_is_spoken() -> None:
    with pytest.raises(SystemExit):
        db.driver_url("sqlite:///x")
    assert db.driver_url("postgres://u@h/d") == "postgresql+psycopg://u@h/d"
