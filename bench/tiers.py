"""What it costs to measure every member against a ladder that changed, beside a plain sum over the same facts."""

import time
from datetime import timedelta

from bench.measure import Effort, Goal, Result, alternate, medians, ratios
from bench.world import Shop, World
from core import clock
from loyalty import programs
from loyalty.program import Program, demo_program
from tiers import recalculation
from tiers.models import Recalculation

COST = Goal("recalculating 100,000 members ÷ plain SQL sum of their spend", 15, False)
MEMBERS = 100_000
FACTS_EACH = 10
# One member in so many moves; the others stay where they are.
EASIER = 0.9

MEMBERS_SQL = """
    INSERT INTO members (shop_id, customer_id, joined_at, last_order_at, tier_key, tier_since)
    SELECT %(shop)s, 5000000000 + n, now() - interval '3 years', now(), 'insider', now() - interval '3 years'
    FROM generate_series(1, %(members)s) AS n"""
# Members spend from nearly nothing to 2,000.00, each the same amount every few weeks over two years.
FACTS_SQL = """
    INSERT INTO spend_facts (shop_id, order_id, cause, member_id, at, amount, orders)
    SELECT m.shop_id, m.id * 100 + n, 'order', m.id, 
        now() - (n * 70 || ' days')::interval - (m.id %% 60 || ' days')::interval, (m.id * 7919 %% 40000) + 1, 1
    FROM members m CROSS JOIN generate_series(1, %(facts)s) AS n WHERE m.shop_id = %(shop)s"""
SUM_SQL = """
    SELECT count(*) FROM (SELECT member_id, sum(amount) FROM spend_facts
    WHERE shop_id = %(shop)s AND at >= now() - interval '365 days' GROUP BY member_id) sums"""


def measure(world: World, effort: Effort) -> list[Result]:
    with world.shop("ladder") as shop:
        fill(shop)
        recalculated(shop)
        measured = alternate(effort.rounds, recalculated=lambda: recalculated(shop), summed=lambda: summed(shop))
    figures = medians(measured)
    figures["members per second"] = round(MEMBERS / figures["recalculated"])
    return [Result(COST, ratios(measured["recalculated"], measured["summed"]), figures)]


def fill(shop: Shop) -> None:
    numbers = {"shop": shop.id, "members": MEMBERS, "facts": FACTS_EACH}
    with shop.owner() as connection:
        for sql in (MEMBERS_SQL, FACTS_SQL):
            connection.execute(sql, numbers)  # type: ignore[arg-type]
        connection.execute("VACUUM (ANALYZE) members, spend_facts")


def recalculated(shop: Shop) -> float:
    """Seconds it takes once another ladder is in force; from one round to the next it changes there and back."""
    with shop.database.transaction(shop.id) as session:
        number = len(programs.load(session, [shop.id]).of(shop.id))
        program = demo_program() if number % 2 == 0 else _easier(demo_program())
        programs.publish(session, shop.id, program, effective_from=clock.now() - timedelta(seconds=1), actor="bench")
    began = time.perf_counter()
    row = recalculation.run(shop.database, shop.id, _progress)
    print(f"\r{'':70}\r", end="", flush=True)
    assert (row.done, row.moved > MEMBERS / 50) == (MEMBERS, True)
    return time.perf_counter() - began


def _progress(row: Recalculation) -> None:
    print(f"\r{100 * row.done // row.total:3d}%  {row.done:,} members, {row.moved:,} moved", end="", flush=True)


def _easier(program: Program) -> Program:
    steps = tuple(tier.model_copy(update={"threshold": int(tier.threshold * EASIER)}) for tier in program.ladder.tiers)
    return program.model_copy(update={"ladder": program.ladder.model_copy(update={"tiers": steps})})


def summed(shop: Shop) -> float:
    """Seconds for PostgreSQL alone to add up what counts for each member."""
    with shop.owner() as connection:
        began = time.perf_counter()
        connection.execute(SUM_SQL, {"shop": shop.id}).fetchone()
        return time.perf_counter() - began
