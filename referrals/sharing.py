"""What a code brings, in the fewest words, and one tap for each way to pass its link on. Pure."""

from typing import NamedTuple

from core.i18n import N_, _, percent, points, price
from loyalty.program import Benefit
from referrals import invitations

# How a look at a friend's page came about, as its address may say; anything else is `link`.
WAYS = ("link", "native", "copy", "email", "whatsapp", "sms", "x", "facebook", "qr", "wallet")
_LABELS = {
    "whatsapp": "WhatsApp",
    "sms": N_("Text message"),
    "email": N_("E-mail"),
    "x": "X",
    "facebook": "Facebook",
}
_WORTH = {
    "amount_off": N_("%(amount)s off"),
    "percentage": N_("%(percentage)s off"),
    "free_shipping": N_("free shipping"),
    "points": "%(points)s",
    "store_credit": N_("%(amount)s in store credit"),
    "commission": N_("%(amount)s in cash"),
}
_YOURS = {
    "amount_off": N_("your %(amount)s off"),
    "percentage": N_("your %(percentage)s off"),
    "free_shipping": N_("your free shipping"),
    "points": N_("your %(points)s"),
    "store_credit": N_("your %(amount)s in store credit"),
    "commission": N_("your commission"),
}
# How a gift stands before the order it is for.
_FOR = {
    "free_shipping": N_("%(gift)s on %(order)s"),
    "points": N_("%(gift)s after %(order)s"),
    "store_credit": N_("%(gift)s after %(order)s"),
}
_OFF = N_("%(gift)s %(order)s")


class Way(NamedTuple):
    """One tap that passes a link on. `url` opens the other app with everything written already."""

    key: str
    label: str
    url: str


def worth(benefit: Benefit, currency: str) -> str:
    """What it brings, to stand in a sentence: "$10 off", "5% of what they spend, in cash". Empty for nothing."""
    if benefit.kind == "commission" and benefit.percentage:
        return _("%(percentage)s of what they spend, in cash", percentage=percent(benefit.percentage))
    return _said(_WORTH, benefit, currency)


def yours(benefit: Benefit, currency: str) -> str:
    """The same of the one who is spoken to: "your $10 off", "your commission"."""
    return _said(_YOURS, benefit, currency) or _("your thank-you")


def _said(words: dict[str, str], benefit: Benefit, currency: str) -> str:
    if benefit.kind not in words or (benefit.kind == "percentage" and not benefit.percentage):
        return ""
    return _(
        words[benefit.kind],
        amount=price(benefit.amount, currency),
        percentage=percent(benefit.percentage) if benefit.percentage else "",
        points=points(benefit.points or 0),
    )


def gift(benefit: Benefit, currency: str, *, every_order: bool = False) -> str:
    """What a friend gets and for what: "$10 off your first order of $30 or more". Empty for nothing."""
    given, least = worth(benefit, currency), price(benefit.minimum_order, currency)
    if not given:
        return ""
    if benefit.minimum_order:
        order = N_("an order of %(amount)s or more") if every_order else N_("your first order of %(amount)s or more")
    else:
        order = N_("an order") if every_order else N_("your first order")
    return _(_FOR.get(benefit.kind, _OFF), gift=given, order=_(order, amount=least))


def ways(shop: str, url: str, given: str) -> tuple[Way, ...]:
    """The taps that pass a code's link on; `given` is what the friend gets, as `gift` says it."""
    return tuple(
        Way(key, _(label), getattr(invitations.share(shop, tagged(url, key), given), key))
        for key, label in _LABELS.items()
    )


def tagged(url: str, way: str) -> str:
    """The link, saying how it was passed on."""
    return f"{url}?via={way}"
