"""Receiving: how close the door comes to the fastest this database can store the same rows, and how soon it answers."""

import time
from functools import partial

from bench import pgbench
from bench.client import CONNECTIONS, post
from bench.measure import Effort, Goal, Result, alternate, medians, percentile, ratios
from bench.traffic import Orders, repeated, requests, uniform
from bench.world import Shop, World

RATE = Goal("receive ÷ pgbench INSERT of the same row, 16 connections", 0.55, True)
ACKNOWLEDGE = Goal("acknowledge p99 at 16 connections", 75, False, "ms")
POOL = 200


def measure(world: World, shop: Shop, effort: Effort) -> list[Result]:
    pool = requests(Orders().bodies(POOL, uniform(POOL)))
    stream = repeated(pool)
    slowest: list[float] = []

    def door(port: int) -> float:
        began = time.perf_counter()
        took = post(port, stream, seconds=effort.seconds)
        slowest.append(1000 * percentile(took, 0.99))
        return len(took) / (time.perf_counter() - began)

    body = pool[0].partition(b"\r\n\r\n")[2]
    with world.running(shop, "web") as port:
        post(port, stream, seconds=1)
        insert = partial(pgbench.inserts, world, shop, body, CONNECTIONS, effort.seconds)
        measured = alternate(effort.rounds, insert=insert, receive=partial(door, port))
    shop.empty_inbox()
    return [
        Result(RATE, ratios(measured["receive"], measured["insert"]), medians(measured)),
        Result(ACKNOWLEDGE, slowest),
    ]
