"""Months, amounts, and what an account's standing means: exact examples, and what must hold for any."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import minor_digits
from referrals.payouts import rules
from referrals.payouts.rules import Standing, Sum

AMOUNTS = st.integers(0, 10**12)
CURRENCIES = st.sampled_from(("USD", "EUR", "JPY", "KRW", "KWD", "TND", "ISK", "UGX", "MGA", "HUF", "TWD"))


@pytest.mark.parametrize(
    ("now", "zone", "first", "ends_at"),
    [
        ("2026-11-01T00:00:00", "UTC", "2026-10-01", "2026-11-01T00:00:00"),
        ("2026-11-30T23:59:59", "UTC", "2026-10-01", "2026-11-01T00:00:00"),
        ("2026-11-01T03:59:59", "America/New_York", "2026-09-01", "2026-10-01T04:00:00"),
        ("2026-11-01T04:00:00", "America/New_York", "2026-10-01", "2026-11-01T04:00:00"),
        ("2026-10-31T15:00:00", "Asia/Tokyo", "2026-10-01", "2026-10-31T15:00:00"),
        ("2027-01-05T00:00:00", "Europe/Berlin", "2026-12-01", "2026-12-31T23:00:00"),
        ("2026-03-31T22:00:00", "Europe/Berlin", "2026-03-01", "2026-03-31T22:00:00"),
    ],
)
def test_a_month_ends_where_the_shop_is(now: str, zone: str, first: str, ends_at: str) -> None:
    month = rules.month_before(_utc(now), ZoneInfo(zone))
    assert month == (date.fromisoformat(first), _utc(ends_at))


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("closed", "balance", "under_way", "paid"),
    [(50, 50, 0, 50), (50, 40, 0, 40), (50, 90, 0, 50), (50, 90, 60, 30), (50, 40, 40, 0), (50, -10, 0, 0)],
)
def test_never_more_is_paid_than_is_owed(closed: int, balance: int, under_way: int, paid: int) -> None:
    assert rules.payable(closed, balance, under_way) == paid


@pytest.mark.parametrize(
    ("minor", "currency", "stripe", "back"),
    [
        (1234, "USD", 1234, 1234),
        (1234, "JPY", 1234, 1234),
        (1239, "KWD", 1230, 1230),
        (5, "ISK", 500, 5),
        (5, "UGX", 500, 5),
        (1239, "MGA", 12, 1200),
        (99, "MGA", 0, 0),
        (0, "EUR", 0, 0),
    ],
)
def test_amounts_in_stripes_units(minor: int, currency: str, stripe: int, back: int) -> None:
    assert rules.in_stripe(minor, currency) == Sum(stripe, back)


@given(AMOUNTS, CURRENCIES)
def test_what_stripe_is_asked_for_is_never_more_and_almost_all(minor: int, currency: str) -> None:
    asked = rules.in_stripe(minor, currency)
    assert 0 <= minor - asked.minor < 10 ** minor_digits(currency)
    assert rules.in_minor(asked.stripe, currency) == asked.minor
    assert rules.in_stripe(asked.minor, currency) == asked


def account(due: tuple[str, ...] = (), reason: str | None = None, **changes: Any) -> dict[str, Any]:
    asked = {"currently_due": list(due), "past_due": [], "pending_verification": [], "disabled_reason": reason}
    good = {"details_submitted": True, "payouts_enabled": True, "capabilities": {"transfers": "active"}}
    return good | {"requirements": asked} | changes


OFF: dict[str, Any] = {"payouts_enabled": False, "capabilities": {"transfers": "inactive"}}


@pytest.mark.parametrize(
    ("told", "standing"),
    [
        (account(), Standing("active", ())),
        (account(due=("individual.id_number",)), Standing("active", ("tax_number",))),
        (account(details_submitted=False, due=("individual.dob.day", "individual.dob.year", "external_account"), **OFF),
         Standing("onboarding", ("birth_date", "bank"))),
        (account(details_submitted=False, **OFF), Standing("onboarding", ())),
        (account(due=("individual.verification.document",), **OFF), Standing("restricted", ("identity",))),
        (account(payouts_enabled=False), Standing("restricted", ("review",))),
        (account(capabilities={}), Standing("restricted", ("review",))),
        (account(reason="requirements.pending_verification", **OFF), Standing("restricted", ("check",))),
        (account(reason="under_review", **OFF), Standing("restricted", ("review",))),
        (account(reason="rejected.fraud", **OFF), Standing("rejected", ())),
        (account(due=("something.new",), **OFF), Standing("restricted", ("more",))),
        ({}, Standing("onboarding", ())),
        ({"requirements": None, "capabilities": None, "details_submitted": True}, Standing("restricted", ("review",))),
    ],
)  # fmt: skip
def test_what_an_account_says(told: dict[str, Any], standing: Standing) -> None:
    assert rules.standing(told) == standing
    assert all(key in rules.WORDS for key in standing.needs)


def test_that_a_bank_refused_is_remembered() -> None:
    assert rules.standing(account(), ["identity", "bank_refused"]) == Standing("active", ("bank_refused",))


@pytest.mark.parametrize(
    ("country", "platform", "abroad"),
    [(None, "US", False), ("US", "US", False), ("DE", "US", True), ("DE", "FR", False), ("GB", "FR", True)],
)
def test_who_lives_abroad(country: str | None, platform: str, abroad: bool) -> None:
    assert rules.abroad(country, platform) == abroad


@pytest.mark.parametrize("body", [{}, {"id": "tr_1"}, {"id": "tr_1", "amount": "x", "currency": "usd", "created": 1}])
def test_what_is_no_transfer(body: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        rules.transfer_of(body)
