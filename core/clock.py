"""The one clock. Everything that needs the present asks here, so that a test can choose it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

# The last one counts. Threads of a test may hold the clock at once, and let go in any order.
_fixed: list[datetime] = []


def now() -> datetime:
    """The present, aware and in UTC."""
    return _fixed[-1] if _fixed else datetime.now(UTC)


@contextmanager
def fixed_at(moment: datetime) -> Iterator[None]:
    """Hold the clock of this process at an aware moment, for tests and scenarios."""
    if moment.tzinfo is None:
        raise ValueError("fixed_at needs an aware datetime")
    held = moment.astimezone(UTC)
    _fixed.append(held)
    try:
        yield
    finally:
        _fixed.remove(held)
