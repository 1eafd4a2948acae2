"""Which month is closed, what is owed, what Stripe can transfer, and what an account's standing means. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from core.money import minor_digits

# Stripe's units where they differ from the currency's own decimals, and where not every amount can be transferred.
# Source: https://docs.stripe.com/currencies (zero-decimal, three-decimal, special cases).
_ZERO = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
_THREE = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))
_STEPS = {"ISK": 100, "UGX": 100} | dict.fromkeys(_THREE, 10)

# Countries whose accounts take transfers from a platform in any other of them without crossing a border in Stripe's
# eyes. Source: https://docs.stripe.com/connect/account-capabilities
_EUROPE = frozenset(
    ("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT",
     "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK")
)  # fmt: skip

# Stripe's names of what it asks, by how they begin (the first that fits), and what we call it.
_ASKED = (
    ("external_account", "bank"),
    ("tos_acceptance", "terms"),
    ("business_profile", "business"),
    ("business_type", "business"),
    ("company.", "business"),
    ("individual.verification.", "identity"),
    ("individual.id_number", "tax_number"),
    ("individual.ssn_last_4", "tax_number"),
    ("individual.dob", "birth_date"),
    ("individual.address", "address"),
    ("individual.email", "contact"),
    ("individual.phone", "contact"),
    ("individual.", "name"),
)
WORDS = {
    "bank": "a bank account or debit card",
    "terms": "agreement to Stripe's terms",
    "business": "a word on the work or the company",
    "identity": "a document that proves identity",
    "tax_number": "a tax or social security number",
    "birth_date": "the date of birth",
    "address": "the home address",
    "contact": "an e-mail address or phone number",
    "name": "the full name",
    "more": "something that Stripe names on its page",
    "check": "a moment: it is checking what was sent",
    "review": "its own review of the account",
    "bank_refused": "another bank account: the last payment to it came back",
}
_KEPT = ("bank_refused",)


class Month(NamedTuple):
    """A month of the shop: its first day, and the moment at which it was over."""

    first: date
    ends_at: datetime


def month_before(now: datetime, zone: ZoneInfo) -> Month:
    """The last month that is over."""
    today = now.astimezone(zone).date()
    begins = today.replace(day=1)
    ends_at = datetime(begins.year, begins.month, 1, tzinfo=zone).astimezone(UTC)
    return Month((begins - timedelta(days=1)).replace(day=1), ends_at)


# Amounts. Minor units of the currency, unless they are said to be Stripe's.


def payable(closed: int, balance: int, under_way: int) -> int:
    """What may be paid for a statement now: never more than is owed beside what is being paid at this moment."""
    return max(0, min(closed, balance - under_way))


class Sum(NamedTuple):
    """An amount in Stripe's units, and the same in the currency's minor units."""

    stripe: int
    minor: int


def in_stripe(minor: int, currency: str) -> Sum:
    """The most of an amount that Stripe can transfer; the rest, less than Stripe's smallest amount, stays owed."""
    exact = minor * _scale(_stripe_digits(currency)) // _scale(minor_digits(currency))
    whole = exact - exact % _STEPS.get(currency, 1)
    return Sum(whole, in_minor(whole, currency))


def in_minor(stripe: int, currency: str) -> int:
    """Stripe's units in minor units."""
    return stripe * _scale(minor_digits(currency)) // _scale(_stripe_digits(currency))


def _scale(digits: int) -> int:
    return int(10**digits)


def _stripe_digits(currency: str) -> int:
    return 0 if currency in _ZERO else 3 if currency in _THREE else 2


# Accounts.


class Standing(NamedTuple):
    """A state of a payee, and what it waits for, as keys of WORDS."""

    state: str
    needs: tuple[str, ...]


def standing(account: Mapping[str, Any], known: Iterable[str] = ()) -> Standing:
    """What Stripe's account object says of whether its owner can be paid.

    `known` is what was needed before: that a bank refused is no part of the account. Source:
    https://docs.stripe.com/api/accounts/object
    """
    asked = account.get("requirements") or {}
    reason = asked.get("disabled_reason") or ""
    kept = [key for key in known if key in _KEPT]
    needs = tuple(dict.fromkeys([*_needs(asked, reason), *kept]))
    if reason.startswith("rejected"):
        return Standing("rejected", ())
    if not account.get("details_submitted"):
        return Standing("onboarding", needs)
    able = (account.get("capabilities") or {}).get("transfers") == "active" and account.get("payouts_enabled")
    return Standing("active" if able else "restricted", needs or (() if able else ("review",)))


def _needs(asked: Mapping[str, Any], reason: str) -> list[str]:
    named = [*(asked.get("past_due") or ()), *(asked.get("currently_due") or ())]
    if named:
        return [_need(name) for name in named]
    waiting = asked.get("pending_verification") or reason == "requirements.pending_verification"
    return ["check"] if waiting else ["review"] if reason else []


def _need(name: str) -> str:
    return next((key for start, key in _ASKED if str(name).startswith(start)), "more")


def abroad(country: str | None, platform: str) -> bool:
    """Whether an account is of another region than the platform's: it is then one that can only receive.

    Source: https://docs.stripe.com/connect/service-agreement-types
    """
    return bool(country) and country != platform and not {country, platform} <= _EUROPE


# Transfers.


class Transfer(NamedTuple):
    """A transfer as Stripe has it. `amount` and `returned` are in Stripe's units; what came back only ever grows."""

    id: str
    amount: int
    returned: int
    currency: str
    destination: str
    group: str
    metadata: Mapping[str, str]
    at: datetime

    @property
    def stands(self) -> bool:
        return self.returned < self.amount


def transfer_of(body: Mapping[str, Any]) -> Transfer:
    """Stripe's transfer object. Raises KeyError, TypeError or ValueError for what is none.

    Source: https://docs.stripe.com/api/transfers/object
    """
    place = body.get("destination")
    return Transfer(
        id=str(body["id"]),
        amount=int(body["amount"]),
        returned=int(body.get("amount_reversed") or 0),
        currency=str(body["currency"]).upper(),
        destination=str(place["id"] if isinstance(place, Mapping) else place),
        group=str(body.get("transfer_group") or ""),
        metadata=dict(body.get("metadata") or {}),
        at=datetime.fromtimestamp(int(body["created"]), UTC),
    )
