"""`python -m bench`: measure, print result beside goal, store the figures under bench/results/."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import app
from bench import (
    drain,
    earning,
    expiry,
    faces,
    latency,
    receive,
    report,
    tiers,
    volume,
    wallet_phones,
    wallet_push,
    wallet_sign,
)
from bench.measure import FULL, QUICK, Effort, Result
from bench.traffic import Orders
from bench.world import ROOT, World, started

# Parts that need nothing of others.
APART = {
    "volume": volume,
    "tiers": tiers,
    "expiry": expiry,
    "sign": wallet_sign,
    "push": wallet_push,
    "phones": wallet_phones,
    "faces": faces,
}
PARTS = ("receive", "drain", "posted", "earning", *APART)


def measured(world: World, effort: Effort, parts: list[str]) -> Iterator[Result]:
    """Every result as soon as it is known. `posted` needs the rate that `receive` finds and the members of `drain`."""
    orders = Orders()
    with world.shop("main") as shop:
        rate = 0.0
        if "receive" in parts or "posted" in parts:
            received = receive.measure(world, shop, effort)
            rate = received[0].figures["receive"]
            yield from received
        if "drain" in parts:
            yield from drain.measure(world, shop, orders, effort)
        elif "posted" in parts:
            drain.enrol(shop, orders)
        if "posted" in parts:
            yield from latency.measure(world, shop, orders, effort, rate)
    if "earning" in parts:
        yield from earning.measure(effort)
    for name, part in APART.items():
        if name in parts:
            yield from part.measure(world, effort)


def main() -> int:
    """0 when every goal is met, 1 when one is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="under two minutes, less steady, a smaller ledger")
    parser.add_argument("--state", type=Path, default=ROOT / ".rapport-bench", help="a folder on a real disk; EMPTIED")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    effort = QUICK if options.quick else FULL
    app.wire()
    results = []
    print(report.HEADING, flush=True)
    with started(options.state) as world:
        for result in measured(world, effort, options.parts or list(PARTS)):
            results.append(result)
            print(report.line(result), flush=True)
    print(f"\nStored as {report.save(results, effort).relative_to(ROOT)}")
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
