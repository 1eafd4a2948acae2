"""The embedded servers survive what happens to a developer's machine."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from sandbox import processes
from sandbox.services import Services, StateBusyError


def run_sql(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def start_and_crash(state: Path) -> None:
    """Start the services in another process and kill that process before it can stop them."""
    program = (
        "import os, signal, sys; from pathlib import Path; from sandbox.services import Services;"
        "Services(Path(sys.argv[1]), durable=False, environ={}).start(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(state)], cwd=Path(__file__).parents[1])


def test_data_outlives_a_restart(own_services: Services) -> None:
    run_sql(own_services.database_url, "CREATE TABLE kept AS SELECT 1 AS value")
    own_services.stop()
    own_services.start()
    assert run_sql(own_services.database_url, "SELECT value FROM kept") == [(1,)]


def test_what_was_committed_outlives_an_immediate_restart(own_services: Services) -> None:
    assert own_services.postgres
    url = own_services.database_url
    run_sql(url, "CREATE TABLE kept AS SELECT 1 AS value")
    with psycopg.connect(url) as connection:
        own_services.postgres.restart_immediate()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert run_sql(url, "SELECT value FROM kept") == [(1,)]


def test_valkey_comes_back_empty_at_the_same_address(own_services: Services) -> None:
    assert own_services.valkey
    with redis.Redis.from_url(own_services.redis_url) as client:
        client.set("key", "value")
        own_services.valkey.restart_empty()
        assert client.get("key") is None


def test_both_ask_for_their_password(own_services: Services) -> None:
    database_url = own_services.database_url.replace("postgres:", "postgres:wrong", 1)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(database_url)
    _, _, address = own_services.redis_url.rpartition("@")
    with redis.Redis.from_url(f"redis://{address}") as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_a_folder_is_used_by_one_process_at_a_time(own_services: Services) -> None:
    with pytest.raises(StateBusyError):
        Services(own_services.state, environ={}).start()


def test_given_servers_are_used_and_none_is_started(tmp_path: Path) -> None:
    given = {"DATABASE_URL": "postgresql://db.example/rapport", "REDIS_URL": "redis://queue.example/0"}
    with Services(tmp_path, environ=given) as services:
        assert (services.database_url, services.redis_url) == (given["DATABASE_URL"], given["REDIS_URL"])
        assert services.postgres is None
        assert services.valkey is None


def test_starts_after_its_starter_was_killed(tmp_path: Path) -> None:
    start_and_crash(tmp_path)
    with Services(tmp_path, durable=False, environ={}) as services:
        assert run_sql(services.database_url, "SELECT 1") == [(1,)]


def test_starts_while_a_server_of_the_crashed_run_still_works_in_the_folder(tmp_path: Path) -> None:
    crashed = Services(tmp_path, durable=False, environ={})
    crashed.start()
    assert crashed.postgres
    assert crashed.lock is not None
    leftover = crashed.postgres.process
    os.close(crashed.lock)
    with Services(tmp_path, durable=False, environ={}) as services:
        assert leftover
        assert leftover.wait(timeout=5) is not None
        assert run_sql(services.database_url, "SELECT 1") == [(1,)]


def test_starts_although_the_old_process_id_belongs_to_another_program(tmp_path: Path) -> None:
    with Services(tmp_path, durable=False, environ={}) as services:
        assert services.postgres
        lock_file = services.postgres.data / "postmaster.pid"
        lines = lock_file.read_text().splitlines()
    lock_file.write_text("\n".join([str(os.getppid()), *lines[1:]]))
    with Services(tmp_path, durable=False, environ={}) as services:
        assert run_sql(services.database_url, "SELECT 1") == [(1,)]


def test_starts_after_a_half_made_cluster(tmp_path: Path) -> None:
    half_made = tmp_path / "postgres.new" / "data"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18")
    with Services(tmp_path, durable=False, environ={}) as services:
        assert run_sql(services.database_url, "SELECT 1") == [(1,)]


def test_a_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    children = []
    thread = threading.Thread(target=lambda: children.append(processes.spawn(["sleep", "60"], tmp_path / "log")))
    thread.start()
    thread.join()
    (child,) = children
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(timeout=0.3)
    processes.stop(child)


def test_stopping_ends_the_whole_group_even_when_it_will_not_listen(tmp_path: Path) -> None:
    child = processes.spawn(["sh", "-c", "trap '' TERM; sleep 61 & echo started; wait"], tmp_path / "log")
    while "started" not in (tmp_path / "log").read_text():
        assert child.poll() is None
    descendants = psutil.Process(child.pid).children(recursive=True)
    processes.stop(child, signal.SIGTERM, timeout=0.2)
    assert psutil.wait_procs(descendants, timeout=5)[1] == []
