"""How often one network or one browser may ask for a friend's code, and so learn who is a customer already.

Tries are counted in Redis, for a refused one leaves nothing in the database. While Redis is away, claims that were made
still count: see `referrals.claims.operations`.
"""

import redis

from core import jobs, logs, metrics
from core.errors import TooMany
from core.i18n import N_, _

PERIOD = 3600  # seconds
# Tries in a period: an office may be behind one network, a browser is one person's.
MOST = {"network": 30, "visitor": 10}
TEXT = N_("That were many tries from here. Please try again in an hour.")

log = logs.logger(__name__)


def spend(shop_id: int, **who: str) -> None:
    """Count a try of these (`network`, `visitor`: keyed hashes, empty for unknown). Raises TooMany."""
    known = {kind: f"rapport:claims:{shop_id}:{kind}:{value}" for kind, value in who.items() if value}
    try:
        counted = {kind: _count(key) for kind, key in known.items()}
    except redis.RedisError as error:
        metrics.REDIS_ERRORS.inc()
        log.warning("redis counts no claims", error=type(error).__name__)
        return
    if any(count > MOST[kind] for kind, count in counted.items()):
        raise TooMany(_(TEXT), code="too_many_claims", retry_after=PERIOD)


def _count(key: str) -> int:
    with jobs.connection().pipeline() as pipe:
        pipe.incr(key)
        pipe.expire(key, PERIOD, nx=True)
        count, _ = pipe.execute()
    return int(count)
