"""What goes wrong next at Stripe, as tests plan it. Each planned fault spoils one call.

- a status from 400 to 599: answered in Stripe's shape, nothing is done. 500 is remembered under the idempotency key, as
  Stripe does; the others are not.
- `html`: a page with status 502 in place of JSON.
- `hang_up_before`, `hang_up_after`: after `seconds` the connection ends without an answer, before or after the call was
  carried out.
- `delay`: carried out after `seconds`.
"""

import threading

import msgspec

KINDS = ("html", "hang_up_before", "hang_up_after", "delay")


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """`call` is `transfers.create` and the like; without one, whatever comes."""

    kind: str
    call: str = ""
    times: int = 1
    seconds: float = 0.0


class Faults:
    def __init__(self) -> None:
        self.planned: list[Fault] = []
        self.lock = threading.Lock()

    def plan(self, kind: str | int, call: str = "", *, times: int = 1, seconds: float = 0.0) -> None:
        """Raises ValueError for what can't be planned."""
        name = str(kind)
        if name not in KINDS and not (name.isdecimal() and 400 <= int(name) < 600):
            raise ValueError(f"Unknown fault {name}; choose a status or one of {', '.join(KINDS)}.")
        with self.lock:
            self.planned.extend([Fault(name, call, 1, seconds)] * times)

    def clear(self) -> None:
        with self.lock:
            self.planned.clear()

    def next(self, call: str) -> Fault | None:
        with self.lock:
            for place, fault in enumerate(self.planned):
                if fault.call in ("", call):
                    return self.planned.pop(place)
        return None
