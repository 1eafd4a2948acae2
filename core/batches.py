"""Working off many things a batch at a time, so that one that fails holds up no other."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from core import logs
from core.errors import one_line

log = logs.logger(__name__)

Item = TypeVar("Item")


def apart(items: Sequence[Item], work: Callable[[Sequence[Item]], object], *, what: str) -> list[Item]:
    """Do `work` for the items together, or one by one when that fails. Returns those that failed alone, too.

    `work` runs in a transaction of its own. `what` says in the log what did not happen ("tiers not reviewed").
    """
    try:
        work(items)
        return []
    except Exception as error:
        log.warning(what, items=[str(item) for item in items], error=one_line(error))
    return list(items) if len(items) == 1 else [failed for item in items for failed in apart([item], work, what=what)]


def all_due(
    find: Callable[[int], Iterable[Item]], work: Callable[[Sequence[Item]], object], *, size: int, what: str
) -> int:
    """Do `work` for everything `find(limit)` tells to be due, until nothing is but what failed. Returns how many.

    What has been done must no longer be found; what fails is left for the next time.
    """
    done, failed = 0, set[Item]()
    while items := [item for item in find(size + len(failed)) if item not in failed]:
        failed.update(apart(items, work, what=what))
        done += len(items)
    return done
