"""Backfill: a shop's customers and past orders through a bulk operation of the sandbox store, whatever breaks off."""

import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from core import clock, effects
from core.effects import NotYet
from core.errors import Conflict
from loyalty import programs
from loyalty.models import Member, Posting
from sandbox import oracle, payloads
from sandbox.catalogue import DEMO
from sandbox.faults import Fault
from sandbox.testing import Running
from shops import admin, files, operations
from tests.webhooks.rig import LONG_AGO, House, delivery
from tests.webhooks.unheard import unheard_store
from webhooks import backfill, commands, models
from webhooks.backfill import BrokenFile, Group, Progress


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with unheard_store(tmp_path, monkeypatch) as running:
        monkeypatch.setattr(admin, "STUMBLE", 0.0)
        monkeypatch.setattr(backfill, "POLL", timedelta())
        monkeypatch.setattr(operations, "welcome", [programs.publish_first, backfill.begin])
        yield running


@pytest.fixture
def shop(store: Running, house: House) -> int:
    """The demo shop, which has just opened the app."""
    return operations.open_shop(house.database, store.sandbox.app.session_token(DEMO)).shop.id


def state(house: House, shop: int) -> Progress:
    with house.database.transaction(shop) as session:
        found = backfill.progress(session, shop)
    assert found is not None
    return found


def carry_on(house: House, shop: int, turns: int = 400) -> list[Progress]:
    """What the worker does until there is nothing more to do, and how far it was each time."""
    seen = [state(house, shop)]
    while seen[-1].state in ("running", "settling"):
        assert len(seen) < turns
        with contextlib.suppress(NotYet):
            backfill.advance(house.database, shop, "")
        house.drain()
        seen.append(state(house, shop))
    return seen


def known(store: Running) -> tuple[list[Any], list[Any]]:
    world = store.sandbox.world
    people = [payloads.customer_payload(DEMO, customer) for customer in world.customers(DEMO.domain)]
    return [world.order_payload(DEMO.domain, order) for order in world.orders(DEMO.domain)], people


def test_an_install_brings_everybody_and_every_order(store: Running, house: House, shop: int) -> None:
    orders, people = known(store)
    seen = carry_on(house, shop)
    assert (seen[-1].state, seen[-1].share, seen[-1].customers, seen[-1].orders) == (
        "done",
        1.0,
        len(people),
        len(orders),
    )
    shares = [one.share for one in seen]
    assert shares == sorted(shares)
    assert house.states(shop).keys() == {"done"}
    assert len(house.ledger(shop).orders) == len(orders)
    with house.database.transaction(shop) as session:
        # What was bought before the shop came to us earns nothing until its merchant says so.
        assert session.scalars(sa.select(Posting.kind).where(Posting.order_id.is_not(None))).all() == []
        assert len(session.scalars(sa.select(Member)).all()) == len(people)


def test_past_orders_earn_from_a_day_on(store: Running, house: House, shop: int) -> None:
    carry_on(house, shop)
    with house.database.transaction(shop) as session:
        assert backfill.award_since(session, shop, LONG_AGO, actor="merchant") == 2
        with pytest.raises(Conflict):
            backfill.award_since(session, shop, clock.now(), actor="merchant")
    backfill.award(house.database, shop, LONG_AGO.isoformat())
    books = oracle.books(*known(store))
    found = {id: (p.available, p.pending) for id, p in house.ledger(shop).members.items()}
    assert found == {m.customer_id: (m.available, m.pending) for m in books.members.values()}
    assert house.differences(shop) == []
    before = house.ledger(shop)
    with house.database.transaction(shop) as session:
        backfill.begin(session, shop)
    assert carry_on(house, shop)[-1].state == "done"
    assert house.ledger(shop) == before


def test_what_came_by_webhook_meanwhile_counts_once(store: Running, house: House, shop: int) -> None:
    orders, _ = known(store)
    house.settle(shop, [delivery("orders/create", order) for order in orders[::2]])
    carry_on(house, shop)
    assert len(house.ledger(shop).orders) == len(orders)
    assert house.states(shop).keys() == {"done"}
    assert house.differences(shop) == []


def test_a_worker_that_dies_is_followed_from_where_it_was(
    store: Running, house: House, shop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    brought, bring, starts, stream = [], backfill._bring, [], files.stream
    monkeypatch.setattr(backfill, "BATCH", 7)

    def dying(database: Any, client: Any, row: Any, held: Any) -> None:
        if len(brought) % 3 == 2:
            brought.append(0)
            raise Killed
        brought.append(len(held))
        bring(database, client, row, held)

    monkeypatch.setattr(backfill, "_bring", dying)
    monkeypatch.setattr(files, "stream", lambda url, start: starts.append(start) or stream(url, start))
    while state(house, shop).state == "running":
        with contextlib.suppress(Killed, NotYet):
            backfill.advance(house.database, shop, "")
    orders, people = known(store)
    assert sum(brought) == len(orders) + len(people)  # nothing was brought twice
    assert sum(start > 0 for start in starts) > 3
    house.drain()
    assert len(house.ledger(shop).orders) == len(orders)


@pytest.mark.parametrize("kind", ["bulk_fails", "bulk_cut"])
def test_a_file_that_breaks_off_is_asked_for_anew(store: Running, house: House, shop: int, kind: str) -> None:
    store.sandbox.faults.plan(Fault(kind, times=2, field="bulk"))
    assert [one.error for one in carry_on(house, shop) if one.error]
    assert (state(house, shop).state, state(house, shop).error) == ("done", None)
    assert len(house.ledger(shop).orders) == len(known(store)[0])


def test_one_that_never_comes_whole_is_told_and_tried_again(store: Running, house: House, shop: int) -> None:
    store.sandbox.faults.plan(Fault("bulk_fails", times=backfill.TRIES, field="bulk"))
    last = carry_on(house, shop)[-1]
    assert last.state == "failed"
    assert last.error == "Shopify could not gather the shop's customers (INTERNAL_SERVER_ERROR)"
    with house.database.transaction(shop) as session:
        backfill.resume(session, shop, actor="test")
        assert session.scalars(sa.select(effects.Effect.kind)).all() == [backfill.EFFECT]
    assert carry_on(house, shop)[-1].state == "done"
    with house.database.transaction(shop) as session, pytest.raises(Conflict):
        backfill.resume(session, shop, actor="test")


def test_a_shop_that_forbids_it_is_told_at_once(store: Running, house: House, shop: int) -> None:
    store.sandbox.faults.plan(Fault("access_denied", field="bulkOperationRunQuery"))
    last = carry_on(house, shop)[-1]
    assert last.state == "failed"
    assert "Access denied" in (last.error or "")


def test_a_throttled_backfill_goes_on_when_the_shop_allows_it(
    store: Running, house: House, shop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits as long as Shopify says and no flat minute, and that counts as no failure."""
    monkeypatch.setattr(effects, "_wired", {})
    effects.wire(backfill.EFFECT, backfill.advance)
    for field, seconds in (("bulkOperationRunQuery", 23.0), ("bulkOperation", 150.0), ("order", 40.0)):
        store.sandbox.faults.plan(Fault("rate_limit", field=field, retry_after=seconds))
        began = clock.now()
        effects.carry_out_due(house.database)
        with house.database.transaction(shop) as session:
            waits = session.get_one(effects.Effect, (shop, backfill.EFFECT, ""))
            assert (waits.state, waits.attempts, waits.error) == ("waiting", 0, None)
            assert seconds - 1 < (waits.due_at - began).total_seconds() < seconds + 15
            waits.due_at = clock.now()
    # What came before the order that Shopify would not tell is kept.
    assert 0 < state(house, shop).orders < len(known(store)[0])
    assert carry_on(house, shop)[-1].state == "done"


def test_the_past_does_not_run_ahead_of_the_inbox(
    store: Running, house: House, shop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "BATCH", 5)
    monkeypatch.setattr(backfill, "AHEAD", 10)
    for _ in range(200):
        with contextlib.suppress(NotYet):
            backfill.advance(house.database, shop, "")
        assert house.states(shop)["pending"] <= 15
        house.drain()
        if state(house, shop).state == "done":
            break
    assert len(house.ledger(shop).orders) == len(known(store)[0])


def test_news_of_the_end_of_an_operation_is_heard(store: Running, house: House, shop: int) -> None:
    with contextlib.suppress(NotYet):
        backfill._start(house.database, admin.Admin.of(house.database, shop), backfill._row(house.database, shop))  # type: ignore[arg-type]
    with house.database.transaction(shop) as session:
        operation = session.get_one(models.Backfill, shop).operation
        session.execute(sa.delete(effects.Effect))
    told = [{"admin_graphql_api_id": id, "status": "completed"} for id in ("gid://shopify/BulkOperation/1", operation)]
    house.settle(shop, [delivery("bulk_operations/finish", told[0])])
    with house.database.transaction(shop) as session:
        assert session.scalars(sa.select(effects.Effect.kind)).all() == []
    house.settle(shop, [delivery("bulk_operations/finish", told[1])])
    with house.database.transaction(shop) as session:
        assert session.scalars(sa.select(effects.Effect.kind)).all() == [backfill.EFFECT]


def test_by_hand_it_is_brought_in_and_compared(
    store: Running, house: House, shop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "database", lambda: house.database)
    orders, people = known(store)
    brought = CliRunner().invoke(commands.backfill, ["--shop", DEMO.domain, "--award-since", "2000-01-01"])
    assert (brought.exit_code, brought.stdout.strip().splitlines()[-1]) == (
        0, f"{len(people)} customers and {len(orders)} orders brought in",
    )  # fmt: skip
    compared = CliRunner().invoke(commands.reconcile, ["--shop", DEMO.domain, "--since", "2000-01-01"])
    told = f"{len(orders)} orders seen, {len(orders)} settled, 0 differed, 0 brought in"
    assert (compared.exit_code, compared.stdout.strip().splitlines()[-1]) == (0, told)
    books = oracle.books(orders, people)
    found = {id: (p.available, p.pending) for id, p in house.ledger(shop).members.items()}
    assert found == {m.customer_id: (m.available, m.pending) for m in books.members.values()}
    store.sandbox.faults.plan(Fault("access_denied", field="bulkOperationRunQuery"))
    refused = CliRunner().invoke(commands.backfill, ["--shop", DEMO.domain])
    assert refused.exit_code == 1
    assert "Access denied" in refused.output


# The file.

LINES = [{"id": "a"}, {"id": "a1", "__parentId": "a"}, {"id": "b"}, {"id": "c"}, {"id": "c1", "__parentId": "c"}]
FILE = "".join(json.dumps(line) + "\n" for line in LINES).encode()


def names(found: Iterator[Group]) -> list[tuple[str, list[str]]]:
    return [(group.node["id"], [child["id"] for child in group.children]) for group in found]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("ending", [b"\n", b""])
def test_objects_come_with_their_own_lines_however_the_file_is_cut(size: int, ending: bytes) -> None:
    data = FILE.rstrip(b"\n") + ending
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    whole = list(backfill.groups(chunks, 0, len(data)))
    assert names(iter(whole)) == [("a", ["a1"]), ("b", []), ("c", ["c1"])]
    # From the end of each object the rest can be read on.
    for place, group in enumerate(whole[:-1]):
        rest = backfill.groups([data[group.end :]], group.end, len(data))
        assert names(rest) == names(iter(whole[place + 1 :]))


@pytest.mark.parametrize(
    "data",
    [FILE[:-4], FILE[:-30], FILE[: FILE.index(b'{"id": "c"}')], b"[1]\n", b'{"no": "id"}\n', b"<html>\n", b"\xff\n"],
)
def test_half_a_file_is_no_file(data: bytes) -> None:
    with pytest.raises(BrokenFile):
        list(backfill.groups([data], 0, len(FILE)))


def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "LONGEST_LINE", 1000)
    with pytest.raises(BrokenFile, match="longer than any order"):
        list(backfill.groups((b"x" * 100 for _ in range(100)), 0, None))
