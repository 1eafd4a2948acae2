"""PostgreSQL's own benchmark program: the limits that our figures are held against."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from bench.world import Shop, World
from core.db import APP_ROLE
from sandbox.services import Postgres

TPC_B_SCALE = 10  # at least the number of clients, so that they don't queue for one row
# The row that the door writes, by the role and under the policies that the door writes it.
INSERT = """
    INSERT INTO inbox (shop_id, webhook_id, event_id, topic, api_version, triggered_at, body)
    VALUES (:shop, gen_random_uuid()::text, gen_random_uuid()::text, 'orders/create', '2026-10', now(), :body)"""


def prepare_tpc_b(world: World) -> str:
    """A database with the tables of TPC-B; returns its URL."""
    url = world.make_database("rapport_bench_tpc_b")
    _run(url, "--initialize", "--quiet", f"--scale={TPC_B_SCALE}")
    return url


def tpc_b(url: str, clients: int, seconds: int) -> float:
    """Transactions per second of the built-in script, as `pgbench` runs it."""
    return _rate(_run(url, "--no-vacuum", f"--client={clients}", "--jobs=2", f"--time={seconds}"))


def inserts(world: World, shop: Shop, body: bytes, clients: int, seconds: int) -> float:
    """Deliveries per second, one INSERT each, sent as prepared statements with the body as their parameter."""
    script = world.folder / "insert.sql"
    script.write_text(" ".join(INSERT.split()))
    # PostgreSQL's escape format: the text as it is, but for backslashes.
    escaped = body.decode().replace("\\", "\\\\")
    options = (f"--file={script}", "--protocol=prepared", f"--define=shop={shop.id}", f"--define=body={escaped}")
    session = f"-c role={APP_ROLE} -c rapport.shops={{{shop.id}}}"
    timing = (f"--client={clients}", "--jobs=2", f"--time={seconds}")
    return _rate(_run(shop.url, "--no-vacuum", *options, *timing, environ={"PGOPTIONS": session}))


def _run(url: str, *options: str, environ: Mapping[str, str] | None = None) -> str:
    parts = conninfo_to_dict(url)
    server = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password", "PGDATABASE": "dbname"}
    named = {variable: str(parts[key]) for variable, key in server.items() if parts.get(key)}
    command = [str(Postgres(Path()).binaries / "pgbench"), *options]
    done = subprocess.run(command, env={**os.environ, **named, **(environ or {})}, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"pgbench failed: {done.stderr.strip()}")
    return done.stdout


def _rate(output: str) -> float:
    found = re.search(r"^tps = ([\d.]+) ", output, re.MULTILINE)
    if not found:
        raise SystemExit(f"pgbench said nothing of its speed:\n{output}")
    return float(found[1])
