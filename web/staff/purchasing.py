"""Amounts as they are typed at the counter, and what they are worth."""

import re
from decimal import Decimal

from core.errors import InvalidInput
from core.money import minor_digits
from loyalty import purchases
from loyalty.programs import Version
from loyalty.purchases import Purchase


def amount(text: str, currency: str) -> int:
    """Minor units of what somebody typed: 12.50, 12,50, 1 250.00, 12. Raises InvalidInput (`bad_amount`)."""
    said = re.sub(r"[\s'’]", "", text)
    digits = minor_digits(currency)
    found = re.fullmatch(r"(\d{1,9}|\d{1,3}(?:([.,])\d{3})+)(?:([.,])(\d{1,3}))?", said)
    if not found or (found[3] and found[3] == found[2]):
        raise _bad(currency)
    fraction = found[4] or ""
    if found[3] and not found[2] and len(fraction) == 3 and digits != 3:
        raise _bad(currency)  # 1.250 may be a thousand or one and a bit
    if len(fraction) > digits:
        raise _bad(currency)
    whole = re.sub(r"\D", "", found[1])
    return int(Decimal(f"{whole}.{fraction or 0}").scaleb(digits))


def example(version: Version, tier_key: str, currency: str) -> int:
    """Points for ten units of the currency, for a member of this tier."""
    ten = 10 * 10 ** minor_digits(currency)
    return purchases.worth(Purchase(ten, currency, ""), purchases.terms_for(version, tier_key))


def _bad(currency: str) -> InvalidInput:
    sample = "12" if minor_digits(currency) == 0 else "12.50"
    return InvalidInput(f"Write the amount in {currency} like {sample}.", code="bad_amount")
