"""Who a request means, what an export holds and for how long, and a whole shop forgotten."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from core import clock, crypto
from core.db import Database, open_shops
from core.errors import NotFound
from loyalty import operations, privacy, programs
from loyalty.models import DataExport, Member, Order, Posting
from loyalty.operations import Customer
from loyalty.privacy import Person, erase_person, erase_shop, find_person
from loyalty.program import demo_program
from shops.models import Shop, ShopToken
from tests.webhooks.rig import see_all
from webhooks.arrivals import Arrival
from webhooks.models import Delivery
from webhooks.settlement import settle

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.dispose()


def add_shop(database: Database, domain: str) -> int:
    with database.transaction() as session:
        shop = Shop(
            domain=domain, name="Roastery", currency="USD", timezone="UTC", installed_at=T0, public_url="https://x"
        )
        session.add(shop)
        session.flush()
        open_shops(session, [shop.id])
        programs.publish(session, shop.id, demo_program(), effective_from=T0, actor="test")
        now = clock.now()
        session.add(ShopToken(shop_id=shop.id, access_token=crypto.encrypt("t"), updated_at=now))
        session.add(Delivery(shop_id=shop.id, webhook_id="w", topic="shop/redact", body=b"{}"))
        return shop.id


@pytest.fixture
def shop_id(database: Database) -> int:
    return add_shop(database, "roastery.myshopify.com")


def join(session: Any, shop_id: int, customer_id: int, email: str | None) -> int:
    settle(session, [], [Customer(shop_id, customer_id, email, True, f"Customer {customer_id}", T0)])
    return session.scalars(sa.select(Member.id).where(Member.customer_id == customer_id)).one()


def test_an_address_names_a_member_only_when_no_customer_is_named(database: Database, shop_id: int) -> None:
    with database.transaction(shop_id) as session:
        ann, bob = join(session, shop_id, 1, "ann@x.example"), join(session, shop_id, 2, "shared@x.example")
        by_address = find_person(session, shop_id, email=" Shared@X.example ")
        assert (by_address.members, by_address.customers) == ({bob}, {2})
        both = find_person(session, shop_id, customer_id=1, email="shared@x.example")
        assert (both.members, both.emails) == ({ann}, {"ann@x.example", "shared@x.example"})
        assert find_person(session, shop_id) == Person()


def test_an_address_goes_from_every_row_but_its_holder_stays(database: Database, shop_id: int) -> None:
    with database.transaction(shop_id) as session:
        join(session, shop_id, 1, "ann@x.example")
        bob = join(session, shop_id, 2, "shared@x.example")
        erase_person(session, shop_id, find_person(session, shop_id, customer_id=1, email="shared@x.example"))
        session.expire_all()
        held = session.get_one(Member, (shop_id, bob))
        assert (held.customer_id, held.email, held.name, held.erased_at) == (2, None, "Customer 2", None)


def test_erasing_reaches_the_members_merged_into_the_person(database: Database, shop_id: int) -> None:
    with database.transaction(shop_id) as session:
        kept, gone = join(session, shop_id, 1, "ann@x.example"), join(session, shop_id, 2, "old@x.example")
        session.execute(sa.update(Member).where(Member.id == gone).values(merged_into=kept))
        person = find_person(session, shop_id, customer_id=1)
        assert (person.members, person.customers) == ({kept, gone}, {1, 2})
        erase_person(session, shop_id, person)
        assert session.scalars(sa.select(Member.email).execution_options(populate_existing=True)).all() == [None, None]


def test_erased_people_are_not_enrolled_again(database: Database, shop_id: int) -> None:
    with database.transaction(shop_id) as session:
        erase_person(session, shop_id, find_person(session, shop_id, customer_id=1, email="ann@x.example"))
        told = [Customer(shop_id, 1, "ann@x.example", True, "Ann", T0)]
        assert operations.enrol(session, told, programs.load(session, [shop_id])).members == {}
        settle(session, [Arrival(shop_id, 9, guest_email="ann@x.example", deleted_at=T0)])
        assert session.scalars(sa.select(Order.guest_email)).all() == [None]


def test_only_words_may_leave_the_ledger(database: Database, shop_id: int) -> None:
    with database.transaction(shop_id) as session:
        ann = join(session, shop_id, 1, "ann@x.example")
        operations.adjust(session, shop_id, ann, 5, "for Ann", actor="api:1", key="a")
        before = session.execute(sa.select(Posting.id, Posting.points, Posting.key, Posting.explanation)).all()
        erase_person(session, shop_id, find_person(session, shop_id, customer_id=1))
        after = session.execute(sa.select(Posting.id, Posting.points, Posting.key, Posting.explanation)).all()
    assert [row[:3] for row in before] == [row[:3] for row in after]
    assert [set(b.explanation) - set(a.explanation) for b, a in zip(before, after, strict=True)] == [
        set(),
        {"reason_given"},
    ]


def test_an_export_is_encrypted_replaced_and_pruned_after_30_days(database: Database, shop_id: int) -> None:
    with clock.fixed_at(T0), database.transaction(shop_id) as session:
        join(session, shop_id, 1, "ann@x.example")
        person = find_person(session, shop_id, customer_id=1)
        for _ in range(2):
            told = privacy.export_person(session, shop_id, person, request_id="7", deliveries=[])
        assert b"ann@x.example" not in session.scalars(sa.select(DataExport.document)).one()
        assert privacy.read_export(session, shop_id, "7") == told
    with clock.fixed_at(T0 + timedelta(days=30)), database.transaction(shop_id) as session:
        assert privacy.prune_exports(session) == 0
    with clock.fixed_at(T0 + timedelta(days=30, seconds=1)), database.transaction(shop_id) as session:
        assert privacy.prune_exports(session) == 1
        with pytest.raises(NotFound):
            privacy.read_export(session, shop_id, "7")


def test_an_export_for_somebody_unknown_says_so(database: Database, shop_id: int) -> None:
    with database.transaction(shop_id) as session:
        told = privacy.export_person(session, shop_id, find_person(session, shop_id, customer_id=1), request_id="8")
        assert (told["members"], told["orders"], told["postings"]) == ([], [], [])


def rows_of(url: str, shop_id: int) -> dict[str, int]:
    """How many rows every table holds of a shop, as the owner sees it."""
    with see_all(psycopg.connect(url)) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid "
            "WHERE attname = 'shop_id' AND relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table} WHERE shop_id = %s", [shop_id]).fetchone()
            for (table,) in tables
        }
    return {table: row[0] for table, row in counts.items() if row and row[0]}


def test_of_an_erased_shop_only_its_domain_is_left(database: Database, database_url: str, shop_id: int) -> None:
    other = add_shop(database, "bakery.myshopify.com")
    for shop in (shop_id, other):
        with database.transaction(shop) as session:
            join(session, shop, 1, "ann@x.example")
            privacy.export_person(session, shop, find_person(session, shop, customer_id=1), request_id="7")
    before = rows_of(database_url, other)
    assert len(before) > 5
    for _ in range(2):
        with database.transaction(shop_id) as session:
            erase_shop(session, shop_id)
    assert rows_of(database_url, shop_id) == {}
    assert rows_of(database_url, other) == before
    with database.transaction() as session:
        shop = session.get_one(Shop, shop_id)
        assert (shop.domain, shop.name, shop.public_url) == ("roastery.myshopify.com", "roastery.myshopify.com", None)
        assert shop.redacted_at
        assert shop.uninstalled_at
        assert session.get_one(Shop, other).redacted_at is None


def test_a_shop_that_is_not_open_is_not_touched(database: Database, database_url: str, shop_id: int) -> None:
    with database.transaction(shop_id) as session:
        join(session, shop_id, 1, "ann@x.example")
    before = rows_of(database_url, shop_id)
    other = add_shop(database, "bakery.myshopify.com")
    with pytest.raises(ProgrammingError, match="row-level security"), database.transaction(other) as session:
        erase_person(session, shop_id, find_person(session, shop_id, customer_id=1))
    assert rows_of(database_url, shop_id) == before
