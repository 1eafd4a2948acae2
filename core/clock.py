"""The one clock. Everything that needs the present asks here, so that a test can choose it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_fixed: datetime | None = None


def now() -> datetime:
    """The present, aware and in UTC."""
    return _fixed or datetime.now(UTC)


@contextmanager
def fixed_at(moment: datetime) -> Iterator[None]:
    """Hold the clock of this process at an aware moment, for tests and scenarios."""
    global _fixed
    if moment.tzinfo is None:
        raise ValueError("fixed_at needs an aware datetime")
    before, _fixed = _fixed, moment.astimezone(UTC)
    try:
        yield
    finally:
        _fixed = before
