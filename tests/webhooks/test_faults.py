"""What breaks around a running Rapport: the database, Redis, its own processes. Real ones, broken for real.

Every test asks the same two questions. Was every answer in time and true: 200 only for what is on disk, else 503 with
Retry-After? And once the fault is over, without a restart of the web: is all that was answered with 200 settled once?
"""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NamedTuple

import msgspec
import psutil
import psycopg
import pytest
import redis

from core import clock
from core.errors import Unavailable
from sandbox.catalogue import DEMO
from sandbox.processes import LOOPBACK
from sandbox.services import Services
from sandbox.signing import Delivery
from sandbox.traffic import Mix, Story, stories
from tests.webhooks.live import Live, Reply, Stopwatch, freeze, live, migrate, thaw, until
from tests.webhooks.rig import SECRET, House, at_once, delivery, encode, expected, numbers
from webhooks.inbox import Inbox, NewDelivery

LATE = 5.0  # Shopify hangs up after so many seconds
pytestmark = pytest.mark.timeout(180)


class Site(NamedTuple):
    """A running web, one drain and the clock, on servers that a test may break."""

    services: Services
    live: Live
    house: House


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    state = tmp_path_factory.mktemp("site")
    with Services(state / "services", durable=False, environ={}) as services:
        migrate(services.database_url)
        with live(state / "logs", services.database_url, services.redis_url) as running:
            running.start("drain")
            running.start("clock")
            running.start_web()
            yield Site(services, running, House(services.database_url))


@pytest.fixture(autouse=True)
def mended(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test broke works again before the next one."""
    yield
    if "site" in request.fixturenames:
        site: Site = request.getfixturevalue("site")
        for server in (site.services.postgres, site.services.valkey):
            assert server
            if server.process:
                thaw(server.process.pid)
            server.start()
        for child in site.live.children.values():
            if not child.running:
                child.start()


class Store(NamedTuple):
    """A shop of a test's own and what happens in it."""

    site: Site
    id: int
    told: list[Story]

    @property
    def deliveries(self) -> list[Delivery]:
        return [one for story in self.told for one in story.deliveries]

    def is_settled(self) -> bool:
        states = self.site.house.states(self.id)
        return states.total() == len(self.deliveries) and set(states) == {"done"}

    def must_settle(self, seconds: float = 40) -> None:
        until(self.is_settled, seconds)
        now = int(time.time())
        assert self.site.house.ledger(self.id) == expected((story.final for story in self.told), at=now)
        assert self.site.house.differences(self.id) == []


@pytest.fixture
def store(site: Site) -> Store:
    return open_store(site)


def open_store(site: Site, orders: int = 40) -> Store:
    seed = next(numbers)
    shop = msgspec.structs.replace(DEMO, domain=f"store-{seed}.myshopify.com")
    mix = Mix(
        orders=orders, members=6, seed=seed, shop=shop, secret=SECRET, refunds=0.3, now=int(time.time()), days=300
    )
    return Store(site, site.house.open_shop(shop.domain), list(stories(mix)))


def probe(store: Store) -> Delivery:
    return delivery("carts/create", b"{}", domain=store.told[0].deliveries[0].headers["X-Shopify-Shop-Domain"])


def refused_in_time(replies: list[Reply]) -> None:
    assert {reply.status for reply in replies} == {503}
    assert max(reply.seconds for reply in replies) < LATE
    assert all(int(reply.headers["retry-after"]) > 0 for reply in replies)


def during(store: Store, fault: contextlib.AbstractContextManager[object], connections: int = 6) -> None:
    """Refused in time while the fault lasts, on all connections at once; accepted and settled after it."""
    until(lambda: store.site.live.post(probe(store)).status == 200, seconds=8)
    with fault:
        refused = store.site.live.post_all([probe(store) for _ in range(connections)], connections)
        refused_in_time([reply for _, reply in refused])
    until(lambda: store.site.live.post(probe(store)).status == 200, seconds=8)
    store.site.live.deliver(store.deliveries)
    until(lambda: "pending" not in store.site.house.states(store.id), 30)
    assert store.site.house.ledger(store.id) == expected((s.final for s in store.told), at=int(time.time()))
    assert store.site.house.differences(store.id) == []


# The database.


@contextlib.contextmanager
def locked(site: Site, table: str) -> Iterator[None]:
    with psycopg.connect(site.house.url) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@contextlib.contextmanager
def disk_full(site: Site) -> Iterator[None]:
    """As PostgreSQL says it when it cannot extend a table."""
    with site.house.owner() as connection:
        connection.execute(
            "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER no_space BEFORE INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION no_space()"
        )
        yield
        connection.execute("DROP FUNCTION no_space CASCADE")


@contextlib.contextmanager
def down(site: Site) -> Iterator[None]:
    assert site.services.postgres
    site.services.postgres.stop()
    yield
    site.services.postgres.start()


@contextlib.contextmanager
def read_only(site: Site) -> Iterator[None]:
    """As after a failover to a standby."""
    with site.house.owner() as connection:
        connection.execute("ALTER ROLE postgres SET default_transaction_read_only = on")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        yield
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("ALTER ROLE postgres RESET default_transaction_read_only")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")


@contextlib.contextmanager
def frozen(site: Site) -> Iterator[None]:
    """Alive to the network, but nobody answers: a stopped machine, a disk that hangs."""
    assert site.services.postgres
    assert site.services.postgres.pid
    freeze(site.services.postgres.pid)
    yield
    thaw(site.services.postgres.pid)


def test_the_inbox_is_locked(site: Site, store: Store) -> None:
    during(store, locked(site, "inbox"))


def test_the_disk_is_full(site: Site, store: Store) -> None:
    during(store, disk_full(site))


def test_the_database_is_down(site: Site, store: Store) -> None:
    during(store, down(site))


def test_the_database_is_read_only(site: Site, store: Store) -> None:
    during(store, read_only(site))


def test_the_database_is_frozen(site: Site, store: Store) -> None:
    during(store, frozen(site), connections=40)


@pytest.mark.parametrize("fault", [frozen, lambda site: locked(site, "shops")], ids=["frozen", "locked"])
def test_the_shops_cannot_be_read(
    site: Site, store: Store, fault: Callable[[Site], contextlib.AbstractContextManager[None]]
) -> None:
    """A shop the web has not met for a while: it has to ask who that is. Every thread of the server does at once."""
    unmet = [probe(open_store(site, 1)) for _ in range(3)]
    with fault(site):
        replies = [reply for _, reply in site.live.post_all(unmet * 14, connections=42)]
        assert {reply.status for reply in replies} == {503}
        assert max(reply.seconds for reply in replies) < LATE
    until(lambda: site.live.post(probe(store)).status == 200, seconds=8)


def test_the_database_crashes_and_recovers_under_load(site: Site, store: Store) -> None:
    assert site.services.postgres
    crash = threading.Timer(0.15, site.services.postgres.restart_immediate)
    crash.start()
    replies = site.live.deliver(store.deliveries, connections=4)
    crash.join()
    assert {reply.status for reply in replies} <= {200, 503}
    assert max(reply.seconds for reply in replies) < LATE
    store.must_settle()


def test_the_web_starts_before_its_database(site: Site, store: Store, tmp_path: object) -> None:
    with down(site):
        site.live.kill("web")
        site.live.start_web()
        refused_in_time([site.live.post(probe(store))])
        assert site.live.client.get(site.live.url + "/readyz").status_code == 503
    until(lambda: site.live.post(probe(store)).status == 200, seconds=8)
    assert site.live.client.get(site.live.url + "/readyz").status_code == 200


def test_one_delivery_the_database_refuses_is_told_and_nobody_waits_for_ever(site: Site, store: Store) -> None:
    """The door lets nothing through that PostgreSQL cannot hold. Were it to, its group must hear of it."""
    inbox = Inbox(site.house.url)
    outcomes: list[str] = []

    def put(webhook_id: str) -> None:
        try:
            inbox.store(NewDelivery(store.id, webhook_id, None, "carts/create", None, None, b"{}"))
            outcomes.append("stored")
        except Unavailable:
            outcomes.append("refused")

    calls = [lambda name=name: put(name) for name in ("a", "\udcff", "b", "nul\x00", "c")] * 4  # type: ignore[misc]
    assert at_once(*calls) == []
    assert len(outcomes) == len(calls)
    assert outcomes.count("refused") >= 8


# Redis.


@contextlib.contextmanager
def redis_down(site: Site) -> Iterator[None]:
    assert site.services.valkey
    site.services.valkey.kill()
    yield
    site.services.valkey.start()


@contextlib.contextmanager
def redis_hangs(site: Site) -> Iterator[None]:
    """Connections are accepted, by the kernel, and nothing ever answers."""
    assert site.services.valkey
    assert site.services.valkey.pid
    os.kill(site.services.valkey.pid, signal.SIGSTOP)
    yield
    os.kill(site.services.valkey.pid, signal.SIGCONT)


@contextlib.contextmanager
def redis_emptied(site: Site) -> Iterator[None]:
    with redis.Redis.from_url(site.services.redis_url) as client:
        client.flushall()
        yield
        client.flushall()


@contextlib.contextmanager
def redis_restarted_empty(site: Site) -> Iterator[None]:
    assert site.services.valkey
    site.services.valkey.restart_empty()
    yield


@contextlib.contextmanager
def redis_full(site: Site) -> Iterator[None]:
    with redis.Redis.from_url(site.services.redis_url) as client:
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", 0)


@pytest.mark.parametrize("fault", [redis_down, redis_hangs, redis_emptied, redis_restarted_empty, redis_full])
def test_without_redis_deliveries_are_still_answered_at_once_and_settled(
    site: Site, store: Store, fault: Callable[[Site], contextlib.AbstractContextManager[None]]
) -> None:
    with fault(site):
        replies = [reply for _, reply in site.live.post_all(store.deliveries, connections=4)]
        assert {reply.status for reply in replies} == {200}
        assert max(reply.seconds for reply in replies) < 2
    revive(site.live, "drain", "clock")
    store.must_settle()


def revive(live: Live, *names: str) -> None:
    """What the process manager of a deployment does: start again what has ended."""
    for name in names:
        if not live.children[name].running:
            live.children[name].start()


def test_a_redis_that_accepts_and_never_answers_delays_no_answer(site: Site, store: Store, tmp_path: object) -> None:
    """At an address of its own, so that not even the first connection was ever good."""
    with socket.create_server((LOOPBACK, 0), backlog=64) as silent:
        url = f"redis://{LOOPBACK}:{silent.getsockname()[1]}/0"
        with live(site.live.logs, site.house.url, url) as other:
            other.start_web()
            replies = [reply for _, reply in other.post_all(store.deliveries, connections=4)]
    assert {reply.status for reply in replies} == {200}
    assert max(reply.seconds for reply in replies) < 2
    store.must_settle()


# Its own processes.


def test_the_web_is_killed_under_load(site: Site, store: Store) -> None:
    def kill_and_restart() -> None:
        time.sleep(0.1)
        site.live.kill("web")
        site.live.start_web()

    killer = threading.Thread(target=kill_and_restart)
    killer.start()
    replies = site.live.deliver(store.deliveries, connections=6)
    killer.join()
    assert {reply.status for reply in replies} <= {0, 200, 503}
    store.must_settle()


def test_the_servers_worker_is_killed_and_another_takes_its_place(site: Site, store: Store) -> None:
    """The server starts a new worker by itself; whoever was not answered is not promised anything."""
    (worker,) = psutil.Process(site.live.children["web"].process.pid).children()
    worker.kill()
    site.live.deliver(store.deliveries, connections=6)
    store.must_settle()


def test_a_drain_is_killed_in_the_middle_of_its_transaction(site: Site, store: Store) -> None:
    with locked(site, "postings"):
        site.live.deliver(store.deliveries)
        until(lambda: waits_for_a_lock(site))
        site.live.kill("drain")
    site.live.children["drain"].start()
    store.must_settle()


def waits_for_a_lock(site: Site) -> bool:
    with site.house.owner() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%postings%'"
        ).fetchone()
    return bool(row and row[0])


def test_the_database_crashes_while_a_drain_works(site: Site, store: Store) -> None:
    assert site.services.postgres
    with contextlib.suppress(psycopg.OperationalError), locked(site, "postings"):
        site.live.deliver(store.deliveries)
        until(lambda: waits_for_a_lock(site))
        site.services.postgres.restart_immediate()
    store.must_settle()


def test_answers_stay_quick_while_a_drain_works(site: Site) -> None:
    busy = open_store(site, orders=300)
    site.house.put(busy.id, busy.deliveries)
    quick = open_store(site, orders=1)
    clockwork = Stopwatch(site.live, iter([probe(quick) for _ in range(10_000)]))
    clockwork.start()
    busy.must_settle()
    clockwork.finish()
    assert max(reply.seconds for _, reply in clockwork.replies) < 2


def test_what_failed_for_a_while_is_tried_again_by_itself(site: Site, store: Store) -> None:
    """A fault of ours, not of the delivery: it waits for its next try and settles then."""
    with site.house.owner() as connection:
        connection.execute("ALTER TABLE postings ADD CONSTRAINT broken CHECK (points < 0) NOT VALID")
        site.live.deliver(store.deliveries)
        until(lambda: any(row.attempts for row in site.house.inbox(store.id)))
        assert "failed" not in site.house.states(store.id)
        connection.execute("ALTER TABLE postings DROP CONSTRAINT broken")
    with clock.fixed_at(clock.now() + timedelta(hours=6)):
        until(lambda: site.house.drain() == 0)
    store.must_settle()


def test_bodies_survive_byte_for_byte(site: Site, store: Store) -> None:
    odd = delivery(
        "carts/create", b'{ "a":1.50 ,\n"\\u00e9": "\xc3\xa9" }', domain=probe(store).headers["X-Shopify-Shop-Domain"]
    )
    assert site.live.post(odd).status == 200
    assert [row.body for row in site.house.inbox(store.id)] == [odd.body]
    assert encode({}) == b"{}"
