"""How quick pages are: rewards pages in a theme and the counter's sheet at a steady pace, and the merchant's home, in a
shop with 100,000 members.
"""

import hashlib
import hmac
import http.client
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import jwt
import sqlalchemy as sa

from bench.measure import Effort, Goal, Result, percentile
from bench.traffic import Orders
from bench.volume import fill
from bench.world import DOMAIN, KEY, SECRET, Shop, World
from core import clock
from loyalty import counting
from loyalty.models import Member
from referrals.members import ensure_codes
from sandbox.processes import LOOPBACK
from shops import tokens
from shops.staff import operations
from web.staff import session as sessions
from web.staff import visits

MEMBERS = 100_000
ORDERS_EACH = 3
RATE = 50  # pages a second
STAFF = Goal(f"member at the counter p95 at {RATE}/s with {MEMBERS:,} members", 50, False, "ms")
PORTAL = Goal(f"rewards page p95 at {RATE}/s with {MEMBERS:,} members", 50, False, "ms")
HOME = Goal(f"merchant's home p95, {MEMBERS:,} members, one after another", 50, False, "ms")
CLIENTS = 16
WARM_UP = 2  # seconds
BATCH = 5000


def measure(world: World, effort: Effort) -> Iterator[Result]:
    """Pages of members by chance, each sent when it is due, however long others take."""
    with world.shop("faces") as shop:
        fill(shop, MEMBERS * ORDERS_EACH, MEMBERS)
        _give_codes(shop)
        with shop.database.transaction(shop.id) as session:
            tokens.keep(session, shop.id, tokens.OfflineToken(DOMAIN, "none that works", None, None, None, ""))
        with world.running(shop, "web") as port:
            for goal, ask in ((PORTAL, _page), (STAFF, _counter(shop))):
                _paced(port, ask, WARM_UP)
                yield _result(goal, [_paced(port, ask, effort.seconds) for _ in range(effort.rounds)])
            # A shop has one merchant: pages come one after another, their numbers counted by the clock as ever.
            counting.count(shop.database, shop.id, ZoneInfo("UTC"), clock.now())
            yield _result(HOME, [_one_by_one(port, effort.seconds) for _ in range(effort.rounds)])


def _result(goal: Goal, rounds: list[list[float]]) -> Result:
    p95 = [round(percentile(took, 0.95) * 1000, 1) for took in rounds]
    middle = percentile([one for took in rounds for one in took], 0.5) * 1000
    return Result(goal, p95, {"p50 ms": round(middle, 1), "pages": sum(map(len, rounds))})


def _give_codes(shop: Shop) -> None:
    """The codes to bring friends with that members have from their first look on."""
    for first in range(1, MEMBERS + 2, BATCH):
        with shop.database.transaction(shop.id) as session:
            ensure_codes(session, shop.id, range(first, first + BATCH))


Ask = Callable[[http.client.HTTPConnection, int], None]


def _paced(port: int, ask: Ask, seconds: int) -> list[float]:
    """The seconds that each page took, from when it was due. `ask` is given a number below MEMBERS."""
    chance, kept = random.Random(seconds), threading.local()
    began = time.perf_counter() + 0.1

    def take(number: int) -> float:
        due = began + number / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        if not hasattr(kept, "line"):
            kept.line = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
        ask(kept.line, chance.randrange(MEMBERS))
        return time.perf_counter() - due

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(take, range(RATE * seconds)))


def _one_by_one(port: int, seconds: int) -> list[float]:
    """The seconds that the merchant's home took over 30 days, each asked for when the one before was there."""
    line, took, ends = http.client.HTTPConnection(LOOPBACK, port, timeout=30), [], time.perf_counter() + seconds
    _home(line)
    while time.perf_counter() < ends:
        began = time.perf_counter()
        _home(line)
        took.append(time.perf_counter() - began)
    return took


def _home(line: http.client.HTTPConnection) -> None:
    now = int(time.time())
    told = {"iss": f"https://{DOMAIN}/admin", "dest": f"https://{DOMAIN}", "aud": KEY, "sub": "1",
            "jti": "1", "sid": "1", "exp": now + 60, "nbf": now - 5, "iat": now}  # fmt: skip
    token = jwt.encode(told, SECRET, algorithm="HS256")
    _get(line, "/merchant", {"Authorization": f"Bearer {token}", "Accept-Language": "en"}, b'id="numbers"')


def _page(line: http.client.HTTPConnection, number: int) -> None:
    """Fetch a member's rewards page."""
    _get(line, f"/apps/rewards?{_signed(Orders().person(0).id + number)}", {"Accept-Language": "en"}, b"data-count")


def _counter(shop: Shop) -> Ask:
    """Somebody at work who has a member before them."""
    with shop.database.transaction(shop.id) as session:
        person = operations.invite(session, shop.id, "Sam", actor="bench")
        held = operations.join(session, shop.id, person.id, person.generation).staff
        first = session.scalar(sa.select(sa.func.min(Member.id)).where(Member.shop_id == shop.id)) or 0
    cookie = sessions.cookie(sessions.Ticket(shop.id, held.id, held.generation))

    def ask(line: http.client.HTTPConnection, number: int) -> None:
        visit = visits.signed(visits.Visit(shop.id, held.id, first + number, visits.LOOKED_UP))
        _get(line, f"/staff/with/{visit}", {"Cookie": cookie, "HX-Request": "true"}, b"person")

    return ask


def _get(line: http.client.HTTPConnection, path: str, headers: dict[str, str], mark: bytes) -> None:
    """Raises RuntimeError for any page but the one that bears the mark."""
    line.request("GET", path, headers=headers)
    answer = line.getresponse()
    body = answer.read()
    if answer.status != 200 or mark not in body:
        raise RuntimeError(f"not the page: {path} {answer.status} {body[:200]!r}")


def _signed(customer: int) -> str:
    told = {"shop": DOMAIN, "path_prefix": "/apps/rewards", "timestamp": str(int(time.time())),
            "logged_in_customer_id": str(customer)}  # fmt: skip
    said = "".join(f"{name}={value}" for name, value in sorted(told.items()))
    return urlencode(told | {"signature": hmac.new(SECRET.encode(), said.encode(), hashlib.sha256).hexdigest()})
