"""Erasing a person for real: told about through deliveries and the API, erased, then looked for in every table."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
import sqlalchemy as sa

from core.db import Database, open_shops
from core.errors import NotFound
from core.events import Event
from loyalty import audit, operations, privacy
from loyalty.models import DataExport, Erasure, Member, Order
from loyalty.privacy import Person
from loyalty.program import demo_program
from loyalty.programs import publish
from shops.models import Shop
from tests.webhooks.rig import see_all
from webhooks import drain, people, redaction
from webhooks.models import Delivery
from webhooks.payloads import DataRequest, parse
from webhooks.redaction import BodiesInUse, Look, Told

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)

# Distinctive enough that finding any of it anywhere means that it was kept.
NOOR = {
    "id": 7_100_200_300_401,
    "email": "Noor.Zyxwv@Quillfern.example",
    "first_name": "Noorzyxwv",
    "last_name": "Quillfern",
    "phone": "+44 20 7946 0958",
}
TRACES = ("noor.zyxwv", "quillfern", "noorzyxwv", "7100200300401", "79460958", "zyxwvgift")
IVO = {
    "id": 7_100_200_300_999,
    "email": "ivo@elsewhere.example",
    "first_name": "Ivo",
    "last_name": "Marten",
    "phone": "+44 20 7946 0111",
}
NOORS_ORDER, NOORS_GUEST_ORDER, STRAY_ORDER, IVOS_ORDER = (
    9007199254740993,
    5_690_000_000_002,
    5_690_000_000_003,
    5_690_000_000_004,
)


def order_body(order_id: int, customer: dict[str, Any] | None, *, email: str = "", **more: Any) -> dict[str, Any]:
    lines = [
        {"id": order_id + 1, "title": "House blend", "quantity": 2, "price": "40.00", "product_id": 11},
        {"id": order_id + 2, "title": "Engraving: ZyxwvGift" if email else "Card", "quantity": 1, "price": "1.00"},
    ]
    address = {"first_name": customer["first_name"], "phone": customer["phone"]} if customer else None
    return {
        "id": order_id,
        "name": f"#{order_id % 10_000}",
        "email": email or (customer or {}).get("email", ""),
        "currency": "USD",
        "processed_at": T0.isoformat(),
        "updated_at": T0.isoformat(),
        "financial_status": "paid",
        "customer": customer and {**customer, "verified_email": True},
        "shipping_address": address,
        "discount_codes": [{"code": "ZYXWVGIFT"}] if email else [],
        "line_items": lines,
    } | more


def request_body(person: dict[str, Any], orders: list[int], key: str = "orders_to_redact") -> dict[str, Any]:
    asked = {"data_request": {"id": 4242}} if key == "orders_requested" else {}
    return {"shop_id": 1, "customer": {k: person[k] for k in ("id", "email", "phone")}, key: orders} | asked


class World:
    """One shop, its inbox, and the app's own way of working it off."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url)
        with self.database.transaction() as session:
            shop = Shop(
                domain="roastery.myshopify.com", name="Roastery", currency="USD", timezone="UTC", installed_at=T0
            )
            session.add(shop)
            session.flush()
            self.shop_id = shop.id
            open_shops(session, [shop.id])
            publish(session, shop.id, demo_program(), effective_from=T0, actor="test")

    def open(self) -> Any:
        return self.database.transaction(self.shop_id)

    def receive(self, topic: str, body: Any) -> int:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        with self.open() as session:
            delivery = Delivery(shop_id=self.shop_id, webhook_id=uuid.uuid4().hex, topic=topic, body=raw)
            session.add(delivery)
            session.flush()
            return delivery.id

    def work(self) -> None:
        drain.drain(self.database)

    def redact(self, person: dict[str, Any] = NOOR, orders: tuple[int, ...] = ()) -> int:
        """Receive customers/redact and work it off."""
        delivery_id = self.receive("customers/redact", request_body(person, list(orders)))
        self.work()
        assert self.delivery(delivery_id).state == "done"
        return delivery_id

    def redact_at_once(self, orders: tuple[int, ...] = ()) -> int:
        """Carry out customers/redact while all else waits."""
        body = request_body(NOOR, list(orders))
        delivery_id = self.receive("customers/redact", body)
        with self.open() as session:
            people.redact(session, self.shop_id, delivery_id, parse(json.dumps(body).encode(), DataRequest))
        return delivery_id

    def delivery(self, delivery_id: int) -> Delivery:
        with self.open() as session:
            return session.scalars(sa.select(Delivery).where(Delivery.id == delivery_id)).one()

    def member(self, customer: dict[str, Any]) -> Member | None:
        with self.open() as session:
            return session.scalar(sa.select(Member).where(Member.customer_id == customer["id"]))

    def kept(self) -> str:
        """Every row of every table as text, bodies decoded, as the owner sees it; lower case, without separators."""
        with see_all(psycopg.connect(self.url)) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            rows = [
                str(value)
                for (table,) in tables
                for (value,) in connection.execute(f"SELECT to_jsonb(t)::text FROM {table} t")
            ]
            bodies = [bytes(body) for (body,) in connection.execute("SELECT body FROM inbox")]
        plain = [text(body) for body in bodies]
        return "\n".join([*rows, *plain]).casefold()


def text(body: bytes) -> str:
    """A body with its JSON escapes undone."""
    try:
        return json.dumps(json.loads(body), ensure_ascii=False)
    except ValueError:
        return body.decode("utf-8", "replace")


def traces_in(kept: str) -> set[str]:
    """What of Noor is in there: as text, as hex of it (a bytea's own form), or as a phone number with its spaces."""
    digits = kept.replace(" ", "").replace("-", "")
    return {t for t in TRACES if t in kept or t in digits or t.encode().hex() in kept}


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    world = World(database_url)
    yield world
    world.database.dispose()


def tell_everything(world: World) -> None:
    """Noor leaves traces wherever the app can take them; so does Ivo, who stays."""
    world.receive("customers/create", {**NOOR, "verified_email": True, "updated_at": T0.isoformat()})
    world.receive("orders/paid", order_body(NOORS_ORDER, NOOR))
    world.receive("orders/create", order_body(NOORS_GUEST_ORDER, None, email="noor.zyxwv@other.example"))
    world.receive("orders/create", order_body(STRAY_ORDER, None, email=NOOR["email"]))
    world.receive("orders/paid", order_body(IVOS_ORDER, IVO))
    refund = {"id": 31, "order_id": NOORS_ORDER, "created_at": T0.isoformat(), "note": "Quillfern was unhappy"}
    world.receive("refunds/create", refund)
    escaped = json.dumps({"id": 5, "who": NOOR["email"].upper()}).replace("@", "\\u0040").encode()
    world.receive("checkouts/create", escaped)
    world.receive("checkouts/create", {"id": 6, "call": "(020) 7946-0958"})
    world.receive("customers/update", b'{"id": "broken", "email": "' + NOOR["email"].encode() + b'"')
    world.work()
    noor = world.member(NOOR)
    assert noor
    with world.open() as session:
        reason = "Sorry, Noorzyxwv Quillfern"
        posting = operations.adjust(session, world.shop_id, noor.id, 25, reason, actor="api:1", key="sorry")
        answered = {"id": str(posting.id), "points": 25, "explanation": {"text": reason, "reason_given": reason}}
        session.execute(
            sa.text(
                "INSERT INTO idempotency_keys (shop_id, key, request_digest, status, answer, created_at) "
                "VALUES (:shop, 'k1', 'd', 201, CAST(:one AS jsonb), now()), (:shop, 'k2', 'd', 201, :two, now())"
            ),
            {"shop": world.shop_id, "one": json.dumps(answered), "two": json.dumps({"email": NOOR["email"]})},
        )
    ask(world, NOOR)


def ask(world: World, person: dict[str, Any], orders: tuple[int, ...] = ()) -> str:
    """Receive customers/data_request, work it off, and give the id to read the export by."""
    world.receive("customers/data_request", request_body(person, list(orders), "orders_requested"))
    world.work()
    return "4242"


def test_nothing_of_an_erased_person_is_left_in_any_table(world: World) -> None:
    tell_everything(world)
    assert traces_in(world.kept()) == set(TRACES)
    world.redact(orders=(NOORS_ORDER, NOORS_GUEST_ORDER))
    assert traces_in(world.kept()) == set()


def test_everything_of_another_person_stays(world: World) -> None:
    tell_everything(world)
    before = world.member(IVO)
    world.redact(orders=(NOORS_ORDER, NOORS_GUEST_ORDER))
    after = world.member(IVO)
    assert before
    assert after
    assert (after.email, after.name, after.available) == (before.email, "Ivo Marten", 131)
    with world.open() as session:
        bodies = session.scalars(sa.select(Delivery.body).where(Delivery.body != b"")).all()
    assert [json.loads(body)["id"] for body in bodies] == [IVOS_ORDER]


def test_numbers_stay_and_the_ledger_still_adds_up(world: World) -> None:
    tell_everything(world)
    noor = world.member(NOOR)
    assert noor
    world.redact()
    with world.open() as session:
        erased = session.get_one(Member, (world.shop_id, noor.id))
        assert erased.erased_at
        assert (erased.available, erased.lifetime) == (noor.available, noor.lifetime)
        assert audit.differences(session) == []


def test_erasing_twice_or_somebody_unknown_is_fine(world: World) -> None:
    tell_everything(world)
    for _ in range(2):
        world.redact(orders=(NOORS_ORDER,))
    nobody = {"id": 1, "email": None, "phone": None}
    world.redact(nobody, (77,))
    with world.open() as session:
        events = session.scalars(sa.select(Event).where(Event.kind == "member.erased")).all()
        assert [event.data for event in events] == [{"orders": 2}, {"orders": 1}]
        assert session.scalar(sa.select(sa.func.count()).select_from(Erasure)) == 3


def test_a_guest_is_erased_by_address_alone(world: World) -> None:
    world.receive("orders/create", order_body(STRAY_ORDER, None, email=NOOR["email"]))
    world.work()
    assert traces_in(world.kept())
    world.redact({"id": None, "email": NOOR["email"], "phone": None})
    assert traces_in(world.kept()) == set()


def test_a_late_delivery_does_not_bring_the_person_back(world: World) -> None:
    tell_everything(world)
    world.redact(orders=(NOORS_ORDER, NOORS_GUEST_ORDER))
    later = {"updated_at": (T0 + timedelta(days=1)).isoformat()}
    late = [
        (world.receive("orders/updated", order_body(NOORS_ORDER, NOOR, **later)), NOOR["id"], None),
        (world.receive("customers/update", {**NOOR, **later, "verified_email": True}), NOOR["id"], None),
        (world.receive("orders/create", order_body(88, None, email=NOOR["email"])), None, NOOR["email"].casefold()),
        (world.receive("orders/create", order_body(89, IVO)), IVO["id"], IVO["email"]),
    ]
    world.work()
    with world.open() as session:
        told = [Told(world.shop_id, delivery_id, customer, email) for delivery_id, customer, email in late]
        assert redaction.blank_late(session, told) == 3
        assert session.scalars(sa.select(Order.guest_email)).all() == [None] * 6
    assert world.member(NOOR) is None
    assert traces_in(world.kept()) <= {"zyxwvgift"}, "an order's own words come from the shop, which redacts them"


def test_an_order_that_still_waits_settles_without_an_owner(world: World) -> None:
    waiting = [
        world.receive("orders/paid", order_body(NOORS_ORDER, NOOR)),
        world.receive(
            "refunds/create", {"id": 3, "order_id": NOORS_ORDER, "created_at": T0.isoformat(), "note": "Quillfern"}
        ),
        world.receive("customers/update", {**NOOR, "verified_email": True}),
        world.receive("orders/delete", {"id": STRAY_ORDER}),
    ]
    world.redact_at_once(orders=(NOORS_ORDER, STRAY_ORDER))
    assert traces_in(world.kept()) == set()
    assert [world.delivery(one).state for one in waiting] == ["pending", "pending", "ignored", "pending"]
    world.work()
    assert [world.delivery(one).state for one in waiting] == ["done", "done", "ignored", "done"]
    with world.open() as session:
        order = session.get_one(Order, (world.shop_id, NOORS_ORDER))
        assert (order.member_id, order.guest_email, len(order.refunds)) == (None, None, 1)
        assert session.get_one(Order, (world.shop_id, STRAY_ORDER)).deleted_at
        assert session.scalars(sa.select(Member)).all() == []


def test_an_order_of_the_same_batch_leaves_no_trace_either(world: World) -> None:
    world.receive("orders/paid", order_body(NOORS_ORDER, NOOR))
    world.receive("orders/create", order_body(NOORS_GUEST_ORDER, None, email="noor.zyxwv@other.example"))
    world.redact(orders=(NOORS_ORDER, NOORS_GUEST_ORDER))
    assert traces_in(world.kept()) == set()


def test_the_request_itself_is_emptied_but_another_that_waits_is_not(world: World) -> None:
    body = request_body(NOOR, [NOORS_GUEST_ORDER])
    other = world.receive("customers/redact", body)
    own = world.redact_at_once()
    assert world.delivery(own).body == b""
    assert json.loads(world.delivery(other).body) == body


def test_erasing_gives_way_to_a_drain_that_has_the_deliveries(world: World) -> None:
    world.receive("orders/paid", order_body(NOORS_ORDER, NOOR))
    with world.open() as session:
        session.scalars(sa.select(Delivery).with_for_update()).all()
        with pytest.raises(BodiesInUse):
            world.redact_at_once()


def test_the_export_holds_everything_and_ends_with_the_person(world: World) -> None:
    tell_everything(world)
    request_id = ask(world, NOOR, (NOORS_ORDER,))
    with world.open() as session:
        export = privacy.read_export(session, world.shop_id, request_id)
        assert session.scalar(sa.select(sa.func.count()).select_from(DataExport)) == 1
    assert [member["email"] for member in export["members"]] == [NOOR["email"].casefold()]
    assert {order["order_id"] for order in export["orders"]} == {NOORS_ORDER, STRAY_ORDER}
    assert "Sorry, Noorzyxwv Quillfern" in {p["explanation"].get("reason_given") for p in export["postings"]}
    assert {"events", "tier_periods", "spend_facts", "deliveries"} <= export.keys()
    assert {d["topic"] for d in export["deliveries"]} >= {"customers/create", "orders/paid", "checkouts/create"}
    assert "elsewhere.example" not in json.dumps(export)
    world.redact()
    with world.open() as session, pytest.raises(NotFound):
        privacy.read_export(session, world.shop_id, request_id)


@pytest.mark.parametrize(
    ("topic", "body", "found"),
    [
        ("orders/paid", {"id": 500, "customer": {"id": 70}}, True),
        ("orders/paid", {"id": 70, "customer": {"id": 9}}, False),  # an order that bears the customer's number
        ("orders/paid", {"id": 500, "line_items": [{"id": 70, "variant_id": 70, "price": "70"}]}, False),
        ("orders/paid", {"id": 90}, True),
        ("refunds/create", {"id": 90, "order_id": 5}, False),
        ("refunds/create", {"id": 5, "order_id": "90"}, True),
        ("customers/update", {"id": 70}, True),
        ("customers/merge", {"admin_graphql_api_customer_kept_id": "gid://shopify/Customer/70"}, True),
        ("customers/merge", {"admin_graphql_api_customer_kept_id": "gid://shopify/Customer/700"}, False),
        ("customers/redact", {"customer": {"id": 1}, "orders_to_redact": [1, 90]}, True),
        ("x/y", {"deep": [{"note": "write to ANN@shop.example."}]}, True),
        ("x/y", {"note": "joann@shop.example"}, False),
        ("x/y", {"note": "ann@shop.example.net"}, False),
        ("x/y", {"phone": "+1 (555) 010-0200"}, True),
        ("x/y", {"phone": "555.010.0200"}, True),
        ("x/y", {"phone": "555 010 0201"}, False),
        ("x/y", {"phone": 15550100200}, True),
    ],
)
def test_a_body_speaks_of_a_person_where_it_names_them(topic: str, body: Any, found: bool) -> None:
    look = Look(
        Person(
            customers=frozenset({70}), orders=frozenset({90}), emails=frozenset({"ann@shop.example"}),
            phones=frozenset({"+15550100200"}),
        )
    )  # fmt: skip
    assert look.finds(topic, msgspec.json.encode(body)) is found


@pytest.mark.parametrize("noise", [b"\xff\xfe", b'{"id": 1', b"[" * 5000 + b"]" * 5000, b'{"a": ' + b"9" * 6000 + b"}"])
def test_what_is_not_json_is_searched_as_text(noise: bytes) -> None:
    look = Look(Person(customers=frozenset({7001}), emails=frozenset({"ann@shop.example"})))
    assert not look.finds("x/y", noise)
    assert look.finds("x/y", noise + b" ANN@shop.example")
    assert look.finds("x/y", noise + b" 7001")
