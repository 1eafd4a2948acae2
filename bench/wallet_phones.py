"""From an order to the phone that shows it, with everything running: web, workers, clock, push service and phones."""

import itertools
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from bench import wallet_apple
from bench.client import post
from bench.drain import enrol
from bench.measure import QUICK, Effort, Goal, Result, percentile
from bench.traffic import Orders, requests
from bench.world import Shop, World
from sandbox.apple import authority
from sandbox.processes import LOOPBACK
from wallet_passes.apple.operations import download_link

IDLE = Goal("order → phone p95, one every 2 s", 2000, False, "ms")
GATHERED = Goal("order → phone p95, 0.5 s after another of that member", 2000, False, "ms")
BUSY = Goal("order → phone p95, 50 orders/s", 5000, False, "ms")
LOST = Goal("orders that no phone showed, cards that differ from the ledger", 0, False, "count")
UNCHANGED = Goal("signatures for fetches of cards that had not changed", 0, False, "count")

RATE = 50  # orders a second
EVERY = 2.0  # seconds between orders when idle
SOON = 0.5  # seconds after an order that another of the same member follows
# All but the queue of what Shopify is told: there is no Shopify here.
PROCESSES = ("web", "worker drain", "worker apple", "worker google", "worker periodic", "clock")
CHUNK = 200
VERIFIED = 100
PATIENCE = 60  # seconds

_DUE = "SELECT count(*) FROM effects WHERE kind LIKE 'wallet.%' AND state = 'waiting'"
_CUSTOMERS = "SELECT customer_id, id FROM members"
_POINTS = "SELECT id, available FROM members"
_EARNED = "SELECT order_id, member_id, max(available_after) FROM postings WHERE order_id IS NOT NULL GROUP BY 1, 2"


class Size(NamedTuple):
    """How many members order: alone, twice in short order, and all at once. Each has a phone of their own."""

    idle: int
    twice: int
    busy: int

    @property
    def members(self) -> int:
        return sum(self)


FULL_SIZE = Size(20, 20, 60 * RATE)
QUICK_SIZE = Size(5, 5, 10 * RATE)

Shown = Mapping[str, Sequence[tuple[int, float]]]  # by phone: points, since when


class Crowd:
    """Members with cards, and the phones that hold them, which are elsewhere. Phones are named after members' ids."""

    def __init__(self, shop: Shop, there: ProcessPoolExecutor, orders: Orders, size: Size) -> None:
        self.shop, self.there, self.orders, self.size = shop, there, orders, size
        self.sent: dict[int, float] = {}
        with shop.owner() as connection:
            ids = dict(connection.execute(_CUSTOMERS).fetchall())
        self.names = [str(ids[orders.person(number).id]) for number in range(size.members)]
        self.cards: dict[str, str] = {}

    def add_cards(self, base: str) -> None:
        """Each member adds their card to their phone; what follows from that is over."""
        links = {name: base + urlsplit(download_link(self.shop.id, int(name)).url).path for name in self.names}
        for some in _chunks(links, CHUNK):
            self.cards |= self.there.submit(wallet_apple.add, {name: links[name] for name in some}).result()
            _progress(f"{len(self.cards):,} cards added")
        self.wait_until_told()

    def order(self, port: int, members: Sequence[int], every: float) -> list[int]:
        """These members order, so many seconds apart; their orders' ids. An order counts from when it was due."""
        numbers = [next(self.orders.numbers) for _ in members]
        bodies = (self.orders.body(number, member) for number, member in zip(numbers, members, strict=True))
        pool = requests(bodies, first=numbers[0])
        ids, began = [order_id(number) for number in numbers], time.time()
        post(port, pool, every=every)
        self.sent |= {order: began + every * place for place, order in enumerate(ids)}
        return ids

    def shown(self) -> Shown:
        found = self.there.submit(wallet_apple.shown).result()
        return {self.cards[serial]: history for serial, history in found.items()}

    def wait_until_told(self) -> None:
        """Until the wallets know everything, or patience ends."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and (
            self.shop.ask("SELECT count(*) FROM inbox WHERE state <> 'done'") or self.shop.ask(_DUE)
        ):
            time.sleep(0.1)

    def wait_until_shown(self) -> int:
        """Until all phones show what the ledger says, or patience ends; how many don't."""
        deadline = time.monotonic() + PATIENCE
        self.wait_until_told()
        while (behind := self._behind()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return behind

    def _behind(self) -> int:
        shown = self.shown()
        with self.shop.owner() as connection:
            points = connection.execute(_POINTS).fetchall()
        return sum(shown[str(member)][-1][0] != available for member, available in points)

    def took(self) -> dict[int, float]:
        """For each order the milliseconds until its points were shown; those that never were are missing."""
        shown = self.shown()
        with self.shop.owner() as connection:
            earned = connection.execute(_EARNED).fetchall()
        first = {
            order: next((at for points, at in shown[str(member)] if points >= after), None)
            for order, member, after in earned
            if order in self.sent
        }
        return {order: 1000 * (at - self.sent[order]) for order, at in first.items() if at is not None}


def order_id(number: int) -> int:
    return 6_000_000_000_000 + number


def measure(world: World, effort: Effort) -> list[Result]:
    size = QUICK_SIZE if effort == QUICK else FULL_SIZE
    folder, orders = world.folder / "apple", Orders()
    with world.shop("phones") as shop, wallet_apple.elsewhere() as there:
        enrol(shop, orders, size.members)
        push_url = there.submit(wallet_apple.open_phones, folder).result()
        with world.running(shop, *PROCESSES, environ=authority.files(folder).settings(push_url)) as port:
            base = f"http://{LOOPBACK}:{port}"
            crowd = Crowd(shop, there, orders, size)
            crowd.add_cards(base)
            results = [*_timed(crowd, port), _unchanged(crowd, base)]
        there.submit(wallet_apple.close).result()
    return results


def _timed(crowd: Crowd, port: int) -> Iterator[Result]:
    idle, twice = crowd.size.idle, crowd.size.twice
    alone, again = [], []
    for member in range(idle):
        alone += _ordered(crowd, port, [member])
    for member in range(idle, idle + twice):
        again += _ordered(crowd, port, [member, member])[1:]
    _progress(f"{crowd.size.busy:,} orders at {RATE} a second")
    busy = crowd.order(port, range(idle + twice, crowd.size.members), 1 / RATE)
    lost = crowd.wait_until_shown()
    took = crowd.took()
    sample = random.Random(1).sample(crowd.names, min(VERIFIED, len(crowd.names)))
    crowd.there.submit(wallet_apple.verify, sample).result()
    _progress("")
    for goal, orders in ((IDLE, alone), (GATHERED, again), (BUSY, busy)):
        yield _slowest(goal, [took.get(order, float("inf")) for order in orders])
    lost += len(crowd.sent.keys() - took.keys())
    yield Result(LOST, [lost], {"cards": len(crowd.cards), "orders": len(crowd.sent)})


def _ordered(crowd: Crowd, port: int, members: Sequence[int]) -> list[int]:
    """A member orders, perhaps again soon after; the next one waits."""
    began = time.monotonic()
    ids = crowd.order(port, members, SOON)
    time.sleep(max(0.0, began + EVERY - time.monotonic()))
    return ids


def _slowest(goal: Goal, took: Sequence[float]) -> Result:
    others = {"p50 ms": percentile(took, 0.5), "slowest ms": max(took), "orders": len(took)}
    return Result(goal, [round(percentile(took, 0.95), 1)], {name: round(value, 1) for name, value in others.items()})


def _unchanged(crowd: Crowd, base: str) -> Result:
    before = _signatures(base)
    statuses = crowd.there.submit(wallet_apple.fetch_again, crowd.names[:CHUNK]).result()
    if set(statuses) != {httpx.codes.NOT_MODIFIED}:
        raise SystemExit(f"cards that had not changed were answered with {set(statuses)}")
    figures = {"fetches answered 304": float(len(statuses)), "signed before": before}
    return Result(UNCHANGED, [_signatures(base) - before], figures)


def _signatures(base: str) -> float:
    """How many the web process has made so far."""
    lines = httpx.get(f"{base}/metrics", trust_env=False).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("rapport_apple_signatures_total "))


def _chunks(names: Mapping[str, str], size: int) -> Iterator[list[str]]:
    waiting = iter(names)
    while some := list(itertools.islice(waiting, size)):
        yield some


def _progress(said: str) -> None:
    print(f"\r{said:70}" if said else f"\r{'':70}\r", end="", flush=True)
