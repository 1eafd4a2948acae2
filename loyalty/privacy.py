"""What the law asks for: tell a person all we keep of them, forget a person, forget a shop.

A person is forgotten by losing everything that says who they were. Their numbers stay, for the ledger must still add
up: balances, postings and orders of a member without a name. A keyed hash remembers that they were erased, so that a
late delivery does not bring them back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import structs
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from core import clock, crypto
from core.db import insert_rows, update_rows
from core.errors import NotFound
from core.events import Happened, record
from core.i18n import _
from loyalty import codec
from loyalty.activities import operations as activities
from loyalty.models import DataExport, Erasure, Member, Order
from loyalty.operations import customer_subject, email_subject
from loyalty.orders import read_orders
from loyalty.rules import OrderState
from shops import operations as shops
from shops import plans
from shops.models import Shop

EXPORTS_LIVE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Person:
    """Everything that points at one person in a shop. E-mail addresses are trimmed and lower case."""

    members: frozenset[int] = frozenset()
    customers: frozenset[int] = frozenset()
    emails: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    orders: frozenset[int] = frozenset()

    @property
    def subjects(self) -> list[str]:
        """The names under which an erasure of this person is remembered."""
        return sorted([*map(customer_subject, self.customers), *map(email_subject, self.emails)])

    @property
    def subject(self) -> str:
        """One of those names, the same for the same person; empty for nobody."""
        customers = sorted(map(customer_subject, self.customers))
        return next(iter(customers or self.subjects), "")


def find_person(
    session: Session,
    shop_id: int,
    *,
    customer_id: int | None = None,
    email: str | None = None,
    phone: str | None = None,
    order_ids: Iterable[int] = (),
) -> Person:
    """Who a request names: their members (those merged into theirs too), locked in order of id, and their orders."""
    email = email.strip().casefold() if email else None
    # An address alone may meanwhile be another customer's, so it names a member only when no customer is named.
    named = Member.customer_id == customer_id if customer_id else Member.email == email if email else sa.false()
    lead = sa.select(Member.id).where(Member.shop_id == shop_id, named)
    members = session.execute(
        sa.select(Member.id, Member.customer_id, Member.email)
        .where(Member.shop_id == shop_id, sa.or_(Member.id.in_(lead), Member.merged_into.in_(lead)))
        .order_by(Member.id)
        .with_for_update()
    ).all()
    person = Person(
        members=frozenset(member.id for member in members),
        customers=_known(customer_id, *(member.customer_id for member in members)),
        emails=_known(email, *(member.email for member in members)),
        phones=_known(phone),
        orders=frozenset(order_ids),
    )
    return _with_orders(session, shop_id, person)


def _known(*values: Any) -> frozenset[Any]:
    return frozenset(value for value in values if value)


def _with_orders(session: Session, shop_id: int, person: Person) -> Person:
    """The person with all of their orders, and with the addresses that guest orders of theirs were placed under."""
    named = session.scalars(
        sa.select(Order.guest_email).where(Order.shop_id == shop_id, _among(Order.order_id, person.orders))
    )
    emails = person.emails | _known(*named)
    theirs = session.scalars(
        sa.select(Order.order_id).where(
            Order.shop_id == shop_id, _among(Order.member_id, person.members) | _among(Order.guest_email, emails)
        )
    )
    return replace(person, emails=emails, orders=person.orders | frozenset(theirs))


def _among(column: Any, values: Iterable[Any]) -> sa.ColumnElement[bool]:
    """As one array, for a person may have more orders than a statement may have parameters."""
    found: sa.ColumnElement[bool] = column == sa.any_(sa.literal(sorted(values), ARRAY(column.type)))
    return found


# Forgetting a person.


def erase_person(session: Session, shop_id: int, person: Person, *, actor: str = "shopify") -> None:
    """Forget who a person was, everywhere but in the inbox. Doing it again, or to somebody unknown, is fine.

    Records `member.erased` for each member, or once without a member for a person who was never one.
    """
    _strip_members(session, shop_id, person)
    _strip_orders(session, shop_id, person)
    session.execute(
        sa.delete(DataExport).where(DataExport.shop_id == shop_id, _among(DataExport.subject, person.subjects))
    )
    _blank_answers(session, shop_id, person)
    activities.forget(session, shop_id, sorted(person.members))
    _blank_reasons(session, shop_id, person)
    for member_id in sorted(person.members):
        session.execute(sa.select(sa.func.erase_person_words(shop_id, member_id)))
    if _remember(session, shop_id, person.subjects):
        told: dict[str, Any] = {"orders": len(person.orders)}
        whom: list[int | None] = [*sorted(person.members)] or [None]
        record(session, [Happened(shop_id, "member.erased", told, clock.now(), one, actor=actor) for one in whom])


def _strip_members(session: Session, shop_id: int, person: Person) -> None:
    table: Any = Member.__table__
    nobody = {"email": None, "email_verified": False, "name": None}
    session.execute(
        sa.update(table)
        .where(table.c.shop_id == shop_id, _among(table.c.id, person.members))
        .values(**nobody, customer_id=None, erased_at=sa.func.coalesce(table.c.erased_at, clock.now()))
    )
    # The address is this person's, even where another member's row still holds it.
    session.execute(
        sa.update(table)
        .where(table.c.shop_id == shop_id, _among(table.c.email, person.emails))
        .values(email=None, email_verified=False)
    )


def _strip_orders(session: Session, shop_id: int, person: Person) -> None:
    orders = read_orders(session, [(shop_id, order_id) for order_id in sorted(person.orders)], lock=True)
    rows = [
        (*order.key, None, codec.encode_state(state))
        for order in orders
        if (state := _without_words(order.state)) != order.state or order.guest_email
    ]
    table: Any = Order.__table__
    update_rows(session, table, ("shop_id", "order_id"), ("guest_email", "state"), rows)


def _without_words(state: OrderState | None) -> OrderState | None:
    """The order without what may have been written for its buyer: codes, and lines that are no product."""
    if state is None:
        return None
    lines = tuple(line if line.product_id else structs.replace(line, title="") for line in state.lines)
    return structs.replace(state, lines=lines, discount_codes=(), referral=None)


# The API keeps each POST's answer for a day, and an adjustment's answer repeats the words of its reason. The API is a
# room above this one, hence its table by name.
_BLANK_ANSWERS = sa.text("""
    UPDATE idempotency_keys AS k SET answer = k.answer - 'explanation'
    WHERE k.shop_id = :shop_id AND k.answer ? 'explanation' AND k.answer->>'id' IN (
        SELECT p.id::text FROM postings p WHERE p.shop_id = :shop_id AND p.member_id = ANY(:members))""")
_EMPTY_ANSWERS = sa.text("""
    UPDATE idempotency_keys AS k SET answer = '{}' FROM unnest(CAST(:emails AS text[])) AS e(email)
    WHERE k.shop_id = :shop_id AND strpos(lower(k.answer::text), e.email) > 0""")


def _blank_answers(session: Session, shop_id: int, person: Person) -> None:
    session.execute(_BLANK_ANSWERS, {"shop_id": shop_id, "members": sorted(person.members)})
    session.execute(_EMPTY_ANSWERS, {"shop_id": shop_id, "emails": sorted(person.emails)})


# A gift to one person may be given in words about them, and so may a tier or a message to their card. Tiers and
# messages are of rooms above this one.
_GIFTS = sa.text("""
    UPDATE gifts SET reason = '' WHERE shop_id = :shop_id AND jsonb_array_length(recipients->'members') = 1
    AND (recipients->'members'->>0)::bigint = ANY(:members) RETURNING id""")
_TIERS = sa.text(
    "UPDATE tier_overrides SET reason = '' WHERE shop_id = :shop_id AND member_id = ANY(:members) AND reason <> ''"
)
_MESSAGES = sa.text("""
    UPDATE wallet_messages SET title = '', body = '', link = NULL
    WHERE shop_id = :shop_id AND audience->'members' <@ to_jsonb(CAST(CAST(:members AS bigint[]) AS text[]))
    RETURNING id""")
_MESSAGE_ANSWERS = sa.text("""
    UPDATE idempotency_keys AS k SET answer = '{}'
    WHERE k.shop_id = :shop_id AND k.answer ? 'audience' AND k.answer->>'id' = ANY(:messages)""")
_GIFT_ANSWERS = sa.text("""
    UPDATE idempotency_keys AS k SET answer = k.answer - 'reason'
    WHERE k.shop_id = :shop_id AND k.answer ? 'recipients' AND k.answer->>'id' = ANY(:gifts)""")


def _blank_reasons(session: Session, shop_id: int, person: Person) -> None:
    members = sorted(person.members)
    session.execute(_TIERS, {"shop_id": shop_id, "members": members})
    gifts = session.scalars(_GIFTS, {"shop_id": shop_id, "members": members}).all()
    session.execute(_GIFT_ANSWERS, {"shop_id": shop_id, "gifts": [str(gift) for gift in gifts]})
    messages = session.scalars(_MESSAGES, {"shop_id": shop_id, "members": members}).all()
    session.execute(_MESSAGE_ANSWERS, {"shop_id": shop_id, "messages": [str(message) for message in messages]})


def _remember(session: Session, shop_id: int, subjects: list[str]) -> bool:
    """Remember who was erased; true when that is new."""
    now, table = clock.now(), Erasure.__table__
    remembered = insert_rows(
        session,
        table,  # type: ignore[arg-type]
        ("shop_id", "subject", "erased_at"),
        [(shop_id, subject, now) for subject in subjects],
        suffix="ON CONFLICT DO NOTHING RETURNING subject",
    )
    return bool(remembered and remembered.fetchall())


# Telling a person.

_MEMBERS = sa.text(
    "SELECT to_jsonb(m) - 'shop_id' FROM members m WHERE m.shop_id = :shop_id AND m.id = ANY(:members) ORDER BY m.id"
)
_ORDERS = sa.text(
    "SELECT to_jsonb(o) - 'shop_id' FROM orders o WHERE o.shop_id = :shop_id AND o.order_id = ANY(:orders) "
    "ORDER BY o.processed_at, o.order_id"
)


def export_person(
    session: Session, shop_id: int, person: Person, *, request_id: str, actor: str = "shopify", **more: Any
) -> dict[str, Any]:
    """Everything we keep of a person, and `more` from the rooms above, stored encrypted for the merchant to hand over.

    Every table that names a member is in it under its own name, so a table that comes later is too. A request that
    comes again replaces its answer. Records `export.ready`.
    """
    bound = {"shop_id": shop_id, "members": sorted(person.members), "orders": sorted(person.orders)}
    document = {
        "request_id": request_id,
        "made_at": clock.now().isoformat(),
        "person": {"customer_ids": sorted(person.customers), "emails": sorted(person.emails)},
        **{table: session.scalars(_of_members(table), bound).all() for table in _tables_with(session, "member_id")},
        "members": session.scalars(_MEMBERS, bound).all(),
        "orders": session.scalars(_ORDERS, bound).all(),
        **more,
    }
    _store(session, shop_id, request_id, person, document)
    record(session, [Happened(shop_id, "export.ready", {"request_id": request_id}, clock.now(), actor=actor)])
    return document


def _of_members(table: str) -> sa.TextClause:
    return sa.text(
        f"SELECT to_jsonb(t) - 'shop_id' FROM {table} t WHERE t.shop_id = :shop_id AND t.member_id = ANY(:members) "
        "ORDER BY t"
    )


def _store(session: Session, shop_id: int, request_id: str, person: Person, document: dict[str, Any]) -> None:
    session.execute(sa.delete(DataExport).where(DataExport.shop_id == shop_id, DataExport.request_id == request_id))
    sealed = crypto.encrypt(msgspec.json.encode(document).decode())
    export = DataExport(
        shop_id=shop_id, request_id=request_id, subject=person.subject, document=sealed, created_at=clock.now()
    )
    session.add(export)
    session.flush()


def read_export(session: Session, shop_id: int, request_id: str) -> dict[str, Any]:
    """What `export_person` stored. Raises NotFound, also once it was pruned or the person erased."""
    sealed = session.scalar(
        sa.select(DataExport.document).where(DataExport.shop_id == shop_id, DataExport.request_id == request_id)
    )
    if sealed is None:
        raise NotFound(_("there is no such export, or it is more than 30 days old"), code="no_export")
    document: dict[str, Any] = msgspec.json.decode(crypto.decrypt(sealed))
    return document


def prune_exports(session: Session) -> int:
    """Delete the opened shops' exports of more than 30 days ago. Returns how many requests that were."""
    gone = session.execute(
        sa.delete(DataExport)
        .where(DataExport.created_at < clock.now() - EXPORTS_LIVE)
        .returning(DataExport.shop_id, DataExport.request_id)
    )
    return len(set(gone.all()))


# Forgetting a shop.


def erase_shop(session: Session, shop_id: int) -> None:
    """Empty every table of a shop. Of the shop itself only its domain stays, with `redacted_at`.

    From the ledgers nobody may delete but the function that erases a shop.
    """
    _empty(session, shop_id)
    session.execute(
        sa.update(Shop)
        .where(Shop.id == shop_id)
        .values(
            name=Shop.domain, shopify_id=None, public_url=None, scopes="", settings={}, redacted_at=clock.now(),
            paused_at=None, paused_until=None, paused_status=None,
            uninstalled_at=sa.func.coalesce(Shop.uninstalled_at, clock.now()),
        )
    )  # fmt: skip


# What outlives a fresh start: access to the shop, to our API and to Apple, and who is to stay forgotten.
KEPT_AFRESH = frozenset({"shop_tokens", "api_keys", "apple_certificates", "erasures"})


def start_afresh(session: Session, shop_id: int, *, actor: str) -> None:
    """A shop that came back begins anew: members, points, program and cards of before are gone for good.

    `shops.operations.welcome` gives it again what a new shop gets. Raises Conflict where there is nothing to decide.
    """
    shop = shops.decide(session, shop_id)
    _empty(session, shop_id, but=KEPT_AFRESH)
    shop.settings = {key: kept for key, kept in shop.settings.items() if key == plans.SETTING}
    session.flush()
    for step in shops.welcome:
        step(session, shop_id)
    record(session, [Happened(shop_id, "shop.started_afresh", {}, clock.now(), actor=actor)])


def _empty(session: Session, shop_id: int, but: frozenset[str] = frozenset()) -> None:
    tables = _tables_with(session, "shop_id", and_only="has_table_privilege(c.oid, 'DELETE')")
    # The inbox first: that waits for a drain under way, whose postings are then here to be erased as well.
    for table in sorted(set(tables) - but, key=lambda name: (name != "inbox", name)):
        session.execute(sa.text(f"DELETE FROM {table} WHERE shop_id = :shop_id"), {"shop_id": shop_id})
    session.execute(sa.select(sa.func.erase_shop_ledger(shop_id)))


def _tables_with(session: Session, column: str, and_only: str = "true") -> list[str]:
    """Tables that have this column, from the database itself: a process that never imported a room misses none."""
    found = session.scalars(
        sa.text(f"""
            SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND a.attname = :column AND NOT a.attisdropped AND {and_only} ORDER BY c.relname"""),
        {"column": column},
    )
    return list(found)
