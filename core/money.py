"""Money is an integer of minor units and a currency code; text becomes money here and nowhere else."""

import functools
import re
from decimal import ROUND_HALF_UP, Decimal

from babel.core import get_global
from babel.numbers import format_currency

from core.errors import InvalidInput

# ISO 4217 minor units that are not two. CLDR (babel) knows the codes, but its digits are those of *display*: it drops
# the cents of RSD or LBP and the fils of IQD, which shops do charge.
_ZERO_DECIMALS = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())
_THREE_DECIMALS = frozenset("BHD IQD JOD KWD LYD OMR TND".split())

# Decimal itself would take underscores and the digits of any script.
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?")

# Far above any real order, far below what a bigint holds after the sums we do.
MAX_MINOR = 10**15


@functools.cache
def minor_digits(currency: str) -> int:
    """How many decimals the currency's amounts have (USD 2, JPY 0, KWD 3). Raises InvalidInput for an unknown code."""
    if currency not in get_global("all_currencies"):
        raise InvalidInput(f"{currency[:12]!r} is not a currency we know", code="unknown_currency")
    return 0 if currency in _ZERO_DECIMALS else 3 if currency in _THREE_DECIMALS else 2


@functools.lru_cache(maxsize=8192)  # prices repeat; a Decimal costs more than a look-up
def to_minor(amount: str | int | float, currency: str) -> int:
    """Shopify's decimal text in minor units: ("12.50", "USD") is 1250, ("1250", "JPY") is 1250.

    A fraction finer than the currency's smallest unit is rounded half up. Raises InvalidInput for what is no number
    (NaN and infinity included), for an unknown currency, and for amounts beyond MAX_MINOR.
    """
    digits = minor_digits(currency)
    if _NUMBER.fullmatch(str(amount)):
        exact = Decimal(str(amount)).scaleb(digits)
        if abs(exact) <= MAX_MINOR:
            return int(exact.to_integral_value(rounding=ROUND_HALF_UP))
    raise InvalidInput(f"{str(amount)[:40]!r} is not an amount of {currency}", code="bad_amount")


def to_units(minor: int, currency: str) -> Decimal:
    """Minor units as an exact decimal of currency units: (1250, "USD") is 12.50."""
    return Decimal(minor).scaleb(-minor_digits(currency))


def money_text(minor: int, currency: str, locale: str = "en_US") -> str:
    """An amount as people read it: (1250, "USD") is "$12.50"."""
    return format_currency(
        to_units(minor, currency), currency, locale=locale, currency_digits=minor_digits(currency) != 2
    )
