"""A shop's numbers: the same however much of the ledger was counted before, and whoever counts at once."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from flask import Flask

from core.db import database
from loyalty import counting, operations
from tests.web.conftest import app, store  # noqa: F401
from tests.web.stores import DAY, NOW, Store, refund

UTC = ZoneInfo("UTC")


def read(store: Store) -> list[counting.Day]:  # noqa: F811
    with database().transaction(store.shop_id) as session:
        return counting.days(session, store.shop_id, (NOW - 40 * DAY).date(), NOW.date(), UTC)


def test_counted_or_not_the_days_are_the_same(app: Flask, store: Store) -> None:  # noqa: F811
    noor = store.customer(1, "noor@example.com")
    store.settle(store.order(1, noor, at=NOW - 20 * DAY))
    store.settle(store.order(2, noor)._replace(refunds=(refund(2, 20_00),)))
    member = int(store.member_of(noor)["id"])
    with database().transaction(store.shop_id) as session:
        operations.adjust(session, store.shop_id, member, 500, "x", actor="test", key="a")
    store.post(f"/members/{member}/rewards", {"reward": "5-off"})
    live = read(store)
    by_day = {day.day: day for day in live}
    assert by_day[(NOW - 30 * DAY).date()] == ((NOW - 30 * DAY).date(), 50, 0, 0, 0, 1)
    assert by_day[(NOW - 20 * DAY).date()].issued == 80
    assert sum(day.issued for day in live) == 50 + 80 + 60
    assert (sum(day.adjusted for day in live), sum(day.redeemed for day in live)) == (500, 500)
    later = NOW + timedelta(hours=1)
    for _again in range(2):
        counting.count(database(), store.shop_id, UTC, later)
        assert read(store) == live
    store.settle(store.order(3, noor))
    assert sum(day.issued for day in read(store)) == 50 + 80 + 60 + 80
    with database().transaction(store.shop_id) as session:
        held = counting.standing(session, store.shop_id, UTC, later)
        assert held.tiers == {"insider": 1}
        assert held.members_back == counting.Back(1, 1)
        # What has not settled for sure is left to the page.
        assert not counting.catch_up(session, store.shop_id, UTC, NOW)
        assert session.scalar(sa.text("SELECT count(*) FROM shop_days")) == 4


def test_what_was_kept_is_told_where_a_look_takes_its_time(
    app: Flask,  # noqa: F811
    store: Store,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "SMALL", 1)
    store.settle(store.order(1, store.customer(1), at=NOW - 20 * DAY), store.order(2, store.customer(1)))
    counting.count(database(), store.shop_id, UTC, NOW)
    store.settle(store.order(3, store.customer(2), at=NOW))
    joined = (NOW - 30 * DAY).date()
    assert [(day.day, day.joined) for day in read(store) if day.joined] == [(joined, 1)]
    with database().transaction(store.shop_id) as session:
        held = counting.standing(session, store.shop_id, UTC, NOW)
        again = counting.standing(session, store.shop_id, UTC, NOW, kept=timedelta(0))
    assert (held.members, again.members) == (1, 2)
    assert held.joined == {joined: 1}
    assert held.back(7) == (counting.Back(1, 0), counting.Back())
    assert held.told == {"cards": [[0, 0, 0]] * 5}
    assert [(day.day, day.joined) for day in read(store) if day.joined] == [(joined, 2)]


def test_one_shop_never_counts_anothers(app: Flask, store: Store) -> None:  # noqa: F811
    store.settle(store.order(1, store.customer(1, "noor@example.com")))
    with database().transaction(store.shop_id + 1) as session:
        days = counting.days(session, store.shop_id, (NOW - 40 * DAY).date(), NOW.date(), UTC)
        assert sum(day.issued + day.joined for day in days) == 0
