"""What an order costs when the ledger is long: two databases that differ in nothing but how much is in them."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bench.drain import drained
from bench.measure import Effort, Goal, Result, alternate, medians, ratios
from bench.traffic import START, Orders, store
from bench.world import Shop, World
from webhooks.drain import drain

COST = Goal("cost per order with 10,000,000 postings ÷ with 10,000", 1.3, False)
SMALL = 10_000
# As many different members buy in both, so that a batch is the same work.
BUYERS = 2000
FEWEST_MEMBERS = 2000
POSTINGS_EACH = 50
DAYS = 500
SOMEBODY_ELSE = 10**6  # a member none of the buyers is


def measure(world: World, effort: Effort) -> list[Result]:
    with world.shop("small") as small, world.shop("large") as large:
        fill(small, SMALL)
        fill(large, effort.postings)
        orders = Orders()
        measured = alternate(
            effort.rounds,
            small=partial(cost, small, orders, effort.orders, SMALL),
            large=partial(cost, large, orders, effort.orders, effort.postings),
        )
    goal = COST._replace(name=COST.name.replace("10,000,000", f"{effort.postings:,}"))
    return [Result(goal, ratios(measured["large"], measured["small"]), medians(measured))]


def members_of(postings: int) -> int:
    return max(FEWEST_MEMBERS, postings // POSTINGS_EACH)


def cost(shop: Shop, orders: Orders, count: int, postings: int) -> float:
    """Milliseconds per order, bought by members spread over all there are."""
    apart = members_of(postings) // BUYERS
    return 1000 / drained(shop, orders, count, lambda chance: apart * chance.randrange(BUYERS))


def fill(shop: Shop, postings: int, members: int | None = None) -> None:
    """A past of this many orders: one is really settled, and its rows are copied with other members and moments.

    `members` is how many they are of, by default as many as `members_of` says. The customers of the copies have ids
    from that of person 0 on.
    """
    orders = Orders()
    store(shop, iter([orders.body(next(orders.numbers), SOMEBODY_ELSE)]))
    drain(shop.database)
    shop.empty_inbox()
    numbers = {
        "members": members or members_of(postings),
        "postings": postings,
        "first_customer": orders.person(0).id,
        "start": START - DAYS * 86_400,
        "step": DAYS * 86_400 / postings,
    }
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in [pool.submit(_copy, shop, table, sql.format(**numbers)) for table, sql in PAST.items()]:
            done.result()
    with shop.owner() as connection:
        connection.execute("CHECKPOINT")


def _copy(shop: Shop, table: str, sql: str) -> None:
    """Indexes are made after the rows, which is several times faster and leaves them as packed as a REINDEX would."""
    with shop.owner() as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        indexes = connection.execute(_INDEXES, [table]).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute(sql)
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute(f"VACUUM (ANALYZE) {table}")


# Those that no constraint needs; the keys are filled in their own order, which costs them little.
_INDEXES = """
    SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
    WHERE i.indrelid = %s::regclass AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)"""

_MOMENT = "to_timestamp({start} + n * {step})"
# The settled order's own member is the first; the copies' members come after it.
_MEMBER = "2 + n % {members}"
_ORDER = "3000000000000 + n"

# Past orders lack their snapshots: no new order reads them, and they are half the disk.
PAST = {
    "members": """
        INSERT INTO members (shop_id, customer_id, email, email_verified, name, customer_updated_at, joined_at,
            available, lifetime, last_order_at, tier_key, tier_since)
        SELECT shop_id, {first_customer} + n, 'past.' || n || '@example.com', true, name, to_timestamp({start}),
            to_timestamp({start}), {postings} / {members}, {postings} / {members},
            to_timestamp({start} + {postings} * {step}), 'insider', to_timestamp({start})
        FROM members CROSS JOIN generate_series(0, {members} - 1) AS n WHERE id = 1""",
    "orders": f"""
        INSERT INTO orders (shop_id, order_id, member_id, processed_at, tier_key, program_version, posted_available,
            posted_count, settled_at)
        SELECT shop_id, {_ORDER}, {_MEMBER}, {_MOMENT}, 'insider', program_version, 1, 1, {_MOMENT}
        FROM orders CROSS JOIN generate_series(0, {{postings}} - 1) AS n""",
    "spend_facts": f"""
        INSERT INTO spend_facts (shop_id, order_id, cause, member_id, at, amount)
        SELECT shop_id, {_ORDER}, cause, {_MEMBER}, {_MOMENT}, 100
        FROM spend_facts CROSS JOIN generate_series(0, {{postings}} - 1) AS n""",
    "postings": f"""
        INSERT INTO postings (shop_id, member_id, kind, source, target, points, key, order_id, program_version, rule,
            explanation, actor, occurred_at, recorded_at, available_after, pending_after)
        SELECT shop_id, {_MEMBER}, kind, source, target, 1, 'order:' || ({_ORDER}) || ':0', {_ORDER}, program_version,
            rule, explanation, actor, {_MOMENT}, {_MOMENT}, 1 + n / {{members}}, 0
        FROM postings CROSS JOIN generate_series(0, {{postings}} - 1) AS n WHERE kind = 'earn'""",
    "events": f"""
        INSERT INTO events (shop_id, kind, member_id, order_id, data, actor, program_version, occurred_at, recorded_at)
        SELECT shop_id, kind, {_MEMBER}, {_ORDER}, data, actor, program_version, {_MOMENT}, {_MOMENT}
        FROM events CROSS JOIN generate_series(0, {{postings}} - 1) AS n WHERE kind = 'points.posted'""",
}
