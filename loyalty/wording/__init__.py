"""What happened to points, in words: one English sentence or two for every posting and every order.

The words follow from the stored explanation alone, so an old posting reads the same for ever. Amounts come in minor
units, rates and multipliers as decimal text. Each module holds the tellers of its reasons.
"""

from types import MappingProxyType

from loyalty.models import Posting
from loyalty.wording import activities, expiry, orders, purchases, referrals, rewards, tiers
from loyalty.wording.orders import earned_text, order_text, plain
from loyalty.wording.words import Teller, TierNames, are, order_name, points_text

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
    told = posting.explanation
    if posting.kind == "release":
        return f"{points_text(posting.points)} for {order_name(told)} {are(posting.points)} ready to use."
    if (posting.source, posting.target) == ("available", "pending"):
        waiting = "waits" if posting.points == 1 else "wait"
        until = "the order has been sent" if told.get("waits") == "fulfilment" else "the payment is complete"
        return f"{points_text(posting.points)} for {order_name(told)} {waiting} until {until}."
    return TELLERS.get(told.get("reason", ""), plain)(posting, told, tier_names)
