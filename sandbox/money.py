"""Amounts in the sandbox are integers in the minor unit of their currency; Shopify shows them as decimal strings."""

import functools

from babel.numbers import format_currency, get_currency_precision


@functools.cache
def exponent(currency: str) -> int:
    """Decimal digits of the currency's minor unit (ISO 4217, from Unicode CLDR): 2 for USD, 0 for JPY."""
    return get_currency_precision(currency)


def decimal(minor: int, currency: str) -> str:
    """`decimal(1250, "USD") == "12.50"`, `decimal(1250, "JPY") == "1250"`."""
    digits = exponent(currency)
    if not digits:
        return str(minor)
    whole, part = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole}.{part:0{digits}d}"


def minor(amount: str, currency: str) -> int:
    """The inverse of `decimal`. Raises ValueError on more digits than the currency has."""
    whole, _, part = amount.partition(".")
    digits = exponent(currency)
    if len(part.rstrip("0")) > digits:
        raise ValueError(f"{amount} has more than {digits} decimals, {currency}'s precision")
    sign = -1 if whole.startswith("-") else 1
    return sign * int(whole.lstrip("-") + part[:digits].ljust(digits, "0"))


def half_up(numerator: int, denominator: int) -> int:
    """The quotient of non-negative integers rounded to nearest, halves up."""
    return (2 * numerator + denominator) // (2 * denominator)


def shown(amount: int, currency: str) -> str:
    """As a price tag has it: `shown(1250, "USD") == "$12.50"`."""
    return format_currency(amount / 10 ** exponent(currency), currency, locale="en_US")
