"""The sandbox's memory: typed documents and webhook deliveries in one SQLite file, so that a restart loses nothing."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

TABLES = """
create table if not exists documents (
  shop text, kind text, id text, rank integer not null default 0, body blob not null, primary key (shop, kind, id)
) without rowid;
create index if not exists documents_by_rank on documents (shop, kind, rank, id);
create table if not exists deliveries (
  id integer primary key, shop text not null, topic text not null, webhook_id text not null, event_id text not null,
  triggered_at text not null, body blob not null, state text not null, attempts integer not null default 0,
  next_at real not null default 0, status integer, error text
);
create index if not exists deliveries_due on deliveries (state, next_at);
"""


class Store:
    """One connection behind a lock: the sandbox is small, and SQLite has one writer anyway."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self.depth = 0
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.executescript("pragma journal_mode=wal; pragma synchronous=normal;" + TABLES)

    def close(self) -> None:
        with self.lock:
            self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; an inner transaction joins the outer one."""
        with self.lock:
            if self.depth == 0:
                self.db.execute("begin immediate")
            self.depth += 1
            try:
                yield
            except BaseException:
                if self.depth == 1:
                    self.db.execute("rollback")
                raise
            else:
                if self.depth == 1:
                    self.db.execute("commit")
            finally:
                self.depth -= 1

    def query(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self.lock:
            return self.db.execute(sql, values).fetchall()

    def change(self, sql: str, *values: Any) -> int:
        """Run a writing statement; returns how many rows it touched."""
        with self.transaction():
            return self.db.execute(sql, values).rowcount

    def put(self, shop: str, kind: str, key: object, document: Any, rank: int = 0) -> None:
        """`rank` is what `page` orders by: an order's or customer's `updated_at`."""
        self.change(
            "insert into documents values (?, ?, ?, ?, ?) on conflict do update set rank=excluded.rank,"
            " body=excluded.body",
            shop,
            kind,
            str(key),
            rank,
            msgspec.json.encode(document),
        )

    def get(self, shop: str, kind: str, key: object, type_: type[T]) -> T | None:
        rows = self.query("select body from documents where shop=? and kind=? and id=?", shop, kind, str(key))
        return msgspec.json.decode(rows[0]["body"], type=type_) if rows else None

    def exists(self, shop: str, kind: str, key: object) -> bool:
        return bool(self.query("select 1 from documents where shop=? and kind=? and id=?", shop, kind, str(key)))

    def remove(self, shop: str, kind: str, key: object) -> bool:
        return self.change("delete from documents where shop=? and kind=? and id=?", shop, kind, str(key)) > 0

    def all(self, shop: str, kind: str, type_: type[T]) -> list[T]:
        rows = self.query("select body from documents where shop=? and kind=? order by rank, id", shop, kind)
        return [msgspec.json.decode(row["body"], type=type_) for row in rows]

    def all_of(self, shop: str, kind: str, prefix: str, type_: type[T]) -> list[T]:
        """Those whose key starts with `prefix`, in order of their keys."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        rows = self.query(
            "select body from documents where shop=? and kind=? and id>=? and id<? order by id", shop, kind, prefix, end
        )
        return [msgspec.json.decode(row["body"], type=type_) for row in rows]

    def page(
        self, shop: str, kind: str, type_: type[T], after: tuple[int, str], low: int, high: int, n: int
    ) -> list[T]:
        """Up to `n` documents with `low <= rank < high`, in order of (rank, id), after that position."""
        rows = self.query(
            "select body from documents where shop=? and kind=? and rank>=? and rank<? and (rank, id)>(?, ?)"
            " order by rank, id limit ?",
            shop,
            kind,
            low,
            high,
            *after,
            n,
        )
        return [msgspec.json.decode(row["body"], type=type_) for row in rows]

    def count(self, shop: str, kind: str) -> int:
        """The next number of a named series of a shop, starting at 1."""
        with self.transaction():
            number = (self.get(shop, "counter", kind, int) or 0) + 1
            self.put(shop, "counter", kind, number)
        return number
