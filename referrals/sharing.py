"""What a code brings, in the fewest words, and one tap for each way to pass its link on. Pure."""

from typing import NamedTuple

from babel.numbers import format_currency

from core.money import minor_digits, money_text, to_units
from loyalty.program import Benefit
from loyalty.wording.benefits import percent_text
from referrals import invitations

# How a look at a friend's page came about, as its address may say; anything else is `link`.
WAYS = ("link", "native", "copy", "email", "whatsapp", "sms", "x", "facebook", "qr", "wallet")
_LABELS = {"whatsapp": "WhatsApp", "sms": "Text message", "email": "E-mail", "x": "X", "facebook": "Facebook"}


class Way(NamedTuple):
    """One tap that passes a link on. `url` opens the other app with everything written already."""

    key: str
    label: str
    url: str


def price(amount: int, currency: str) -> str:
    """Minor units, without decimals where there are none: (1000, "USD") is "$10", (1050, "USD") is "$10.50"."""
    if amount % 10 ** minor_digits(currency):
        return money_text(amount, currency)
    return format_currency(to_units(amount, currency), currency, "¤#,##0", locale="en_US", currency_digits=False)


def worth(benefit: Benefit, currency: str) -> str:
    """What it brings, to stand in a sentence: "$10 off", "5% of what they spend, in cash". Empty for nothing."""
    if benefit.kind == "commission" and benefit.percentage:
        return f"{percent_text(benefit.percentage)} of what they spend, in cash"
    return {
        "none": "",
        "amount_off": f"{price(benefit.amount, currency)} off",
        "percentage": f"{percent_text(benefit.percentage)} off" if benefit.percentage else "",
        "free_shipping": "free shipping",
        "points": f"{benefit.points or 0:,} {'point' if benefit.points == 1 else 'points'}",
        "store_credit": f"{price(benefit.amount, currency)} in store credit",
        "commission": f"{price(benefit.amount, currency)} in cash",
    }[benefit.kind]


def gift(benefit: Benefit, currency: str, order: str = "your first order") -> str:
    """What a friend gets and for what: "$10 off your first order of $30 or more". Empty for nothing."""
    given = worth(benefit, currency)
    least = f" of {price(benefit.minimum_order, currency)} or more" if benefit.minimum_order else ""
    joint = {"free_shipping": "on ", "points": "after ", "store_credit": "after "}.get(benefit.kind, "")
    return f"{given} {joint}{order}{least}" if given else ""


def ways(shop: str, url: str, given: str) -> tuple[Way, ...]:
    """The taps that pass a code's link on; `given` is what the friend gets, as `gift` says it."""
    return tuple(
        Way(key, label, getattr(invitations.share(shop, tagged(url, key), given), key))
        for key, label in _LABELS.items()
    )


def tagged(url: str, way: str) -> str:
    """The link, saying how it was passed on."""
    return f"{url}?via={way}"
