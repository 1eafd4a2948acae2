"""A shop's bucket of cost points: shared by all processes through Redis, each process's own while Redis is away."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from core import jobs
from shops import buckets as module
from shops.buckets import Buckets, Status

SHOP = "a-shop.myshopify.com"


@pytest.fixture(params=["redis", "own"])
def several(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Buckets]]:
    """Several processes' views of the buckets; without Redis they are one process's."""
    if request.param == "redis":
        client = redis.Redis.from_url(request.getfixturevalue("redis_url"))
        monkeypatch.setattr(jobs, "connection", lambda: client)
        yield [Buckets(), Buckets()]
        client.close()
    else:
        nowhere = redis.Redis(port=1, socket_connect_timeout=0.05)
        monkeypatch.setattr(jobs, "connection", lambda: nowhere)
        yield [Buckets()] * 2


def told(available: float, **more: Any) -> Status:
    return Status(**{"requested": 10, "actual": 10, "available": available, "maximum": 2000, "rate": 100} | more)


def test_what_one_took_another_waits_for(several: list[Buckets]) -> None:
    one, other = several
    assert one.take(SHOP, 1500) == 0
    waits = other.take(SHOP, 1000)
    assert 4 < waits <= 5  # 500 points at 100 a second
    assert other.take("another.myshopify.com", 1000) == 0


def test_shopify_knows_better(several: list[Buckets]) -> None:
    """Up and down: but what is under way elsewhere it may not have seen yet."""
    one, other = several
    assert one.take(SHOP, 1900) == 0
    one.settle(SHOP, 1900, told(1990))
    assert other.take(SHOP, 1900) == 0
    assert one.take(SHOP, 20) == 0
    one.settle(SHOP, 20, told(1980))
    assert one.take(SHOP, 500) > 0
    other.settle(SHOP, 1900, told(100))
    assert 3 < one.take(SHOP, 500) <= 4


def test_a_call_without_an_answer_takes_nothing_back(several: list[Buckets]) -> None:
    one, _ = several
    assert one.take(SHOP, 1500) == 0
    one.settle(SHOP, 1500, None)
    assert one.take(SHOP, 1000) > 0


def test_a_bigger_plan_fills_faster(several: list[Buckets]) -> None:
    one, other = several
    one.take(SHOP, 10)
    one.settle(SHOP, 10, told(0, maximum=20000, rate=1000))
    assert 0.9 < other.take(SHOP, 1000) <= 1


def test_each_kind_of_work_leaves_its_share_to_what_is_more_urgent(several: list[Buckets]) -> None:
    one, other = several
    assert one.take(SHOP, 1000, spared=module.TRIMMINGS) == 0
    assert one.take(SHOP, 50, spared=module.TRIMMINGS) > 0
    assert other.take(SHOP, 500, spared=module.BOOKS) == 0
    assert one.take(SHOP, 100, spared=module.BOOKS) > 0
    assert other.take(SHOP, 450) == 0


def test_small_work_does_not_starve_a_large_order_of_the_past(several: list[Buckets]) -> None:
    """Tags of thousands of customers are written a few points at a time, and a whole order wants many at once."""
    one, other = several
    while one.take(SHOP, 50, spared=module.TRIMMINGS) == 0:
        one.settle(SHOP, 50, None)
    assert other.take(SHOP, 1000, spared=module.BOOKS) > 0  # it waits until 1,500 are there
    one.settle(SHOP, 0, told(1300))
    assert one.take(SHOP, 11, spared=module.TRIMMINGS) > 0
    assert one.take(SHOP, 11) == 0
    one.settle(SHOP, 11, told(1500))
    assert other.take(SHOP, 1000, spared=module.BOOKS) == 0
    one.settle(SHOP, 1000, told(1300))
    assert one.take(SHOP, 11, spared=module.TRIMMINGS) == 0


def test_nobody_waits_for_a_claim_whose_work_is_gone(several: list[Buckets], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = several
    one.settle(SHOP, 0, told(1300))
    assert other.take(SHOP, 1000, spared=module.BOOKS) > 0
    assert one.take(SHOP, 11, spared=module.TRIMMINGS) > 0
    monkeypatch.setattr(module, "STALE", -1.0)
    assert one.take(SHOP, 11, spared=module.TRIMMINGS) == 0


def test_what_costs_more_than_there_ever_is_waits_for_a_full_bucket(several: list[Buckets]) -> None:
    one, _ = several
    assert one.take(SHOP, 5000) == 0
    assert one.take(SHOP, 5000) > 15


def test_threads_never_take_more_than_there_is(several: list[Buckets]) -> None:
    granted: list[int] = []

    def work(mine: Buckets) -> None:
        granted.extend(1 for _ in range(40) if mine.take(SHOP, 50) == 0)

    threads = [threading.Thread(target=work, args=(several[n % 2],)) for n in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    brought = (time.monotonic() - began) * module.RATE
    assert 2000 <= len(granted) * 50 <= 2000 + brought  # what there was, and what the time brought


def test_a_process_that_died_holds_nothing_for_ever(several: list[Buckets], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = several
    assert one.take(SHOP, 1900) == 0
    monkeypatch.setattr(module, "STALE", -1.0)
    other.settle(SHOP, 0, told(2000))
    assert other.take(SHOP, 1900) == 0
