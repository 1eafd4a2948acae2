"""The database: engine, sessions opened for the shops they may see, and the set-based writes of the hot path.

Tenancy. The app works as the role `rapport_app`, which owns no table, so forced row-level security binds it. Each
policy reads the list `rapport.shops`, set for one transaction by `open_shops`; a query outside it sees no row.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from core.config import settings

APP_ROLE = "rapport_app"

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Parent of every table."""

    metadata = sa.MetaData(naming_convention=NAMING)


JSONB = postgresql.JSONB(none_as_null=True)
TIMESTAMP = sa.DateTime(timezone=True)


def driver_url(url: str) -> str:
    """Any PostgreSQL URL with the psycopg 3 driver named."""
    head, _, rest = url.partition("://")
    if head.split("+")[0] not in ("postgresql", "postgres"):
        raise SystemExit("DATABASE_URL must be a postgresql:// URL; Rapport speaks PostgreSQL only")
    return f"postgresql+psycopg://{rest}"


class Database:
    """An engine and its sessions. `statement_timeout` is in milliseconds, 0 for none."""

    def __init__(self, url: str, *, pool_size: int = 5, statement_timeout: int = 0) -> None:
        options = f"-c role={APP_ROLE} -c statement_timeout={statement_timeout} -c timezone=UTC"
        # A server that is gone without a word is noticed after about ten seconds, not after hours.
        alive = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
        self.engine = sa.create_engine(
            driver_url(url),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=4,
            pool_pre_ping=True,
            hide_parameters=True,  # an error's text ends up in logs, and values may be personal
            connect_args={"options": options, "connect_timeout": 3, "prepare_threshold": 3, **alive},
        )
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        # Called with the session after each commit: what must not start before its facts can be read.
        self.after_commit: list[Callable[[Session], None]] = []

    @contextmanager
    def transaction(self, *shop_ids: int) -> Iterator[Session]:
        """A session that sees exactly these shops; commits at the end, rolls back on any exception."""
        with self._sessions() as session:
            with session.begin():
                open_shops(session, shop_ids)
                yield session
            for follow_up in self.after_commit:
                follow_up(session)

    def dispose(self) -> None:
        self.engine.dispose()


@functools.cache
def database() -> Database:
    """The process's database."""
    return Database(settings().database_url, pool_size=16, statement_timeout=settings().statement_timeout)


def open_shops(session: Session, shop_ids: Iterable[int]) -> None:
    """Let this transaction see these shops and no others. An empty list sees nothing."""
    listed = "{" + ",".join(str(int(shop_id)) for shop_id in sorted(set(shop_ids))) + "}"
    session.execute(sa.text("SELECT set_config('rapport.shops', :listed, true)"), {"listed": listed})


# Set-based writes. One statement with one array per column is several times faster than one row at a time, and its
# cost in Python is a list per column.

Row = Sequence[Any]


# Numbers and moments go as text, which needs no quoting and is four times faster to build; all else in the binary form,
# where nothing has to be quoted either.
_AS_TEXT = ("bigint", "integer", "smallint", "timestamptz", "timestamp with time zone")


def _placeholder(kind: str) -> str:
    return f"%s::{kind}[]" if kind in _AS_TEXT else f"%b::{kind}[]"


@functools.cache
def _kinds(table: sa.Table, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The PostgreSQL type that each column's values are sent as: JSON goes as text and is cast on arrival."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    kinds = [table.c[column].type.compile(dialect).lower() for column in columns]
    return tuple("text" if kind == "jsonb" else kind for kind in kinds)


@functools.cache
def _unnest(kinds: tuple[str, ...]) -> str:
    return f"unnest({', '.join(map(_placeholder, kinds))})"


@functools.cache
def _selected(table: sa.Table, columns: tuple[str, ...]) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    json = {column for column in columns if table.c[column].type.compile(dialect) == "JSONB"}
    return ", ".join(f"v.{column}::jsonb" if column in json else f"v.{column}" for column in columns)


def _columns(kinds: Sequence[str], rows: Sequence[Row]) -> list[Any]:
    columns = zip(*rows, strict=True)
    return [_array(kind, column) for kind, column in zip(kinds, columns, strict=True)]


def _array(kind: str, values: Sequence[Any]) -> Any:
    """A column as an array. Of numbers, moments and nulls PostgreSQL reads what JSON writes, but for the brackets."""
    if kind not in _AS_TEXT:
        return list(values)
    return "{" + msgspec.json.encode(values)[1:-1].decode() + "}"


def insert_rows(
    session: Session, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row], *, suffix: str = ""
) -> sa.CursorResult[Any] | None:
    """Insert tuples in one statement. JSON columns take encoded text. `suffix` holds ON CONFLICT and RETURNING."""
    if not rows:
        return None
    kinds = _kinds(table, columns)
    sql = (
        f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {_selected(table, columns)} "
        f"FROM {_unnest(kinds)} AS v({', '.join(columns)}) {suffix}"
    )
    return session.connection().exec_driver_sql(sql, tuple(_columns(kinds, rows)))


def update_rows(
    session: Session, table: sa.Table, keys: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Row]
) -> None:
    """Update rows found by `keys`; each tuple holds the keys, then the new values of `columns`."""
    if not rows:
        return
    both = keys + columns
    values = dict(zip(both, _selected(table, both).split(", "), strict=True))
    kinds = _kinds(table, both)
    sql = (
        f"UPDATE {table.name} AS t SET {', '.join(f'{c} = {values[c]}' for c in columns)} "
        f"FROM {_unnest(kinds)} AS v({', '.join(both)}) "
        f"WHERE {' AND '.join(f't.{k} = v.{k}' for k in keys)}"
    )
    session.connection().exec_driver_sql(sql, tuple(_columns(kinds, rows)))


def delete_rows(session: Session, table: sa.Table, keys: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Delete the rows with these keys."""
    if not rows:
        return
    kinds = _kinds(table, keys)
    sql = (
        f"DELETE FROM {table.name} AS t USING {_unnest(kinds)} AS v({', '.join(keys)}) "
        f"WHERE {' AND '.join(f't.{k} = v.{k}' for k in keys)}"
    )
    session.connection().exec_driver_sql(sql, tuple(_columns(kinds, rows)))


def rows_by(session: Session, sql: str, types: tuple[str, ...], keys: Sequence[Row], *extra: Any) -> Sequence[Any]:
    """Read by many keys at once: `sql` holds `{keys}` where `unnest(...)` of the key columns goes, then `extra`."""
    if not keys:
        return []
    read = sql.replace("{keys}", _unnest(types))
    return session.connection().exec_driver_sql(read, (*_columns(types, keys), *extra)).fetchall()
