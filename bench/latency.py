"""From received to posted: web, worker and clock running, orders arriving at half the rate the door can take."""

import time

from bench.client import post
from bench.drain import MEMBERS
from bench.measure import Effort, Goal, Result
from bench.traffic import Orders, requests, uniform
from bench.world import Shop, World

POSTED = Goal("received → posted p99 at half the receive rate", 250, False, "ms")
WARM_UP = 2  # seconds
PATIENCE = 60  # seconds

_SLOWEST = """
    SELECT extract(epoch FROM percentile_cont({share}) WITHIN GROUP (ORDER BY done_at - received_at)) * 1000
    FROM inbox WHERE received_at >= '{since}'"""


def measure(world: World, shop: Shop, orders: Orders, effort: Effort, receive_rate: float) -> list[Result]:
    """`receive_rate` is what the door took at its fastest, in deliveries per second."""
    rate = receive_rate / 2
    pool = requests(orders.bodies(int(rate * (WARM_UP + effort.paced_seconds)), uniform(MEMBERS)))
    warm_up = int(rate * WARM_UP)
    with world.running(shop, "web", "worker", "clock") as port:
        post(port, pool[:1])
        _wait_until_drained(shop)  # the worker is up
        post(port, pool[1:warm_up], every=1 / rate)
        since = shop.ask("SELECT clock_timestamp()")
        post(port, pool[warm_up:], every=1 / rate)
        _wait_until_drained(shop)
    p50, p99 = (float(shop.ask(_SLOWEST.format(share=share, since=since))) for share in (0.5, 0.99))
    shop.empty_inbox()
    return [Result(POSTED, [round(p99, 1)], {"sent per second": round(rate, 1), "p50 ms": round(p50, 1)})]


def _wait_until_drained(shop: Shop) -> None:
    deadline = time.monotonic() + PATIENCE
    while shop.ask("SELECT count(*) FROM inbox WHERE state <> 'done'"):
        if time.monotonic() > deadline:
            raise SystemExit("the worker did not settle everything")
        time.sleep(0.1)
