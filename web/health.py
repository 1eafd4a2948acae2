"""`/healthz`: the process runs. `/readyz`: it can do its work. `/metrics`: Prometheus."""

from collections.abc import Callable

import sqlalchemy as sa
from flask import Blueprint, Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from core import jobs, metrics
from core.db import database
from webhooks.drain import count_waiting

health = Blueprint("health", __name__)


def register(app: Flask) -> None:
    app.register_blueprint(health)


@health.get("/healthz")
def alive() -> dict[str, str]:
    return {"status": "ok"}


@health.get("/readyz")
def ready() -> tuple[dict[str, str], int]:
    """503 without the database. Redis may be away: work then waits for the sweep, and nothing is lost."""
    checks = {"database": _answers(_ask_database), "redis": _answers(_ask_redis)}
    return checks, 200 if checks["database"] == "ok" else 503


@health.get("/metrics")
def scrape() -> Response:
    metrics.PENDING.set_function(lambda: count_waiting(database()))
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def _answers(ask: Callable[[], object]) -> str:
    try:
        ask()
    except Exception as error:
        return type(error).__name__
    return "ok"


def _ask_database() -> None:
    with database().transaction() as session:
        session.execute(sa.text("SELECT 1"))


def _ask_redis() -> None:
    jobs.connection().ping()
