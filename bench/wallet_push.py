"""Pushes to Apple: how many one core sends and takes the answers of, with the push service on another."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from bench import wallet_apple
from bench.measure import Effort, Goal, Result
from bench.world import World
from core.config import settings
from sandbox.apple import authority
from wallet_passes.apple import push
from wallet_passes.apple.push import Pusher
from wallet_passes.apple.telling import SIZE

RATE = Goal("10,000 pushes on one core, taken by the push service", 1000, True, "/s")
PUSHES = 10_000


def measure(world: World, effort: Effort) -> list[Result]:
    folder = world.folder / "apple"
    files = authority.files(folder)
    cores = sorted(os.sched_getaffinity(0))
    with wallet_apple.elsewhere(cores[-1:]) as there, _on_core(cores[0]):
        os.environ.update(files.settings(there.submit(wallet_apple.listen, folder).result()))
        settings.cache_clear()
        pusher = push.pusher()
        rounds = [_pushed(pusher) for _ in range(effort.rounds)]
        taken = there.submit(wallet_apple.taken).result()
        pusher.close()
        there.submit(wallet_apple.close).result()
    if taken != effort.rounds * PUSHES:
        raise SystemExit(f"the push service took {taken} of {effort.rounds * PUSHES} pushes")
    rates, costs = zip(*rounds, strict=True)
    return [Result(RATE, list(rates), {"per second of processor time": sorted(costs)[len(costs) // 2]})]


@contextmanager
def _on_core(core: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _pushed(pusher: Pusher) -> tuple[float, float]:
    """Pushes a second, and a second of processor time: as many at once as are told of changes at once."""
    tokens = (os.urandom(32).hex() for _ in range(PUSHES))
    began, spent = time.perf_counter(), time.process_time()
    while batch := list(islice(tokens, SIZE)):
        if not all(reply.taken for reply in pusher.push(batch)):
            raise SystemExit("a push was refused")
    return PUSHES / (time.perf_counter() - began), PUSHES / (time.process_time() - spent)
