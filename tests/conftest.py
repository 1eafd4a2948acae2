"""Databases for the tests: one PostgreSQL and one Valkey for the whole run, a fresh database for each test.

`DATABASE_URL` and `REDIS_URL`, when set, name servers to use instead: the role must be allowed to create databases,
and the test run empties the highest-numbered of Redis's logical databases, one for each worker.
"""

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from sqlalchemy import make_url

from sandbox.services import ServiceError, Services

ROOT = Path(__file__).parents[1]
REDIS_DATABASES = 16
MEMORY_NEEDED = 2 * 1024**3

# What a worker needs to know, as plain strings so that xdist can hand it over: `database_url` of the server,
# `redis_url` of the server, `template` name, `strategy` to copy it by.
Servers = dict[str, str]
SERVERS = pytest.StashKey[Servers]()
RUNNING = pytest.StashKey[tuple[Services, Path]]()


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@pytest.hookimpl(tryfirst=True)  # before xdist starts its workers
def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if is_worker(config):
        config.stash[SERVERS] = config.workerinput["servers"]  # type: ignore[attr-defined]
    elif not config.option.collectonly:
        try:
            start_servers(config)
        except (ServiceError, psycopg.Error, subprocess.CalledProcessError) as error:
            stop_servers(config)
            pytest.exit(f"The test servers can't be used: {error}\n{getattr(error, 'stdout', '')}", returncode=3)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["servers"] = node.config.stash.get(SERVERS, {})


@pytest.hookimpl(trylast=True)  # after xdist has ended its workers
def pytest_sessionfinish(session: pytest.Session) -> None:
    if not is_worker(session.config):
        stop_servers(session.config)


def roomy_memory() -> str | None:
    """Where files live in memory, if there is room: copying a database makes hundreds of small ones."""
    memory = Path("/dev/shm")
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY_NEEDED
    return str(memory) if roomy else None


def start_servers(config: pytest.Config) -> None:
    state = Path(tempfile.mkdtemp(prefix="rapport-test-", dir=roomy_memory()))
    services = Services(state, durable=False)
    config.stash[RUNNING] = services, state
    services.start()
    template = f"rapport_test_{os.getpid()}"
    with psycopg.connect(server_url(services.database_url), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {template} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {template} TEMPLATE template0 ENCODING 'UTF8'")
        # Copying files is twice as fast as logging every page, unless each copy has to reach the disk.
        (fsync,) = connection.execute("SHOW fsync").fetchone() or ("on",)
    config.stash[SERVERS] = {
        "database_url": services.database_url,
        "redis_url": services.redis_url,
        "template": template,
        "strategy": "FILE_COPY" if fsync == "off" else "WAL_LOG",
    }
    migrate(server_url(services.database_url, template))


def migrate(database_url: str) -> None:
    """Bring a database to the newest schema, the way a release does."""
    environ = os.environ | {"DATABASE_URL": database_url}
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(
        command, cwd=ROOT, env=environ, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def stop_servers(config: pytest.Config) -> None:
    if RUNNING not in config.stash:
        return
    services, state = config.stash[RUNNING]
    if SERVERS in config.stash:
        drop_database(config.stash[SERVERS], config.stash[SERVERS]["template"])
    services.stop()
    shutil.rmtree(state, ignore_errors=True)
    del config.stash[RUNNING]


def server_url(url: str, database: str | None = None) -> str:
    """The same server and role, perhaps another database, as psycopg writes it."""
    parts = make_url(url)
    return parts.set(drivername="postgresql", database=database or parts.database).render_as_string(hide_password=False)


def drop_database(servers: Servers, name: str) -> None:
    with psycopg.connect(server_url(servers["database_url"]), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Servers:
    return pytestconfig.stash[SERVERS]


@pytest.fixture(scope="session")
def worker_number(request: pytest.FixtureRequest) -> int:
    """0 for the first xdist worker, or when there are none."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "gw0")
    return int(worker.removeprefix("gw"))


class Copies:
    """The databases of one worker's tests, each a copy of the migrated template."""

    def __init__(self, servers: Servers, connection: psycopg.Connection, worker_number: int) -> None:
        self.servers = servers
        self.connection = connection
        self.names = (f"{servers['template']}_{worker_number}_{count}" for count in itertools.count())
        self.finished: list[str] = []

    def make(self) -> str:
        """Copy the template and give the copy's name."""
        self.drop_finished()
        name = next(self.names)
        template, strategy = self.servers["template"], self.servers["strategy"]
        self.connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY {strategy}")
        return name

    @contextlib.contextmanager
    def one(self) -> Iterator[str]:
        """The address of a copy, until the end of the block."""
        name = self.make()
        yield server_url(self.servers["database_url"], name)
        self.finish(name)

    def finish(self, name: str) -> None:
        # Dropped only when the next test begins: a drop that meets a session on its way out sleeps for 100 ms.
        self.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = current_user",
            [name],
        )
        self.finished.append(name)

    def drop_finished(self) -> None:
        for name in list(self.finished):
            # Autovacuum may be at work in it, which only a superuser may end: then it goes after a later test.
            with contextlib.suppress(psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectInUse):
                self.connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
                self.finished.remove(name)


@pytest.fixture(scope="session")
def copies(servers: Servers, worker_number: int) -> Iterator[Copies]:
    with psycopg.connect(server_url(servers["database_url"]), autocommit=True) as connection:
        copies = Copies(servers, connection, worker_number)
        yield copies
        copies.drop_finished()


@pytest.fixture
def database_url(copies: Copies) -> Iterator[str]:
    """A database of this test's own at the newest schema, empty; connected as the role that owns the tables."""
    with copies.one() as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(copies: Copies) -> Iterator[str]:
    """One database for all tests of a module, for those that leave it as it was or dirty only shops of their own."""
    with copies.one() as url:
        yield url


@pytest.fixture(scope="session")
def worker_redis_url(servers: Servers, worker_number: int) -> str:
    """A logical Redis database of this worker's own, with what its tests have left there."""
    number = REDIS_DATABASES - 1 - worker_number % REDIS_DATABASES
    return make_url(servers["redis_url"]).set(database=str(number)).render_as_string(hide_password=False)


@pytest.fixture
def redis_url(worker_redis_url: str) -> str:
    """A logical Redis database of this worker's own, empty."""
    with redis.Redis.from_url(worker_redis_url) as client:
        client.flushdb()
    return worker_redis_url


@pytest.fixture
def own_services(tmp_path: Path) -> Iterator[Services]:
    """A PostgreSQL and a Valkey that nobody else uses, for tests that break them; the database is not migrated."""
    with Services(tmp_path / "services", durable=False, environ={}) as services:
        yield services
