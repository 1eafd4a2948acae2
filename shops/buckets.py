"""How much a shop may be asked: Shopify's leaky bucket of cost points, one a shop, kept in Redis for all processes.

What a call will cost is taken out before it is made, so that many workers together stay within what the shop allows and
are hardly ever refused; what Shopify says is left corrects it afterwards. Without Redis each process keeps its own.
Source: https://shopify.dev/docs/api/usage/limits
"""

import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import redis

from core import jobs, metrics

# What a shop on Shopify's smallest plan has, until an answer says otherwise. Points, and points a second.
MAXIMUM, RATE = 2000.0, 100.0
# What work leaves of the bucket to what is more urgent, as a share of it: nothing where people wait, a part where only
# a shop's books do, more where not even those. So tagging 20,000 customers who came along holds up no order.
PEOPLE, BOOKS, TRIMMINGS = 0.0, 0.25, 0.5
KEPT = 600  # seconds; a bucket that was not used for so long is full
STALE = 30.0  # seconds after which a call under way is believed lost with its process
REST = 1.0  # seconds without asking a Redis that failed

# ARGV: maximum, rate, kept, stale. `flying` is what calls under way will cost: Shopify may not have seen them yet.
_HELD = """
local held = redis.call('HMGET', KEYS[1], 'level', 'at', 'maximum', 'rate', 'flying', 'claim', 'claimant', 'claimed_at')
local told = redis.call('TIME')
local now = tonumber(told[1]) + tonumber(told[2]) / 1000000
local maximum = tonumber(held[3]) or tonumber(ARGV[1])
local rate = tonumber(held[4]) or tonumber(ARGV[2])
local since = now - (tonumber(held[2]) or now)
local level = math.min(maximum, (tonumber(held[1]) or maximum) + since * rate)
local flying = since < tonumber(ARGV[4]) and tonumber(held[5]) or 0
"""
_KEEP = """
redis.call('HSET', KEYS[1], 'level', level, 'at', now, 'maximum', maximum, 'rate', rate, 'flying', flying)
redis.call('EXPIRE', KEYS[1], ARGV[3])
"""
# More ARGV: cost, share spared. Answers the milliseconds to wait, 0 when the cost was taken. Whoever waits lays claim
# to what they wait for, and less urgent calls leave that: else small ones would always be there before a large one.
_TAKE = f"""{_HELD}
local cost, spared = math.min(tonumber(ARGV[5]), maximum), tonumber(ARGV[6])
local alone = math.min(cost + spared * maximum, maximum)
local claim, claimant = 0, 1
if held[6] and now - tonumber(held[8]) < tonumber(ARGV[4]) then
  claim, claimant = tonumber(held[6]), tonumber(held[7])
end
local needed = claimant < spared and math.min(math.max(alone, claim + cost), maximum) or alone
if level < needed then
  if spared <= claimant then
    redis.call('HSET', KEYS[1], 'claim', alone, 'claimant', spared, 'claimed_at', now)
    redis.call('EXPIRE', KEYS[1], ARGV[3])
  end
  return math.ceil((needed - level) / rate * 1000)
end
if spared == claimant and alone >= claim then redis.call('HDEL', KEYS[1], 'claim', 'claimant', 'claimed_at') end
level, flying = level - cost, flying + cost
{_KEEP}
return 0
"""
# More ARGV: the cost that was taken, and where Shopify told them: points left, maximum, rate.
_SETTLE = f"""{_HELD}
flying = math.max(0, flying - tonumber(ARGV[5]))
if ARGV[6] then
  maximum, rate = tonumber(ARGV[7]), tonumber(ARGV[8])
  level = math.min(maximum, tonumber(ARGV[6]) - flying)
end
{_KEEP}
return 0
"""


class Status(NamedTuple):
    """What Shopify says of a shop's bucket under `extensions.cost`. Points; `rate` is points a second."""

    requested: float
    actual: float
    available: float
    maximum: float
    rate: float

    @classmethod
    def told(cls, answer: Mapping[str, Any]) -> "Status | None":
        """None where the answer does not tell."""
        cost = (answer.get("extensions") or {}).get("cost") or {}
        status = cost.get("throttleStatus") or {}
        try:
            maximum, rate = float(status["maximumAvailable"]), float(status["restoreRate"])
            actual = float(cost.get("actualQueryCost") or 0)
            told = cls(float(cost["requestedQueryCost"]), actual, float(status["currentlyAvailable"]), maximum, rate)
        except (KeyError, TypeError, ValueError):
            return None
        return told if maximum > 0 and rate > 0 else None


class _Level:
    """A bucket in this process's memory."""

    def __init__(self) -> None:
        self.maximum, self.rate = MAXIMUM, RATE
        self.level, self.flying, self.at = MAXIMUM, 0.0, time.monotonic()
        self.claim, self.claimant, self.claimed_at = 0.0, 1.0, 0.0

    def refill(self) -> float:
        now = time.monotonic()
        self.flying = self.flying if now - self.at < STALE else 0.0
        self.level, self.at = min(self.maximum, self.level + (now - self.at) * self.rate), now
        return self.level

    def take(self, cost: float, spared: float) -> float:
        """As `_TAKE`, in seconds."""
        level, cost = self.refill(), min(cost, self.maximum)
        alone = min(cost + spared * self.maximum, self.maximum)
        if self.at - self.claimed_at >= STALE:
            self.claim, self.claimant = 0.0, 1.0
        needed = min(max(alone, self.claim + cost), self.maximum) if self.claimant < spared else alone
        if level < needed:
            if spared <= self.claimant:
                self.claim, self.claimant, self.claimed_at = alone, spared, self.at
            return (needed - level) / self.rate
        if spared == self.claimant and alone >= self.claim:
            self.claim, self.claimant = 0.0, 1.0
        self.level, self.flying = level - cost, self.flying + cost
        return 0.0


class Buckets:
    """The buckets of all shops, by their domain. Every `take` that was granted is followed by a `settle`."""

    def __init__(self) -> None:
        self._own: dict[str, _Level] = {}
        self._lock = threading.Lock()
        self._rests_until = 0.0

    def take(self, domain: str, cost: float, *, spared: float = PEOPLE) -> float:
        """Take what a call will cost; 0.0 when it was there, else the seconds to wait before asking again.

        `spared` is the share of the bucket that is left to others.
        """
        waits = self._redis(_TAKE, domain, cost, spared)
        return self._take_own(domain, cost, spared) if waits is None else waits / 1000

    def settle(self, domain: str, cost: float, told: Status | None) -> None:
        """The call that `cost` was taken for is over; believe what Shopify told of the bucket, if it did."""
        known = (told.available, told.maximum, told.rate) if told else ()
        if self._redis(_SETTLE, domain, cost, *known) is None:
            self._settle_own(domain, cost, told)

    def _take_own(self, domain: str, cost: float, spared: float) -> float:
        with self._lock:
            return self._own.setdefault(domain, _Level()).take(cost, spared)

    def _settle_own(self, domain: str, cost: float, told: Status | None) -> None:
        with self._lock:
            own = self._own.setdefault(domain, _Level())
            own.refill()
            own.flying = max(0.0, own.flying - cost)
            if told:
                own.maximum, own.rate = told.maximum, told.rate
                own.level = min(own.maximum, told.available - own.flying)

    def _redis(self, script: str, domain: str, *more: float) -> int | None:
        if time.monotonic() < self._rests_until:
            return None
        arguments = map(str, (MAXIMUM, RATE, KEPT, STALE, *more))
        try:
            answer: Any = jobs.connection().eval(script, 1, f"rapport:shopify:bucket:{domain}", *arguments)
            return int(answer)
        except redis.RedisError:
            self._rests_until = time.monotonic() + REST
            metrics.REDIS_ERRORS.inc()
            return None


buckets = Buckets()
