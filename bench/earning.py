"""What settling an order costs before anything is written, with every kind of rule on orders switched on.

The programs here are also what the drain is measured with.
"""

import random
import statistics
import time
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from bench.measure import Effort, Goal, Result
from bench.traffic import START, Orders, uniform
from bench.world import Shop
from core import clock
from loyalty import products
from loyalty.earning.rules import Circumstances, Labels, Terms, Used, target
from loyalty.program import Bonus, Limit, OrderRule, Program, demo_program
from loyalty.programs import Version
from loyalty.rules import OrderState, eligible_spend, moves, spend_facts
from sandbox.catalogue import COLLECTIONS, DEMO, FACTS, PRODUCTS
from webhooks import payloads
from webhooks.payloads import OrderPayload

COST = Goal("pure settlement of an order, every kind of earn rule, median", 100, False, "µs")
ORDERS = 500

_COLLECTIONS = {collection.handle: collection.id for collection in COLLECTIONS}
LABELS = {
    item.product_id: Labels(frozenset(FACTS[item.title][1]), frozenset(_COLLECTIONS[h] for h in FACTS[item.title][2]))
    for item in PRODUCTS
    if item.product_id is not None
}


def every_rule() -> Program:
    """The demo program with a bonus of every kind, each of which some orders earn, limits, and waiting days."""
    first = datetime.fromtimestamp(START, ZoneInfo(DEMO.timezone)).replace(tzinfo=None)
    campaign = {"starts_at": first - timedelta(days=1), "ends_at": first + timedelta(days=30)}
    things = {"products": (PRODUCTS[9].product_id,), "variants": (PRODUCTS[1].variant_id,)}
    bonuses = (
        Bonus(key="first", name="First order", points=100, order_number=1),
        Bonus(key="espresso", name="Espresso", multiplier=Decimal("1.5"), collections=(_COLLECTIONS["espresso"],)),
        Bonus(key="blends", name="Blends", points=5, per="item", tags=("blend",), limit=Limit(times_per_day=3)),
        Bonus(key="ceramics", name="Ceramics", points=20, vendors=("Sable Ceramics",), channel="online"),
        Bonus(key="heavy", name="Grinders and kilos", points=15, **things),  # type: ignore[arg-type]
        Bonus(key="large", name="Large orders", points=30, minimum_spend=60_00, limit=Limit(points_ever=3000)),
        Bonus(key="climbers", name="For climbers", points=10, tiers=("advocate", "ambassador")),
        Bonus(key="weekend", name="Double points", multiplier=Decimal(2), **campaign),  # type: ignore[arg-type]
    )
    orders = OrderRule(limit=Limit(points_per_day=2000), waiting_days=14)
    return demo_program().model_copy(update={"bonuses": bonuses, "orders": orders, "timezone": DEMO.timezone})


def know_products(shop: Shop) -> None:
    """Tags and collections are at hand, as they are for all but a product's first order of a day."""
    with shop.database.transaction(shop.id) as session:
        products.keep(session, shop.id, LABELS, clock.now())


def measure(effort: Effort) -> list[Result]:
    version = Version(1, datetime.fromtimestamp(0, ZoneInfo("UTC")), every_rule())
    terms = version.terms("advocate", Fraction(5, 4))
    used = dict.fromkeys(version.limited, Used(40, 900, 1, 30))
    circumstances = Circumstances(5, used, LABELS)
    states = [
        payloads.order_state(payloads.parse(body, OrderPayload), DEMO.currency)
        for body in Orders().bodies(ORDERS, uniform(ORDERS))
    ]
    random.Random(1).shuffle(states)
    settled(states, terms, circumstances)
    return [Result(COST, [settled(states, terms, circumstances) for _ in range(effort.rounds)])]


def settled(states: list[OrderState], terms: Terms, circumstances: Circumstances) -> float:
    """The median of what these orders take, in microseconds."""
    now, took = clock.now(), []
    for state in states:
        began = time.perf_counter_ns()
        spend = eligible_spend(state, {}, terms.policy)
        spend_facts(state, spend)
        wanted = target(state, spend, terms, now=now, circumstances=circumstances)
        moves(0, 0, wanted.pending, wanted.available)
        took.append(time.perf_counter_ns() - began)
    return statistics.median(took) / 1000
