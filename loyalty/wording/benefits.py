"""What one side gets for a friend, in a few words: "$10.00 off", "500 points", "10% of the order in cash". Pure."""

from decimal import Decimal

from core.i18n import N_, _, money, ngettext, percent, points
from loyalty.program import Benefit
from loyalty.wording.words import steps

_WORDS = {
    "none": N_("nothing"),
    "amount_off": N_("%(amount)s off"),
    "percentage": N_("%(percentage)s off"),
    "free_shipping": N_("free shipping"),
    "points": "%(points)s",
    "store_credit": N_("%(amount)s of store credit"),
}


def benefit_text(benefit: Benefit, currency: str) -> str:
    """What it brings, without its conditions. Amounts are minor units of `currency`."""
    return _(
        _WORDS.get(benefit.kind) or _commission(benefit),
        amount=money(benefit.amount, currency),
        percentage=percent(benefit.percentage or Decimal(0)),
        points=points(benefit.points or 0),
    )


def _commission(benefit: Benefit) -> str:
    return N_("%(amount)s in cash") if benefit.amount else N_("%(percentage)s of the order in cash")


def conditions_text(benefit: Benefit, currency: str) -> str:
    """What a discount asks for: "on orders of $30.00 or more, within 60 days of getting it". Empty for nothing."""
    said = []
    if benefit.minimum_order:
        said.append(_("on orders of %(amount)s or more", amount=money(benefit.minimum_order, currency)))
    if days := benefit.valid_days:
        said.append(ngettext("within %(num)s day of getting it", "within %(num)s days of getting it", days))
    return steps(said) if said else ""
