"""Moves between tiers, in words."""

from collections.abc import Mapping
from typing import Any

from core.i18n import N_, _, money, ngettext, points
from loyalty.programs import Version
from tiers.ladders import ladder_of
from tiers.models import TierPeriod

_PERIODS = {
    "calendar_year": N_("%(amount)s this year"),
    "membership_year": N_("%(amount)s in your membership year"),
}
_WHY = {
    "by_hand": N_("You were given %(tier)s."),
    "hand_ended": N_("The tier you were given has ended, and you are %(tier)s: %(counted)s."),
    "undone": N_("You went back to %(tier)s: after a refund it is %(counted)s."),
    "ladder": N_("The tiers have changed, and you are %(tier)s: %(counted)s."),
}
_REACHED = N_("You reached %(tier)s with %(counted)s. It takes %(threshold)s.")
_LAPSED = N_("You went back to %(tier)s: %(counted)s.")


def amount_text(value: int, metric: str, currency: str) -> str:
    """What counts on a ladder: "$500.00", "1,200 points", "3 orders"."""
    if metric == "eligible_spend":
        return money(value, currency)
    return points(value) if metric == "points" else ngettext("%(num)s order", "%(num)s orders", value)


def tier_text(row: TierPeriod, version: Version | None, currency: str) -> str:
    """One move between tiers, with its reason."""
    told: Mapping[str, Any] = row.reason
    # Periods from before ladders could count other things than spend hold it under that name.
    metric, value = told.get("metric", "eligible_spend"), told.get("value", told.get("spend", 0))
    said = {
        "tier": ladder_of(version).rung(row.tier_key).name if version else row.tier_key,
        "counted": _in_period(amount_text(value, metric, currency), version),
    }
    text = _WHY.get(told.get("why", ""))
    if text is None and told["rose"]:
        text, said["threshold"] = _REACHED, amount_text(told["threshold"], metric, currency)
    return _(text or _LAPSED, **said)


def _in_period(amount: str, version: Version | None) -> str:
    if version is None:
        return amount
    ladder = version.program.ladder
    if ladder.period == "rolling":
        return ngettext("%(amount)s in %(num)s day", "%(amount)s in %(num)s days", ladder.window_days, amount=amount)
    return _(_PERIODS[ladder.period], amount=amount) if ladder.period in _PERIODS else amount
