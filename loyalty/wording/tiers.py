"""Gifts for reaching a tier, in words."""

from loyalty.models import Posting
from loyalty.wording.words import Teller, TierNames, Told, points_text, tier_name, went_back


def _name(told: Told, tier_names: TierNames) -> str:
    return str(told.get("tier_name") or tier_name(told, tier_names))


def _entered(posting: Posting, told: Told, tier_names: TierNames) -> str:
    return f"{points_text(posting.points)} for reaching {_name(told, tier_names)}. Congratulations!"


def _undone(posting: Posting, told: Told, tier_names: TierNames) -> str:
    gone = went_back(posting.points)
    return f"{gone}: after a refund, what you bought no longer reaches {_name(told, tier_names)}."


TELLERS: dict[str, Teller] = {"entered_tier": _entered, "promotion_undone": _undone}
