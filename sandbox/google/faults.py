"""What goes wrong next at Google, as tests plan it. Each planned fault spoils one call.

- a status from 400 to 599: answered at once in Google's shape of errors, nothing is done; `retry_after` in seconds.
- `html`: a page with status 502 in place of JSON; `html_200`: the same with 200.
- `delay`: answered after `seconds`.
- `hang_up_before`, `hang_up_after`: after `seconds` the connection ends without an answer, before or after the call was
  carried out.
"""

import threading
from collections.abc import Callable
from typing import Any

import msgspec
from flask import Response

from sandbox.google.refusal import invalid

KINDS = ("html", "html_200", "delay", "hang_up_before", "hang_up_after")


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """`call` is `token`, `keys`, `batch`, `loyaltyobject.patch` and the like; without one, whatever comes."""

    kind: str
    call: str = ""
    times: int = 1
    seconds: float = 0.0
    retry_after: int = 0


class Faults:
    def __init__(self) -> None:
        self.planned: list[Fault] = []
        self.lock = threading.Lock()

    def plan(self, kind: str | int, call: str = "", **more: Any) -> None:
        """Raises Refusal for what can't be planned."""
        fault = Fault(str(kind), call, **more)
        if fault.kind not in KINDS and not (fault.kind.isdecimal() and 400 <= int(fault.kind) < 600):
            raise invalid(f"Unknown fault {fault.kind}; choose a status or one of {', '.join(KINDS)}.")
        with self.lock:
            self.planned.extend([fault] * fault.times)

    def clear(self) -> None:
        with self.lock:
            self.planned.clear()

    def next(self, call: str, wanted: Callable[[Fault], bool] = lambda _: True) -> Fault | None:
        with self.lock:
            for place, fault in enumerate(self.planned):
                if fault.call in ("", call) and wanted(fault):
                    return self.planned.pop(place)
        return None


def page(status: int) -> Response:
    """What a proxy shows while nobody is behind it."""
    text = "<!doctype html><title>Error 502 (Server Error)</title><p>The server encountered a temporary error."
    return Response(text, status, mimetype="text/html")
