"""Two shops in one database: neither sees the other, and nobody changes what is written for good."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from core.db import APP_ROLE, open_shops
from loyalty.operations import adjust
from sandbox import payloads
from sandbox.catalogue import DEMO
from sandbox.orders import Basket, Customer, Item, place
from tests.webhooks.rig import House, delivery

T0 = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp())
THING = Item(1, 2, "Thing", None, "T", "V", 60_000)
APPEND_ONLY = ("commission_entries", "events", "postings", "referral_decisions")
# A column that may hold some words only, and the first of them.
ALLOWED = re.compile(r"\((\w+) = ANY \(ARRAY\['(\w+)'")
# Tables of the whole installation: they hold nothing of any shop's customers.
SHARED = {"alembic_version", "periodic_runs", "shops"}


class Two(House):
    """Two shops whose customers, orders and webhook ids are the same numbers."""

    def fill(self) -> None:
        self.shops = [self.open_shop("one.myshopify.com"), self.open_shop("two.myshopify.com")]
        for shop in self.shops:
            self.settle(shop, [order(1), order(2), delivery("carts/create", {"id": 1}, webhook_id="same")])
            with self.database.transaction(shop) as session:
                (member,) = session.scalars(sa.text("SELECT id FROM members")).all()
                adjust(session, shop, member, 5, "a gesture", actor="test", key="gesture")
        self.fill_the_rest()

    def fill_the_rest(self) -> None:
        """A row for each shop in the tables that no order touches, made up from their column types."""
        with self.owner() as connection:
            for table in tenant_tables(connection):
                for shop in self.shops:
                    if not rows(connection, table, shop):
                        make_up(connection, table, shop)


def order(number: int) -> Any:
    noor = Customer(7, "Noor", "Haddad", "noor@example.com", T0, T0)
    placed = place(DEMO, number, number, Basket([(THING, 1)]), T0 + number * 3600, customer=noor)[0]
    return delivery("orders/paid", payloads.order_payload(DEMO, placed, noor), webhook_id=f"order-{number}")


def tenant_tables(connection: "psycopg.Connection[Any]") -> list[str]:
    """From the database itself, so that a new table cannot be forgotten here."""
    found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return sorted({name for (name,) in found} - SHARED)


def rows(connection: "psycopg.Connection[Any]", table: str, shop: int) -> int:
    query = sql.SQL("SELECT count(*) FROM {} WHERE shop_id = %s").format(sql.Identifier(table))
    (count,) = connection.execute(query, [shop]).fetchone() or (0,)
    return int(count)


def checks(connection: "psycopg.Connection[Any]", table: str) -> list[str]:
    found = connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'", [table]
    )
    return [text for (text,) in found]


def make_up(connection: "psycopg.Connection[Any]", table: str, shop: int) -> None:
    needed = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s AND is_nullable = 'NO' "
        "AND column_default IS NULL AND is_identity = 'NO'",
        [table],
    ).fetchall()
    chosen = dict(ALLOWED.findall(" ".join(checks(connection, table))))
    if "partner_id IS NULL" in str(checks(connection, table)):
        needed.append(("member_id", "bigint"))
    samples: dict[str, Any] = {
        "bigint": shop, "text": f"made up {shop}", "bytea": b"x", "jsonb": "{}", "integer": 1, "smallint": 1,
        "boolean": True, "date": datetime.now(UTC).date(), "uuid": f"{shop:032x}",
    }  # fmt: skip
    values = [chosen.get(name) or samples.get(kind, datetime.now(UTC)) for name, kind in needed]
    columns = sql.SQL(", ").join(sql.Identifier(name) for name, _ in needed)
    places = sql.SQL(", ").join([sql.Placeholder()] * len(needed))
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(sql.Identifier(table), columns, places)
    connection.execute(statement, values)


@pytest.fixture(scope="module")
def two(module_database_url: str) -> Iterator[Two]:
    two = Two(module_database_url)
    two.fill()
    yield two
    two.database.dispose()


@pytest.fixture
def tables(two: Two) -> list[str]:
    with two.owner() as connection:
        return tenant_tables(connection)


def test_every_table_belongs_to_a_shop_or_is_known_to_be_shared(two: Two, tables: list[str]) -> None:
    assert len(tables) >= 14
    with two.owner() as connection:
        keys = connection.execute(
            "SELECT i.indrelid::regclass::text, a.attname FROM pg_index i JOIN pg_attribute a "
            "ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE (i.indisprimary OR i.indisunique) "
            "AND i.indrelid::regclass::text = ANY (%s)",
            [tables],
        ).fetchall()
        assert {table for table, _ in keys} == set(tables)
        assert {first for _, first in keys} == {"shop_id"}
        for table in tables:
            assert all(rows(connection, table, shop) for shop in two.shops), table


def test_row_level_security_is_forced_by_a_policy_on_every_tenant_table(two: Two, tables: list[str]) -> None:
    with two.owner() as connection:
        found = connection.execute(
            "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, count(p.polname) FILTER (WHERE p.polcmd = '*') "
            "FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid WHERE c.relname = ANY (%s) GROUP BY 1, 2, 3",
            [tables],
        ).fetchall()
        owners = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relowner = %s::regrole AND relnamespace = 'public'::regnamespace",
            [APP_ROLE],
        ).fetchone()
        bypass = connection.execute(
            "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s", [APP_ROLE]
        ).fetchone()
    assert {table for table, on, forced, policies in found if on and forced and policies} == set(tables)
    assert owners == (0,)
    assert bypass == (False,)


def seen(two: Two, table: str, *shops: int) -> set[int]:
    with two.database.transaction(*shops) as session:
        return set(session.scalars(sa.text(f"SELECT shop_id FROM {table}")))


def test_a_query_that_forgets_its_shop_sees_no_row(two: Two, tables: list[str]) -> None:
    for table in tables:
        assert seen(two, table) == set(), table


def test_an_opened_shop_is_all_there_is(two: Two, tables: list[str]) -> None:
    one, other = two.shops
    for table in tables:
        assert seen(two, table, one) == {one}, table
        assert seen(two, table, one, other) == {one, other}, table


def test_the_opening_ends_with_its_transaction(two: Two) -> None:
    """Connections are pooled: what one request opened must not be open for the next."""
    for _ in range(20):
        assert seen(two, "members", two.shops[0]) == {two.shops[0]}
        assert seen(two, "members") == set()


@pytest.mark.parametrize("wrong", ["", "{}", "{99}", "{1,2"])
def test_a_wrong_list_of_shops_opens_nothing(two: Two, wrong: str) -> None:
    with two.database.transaction() as session:
        session.execute(sa.text("SELECT set_config('rapport.shops', :wrong, true)"), {"wrong": wrong})
        try:
            assert session.execute(sa.text("SELECT count(*) FROM members")).scalar() == 0
        except sa.exc.DBAPIError:
            session.rollback()


def attempt(two: Two, statement: str, *shops: int, claim: str = "") -> int:
    """Run a statement as the app with these shops open, and undo it. How many rows it touched."""
    with two.database.transaction(*shops) as session:
        session.execute(sa.text("SELECT set_config('rapport.claim', :claim, true)"), {"claim": claim})
        touched = len(session.execute(sa.text(statement + " RETURNING 1")).all())
        session.rollback()
    return touched


def test_nothing_is_written_for_a_shop_that_is_not_open(two: Two, tables: list[str]) -> None:
    one, other = two.shops
    for table in tables:
        with pytest.raises(sa.exc.DBAPIError):
            attempt(two, f"UPDATE {table} SET shop_id = {other}", one)
        if table not in APPEND_ONLY:
            assert attempt(two, f"DELETE FROM {table} WHERE shop_id = {other}", one) == 0, table
            assert attempt(two, f"DELETE FROM {table} WHERE shop_id = {other}", other) > 0, table


@pytest.mark.parametrize("claim", ["inbox", "effects", "members", "postings"])
def test_a_claim_reads_only_the_table_it_names(two: Two, tables: list[str], claim: str) -> None:
    for table in tables:
        with two.database.transaction() as session:
            session.execute(sa.text("SELECT set_config('rapport.claim', :claim, true)"), {"claim": claim})
            found = set(session.scalars(sa.text(f"SELECT shop_id FROM {table}")))
            assert bool(found) == (table == claim and claim in ("inbox", "effects")), table


@pytest.mark.parametrize("claim", ["inbox", "effects"])
def test_a_claim_changes_nothing(two: Two, claim: str) -> None:
    with pytest.raises(sa.exc.DBAPIError):
        attempt(two, f"UPDATE {claim} SET state = 'failed'", claim=claim)


@pytest.mark.parametrize("claim", ["inbox", "effects"])
def test_a_claim_deletes_nothing(two: Two, claim: str) -> None:
    assert attempt(two, f"DELETE FROM {claim}", claim=claim) == 0


CHANGES = ("UPDATE {} SET shop_id = shop_id", "DELETE FROM {}", "TRUNCATE {}")


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("change", CHANGES)
def test_the_app_changes_nothing_that_is_written_for_good(two: Two, table: str, change: str) -> None:
    with (
        pytest.raises(sa.exc.ProgrammingError, match="permission denied"),
        two.database.transaction(*two.shops) as session,
    ):
        session.execute(sa.text(change.format(table)))


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("change", CHANGES)
def test_neither_does_the_owner(two: Two, table: str, change: str) -> None:
    with two.owner() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        connection.execute(change.format(table))


@pytest.mark.parametrize("allowed", ["person", "shop", "", "x"])
def test_the_words_that_allow_erasure_allow_no_change_of_numbers(two: Two, allowed: str) -> None:
    with two.owner() as connection:
        connection.execute("SELECT set_config('rapport.erasing', %s, false)", [allowed])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE postings SET points = points + 1")


def test_erasing_one_shop_leaves_the_other(database_url: str) -> None:
    two = Two(database_url)
    two.fill()
    one, other = two.shops
    with two.owner() as connection:
        before = rows(connection, "postings", other)
    with two.database.transaction(one) as session:
        open_shops(session, [one])
        session.execute(sa.text("SELECT erase_shop_ledger(:one)"), {"one": one})
    with two.owner() as connection:
        assert rows(connection, "postings", one) == 0
        assert rows(connection, "postings", other) == before
    two.database.dispose()


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE members",
        "ALTER TABLE members DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE postings DISABLE TRIGGER ALL",
        "CREATE TABLE mine (x int)",
        "CREATE POLICY mine ON members USING (true)",
    ],
)
def test_the_app_owns_nothing(two: Two, change: str) -> None:
    with pytest.raises(sa.exc.ProgrammingError), two.database.transaction() as session:
        session.execute(sa.text(change))
