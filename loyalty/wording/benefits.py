"""What one side gets for a friend, in a few words: "$10.00 off", "500 points", "10% of the order in cash". Pure."""

from decimal import Decimal

from core.money import money_text
from loyalty.program import Benefit
from loyalty.wording.words import points_text

_WORDS = {
    "none": "nothing",
    "amount_off": "{amount} off",
    "percentage": "{percentage} off",
    "free_shipping": "free shipping",
    "points": "{points}",
    "store_credit": "{amount} of store credit",
}


def benefit_text(benefit: Benefit, currency: str, locale: str = "en_US") -> str:
    """What it brings, without its conditions. Amounts are minor units of `currency`."""
    words = _WORDS.get(benefit.kind) or _commission(benefit)
    return words.format(
        amount=money_text(benefit.amount, currency, locale),
        percentage=percent_text(benefit.percentage or Decimal(0)),
        points=points_text(benefit.points or 0),
    )


def _commission(benefit: Benefit) -> str:
    return "{amount} in cash" if benefit.amount else "{percentage} of the order in cash"


def conditions_text(benefit: Benefit, currency: str, locale: str = "en_US") -> str:
    """What a discount asks for: "on orders of $30.00 or more, within 60 days of getting it". Empty for nothing."""
    said = []
    if benefit.minimum_order:
        said.append(f"on orders of {money_text(benefit.minimum_order, currency, locale)} or more")
    if benefit.valid_days:
        said.append(f"within {benefit.valid_days:,} {'day' if benefit.valid_days == 1 else 'days'} of getting it")
    return ", ".join(said)


def percent_text(percentage: Decimal) -> str:
    """12.50 is "12.5%"."""
    return f"{percentage.normalize():f}%"
