"""Imports from the check to the last row: nothing changes before the start, and no row counts twice."""

from typing import Any

import pytest

from core.db import database
from core.errors import Conflict, InvalidInput, NotFound
from loyalty.importing import jobs, operations
from tests.web.conftest import app, other_store, store  # noqa: F401
from tests.web.stores import Store


def people(store: Store, *numbers: int) -> None:  # noqa: F811
    store.settle(*(store.order(n, store.customer(n, f"m{n}@example.com")) for n in numbers))


def check(store: Store, text: str) -> Any:  # noqa: F811
    with database().transaction(store.shop_id) as session:
        return operations.check(session, store.shop_id, "old.csv", text.encode(), actor="merchant:1")


def start(store: Store, id_: int) -> None:  # noqa: F811
    with database().transaction(store.shop_id) as session:
        operations.start(session, store.shop_id, id_, actor="merchant:1")


def found(store: Store, id_: int) -> Any:  # noqa: F811
    with database().transaction(store.shop_id) as session:
        return operations.find(session, store.shop_id, id_)


def member(store: Store, number: int) -> Any:  # noqa: F811
    return store.member_of(store.customer(number))


FILE = (
    "email,customer id,points,tier,birthday\n"
    "m1@example.com,,1000,Advocate,1990-03-14\n"
    ",2,500,,\n"
    "nobody@example.com,,10,,\n"
    "m3@example.com,,abc,,\n"
)


def test_a_check_changes_nothing_and_says_what_is_wrong(store: Store) -> None:  # noqa: F811
    people(store, 1, 2, 3)
    row = check(store, FILE)
    assert (row.total, row.good, row.points, row.bad) == (4, 2, 1500, 2)
    assert [number for number, _text in row.faults] == [5, 4] or [n for n, _ in row.faults] == [4, 5]
    assert member(store, 1)["points"]["available"] == 130
    jobs.bring_in()
    assert member(store, 1)["points"]["available"] == 130


def test_what_is_started_comes_in_once(store: Store) -> None:  # noqa: F811
    people(store, 1, 2, 3)
    row = check(store, FILE)
    for _ in range(2):
        start(store, row.id)
        jobs.bring_in()
    first, second = member(store, 1), member(store, 2)
    assert (first["points"]["available"], second["points"]["available"]) == (1130, 580 + 50 - 0)
    assert first["tier"]["key"] == "advocate"
    done = found(store, row.id)
    assert (done.state, done.done) == ("done", 2)
    kinds = [one["kind"] for one in store.get(f"/members/{first['id']}/postings").json["items"]]
    assert kinds.count("adjustment") == 1


def test_a_stopped_import_goes_on_where_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    people(store, *range(1, 8))
    monkeypatch.setattr(operations, "BATCH", 2)
    row = check(store, "email,points\n" + "".join(f"m{n}@example.com,{n}00\n" for n in range(1, 8)))
    start(store, row.id)
    with database().transaction(store.shop_id) as session:
        assert operations.bring_in_batch(session, store.shop_id, row.id)
    with database().transaction(store.shop_id) as session:
        operations.bring_in_batch(session, store.shop_id, row.id)
        session.rollback()  # as when a worker is killed before its commit
    assert found(store, row.id).done == 2
    jobs.bring_in()
    assert [member(store, n)["points"]["available"] - 130 for n in range(1, 8)] == [n * 100 for n in range(1, 8)]


def test_cancelled_and_foreign_imports_bring_nothing(store: Store, other_store: Store) -> None:  # noqa: F811
    people(store, 1)
    row = check(store, "email,points\nm1@example.com,5\n")
    with database().transaction(other_store.shop_id) as session, pytest.raises(NotFound):
        operations.start(session, other_store.shop_id, row.id, actor="merchant:1")
    with database().transaction(store.shop_id) as session:
        operations.cancel(session, store.shop_id, row.id, actor="merchant:1")
    with pytest.raises(Conflict):
        start(store, row.id)
    jobs.bring_in()
    assert member(store, 1)["points"]["available"] == 130


@pytest.mark.parametrize("data", ["", "nothing", "a,b\n1,2\n"])
def test_bad_files_are_refused_in_a_sentence(store: Store, data: str) -> None:  # noqa: F811
    with pytest.raises(InvalidInput):
        check(store, data)
