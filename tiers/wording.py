"""Moves between tiers, in words."""

from collections.abc import Mapping
from typing import Any

from core.money import money_text
from loyalty.programs import Version
from tiers.ladders import ladder_of
from tiers.models import TierPeriod

_PERIODS = {"calendar_year": "this year", "membership_year": "in your membership year"}


def amount_text(value: int, metric: str, currency: str) -> str:
    """What counts on a ladder: "$500.00", "1,200 points", "3 orders"."""
    if metric == "eligible_spend":
        return money_text(value, currency)
    unit = metric if value != 1 else metric[:-1]
    return f"{value:,} {unit}"


def tier_text(row: TierPeriod, version: Version | None, currency: str) -> str:
    """One move between tiers, with its reason."""
    told: Mapping[str, Any] = row.reason
    tier = ladder_of(version).rung(row.tier_key).name if version else row.tier_key
    # Periods from before ladders could count other things than spend hold it under that name.
    metric, value = told.get("metric", "eligible_spend"), told.get("value", told.get("spend", 0))
    counted = f"{amount_text(value, metric, currency)}{_in_period(version)}"
    why = told.get("why", "reached" if told["rose"] else "lapsed")
    if why == "by_hand":
        return f"You were given {tier}."
    if why == "hand_ended":
        return f"The tier you were given has ended, and you are {tier}: {counted}."
    if why == "undone":
        return f"You went back to {tier}: after a refund it is {counted}."
    if why == "ladder":
        return f"The tiers have changed, and you are {tier}: {counted}."
    if told["rose"]:
        takes = amount_text(told["threshold"], metric, currency)
        return f"You reached {tier} with {counted}. It takes {takes}."
    return f"You went back to {tier}: {counted}."


def _in_period(version: Version | None) -> str:
    if version is None:
        return ""
    ladder = version.program.ladder
    if ladder.period == "rolling":
        return f" in {ladder.window_days} days"
    return f" {_PERIODS[ladder.period]}" if ladder.period in _PERIODS else ""
