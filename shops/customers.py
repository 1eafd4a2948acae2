"""Shopify's customers, looked up and made at the counter."""

from typing import Any, NamedTuple

import phonenumbers

from core.errors import InvalidInput
from core.i18n import _
from shops.admin import Admin, AdminRefused


class Found(NamedTuple):
    """A customer of the shop, by their Shopify id."""

    id: int
    email: str | None
    name: str | None


class Contact(NamedTuple):
    """How a customer may be written to, as the shop knows it now: where, in which language, and whether with news.

    `news` is True for who has subscribed, False for who has unsubscribed, None for who said neither.
    """

    email: str | None
    locale: str | None
    news: bool | None


_NEWS = {"SUBSCRIBED": True, "UNSUBSCRIBED": False, "REDACTED": False, "INVALID": False}


def contact(admin: Admin, customer_id: int) -> Contact | None:
    """None for a customer who is not there any more. Raises what `Admin.call` raises."""
    node = admin.call("customer_contact", id=f"gid://shopify/Customer/{customer_id}")["customer"]
    if node is None:
        return None
    address = node.get("defaultEmailAddress") or {}
    return Contact(address.get("emailAddress"), node.get("locale"), _NEWS.get(str(address.get("marketingState"))))


def by_email(admin: Admin, email: str) -> Found | None:
    """Raises what `Admin.call` raises."""
    return _found(admin.call("customer_identify", identifier={"emailAddress": email})["customerByIdentifier"])


def by_phone(admin: Admin, text: str, region: str | None = None) -> Found | None:
    """By a number in whatever way it is written; without a leading + it is one of `region` (`US`, `DE`)."""
    number = e164(text, region)
    if number is None:
        return None
    return _found(admin.call("customer_identify", identifier={"phoneNumber": number})["customerByIdentifier"])


def create(admin: Admin, *, first: str, last: str, email: str, news: bool) -> Found:
    """Make a customer, or find the one who has this address already. Raises InvalidInput (`bad_email`).

    Creating is not idempotent at Shopify, but an address is taken once.
    """
    consent = {"marketingState": "SUBSCRIBED", "marketingOptInLevel": "SINGLE_OPT_IN"}
    asked: dict[str, Any] = {"firstName": first, "lastName": last, "email": email}
    try:
        made = admin.call("customer_create", input=asked | ({"emailMarketingConsent": consent} if news else {}))
    except AdminRefused as refused:
        if known := by_email(admin, email):
            return known
        raise InvalidInput(_("The shop doesn't take this e-mail address. Check it."), code="bad_email") from refused
    found = _found(made["customerCreate"]["customer"])
    assert found
    return found


def e164(text: str, region: str | None = None) -> str | None:
    """A phone number as Shopify keeps it; None for what is none."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _found(node: dict[str, Any] | None) -> Found | None:
    if node is None:
        return None
    names = (node.get("firstName"), node.get("lastName"))
    email = (node.get("defaultEmailAddress") or {}).get("emailAddress")
    return Found(int(node["legacyResourceId"]), email and email.casefold(), " ".join(filter(None, names)) or None)
