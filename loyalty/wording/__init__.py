"""What happened to points, in words: a sentence or two for every posting and every order, in the language spoken now.

The words follow from the stored explanation alone, so an old posting reads the same for ever, in any language. Amounts
come in minor units, rates and multipliers as decimal text. Each module holds the tellers of its reasons.
"""

from types import MappingProxyType

from core.i18n import ngettext
from loyalty.models import Posting
from loyalty.wording import activities, expiry, orders, purchases, referrals, rewards, tiers
from loyalty.wording.orders import earned_text, order_text, plain
from loyalty.wording.words import Teller, TierNames, order_name

__all__ = ["earned_text", "order_text", "sentence"]

# By the explanation's `reason`.
TELLERS: dict[str, Teller] = {
    **orders.TELLERS,
    **activities.TELLERS,
    **rewards.TELLERS,
    **referrals.TELLERS,
    **expiry.TELLERS,
    **tiers.TELLERS,
    **purchases.TELLERS,
}


def sentence(posting: Posting, tier_names: TierNames = MappingProxyType({})) -> str:
    """Why the points of one posting came or went. `tier_names` holds the names of its program version by key."""
    told, count = posting.explanation, posting.points
    if posting.kind == "release":
        return ngettext(
            "%(num)s point for %(order)s is ready to use.",
            "%(num)s points for %(order)s are ready to use.", count, order=order_name(told),
        )  # fmt: skip
    if (posting.source, posting.target) != ("available", "pending"):
        return TELLERS.get(told.get("reason", ""), plain)(posting, told, tier_names)
    if told.get("waits") == "fulfilment":
        return ngettext(
            "%(num)s point for %(order)s waits until the order has been sent.",
            "%(num)s points for %(order)s wait until the order has been sent.", count, order=order_name(told),
        )  # fmt: skip
    return ngettext(
        "%(num)s point for %(order)s waits until the payment is complete.",
        "%(num)s points for %(order)s wait until the payment is complete.", count, order=order_name(told),
    )  # fmt: skip
