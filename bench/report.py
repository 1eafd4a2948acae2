"""The table on the screen and the JSON beside it."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.measure import Effort, Result

FOLDER = Path(__file__).parent / "results"


def line(result: Result) -> str:
    """One row of the table: result beside goal, the spread of the rounds, and the figures behind them."""
    goal = result.goal
    unit = "" if goal.unit in ("ratio", "count") else f" {goal.unit}"
    digits = 2 if goal.unit == "ratio" else 0
    limit = f"{'≥' if goal.at_least else '≤'} {goal.limit:g}{unit}"
    value = f"{result.value:.{digits}f}{unit}"
    spread = f"{min(result.rounds):.{digits}f}–{max(result.rounds):.{digits}f}"
    figures = ", ".join(f"{name} {value:,.4g}" for name, value in result.figures.items())
    return f"{'met   ' if result.met else 'MISSED'} {goal.name:<64} {value:>8} {limit:>9} {spread:>12}  {figures}"


HEADING = f"{'':6} {'goal':<64} {'result':>8} {'limit':>9} {'rounds':>12}  medians"


def save(results: list[Result], effort: Effort) -> Path:
    """Store everything measured, with enough of the machine to compare it to itself later."""
    now = datetime.now(UTC)
    document = {
        "at": now.isoformat(timespec="seconds"),
        "machine": {"processors": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "effort": effort._asdict(),
        "results": [
            {**msgspec.to_builtins(result), "goal": result.goal._asdict(), "value": result.value, "met": result.met}
            for result in results
        ],
    }
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{now:%Y%m%dT%H%M%SZ}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document)))
    return path
