"""Shopify's webhook bodies, as far as Rapport reads them, and their translation into our own values.

Only what is read is declared; all of it may be missing or null unless nothing can be said without it. Parsing raises
InvalidInput with the field that is wrong. Money is read from `*_set.shop_money` (the shop's currency).
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Meta, Struct

from core.errors import InvalidInput
from core.money import MAX_MINOR, minor_digits, to_minor
from loyalty.rules import HOLDING, PAID, Line, OrderState, Refund, RefundLine

Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Quantity = Annotated[int, Meta(ge=0, le=1_000_000)]
Amount = str | int | float

# Times before or after these are mistakes; they would also overflow the arithmetic of windows.
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

# What the storefront calls a referral's code, in a cart's attributes and in the address a visit began at.
REFERRAL = "rapport_ref"
_DIGITS = re.compile(r"[0-9]{1,19}")


class Money(Struct):
    amount: Amount
    currency_code: str | None = None


class MoneySet(Struct):
    shop_money: Money | None = None


class TaxLine(Struct):
    price: Amount | None = None
    price_set: MoneySet | None = None


class DiscountAllocation(Struct):
    amount: Amount | None = None
    amount_set: MoneySet | None = None


class LineItem(Struct):
    id: Id
    title: str | None = None
    quantity: Quantity = 0
    current_quantity: Quantity | None = None
    price: Amount | None = None
    price_set: MoneySet | None = None
    discount_allocations: list[DiscountAllocation] | None = None
    tax_lines: list[TaxLine] | None = None
    gift_card: bool | None = None
    tip: Any = None
    tip_payment_gateway: str | None = None
    product_id: int | None = None
    variant_id: int | None = None
    vendor: str | None = None


class RefundLineItem(Struct):
    line_item_id: Id
    quantity: Quantity = 0
    subtotal: Amount | None = None
    subtotal_set: MoneySet | None = None
    total_tax: Amount | None = None
    total_tax_set: MoneySet | None = None


class RefundShippingLine(Struct):
    subtotal_amount_set: MoneySet | None = None


class RefundPayload(Struct):
    id: Id
    order_id: Id | None = None
    created_at: datetime | None = None
    processed_at: datetime | None = None
    refund_line_items: list[RefundLineItem] | None = None
    refund_shipping_lines: list[RefundShippingLine] | None = None


class ShippingLine(Struct):
    discounted_price: Amount | None = None
    discounted_price_set: MoneySet | None = None
    price: Amount | None = None
    price_set: MoneySet | None = None
    tax_lines: list[TaxLine] | None = None


class DiscountCode(Struct):
    code: str | None = None


class CustomerPayload(Struct):
    id: Id
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    verified_email: bool | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Fulfillment(Struct):
    created_at: datetime | None = None
    status: str | None = None


class OrderPayload(Struct):
    id: Id
    name: str | None = None
    email: str | None = None
    contact_email: str | None = None
    currency: str | None = None
    processed_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    cancelled_at: datetime | None = None
    financial_status: str | None = None
    test: bool | None = None
    taxes_included: bool | None = None
    customer: CustomerPayload | None = None
    line_items: list[LineItem] | None = None
    shipping_lines: list[ShippingLine] | None = None
    refunds: list[RefundPayload] | None = None
    discount_codes: list[DiscountCode] | None = None
    source_name: str | None = None
    fulfillment_status: str | None = None
    fulfillments: list[Fulfillment] | None = None
    total_tip_received: Amount | None = None
    # Written by whoever fills the cart, so of any shape.
    note_attributes: Any = None
    landing_site: Any = None


class OrderDeleted(Struct):
    id: Id


class ProductPayload(Struct):
    id: Id


class CustomerDeleted(Struct):
    id: Id


class CustomerMerge(Struct):
    """Field names as Shopify publishes them for `customers/merge`."""

    admin_graphql_api_customer_kept_id: str
    admin_graphql_api_customer_deleted_id: str
    status: str | None = None


class ScopesUpdate(Struct):
    current: list[str] = []


class ShopUpdate(Struct):
    id: Id
    myshopify_domain: str | None = None
    name: str | None = None
    iana_timezone: str | None = None


class BulkFinished(Struct):
    admin_graphql_api_id: str
    status: str | None = None


class Subject(Struct):
    id: Id | None = None
    email: str | None = None
    phone: str | None = None


class DataRequest(Struct):
    """`customers/data_request` and `customers/redact`; the one lists orders requested, the other orders to redact."""

    customer: Subject = msgspec.field(default_factory=Subject)
    orders_requested: list[Id] | None = None
    orders_to_redact: list[Id] | None = None
    data_request: Subject = msgspec.field(default_factory=Subject)


Payload = TypeVar("Payload", bound=Struct)
_decoders: dict[type[Struct], msgspec.json.Decoder[Any]] = {}


def parse(body: bytes, shape: type[Payload]) -> Payload:
    """The body as `shape`. Raises InvalidInput naming the field that does not fit."""
    decoder = _decoders.get(shape)
    if decoder is None:
        # Not strict: Shopify sends some ids as text in some topics.
        decoder = _decoders[shape] = msgspec.json.Decoder(shape, strict=False)
    try:
        parsed: Payload = decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the body does not fit: {error}", code="bad_payload") from None
    return parsed


def order_state(payload: OrderPayload, shop_currency: str) -> OrderState:
    """The order as points see it. Raises InvalidInput for money, times or quantities that cannot be."""
    currency = payload.currency or shop_currency
    processed_at = moment(payload.processed_at or payload.created_at or payload.updated_at, "processed_at")
    shipping = payload.shipping_lines or []
    tip = _money(None, payload.total_tip_received, currency)
    status = text(payload.financial_status, 40) or "pending"
    updated_at = moment(payload.updated_at or processed_at, "updated_at")
    return OrderState(
        order_id=payload.id,
        name=text(payload.name, 80) or f"#{payload.id}",
        processed_at=processed_at,
        updated_at=updated_at,
        status=status,
        cancelled_at=moment(payload.cancelled_at, "cancelled_at") if payload.cancelled_at else None,
        test=bool(payload.test),
        currency=currency,
        digits=minor_digits(currency),
        taxes_included=bool(payload.taxes_included),
        shipping=sum(_shipping(line, currency) for line in shipping),
        shipping_tax=sum(_tax(line.tax_lines, currency) for line in shipping),
        lines=tuple(_line(line, currency, tip) for line in payload.line_items or ()),
        discount_codes=tuple(text(c.code, 255) or "" for c in payload.discount_codes or () if c.code),
        source_name=text(payload.source_name, 80),
        fulfilled_at=_fulfilled_at(payload),
        first_paid=updated_at if status in PAID else None,
        was_unpaid=status in HOLDING,
        referral=_referral(payload),
    )


def _referral(payload: OrderPayload) -> str | None:
    """The code of whoever brought the buyer: noted in the cart, else in the address their visit began at."""
    attributes = payload.note_attributes if isinstance(payload.note_attributes, list) else ()
    noted = [one for one in attributes if isinstance(one, dict) and one.get("name") == REFERRAL]
    codes = [one.get("value") for one in noted] if noted else _landed_with(payload.landing_site)
    return next((text(code.strip(), 64) for code in codes if isinstance(code, str) and code.strip()), None)


def _landed_with(site: Any) -> list[str]:
    if not isinstance(site, str) or REFERRAL not in site:
        return []
    try:
        return parse_qs(urlsplit(site[:2000]).query).get(REFERRAL, [])
    except ValueError:
        return []  # not an address at all


def _fulfilled_at(payload: OrderPayload) -> datetime | None:
    """When the last parcel left, once all have."""
    if payload.fulfillment_status != "fulfilled":
        return None
    left = [
        parcel.created_at for parcel in payload.fulfillments or () if parcel.created_at and parcel.status != "cancelled"
    ]
    last = max(left, default=None, key=lambda at: moment(at, "fulfillment created_at"))
    return moment(last or payload.updated_at or payload.created_at or payload.processed_at, "fulfilled_at")


def refunds(payloads: list[RefundPayload] | None, shop_currency: str) -> list[Refund]:
    """Refunds as points see them."""
    return [refund(payload, shop_currency) for payload in payloads or ()]


def refund(payload: RefundPayload, shop_currency: str) -> Refund:
    """One refund; it names its currency on each amount, and may arrive before its order does."""
    sets = [line.subtotal_set for line in payload.refund_line_items or ()]
    named = [both.shop_money.currency_code for both in sets if both and both.shop_money]
    currency = next(filter(None, named), shop_currency)
    return Refund(
        id=payload.id,
        created_at=moment(payload.created_at or payload.processed_at, "refund created_at"),
        lines=tuple(
            RefundLine(
                line_id=line.line_item_id,
                quantity=line.quantity,
                subtotal=_maybe_money(line.subtotal_set, line.subtotal, currency),
                tax=_money(line.total_tax_set, line.total_tax, currency),
            )
            for line in payload.refund_line_items or ()
        ),
        shipping=sum(_money(line.subtotal_amount_set, None, currency) for line in payload.refund_shipping_lines or ()),
    )


def guest_email(payload: OrderPayload) -> str | None:
    """The address that holds a guest's points, normalised, or None."""
    return email_address(payload.email) or email_address(payload.contact_email)


def email_address(raw: str | None) -> str | None:
    """Trimmed and lower case; None for what is no address."""
    address = (text(raw, 320) or "").strip().casefold()
    return address if "@" in address.strip("@") and " " not in address else None


def person_name(customer: CustomerPayload) -> str | None:
    return " ".join(filter(None, (text(customer.first_name, 80), text(customer.last_name, 80)))) or None


def delivery_id(topic: str, body: bytes) -> str:
    """An id for a delivery that came without Shopify's: the same body under the same topic is the same delivery."""
    return "sha256:" + hashlib.sha256(topic.encode() + b"\n" + body).hexdigest()


def gid_number(gid: str) -> int:
    """The number in `gid://shopify/Customer/123`. Raises InvalidInput."""
    tail = gid.rsplit("/", 1)[-1]
    if not _DIGITS.fullmatch(tail) or int(tail) > 2**63 - 1:
        raise InvalidInput(f"{gid[:80]!r} is not a Shopify id", code="bad_id")
    return int(tail)


def _line(line: LineItem, currency: str, tip: int) -> Line:
    price = _money(line.price_set, line.price, currency)
    if price < 0:
        raise InvalidInput(f"line {line.id} has a negative price", code="negative_money")
    if price * line.quantity > MAX_MINOR:
        raise InvalidInput(f"line {line.id} comes to more than any order can", code="bad_amount")
    return Line(
        id=line.id,
        title=text(line.title, 200) or "",
        quantity=line.quantity,
        current=line.current_quantity,
        price=price,
        discount=sum(_money(a.amount_set, a.amount, currency) for a in line.discount_allocations or ()),
        tax=_tax(line.tax_lines, currency),
        excluded="gift_card" if line.gift_card else "tip" if _is_tip(line, price, tip) else None,
        product_id=line.product_id,
        variant_id=line.variant_id,
        vendor=text(line.vendor, 255),
    )


def _is_tip(line: LineItem, price: int, tip: int) -> bool:
    """A tip is a line without a product: marked as one at a till, else known by the order's total of tips."""
    if line.tip or line.tip_payment_gateway:
        return True
    return line.product_id is None and line.variant_id is None and 0 < price * line.quantity == tip


def _shipping(line: ShippingLine, currency: str) -> int:
    discounted = _maybe_money(line.discounted_price_set, line.discounted_price, currency)
    return _money(line.price_set, line.price, currency) if discounted is None else discounted


def _tax(lines: list[TaxLine] | None, currency: str) -> int:
    return sum(_money(line.price_set, line.price, currency) for line in lines or ())


def _money(both: MoneySet | None, plain: Amount | None, currency: str) -> int:
    return _maybe_money(both, plain, currency) or 0


def _maybe_money(both: MoneySet | None, plain: Amount | None, currency: str) -> int | None:
    if both is not None and both.shop_money is not None:
        return to_minor(both.shop_money.amount, currency)
    return None if plain is None else to_minor(plain, currency)


def moment(value: datetime | None, field: str) -> datetime:
    """A time in UTC. Raises InvalidInput when it is missing or lies outside what an order can have."""
    if value is None:
        raise InvalidInput(f"{field} is missing", code="missing_field")
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    if not EARLIEST <= aware <= LATEST:
        raise InvalidInput(f"{field} {value.isoformat()} cannot be", code="bad_time")
    return aware.astimezone(UTC)


def text(raw: str | None, longest: int) -> str | None:
    """Text that PostgreSQL can hold: it has no NUL, and no lone surrogate reaches it."""
    if raw is None:
        return None
    return raw.replace("\x00", "").encode("utf-8", "replace").decode()[:longest] or None
