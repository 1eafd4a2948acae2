"""What is measured runs here: a database server, a queue, one shop per database, and the processes of the Procfile."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import psycopg
from sqlalchemy import make_url

from core import clock
from core.db import Database
from loyalty import programs
from loyalty.program import Program, demo_program
from sandbox import processes
from sandbox.catalogue import DEMO
from sandbox.services import Services
from sandbox.supervisor import read_procfile
from shops.models import Shop as ShopRow

ROOT = Path(__file__).parents[1]
DOMAIN = DEMO.domain
KEY = "bench-api-key"
SECRET = "bench-api-secret-of-32-bytes-and-more"
READY_TIMEOUT = 60  # seconds


@dataclass(frozen=True)
class Shop:
    """One shop alone in its own database, with a program published long ago. `url` is the owner's."""

    url: str
    database: Database
    id: int

    def owner(self) -> "psycopg.Connection[Any]":
        """A connection as the role that owns the tables, with this shop opened."""
        return psycopg.connect(self.url, autocommit=True, options=f"-c rapport.shops={{{self.id}}}")

    def ask(self, sql: str) -> Any:
        """The first column of the first row."""
        with self.owner() as connection:
            row = connection.execute(sql).fetchone()  # type: ignore[call-overload]
            return row and row[0]

    def empty_inbox(self) -> None:
        with self.owner() as connection:
            connection.execute("TRUNCATE inbox")


class World:
    """The servers of one run. `folder` is on a real disk and gone afterwards."""

    def __init__(self, folder: Path, services: Services) -> None:
        self.folder = folder
        self.services = services
        self.environ = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "DATABASE_URL": services.database_url,
            "REDIS_URL": services.redis_url,
            "RAPPORT_STATE": str(folder),
            "SHOPIFY_API_KEY": KEY,
            "SHOPIFY_API_SECRET": SECRET,
        }

    def make_database(self, name: str) -> str:
        """A fresh database on the server, dropped by whoever uses the name next. Returns its owner's URL."""
        with psycopg.connect(self.services.database_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[arg-type]
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")  # type: ignore[arg-type]
        parts = make_url(self.services.database_url).set(drivername="postgresql", database=name)
        return parts.render_as_string(hide_password=False)

    @contextmanager
    def shop(self, name: str, program: Program | None = None) -> Iterator[Shop]:
        """A migrated database with one installed shop in it, whose program is the demo's if none is given."""
        url = self.make_database(f"rapport_bench_{name}")
        environ = self.environ | {"DATABASE_URL": url}
        subprocess.run(["alembic", "upgrade", "head"], cwd=ROOT, env=environ, check=True, capture_output=True)
        database = Database(url)
        try:
            yield Shop(url, database, _install(database, program or demo_program()))
        finally:
            database.dispose()
            with psycopg.connect(self.services.database_url, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE rapport_bench_{name} WITH (FORCE)")  # type: ignore[arg-type]

    @contextmanager
    def running(self, shop: Shop, *names: str, environ: Mapping[str, str] = MappingProxyType({})) -> Iterator[int]:
        """Processes of the Procfile on this shop's database; gives the port of `web`, which is among them.

        A name may be followed by arguments: `worker drain`.
        """
        port = processes.free_port()
        own = {"DATABASE_URL": shop.url, "PORT": str(port), "APP_URL": f"http://{processes.LOOPBACK}:{port}"}
        environ = {**self.environ, **own, **environ}
        with contextlib.ExitStack() as stack:
            for name in names:
                log = self.folder / "logs" / f"{name}.log"
                child = processes.spawn(_command(name), log, environ=environ, cwd=ROOT)
                stack.callback(processes.stop, child)
            _wait_until_ready(f"http://{processes.LOOPBACK}:{port}/readyz")
            yield port


def _command(name: str) -> list[str]:
    process, _, arguments = name.partition(" ")
    *shell, command = read_procfile()[process]
    return [*shell, f"{command} {arguments}"]


def _install(database: Database, program: Program) -> int:
    with database.transaction() as session:
        row = ShopRow(
            domain=DOMAIN,
            name=DEMO.name,
            currency=DEMO.currency,
            timezone=DEMO.timezone,
            installed_at=clock.now(),
        )
        session.add(row)
        session.flush()
        shop_id = row.id
    with database.transaction(shop_id) as session:
        long_ago = clock.now() - timedelta(days=3650)
        programs.publish(session, shop_id, program, effective_from=long_ago, actor="bench")
    return shop_id


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK:
                return
        time.sleep(0.05)
    raise SystemExit(f"{url} did not become ready")


@contextmanager
def started(folder: Path) -> Iterator[World]:
    """A world in `folder`, which is emptied before and removed afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with Services(folder, durable=True) as services:
            world = World(folder, services)
            # The drains that are measured inside this process send their hints to the same queue.
            os.environ.update({name: world.environ[name] for name in ("DATABASE_URL", "REDIS_URL", "RAPPORT_STATE")})
            yield world
    finally:
        shutil.rmtree(folder, ignore_errors=True)
