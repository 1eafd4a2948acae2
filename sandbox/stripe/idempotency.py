"""Idempotency keys as Stripe keeps them: https://docs.stripe.com/api/idempotent_requests.

The first answer under a key is given again for a day, also when it was an error of the work itself; other parameters
under it are refused, and so is whoever comes while the first is at work.
"""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from sandbox.stripe.refusal import Refusal

LIVES = 24 * 3600  # seconds


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]
    replayed: bool = False


class _Kept(NamedTuple):
    asked: Any
    at: float
    answer: Answer | None


class Keys:
    """They die with the process, as with a day's end."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.kept: dict[str, _Kept] = {}
        self.lock = threading.Lock()

    def once(self, key: str | None, asked: Any, work: Callable[[], Answer]) -> Answer:
        """The answer to a call under its key. Raises Refusal."""
        if not key:
            return work()
        known = self._claim(key, asked)
        if known:
            return known._replace(replayed=True)
        try:
            answer = work()
        except BaseException:
            self.kept.pop(key, None)
            raise
        self.kept[key] = _Kept(asked, self.clock(), answer)
        return answer

    def _claim(self, key: str, asked: Any) -> Answer | None:
        with self.lock:
            held = self.kept.get(key)
            if held is None or (held.answer and held.at < self.clock() - LIVES):
                self.kept[key] = _Kept(asked, self.clock(), None)
                return None
        if held.asked != asked:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with."
            )
            raise Refusal(message, kind="idempotency_error")
        if held.answer is None:
            message = "There is another request at work with this key."
            raise Refusal(message, "idempotency_key_in_use", status=409, kind="idempotency_error")
        return held.answer
