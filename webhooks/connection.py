"""Connections for the door, which has five seconds in all: they give up on a server that does not answer."""

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from core.db import APP_ROLE

CONNECT_TIMEOUT = 2  # seconds; libpq takes no less
GRACE = 0.2  # seconds after the server should have cancelled a statement by itself

Result = TypeVar("Result")


class Impatient(psycopg.Connection[Any]):
    """PostgreSQL ends a statement that takes too long, but not when it is frozen itself: so does this end."""

    patience: float = 0

    def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        return super().wait(gen, interval=interval, timeout=timeout or self.patience + GRACE)


def connect(url: str, patience: float) -> Impatient:
    """A connection as the app's role that raises psycopg.OperationalError for what takes over `patience` seconds.

    It is of no use after that: close it.
    """
    options = f"-c role={APP_ROLE} -c statement_timeout={int(patience * 1000)} -c timezone=UTC"
    connection = Impatient.connect(
        url, autocommit=True, options=options, connect_timeout=CONNECT_TIMEOUT, prepare_threshold=0
    )
    connection.patience = patience
    return connection
