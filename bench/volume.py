"""What an order costs when the ledger is long: two databases that differ in nothing but how much is in them."""

from functools import partial

from webhooks.drain import drain

from bench.drain import drained
from bench.measure import Effort, Goal, Result, alternate, medians, ratios
from bench.traffic import MIX, START, Orders, store
from bench.world import Shop, World

COST = Goal("cost per order with 10,000,000 postings ÷ with 10,000", 1.3, False)
SMALL = 10_000
# As many different members buy in both, so that a batch is the same work.
BUYERS = 2000
FEWEST_MEMBERS = 2000
POSTINGS_EACH = 50
DAYS = 500


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


def fill(shop: Shop, postings: int) -> None:
    """A past of this many orders: one is really settled, and its rows are copied with other members and moments."""
    orders = Orders()
    store(shop, iter([orders.body(next(orders.numbers), 10**6)]))
    drain(shop.database)
    shop.empty_inbox()
    numbers = {
        "shop": shop.id,
        "members": members_of(postings),
        "postings": postings,
        "first_customer": orders.person(0).id,
        "start": START - DAYS * 86400,
        "step": DAYS * 86400 / postings,
    }
    with shop.owner() as connection:
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute("SET synchronous_commit = off")
        for table, rows in PAST.items():
            indexes = [row[0] for row in connection.execute(_INDEXES, [table])]
            for name in [row[0] for row in connection.execute(_INDEX_NAMES, [table])]:
                connection.execute(f"DROP INDEX {name}")
            connection.execute(rows.format(**numbers))
            for definition in indexes:
                connection.execute(definition)
        for table in PAST:
            connection.execute(f"VACUUM (ANALYZE) {table}")
        connection.execute("CHECKPOINT")
