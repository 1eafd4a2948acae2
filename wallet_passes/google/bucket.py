"""How fast we may ask: Google takes twenty requests a second from an issuer, whichever of our processes sends them.

A token bucket in Redis, kept as one number: the moment until which all tokens are given away. Who asks for more is told
how long to wait for their turn. While Redis is away each process keeps to a bucket of its own.
"""

import threading
import time
from collections.abc import Callable

import redis

from core import jobs, logs
from wallet_passes.google.account import GoogleAway

# Two below what Google allows, for the network does not keep our distances.
RATE = 18  # a second
BURST = 2
LONGEST_REST = 60.0  # seconds
# Seconds before we look for Redis again.
REST = 5.0

_KEY = "rapport:google:given"
# Redis's own clock, for those of the machines differ.
_TAKE = """
local told = redis.call('TIME')
local now = told[1] + told[2] / 1000000
local given = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now - ARGV[3]) + ARGV[1]
local wait = given - now
if wait > tonumber(ARGV[2]) then return tostring(-wait) end
redis.call('SET', KEYS[1], string.format('%.6f', given), 'PX', math.ceil((math.max(wait, 0) + 60) * 1000))
return tostring(math.max(wait, 0))
"""

log = logs.logger(__name__)


class Bucket:
    """`connect` gives Redis. Safe to share among threads."""

    def __init__(self, connect: Callable[[], redis.Redis] = jobs.connection, rate: float = RATE) -> None:
        self._connect = connect
        self._rate = rate
        self._lock = threading.Lock()
        self._given = 0.0
        self._rests_until = 0.0

    def take(self, count: int, patience: float) -> None:
        """Wait until this many requests may be sent. Raises GoogleAway at once when that takes longer than `patience`
        seconds.
        """
        wait = self._turn(count / self._rate, patience)
        if wait < 0:
            raise GoogleAway("many cards are being updated; try again in a moment", max(1, round(-wait - patience)))
        time.sleep(wait)

    def rest(self, seconds: float) -> None:
        """Google asks us all to wait."""
        self._turn(min(seconds, LONGEST_REST), float("inf"))

    def _turn(self, cost: float, patience: float) -> float:
        """Seconds until it is the caller's turn; negative when that is beyond their patience."""
        if time.monotonic() >= self._rests_until:
            try:
                told = self._connect().eval(_TAKE, 1, _KEY, cost, min(patience, 3600.0), BURST / self._rate)
                return float(told)  # type: ignore[arg-type]
            except redis.RedisError as error:
                self._rests_until = time.monotonic() + REST
                log.warning("redis keeps no pace for Google", error=type(error).__name__)
        return self._own_turn(cost, patience)

    def _own_turn(self, cost: float, patience: float) -> float:
        with self._lock:
            now = time.monotonic()
            given = max(self._given, now - BURST / self._rate) + cost
            if given - now > patience:
                return now - given
            self._given = given
            return max(given - now, 0)


bucket = Bucket()
