"""PINs and how long wrong ones make one wait. Pure.

A PIN is six digits that we choose, so that nobody has a birthday or 123456, and nobody learns another's by being told
that theirs is taken. With ten people at a shop's counter one guess in 100,000 is right.
"""

import itertools
from datetime import datetime, timedelta

PIN_DIGITS = 6
# Tries without a wait, and the waits after that: the last one for every further try.
FREE_TRIES = 4
WAITS = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1))
# All of a shop's unknown devices together: a net of machines gets no more guesses than one, and the counter's own
# devices, which are counted apart, still open.
SHOP_FREE_TRIES = 40
# All of the counter's own devices within a day: whoever has a PIN can't guess others' by signing in between.
DEVICES_FREE_TRIES = 200
FORGOTTEN_AFTER = timedelta(days=1)


def wait_until(failed: int, last_at: datetime, free: int = FREE_TRIES) -> datetime | None:
    """Until when who has failed so often has to wait, with so many tries `free`; None: not at all."""
    over = failed - free
    if over <= 0:
        return None
    return last_at + WAITS[min(over, len(WAITS)) - 1]


def is_easy(pin: str) -> bool:
    """Whether a PIN is one that people would guess: a run, or few different digits."""
    steps = {(int(b) - int(a)) % 10 for a, b in itertools.pairwise(pin)}
    return len(set(pin)) < 3 or steps in ({1}, {9})
