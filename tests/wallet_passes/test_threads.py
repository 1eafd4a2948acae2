"""A web process answers its first requests in several threads at once."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Statements are compiled when they are first asked. What goes wrong in that moment stays wrong for the process's life.
FIRST_ASKED_AT_ONCE = """
import importlib, sys, threading
import app
from sqlalchemy import Select
from sqlalchemy.dialects import postgresql
from wallet_passes import facts, operations

sys.setswitchinterval(1e-6)
wrong = []

def compile(statement, together):
    together.wait()
    try:
        statement.compile(dialect=postgresql.dialect())
    except Exception as error:
        wrong.append(f"{type(error).__name__}: {error}")

for _ in range(40):
    for module in map(importlib.reload, (facts, operations)):
        for statement in [one for one in vars(module).values() if isinstance(one, Select)]:
            together = threading.Barrier(6)
            threads = [threading.Thread(target=compile, args=(statement, together)) for _ in range(6)]
            for one in threads: one.start()
            for one in threads: one.join()
print("; ".join(wrong[:3]))
"""


def test_statements_may_be_first_asked_by_many_threads_at_once() -> None:
    command = [sys.executable, "-c", FIRST_ASKED_AT_ONCE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
