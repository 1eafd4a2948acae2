"""Exact amounts for two-, zero- and three-decimal currencies, and what is refused."""

import pytest
from babel.core import get_global
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.money import minor_digits, money_text, to_minor, to_units


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("12.50", "USD", 1250),
        ("0.00", "USD", 0),
        ("-3.10", "EUR", -310),
        (89.99, "USD", 8999),  # refund lines come as JSON numbers
        (7, "GBP", 700),
        ("1250", "JPY", 1250),
        ("1250.00", "JPY", 1250),
        ("1.250", "KWD", 1250),
        ("2.5", "BHD", 2500),
        ("99.99", "RSD", 9999),  # CLDR shows no decimals for it, ISO 4217 has two
        ("10.005", "USD", 1001),
        ("0.0049", "USD", 0),
    ],
)
def test_amounts(amount: str | int | float, currency: str, minor: int) -> None:
    assert to_minor(amount, currency) == minor


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-inf", "", "12,50", "1e400", "twelve", "9" * 40, "1_000.0e9"])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(InvalidInput):
        to_minor(amount, "USD")


@pytest.mark.parametrize("currency", ["XXZ", "", "usd", "US", "BITCOIN", "\x00"])
def test_unknown_currencies_are_refused(currency: str) -> None:
    with pytest.raises(InvalidInput):
        minor_digits(currency)


def test_digits_differ_from_cldr_only_where_cldr_rounds_for_display() -> None:
    """Every currency of CLDR has at least its display digits, so no amount that is shown is ever lost."""
    shown = get_global("currency_fractions")
    for currency in get_global("all_currencies"):
        if currency not in {"CLF", "UYW"}:  # units of account, four decimals, never charged in a shop
            assert minor_digits(currency) >= shown.get(currency, shown["DEFAULT"])[0], currency


@given(st.integers(-(10**12), 10**12), st.sampled_from(["USD", "JPY", "KWD"]))
def test_units_and_back(minor: int, currency: str) -> None:
    assert to_minor(str(to_units(minor, currency)), currency) == minor


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(1250, "USD", "$12.50"), (1250, "JPY", "¥1,250"), (1250, "KWD", "KWD1.250"), (999, "RSD", "RSD9.99")],
)
def test_as_people_read_it(minor: int, currency: str, text: str) -> None:
    assert money_text(minor, currency) == text
