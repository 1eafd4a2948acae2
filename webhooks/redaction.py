"""What the inbox keeps of a person: finds the bodies that speak of them, and empties those.

A delivery's row stays, so that a repeat of it is still recognised. One that still waits to be worked off keeps what
settlement reads of an order, without whose it is: no order is lost, it only has no owner any more.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.db import rows_by, update_rows
from core.errors import Conflict, InvalidInput
from loyalty.operations import customer_subject, email_subject
from loyalty.privacy import Person, find_person
from webhooks import payloads
from webhooks.models import Delivery
from webhooks.payloads import DataRequest, OrderPayload, RefundPayload

CHUNK = 100
_INBOX: Any = Delivery.__table__


class BodiesInUse(Conflict):
    """Another drain works on a delivery that speaks of the person; the erasure is tried again when it is through."""

    code = "bodies_in_use"


def person_named(session: Session, shop_id: int, request: DataRequest, order_ids: list[int] | None) -> Person:
    """Whom a request of Shopify's is about."""
    subject = request.customer
    return find_person(
        session,
        shop_id,
        customer_id=subject.id,
        email=payloads.email_address(subject.email),
        phone=subject.phone,
        order_ids=order_ids or (),
    )


def blank_bodies(session: Session, shop_id: int, person: Person) -> int:
    """Empty every body that speaks of the person. Returns how many. Raises BodiesInUse.

    Deliveries of customers/redact that still wait are left alone: each empties itself when it is worked off.
    """
    found = [row.id for row in _speaking_of(session, shop_id, person) if not _is_waiting_redact(row)]
    for ids in _chunks(found):
        _rewrite(session, shop_id, ids)
    return len(found)


def _is_waiting_redact(row: Any) -> bool:
    return bool(row.topic == "customers/redact" and row.state == "pending")


def deliveries_of(session: Session, shop_id: int, person: Person) -> list[dict[str, Any]]:
    """What we keep about the deliveries that speak of the person, without their bodies, oldest first."""
    return [
        {"id": row.id, "topic": row.topic, "received_at": row.received_at.isoformat(), "state": row.state}
        for row in _speaking_of(session, shop_id, person)
    ]


def _speaking_of(session: Session, shop_id: int, person: Person) -> Iterator[Any]:
    """The shop's deliveries that speak of the person, read through a cursor of the server's: they may be many GB."""
    look = Look(person)
    rows = session.execute(
        sa.select(Delivery.id, Delivery.topic, Delivery.state, Delivery.received_at, Delivery.body)
        .where(Delivery.shop_id == shop_id, Delivery.body != b"")
        .order_by(Delivery.id),
        execution_options={"yield_per": CHUNK},
    )
    return (row for row in rows if look.finds(row.topic, row.body))


def _chunks(ids: Sequence[int]) -> Iterator[list[int]]:
    rest = iter(ids)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _rewrite(session: Session, shop_id: int, ids: list[int]) -> None:
    # Waiting for another drain's rows while it waits for our members would be a deadlock: give way instead.
    rows = session.execute(
        sa.select(Delivery.id, Delivery.topic, Delivery.state, Delivery.body)
        .where(Delivery.shop_id == shop_id, Delivery.id.in_(ids))
        .with_for_update(skip_locked=True)
    ).all()
    if len(rows) < len(ids):
        raise BodiesInUse("another worker has deliveries of this person in hand")
    changed = [(shop_id, row.id, *what_is_left(row.topic, row.state, row.body), None) for row in rows]
    update_rows(session, _INBOX, ("shop_id", "id"), ("body", "state", "error"), changed)


def empty(session: Session, keys: Iterable[tuple[int, int]]) -> None:
    """Leave the rows of these (shop, delivery) without bodies."""
    update_rows(session, _INBOX, ("shop_id", "id"), ("body",), [(*key, b"") for key in keys])


def what_is_left(topic: str, state: str, body: bytes) -> tuple[bytes, str]:
    """The body and state of a delivery once its person is erased."""
    if state in ("done", "ignored"):
        return b"", state
    try:
        return _without_person(topic, body), state
    except InvalidInput:
        return b"", "ignored"


def _without_person(topic: str, body: bytes) -> bytes:
    """Of an order or refund that still waits: what settlement reads, and nothing of its buyer."""
    if topic == "refunds/create":
        return msgspec.json.encode(payloads.parse(body, RefundPayload))
    if not topic.startswith("orders/"):
        raise InvalidInput("nothing of this topic can be kept without its person")
    order = payloads.parse(body, OrderPayload)
    order.customer = order.email = order.contact_email = order.discount_codes = None
    order.note_attributes = order.landing_site = None
    for line in order.line_items or ():
        # A line that is no product is words somebody wrote for this order.
        line.title = line.title if line.product_id else None
    return msgspec.json.encode(order)


class Told(NamedTuple):
    """Whom a delivery that was just worked off speaks of."""

    shop_id: int
    delivery_id: int
    customer_id: int | None
    email: str | None


def blank_late(session: Session, told: Iterable[Told]) -> int:
    """Empty the bodies, worked off just now, that speak of somebody erased before they came. Returns how many."""
    told = list(told)
    careful = _shops_with_erasures(session, {t.shop_id for t in told})
    named = {key: (t.shop_id, t.delivery_id) for t in told if t.shop_id in careful for key in _subjects(t)}
    erased = rows_by(
        session,
        "SELECT k.shop_id, k.delivery_id FROM {keys} AS k(shop_id, subject, delivery_id) "
        "JOIN erasures e ON e.shop_id = k.shop_id AND e.subject = k.subject",
        ("bigint", "text", "bigint"),
        sorted(named),
    )
    late = {(row[0], row[1]) for row in erased}
    empty(session, sorted(late))
    return len(late)


def _subjects(told: Told) -> Iterator[tuple[int, str, int]]:
    if told.customer_id:
        yield told.shop_id, customer_subject(told.customer_id), told.delivery_id
    if told.email:
        yield told.shop_id, email_subject(told.email), told.delivery_id


def _shops_with_erasures(session: Session, shop_ids: set[int]) -> set[int]:
    """Most shops have erased nobody, and are spared a keyed hash for every delivery."""
    rows = rows_by(
        session,
        "SELECT k.shop_id FROM {keys} AS k(shop_id) WHERE EXISTS (SELECT FROM erasures e WHERE e.shop_id = k.shop_id)",
        ("bigint",),
        [(shop_id,) for shop_id in sorted(shop_ids)],
    )
    return {row[0] for row in rows}


# Whether a body speaks of somebody.

_ORDER_LISTS = {"orders_to_redact": "order", "orders_requested": "order"}
_GID = "gid://shopify/"


class Look:
    """Looks for a person in bodies: by the ids of their customers and orders, their addresses and phone numbers."""

    def __init__(self, person: Person) -> None:
        self._ids = {"customer": set(map(str, person.customers)), "order": set(map(str, person.orders))}
        # Each by itself, not one alternation: the literal an expression starts with makes its search fast.
        patterns = [*map(_address, person.emails), *filter(None, map(_phone, person.phones))]
        self._words = [re.compile(pattern) for pattern in patterns]

    def finds(self, topic: str, body: bytes) -> bool:
        """True when the body names one of their ids where such an id stands, or holds an address or phone number."""
        try:
            told = list(leaves(topic, msgspec.json.decode(body)))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return self._finds_in_noise(body)
        if any(value in self._ids.get(name, ()) for name, value in told):
            return True
        return self._finds_words("\n".join(value for _, value in told).casefold())

    def _finds_words(self, text: str) -> bool:
        return any(words.search(text) for words in self._words)

    def _finds_in_noise(self, body: bytes) -> bool:
        text = body.decode("utf-8", "replace").casefold()
        return self._finds_words(text) or any(
            not ids.isdisjoint(re.findall(r"\d+", text)) for ids in self._ids.values()
        )


def leaves(topic: str, document: Any) -> Iterator[tuple[str, str]]:
    """Every value of a body as text, with its name; an id is named after what it identifies.

    `{"customer": {"id": 7}}`, `{"customer_id": 7}` and `gid://shopify/Customer/7` all give ("customer", "7").
    """
    # A list and not recursion: a body may be nested as deep as its sender likes.
    waiting = [(topic.partition("/")[0].removesuffix("s"), document)]
    while waiting:
        name, node = waiting.pop()
        if isinstance(node, dict):
            waiting += [(name if key == "id" else key.removesuffix("_id"), value) for key, value in node.items()]
        elif isinstance(node, list):
            waiting += [(_ORDER_LISTS.get(name, name), value) for value in node]
        elif isinstance(node, str) and node.startswith(_GID):
            kind, _, number = node.removeprefix(_GID).partition("/")
            yield kind.lower(), number.partition("?")[0]
        elif node is not None:
            yield name, str(node)


def _address(email: str) -> str:
    """The address by itself: ann@shop.example is not part of joann@shop.example or of ann@shop.example.net."""
    literal = re.escape(email)
    return rf"{literal}(?<![\w.+-]{literal})(?![\w-]|\.\w)"


def _phone(phone: str) -> str | None:
    """The number however it is written: with or without its country code, spaces, brackets or dashes."""
    digits = re.sub(r"\D", "", phone)
    if len(digits) < 7:
        return None
    return r"[\s().\-/]*".join(digits[-9:]) + r"(?!\d)"
