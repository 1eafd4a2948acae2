"""How quick shoppers' pages are: the rewards page inside a theme, of any of 100,000 members, at a steady pace."""

import hashlib
import hmac
import http.client
import itertools
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

from bench.measure import Effort, Goal, Result, percentile
from bench.traffic import Orders
from bench.volume import fill
from bench.world import DOMAIN, SECRET, Shop, World
from sandbox.processes import LOOPBACK

MEMBERS = 100_000
ORDERS_EACH = 3
RATE = 50  # pages a second
PORTAL = Goal(f"rewards page p95 at {RATE}/s with {MEMBERS:,} members", 50, False, "ms")
CLIENTS = 16
WARM_UP = 2  # seconds


def measure(world: World, effort: Effort) -> Iterator[Result]:
    """Pages of members by chance, each sent when it is due, however long others take."""
    with world.shop("faces") as shop:
        fill(shop, MEMBERS * ORDERS_EACH, MEMBERS)
        with world.running(shop, "web") as port:
            _paced(port, shop, WARM_UP)
            rounds = [_paced(port, shop, effort.seconds) for _ in range(effort.rounds)]
    p95 = [round(percentile(took, 0.95) * 1000, 1) for took in rounds]
    middle = percentile([one for took in rounds for one in took], 0.5) * 1000
    yield Result(PORTAL, p95, {"p50 ms": round(middle, 1), "pages": sum(map(len, rounds))})


def _paced(port: int, shop: Shop, seconds: int) -> list[float]:
    """The seconds that each page took, from when it was due."""
    chance, first = random.Random(seconds), Orders().person(0).id
    began, kept = time.perf_counter() + 0.1, threading.local()

    def ask(number: int) -> float:
        due = began + number / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        _page(kept, port, first + chance.randrange(MEMBERS))
        return time.perf_counter() - due

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(ask, itertools.islice(itertools.count(), RATE * seconds)))


def _page(kept: threading.local, port: int, customer: int) -> None:
    """Fetch a member's page over this thread's connection. Raises RuntimeError for any other answer."""
    if not hasattr(kept, "line"):
        kept.line = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
    kept.line.request("GET", f"/apps/rewards?{_signed(customer)}", headers={"Accept-Language": "en"})
    answer = kept.line.getresponse()
    body = answer.read()
    if answer.status != 200 or b"data-count" not in body:
        raise RuntimeError(f"no rewards page: {answer.status} {body[:200]!r}")


def _signed(customer: int) -> str:
    told = {"shop": DOMAIN, "path_prefix": "/apps/rewards", "timestamp": str(int(time.time())),
            "logged_in_customer_id": str(customer)}  # fmt: skip
    said = "".join(f"{name}={value}" for name, value in sorted(told.items()))
    return urlencode(told | {"signature": hmac.new(SECRET.encode(), said.encode(), hashlib.sha256).hexdigest()})
