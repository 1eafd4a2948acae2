"""Who referrer and friend are in Shopify, asked once for a case and forgotten after it: nothing here is stored."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import phonenumbers
from msgspec import Struct

from core.db import Database
from referrals.cases import Case
from referrals.fraud.addresses import Address, Place, place
from shops.admin import AccessDenied, Admin

_FELL = frozenset({"VOIDED", "EXPIRED", "REFUNDED"})


class Person(Struct, frozen=True):
    """What Shopify tells of somebody, the best source first.

    Of a friend `addresses` holds where they live as this order says, of a referrer where they have lived; `sent_to` is
    where a friend's order went. `phones` are E.164, `cards` tell cards apart without their number, `ips` are addresses
    they ordered from. `earlier` are the ids of standing orders before this one.
    """

    name: tuple[str, str] = ("", "")
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()
    sent_to: Address | None = None
    cards: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    orders: int | None = None
    since: datetime | None = None
    customer_id: int | None = None
    earlier: frozenset[int] = frozenset()

    @property
    def places(self) -> tuple[Place, ...]:
        """Their homes as they are compared."""
        return tuple(found for address in self.addresses if (found := place(address)))

    @property
    def surname(self) -> str:
        return self.name[1]


NOBODY = Person()


class Sides(Struct, frozen=True):
    """Both sides of a case; `told` is false where Shopify denied to tell of one."""

    friend: Person
    referrer: Person
    told: bool = True


def ask(database: Database, case: Case) -> Sides:
    """Both sides as Shopify knows them now. Never called inside a transaction.

    Raises Unavailable where Shopify does not answer, and what `Admin.of` and `Admin.call` raise.
    """
    with Admin.of(database, case.shop_id) as admin:
        order, order_told = _told(admin, "referral_order", "order", f"gid://shopify/Order/{case.order_id}")
        friend = _friend(order, case) if order else NOBODY
        if case.referrer_customer_id is None:
            return Sides(friend, NOBODY, order_told)
        gid = f"gid://shopify/Customer/{case.referrer_customer_id}"
        customer, customer_told = _told(admin, "referral_referrer", "customer", gid)
    return Sides(friend, _referrer(customer) if customer else NOBODY, order_told and customer_told)


def _told(admin: Admin, document: str, root: str, gid: str) -> tuple[dict[str, Any] | None, bool]:
    """What Shopify tells, and whether it was allowed to."""
    try:
        return admin.call(document, id=gid)[root], True
    except AccessDenied:
        return None, False


def _friend(order: dict[str, Any], case: Case) -> Person:
    customer = order["customer"] or {}
    # Whoever sends a present pays for it: where the bill goes they live. A new customer's default address is often just
    # where the first order went.
    written = order["billingAddress"] or order["shippingAddress"] or customer.get("defaultAddress")
    return Person(
        name=_name(customer, written),
        emails=_each(order["email"], _email(customer)),
        phones=_phones([order["phone"], _phone(customer)], [written]),
        addresses=_addresses([written]),
        sent_to=next(iter(_addresses([order["shippingAddress"]])), None),
        cards=_cards([order]),
        ips=_each(order["clientIp"]),
        earlier=_earlier(customer, case),
        **_account(customer),
    )


def _referrer(customer: dict[str, Any]) -> Person:
    orders = customer["orders"]["nodes"]
    written = [customer["defaultAddress"], *(order["billingAddress"] for order in orders)]
    return Person(
        name=_name(customer, next(filter(None, written), None)),
        emails=_each(_email(customer), *(order["email"] for order in orders)),
        phones=_phones([_phone(customer), *(order["phone"] for order in orders)], written),
        addresses=_addresses(written),
        cards=_cards(orders),
        ips=_each(*(order["clientIp"] for order in orders)),
        **_account(customer),
    )


def _account(customer: dict[str, Any]) -> dict[str, Any]:
    if not customer:
        return {}
    return {
        "orders": int(customer["numberOfOrders"]),
        "since": datetime.fromisoformat(customer["createdAt"]),
        "customer_id": int(customer["id"].rpartition("/")[2]),
    }


def _each(*values: str | None) -> tuple[str, ...]:
    """What there is, each once, in order."""
    return tuple(dict.fromkeys(value for value in values if value))


def _email(customer: dict[str, Any]) -> str | None:
    return (customer.get("defaultEmailAddress") or {}).get("emailAddress")


def _phone(customer: dict[str, Any]) -> str | None:
    return (customer.get("defaultPhoneNumber") or {}).get("phoneNumber")


def _name(customer: dict[str, Any], written: dict[str, Any] | None) -> tuple[str, str]:
    first, last = customer.get("firstName") or "", customer.get("lastName") or ""
    if first or last or not written:
        return first, last
    first, _, last = (written["name"] or "").strip().rpartition(" ")
    return first, last


def _phones(given: Iterable[str | None], written: Iterable[dict[str, Any] | None]) -> tuple[str, ...]:
    homes = [address for address in written if address]
    region = next((address["countryCodeV2"] for address in homes if address["countryCodeV2"]), None)
    return _each(*(_e164(text, region) for text in (*given, *(address["phone"] for address in homes))))


def _e164(text: str | None, region: str | None) -> str | None:
    """A phone number in the one way to write it; None for what can be no number."""
    try:
        found = phonenumbers.parse(text or "", region)
    except phonenumbers.NumberParseException:
        return None
    possible = phonenumbers.is_possible_number(found)
    return phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164) if possible else None


def _addresses(written: Iterable[dict[str, Any] | None]) -> tuple[Address, ...]:
    fields = ("address1", "address2", "city", "zip", "countryCodeV2")
    return tuple(dict.fromkeys(Address(*(one[name] or "" for name in fields)) for one in written if one))


def _cards(orders: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    paid = [payment["paymentDetails"] or {} for order in orders for payment in order["transactions"]]
    return _each(*map(_card, paid))


def _card(details: dict[str, Any]) -> str | None:
    """First and last digits and the end date: few people share a card that agrees in all of them."""
    last = "".join(filter(str.isdigit, details.get("number") or ""))[-4:]
    first = details.get("bin") or details.get("company")
    ends = details.get("expirationMonth"), details.get("expirationYear")
    return f"{first} {last} {ends[0]} {ends[1]}" if last and first and all(ends) else None


def _earlier(customer: dict[str, Any], case: Case) -> frozenset[int]:
    found = customer["orders"]["nodes"] if customer else []
    placed = [(datetime.fromisoformat(o["processedAt"]), int(o["id"].rpartition("/")[2])) for o in found if _stands(o)]
    return frozenset(order_id for at, order_id in placed if (at, order_id) < (case.at, case.order_id))


def _stands(order: dict[str, Any]) -> bool:
    return not order["cancelledAt"] and not order["test"] and order["displayFinancialStatus"] not in _FELL
