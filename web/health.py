"""`/healthz`: the process runs. `/readyz`: it can do its work. `/metrics`: Prometheus."""

import contextlib
import os
from collections.abc import Callable

import sqlalchemy as sa
from flask import Blueprint, Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from core import clock, jobs, metrics
from core.db import database
from wallet_passes.apple import certificate
from wallet_passes.apple.certificate import BadCertificate, NotSetUp
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
    """All processes of this machine where PROMETHEUS_MULTIPROC_DIR names their common folder, else this one alone."""
    with contextlib.suppress(sa.exc.SQLAlchemyError):
        metrics.PENDING.set(count_waiting(database()))
    with contextlib.suppress(BadCertificate, NotSetUp):
        metrics.CERTIFICATE_DAYS.set((certificate.loaded().expires_at - clock.now()).days)
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


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
