"""Gifts for reaching a tier, in words."""

from core.i18n import _, points
from loyalty.models import Posting
from loyalty.wording.words import Teller, TierNames, Told, capital, tier_name, went_back


def _name(told: Told, tier_names: TierNames) -> str:
    return str(told.get("tier_name") or tier_name(told, tier_names))


def _entered(posting: Posting, told: Told, tier_names: TierNames) -> str:
    name = _name(told, tier_names)
    return _("%(points)s for reaching %(tier)s. Congratulations!", points=points(posting.points), tier=name)


def _undone(posting: Posting, told: Told, tier_names: TierNames) -> str:
    text = _(
        "%(moved)s: after a refund, what you bought no longer reaches %(tier)s.",
        moved=went_back(posting.points), tier=_name(told, tier_names),
    )  # fmt: skip
    return capital(text)


TELLERS: dict[str, Teller] = {"entered_tier": _entered, "promotion_undone": _undone}
