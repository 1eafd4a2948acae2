"""A web process answers its first requests in several threads at once."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Statements are compiled when they are first asked. What goes wrong in that moment stays wrong for the process's life.
# While one thread looks into where a statement's columns come from, another comes and compiles the same statement.
FIRST_ASKED_AT_ONCE = """
import importlib, threading
import app
from sqlalchemy import ColumnElement, Select
from sqlalchemy.dialects import postgresql
from wallet_passes import facts, operations

ancestors, looks, texts = ColumnElement.__dict__["_expanded_proxy_set"].fget, 0, {}

def look(column):
    global looks
    looks += 1
    if looks == 3:
        other = threading.Thread(target=compile)
        other.start()
        other.join(5)
    return ancestors(column)

def compile():
    try:
        texts[name].add(str(statement.compile(dialect=postgresql.dialect())))
    except Exception as error:
        texts[name].add(f"{type(error).__name__}: {error}")

ColumnElement._expanded_proxy_set = property(look)
for module in map(importlib.reload, (facts, operations)):
    for name, statement in [pair for pair in vars(module).items() if isinstance(pair[1], Select)]:
        looks, texts[name] = 0, set()
        compile()
print({name: len(known) for name, known in texts.items()})
"""


def test_statements_may_be_first_asked_by_many_threads_at_once() -> None:
    command = [sys.executable, "-c", FIRST_ASKED_AT_ONCE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    ways = ast.literal_eval(done.stdout)
    assert len(ways) == 8
    assert set(ways.values()) == {1}, ways
