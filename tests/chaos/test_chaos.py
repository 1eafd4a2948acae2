"""The long fault run: real processes on real servers, killed and restarted at random while a store sells.

What was answered with 200 must be settled exactly once, whatever died meanwhile. `make chaos` runs it for three seeds,
and then shows with two installations that are broken on purpose that the same questions do find a loss.
"""

import contextlib
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psycopg
import pytest
import redis

from sandbox.catalogue import DEMO
from sandbox.services import Services
from sandbox.signing import Delivery
from sandbox.traffic import Mix, Story, shuffled, stories, travel
from tests.webhooks.live import Live, Reply, freeze, live, migrate, thaw, until
from tests.webhooks.rig import SECRET, House, Ledger, expected

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

SECONDS = 60  # how long things keep breaking
WORST = 4.0  # seconds an answer may take under faults
DRAINS = ("drain 1", "drain 2")


@dataclass
class Run:
    """A store's traffic on its way into a Rapport that is being broken."""

    services: Services
    live: Live
    house: House
    chance: random.Random
    replies: list[Reply] = field(default_factory=list)
    accepted: dict[str, Delivery] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def send(self, one: Delivery) -> None:
        """Until it is taken, as Shopify does, only sooner."""
        while True:
            reply = self.live.post(one)
            self.replies.append(reply)
            if reply.status == 200:
                self.accepted[one.webhook_id] = one
                return
            time.sleep(0.3)

    def break_things(self, *ways: Callable[[], None]) -> None:
        """One after another, with pauses short enough that the next fault meets what the last one left."""
        rounds = itertools.chain.from_iterable(self.chance.sample(ways, len(ways)) for _ in itertools.count())
        while not self.over.wait(self.chance.uniform(0.5, 4)):
            way = next(rounds)
            self.broken.append(way.__name__)
            way()

    def revive(self) -> None:
        """What a deployment's process manager does."""
        while not self.over.is_set():
            for child in list(self.live.children.values()):
                if not child.running:
                    child.stop()
                    child.start()
            time.sleep(0.3)

    # Ways to break it.

    def kill_web(self) -> None:
        self.live.kill("web")

    def kill_drain(self) -> None:
        self.live.kill(self.chance.choice(DRAINS))

    def kill_both_drains(self) -> None:
        for name in DRAINS:
            self.live.kill(name)

    def kill_clock(self) -> None:
        self.live.kill("clock")

    def crash_database(self) -> None:
        assert self.services.postgres
        self.services.postgres.restart_immediate()

    def freeze_database(self) -> None:
        assert self.services.postgres
        assert self.services.postgres.pid
        freeze(self.services.postgres.pid)
        time.sleep(self.chance.uniform(1, 5))
        thaw(self.services.postgres.pid)

    def empty_redis(self) -> None:
        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(self.services.redis_url) as client:
            client.flushall()

    def crash_redis(self) -> None:
        assert self.services.valkey
        self.services.valkey.restart_empty()

    def stop_redis_for_a_while(self) -> None:
        assert self.services.valkey
        self.services.valkey.kill()
        time.sleep(3)
        self.services.valkey.start()


def ways(run: Run) -> list[Callable[[], None]]:
    return [
        run.kill_web,
        run.kill_drain,
        run.kill_drain,
        run.kill_both_drains,
        run.kill_clock,
        run.crash_database,
        run.crash_database,
        run.freeze_database,
        run.empty_redis,
        run.crash_redis,
        run.stop_redis_for_a_while,
    ]


@contextlib.contextmanager
def installation(state: Path, seed: int) -> Iterator[Run]:
    with Services(state / "services", durable=False, environ={}) as services:
        migrate(services.database_url)
        with live(state / "logs", services.database_url, services.redis_url) as running:
            for name in DRAINS:
                running.start(name, "drain")
            running.start("clock")
            running.start_web()
            yield Run(services, running, House(services.database_url), random.Random(seed))


def traffic(mix: Mix) -> tuple[list[Story], list[Delivery]]:
    """Everything that happened, and the deliveries as they arrive: shuffled, some twice, the withheld ones late."""
    told = list(stories(mix))
    everything = [one for story in told for one in story.deliveries]
    chance = random.Random(mix.seed)
    arriving = list(shuffled(travel(mix, chance, everything), chance, mix.window))
    seen = {one.webhook_id for one in arriving}
    return told, [*arriving, *(one for one in everything if one.webhook_id not in seen)]


def mix_of(seed: int, orders: int = 1500) -> Mix:
    shop = msgspec.structs.replace(DEMO, domain=f"chaos-{seed}.myshopify.com")
    return Mix(
        orders=orders, seed=seed, shop=shop, secret=SECRET, now=int(time.time()) - 60, days=300, members=40, hot=0.2,
        refunds=0.25, edits=0.1, cancels=0.08, duplicates=0.1, withhold=0.05,
    )  # fmt: skip


def paced(deliveries: list[Delivery], seconds: float) -> Iterator[Delivery]:
    """Spread over so many seconds, so that every fault meets a store that sells."""
    began = time.monotonic()
    for index, one in enumerate(deliveries):
        time.sleep(max(0, began + seconds * index / len(deliveries) - time.monotonic()))
        yield one


def settled(house: House, shop: int) -> bool:
    with contextlib.suppress(Exception):
        return "pending" not in house.states(shop)
    return False


@dataclass
class Findings:
    """What must be empty, or equal, when nothing was lost and nothing counted twice."""

    lost: set[str]
    unsettled: dict[str, int]
    differences: list[object]
    ledger: Ledger
    wanted: Ledger

    @property
    def clean(self) -> bool:
        return not self.lost and not self.unsettled and not self.differences and self.ledger == self.wanted


def look(run: Run, shop: int, told: list[Story]) -> Findings:
    states = run.house.states(shop)
    return Findings(
        lost=run.accepted.keys() - {row.webhook_id for row in run.house.inbox(shop)},
        unsettled={state: count for state, count in states.items() if state != "done"},
        differences=list(run.house.differences(shop)),
        ledger=run.house.ledger(shop),
        wanted=expected((story.final for story in told), at=time.time()),
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_lost_and_nothing_counts_twice(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    told, arriving = traffic(mix_of(seed))
    with installation(tmp_path, seed) as run:
        shop = run.house.open_shop(f"chaos-{seed}.myshopify.com")
        helpers = [threading.Thread(target=run.break_things, args=ways(run)), threading.Thread(target=run.revive)]
        for helper in helpers:
            helper.start()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(run.send, paced(arriving, SECONDS)))
        run.over.set()
        for helper in helpers:
            helper.join()
        revive_once(run)
        until(lambda: settled(run.house, shop), seconds=120, every=0.5)
        findings = look(run, shop, told)
        report(capsys, seed, run, arriving)
    assert findings.lost == set()
    assert findings.unsettled == {}
    assert findings.differences == []
    assert findings.ledger == findings.wanted
    answered = [reply for reply in run.replies if reply.status]
    assert {reply.status for reply in answered} <= {200, 503}
    assert max(reply.seconds for reply in answered) < WORST


def revive_once(run: Run) -> None:
    for server in (run.services.postgres, run.services.valkey):
        assert server
        server.start()
    for child in run.live.children.values():
        if not child.running:
            child.start()


def report(capsys: pytest.CaptureFixture[str], seed: int, run: Run, arriving: list[Delivery]) -> None:
    answered = sorted(reply.seconds for reply in run.replies if reply.status)
    refused = sum(reply.status == 503 for reply in run.replies)
    unanswered = sum(reply.status == 0 for reply in run.replies)
    faults = ", ".join(f"{count} x {name.replace('_', ' ')}" for name, count in Counter(run.broken).most_common())
    with capsys.disabled():
        print(
            f"\nseed {seed}: {len(arriving)} deliveries, {len(run.accepted)} distinct accepted, {refused} refused, "
            f"{unanswered} cut off; {faults}; worst answer {answered[-1]:.2f} s, "
            f"99% within {answered[int(len(answered) * 0.99)]:.3f} s"
        )


# Controls: broken on purpose. If these were found clean, the run above would prove nothing.


def test_control_answering_before_the_disk_has_it_loses_deliveries(tmp_path: Path) -> None:
    """synchronous_commit=off and a crash: deliveries were answered with 200 and are gone."""
    told, arriving = traffic(mix_of(9, orders=300))
    with installation(tmp_path, 9) as run:
        shop = run.house.open_shop("chaos-9.myshopify.com")
        with psycopg.connect(run.house.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_commit = off")
            connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
            connection.execute("ALTER SYSTEM SET wal_writer_flush_after = '1GB'")
            connection.execute("SELECT pg_reload_conf()")
        for name in (*DRAINS, "clock"):
            run.live.kill(name)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(run.send, arriving[:200]))
        run.crash_database()
        revive_once(run)
        assert not look(run, shop, told).clean
        assert look(run, shop, told).lost


def test_control_deliveries_marked_done_without_work_are_seen(tmp_path: Path) -> None:
    """What a drain that marks first and settles later leaves behind when it is killed in between."""
    told, arriving = traffic(mix_of(8, orders=200))
    with installation(tmp_path, 8) as run:
        shop = run.house.open_shop("chaos-8.myshopify.com")
        with psycopg.connect(run.house.url, autocommit=True) as connection:
            connection.execute(
                "CREATE FUNCTION mark_some() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                # Half of them: a later delivery tells an order's whole state again, so a few missing ones are no loss.
                "NEW.state = CASE WHEN random() < 0.5 THEN 'done' ELSE 'pending' END; RETURN NEW; END $$"
            )
            connection.execute(
                "CREATE TRIGGER mark_some BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION mark_some()"
            )
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(run.send, arriving))
        until(lambda: settled(run.house, shop), seconds=60)
        findings = look(run, shop, told)
        assert not findings.lost
        assert findings.ledger != findings.wanted


def test_control_points_posted_twice_are_seen(tmp_path: Path) -> None:
    """A balance that moved without its posting, and a posting that moved no balance."""
    told, arriving = traffic(mix_of(7, orders=50))
    with installation(tmp_path, 7) as run:
        shop = run.house.open_shop("chaos-7.myshopify.com")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(run.send, arriving))
        until(lambda: settled(run.house, shop), seconds=60)
        assert look(run, shop, told).clean
        with psycopg.connect(run.house.url, autocommit=True) as connection:
            connection.execute("UPDATE members SET available = available + 1 WHERE id = (SELECT min(id) FROM members)")
        assert look(run, shop, told).differences
