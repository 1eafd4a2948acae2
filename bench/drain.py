"""Draining with the real settlement, one worker: against TPC-B on the same server, with one hot member, and with every
kind of earn rule."""

import time
from functools import partial

from bench import earning, pgbench
from bench.measure import Effort, Goal, Result, alternate, medians, ratios
from bench.traffic import Choose, Orders, hot, store, uniform
from bench.world import Shop, World
from webhooks.drain import drain

RATE = Goal("drain with the real settlement, 1 worker ÷ TPC-B with 8 clients", 1.0, True)
HOT = Goal("drain, 80% of orders one member ÷ uniform", 0.8, True)
RULES = Goal("drain with every kind of earn rule switched on ÷ TPC-B", 1.0, True)
MEMBERS = 2000
CLIENTS = 8


def enrol(shop: Shop, orders: Orders, members: int = MEMBERS) -> None:
    """Every member's first order, which makes them members."""
    store(shop, (orders.body(next(orders.numbers), member) for member in range(members)))
    drain(shop.database)


def drained(shop: Shop, orders: Orders, count: int, choose: Choose) -> float:
    """Orders settled per second, of `count` that were stored before."""
    store(shop, orders.bodies(count, choose))
    began = time.perf_counter()
    worked = drain(shop.database)
    took = time.perf_counter() - began
    if worked != count or shop.ask("SELECT count(*) FROM inbox WHERE state <> 'done'"):
        raise SystemExit("the drain left deliveries behind")
    shop.empty_inbox()
    return count / took


def measure(world: World, shop: Shop, orders: Orders, effort: Effort) -> list[Result]:
    limit = pgbench.prepare_tpc_b(world)
    enrol(shop, orders)
    with world.shop("rules", earning.every_rule()) as ruled:
        earning.know_products(ruled)
        enrol(ruled, orders)
        measured = alternate(
            effort.rounds,
            tpc_b=partial(pgbench.tpc_b, limit, CLIENTS, effort.seconds),
            uniform=partial(drained, shop, orders, effort.orders, uniform(MEMBERS)),
            hot=partial(drained, shop, orders, effort.orders, hot(MEMBERS, 0.8)),
            rules=partial(drained, ruled, orders, effort.orders, uniform(MEMBERS)),
        )
    figures = medians(measured)
    return [
        Result(RATE, ratios(measured["uniform"], measured["tpc_b"]), figures),
        Result(HOT, ratios(measured["hot"], measured["uniform"]), figures),
        Result(RULES, ratios(measured["rules"], measured["tpc_b"]), figures),
    ]
