"""The house keeps its own rules: directions of imports, short functions, migrations equal to models, wired jobs."""

import ast
import importlib
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import app
from core.db import Base, driver_url

ROOT = Path(__file__).parents[1]
ROOMS = ("core", "shops", "loyalty", "tiers", "referrals", "wallet_passes", "webhooks", "web", "sandbox", "migrations")
LONGEST = 60
MEDIAN = 10


def sources() -> list[Path]:
    return [ROOT / "app.py", *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]


def everywhere(name: str) -> list[Path]:
    return [path for path in sources() if path.name == name]


def functions(path: Path) -> list[tuple[str, int]]:
    tree = ast.parse(path.read_text())
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    found = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return [(f"{path.relative_to(ROOT)}:{node.name}", (node.end_lineno or 0) - node.lineno + 1) for node in found]


def test_imports_point_one_way() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_functions_are_short() -> None:
    lengths = [entry for path in sources() if "versions" not in path.parts for entry in functions(path)]
    assert [entry for entry in lengths if entry[1] > LONGEST] == []
    assert statistics.median(length for _, length in lengths) < MEDIAN


def test_rules_are_pure() -> None:
    """No database, no HTTP, no clock in any rules.py."""
    forbidden = re.compile(
        r"^\s*(?:from|import) (?:sqlalchemy|psycopg|httpx|flask|core\.(?:db|clock|jobs))|\.now\(", re.M
    )
    for path in everywhere("rules.py"):
        assert not forbidden.search(path.read_text()), path


def test_models_equal_migrations(database_url: str) -> None:
    for path in everywhere("models.py"):
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    engine = sa.create_engine(driver_url(database_url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_migrations_have_one_head_and_readable_numbers() -> None:
    scripts = ScriptDirectory.from_config(Config(ROOT / "alembic.ini"))
    numbers = sorted(script.revision for script in scripts.walk_revisions())
    assert len(scripts.get_heads()) == 1
    assert numbers == [f"{n:04d}" for n in range(1, len(numbers) + 1)]


def test_migrations_are_reversible(database_url: str) -> None:
    for target in ("base", "head"):
        command = [sys.executable, "-m", "alembic", "-x", f"url={database_url}"]
        step = ["downgrade", "base"] if target == "base" else ["upgrade", "head"]
        subprocess.run([*command, *step], cwd=ROOT, check=True, capture_output=True)
    engine = sa.create_engine(driver_url(database_url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


STARTED = [work.job for work in app.HINTED] + [work.job for work in app.PERIODIC]


@pytest.mark.parametrize("path", STARTED)
def test_every_job_that_is_started_exists(path: str) -> None:
    module, name = path.rsplit(".", 1)
    assert callable(getattr(importlib.import_module(module), name))


def test_every_queue_has_a_worker() -> None:
    assert {work.queue for work in app.HINTED} | {"periodic"} == set(app.QUEUES)


def test_every_job_is_started_by_something() -> None:
    """A jobs.py function that no hint and no clock starts is dead."""
    for path in everywhere("jobs.py"):
        room = ".".join(path.relative_to(ROOT).parent.parts)
        if room == "core":
            continue
        names = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        names = {name for name in names if not name.startswith("_")}
        assert {f"{room}.jobs.{name}" for name in names} <= set(STARTED)


def test_nothing_imports_the_app_and_the_app_never_imports_the_sandbox() -> None:
    """import-linter reads packages only; app.py is a module."""
    for path in sources():
        forbidden = r"^\s*(?:from|import) app\b" if path.name != "app.py" else r"^\s*(?:from|import) sandbox"
        assert not re.search(forbidden, path.read_text(), re.M), path
