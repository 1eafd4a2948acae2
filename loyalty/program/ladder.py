"""The ladder of tiers as a merchant writes it."""

from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.i18n import N_
from loyalty.program.parts import Boost, Contradiction, Key, Money, Multiplier, Name, Part, Points, Whole, check_keys


class Tier(Part):
    """One tier: what it takes to enter, what it takes to keep, and what it brings.

    Thresholds are minor units, points or orders, as the ladder's metric says. `keep` defaults to the threshold.
    Perks: `free-shipping` and `early-access` become real in Shopify, others are shown and tagged.
    """

    key: Key
    """What the tier is called in Shopify's tags and over the API. It must never change its meaning."""
    name: Name
    """What shoppers read."""
    threshold: Money
    """What it takes to enter, in the ladder's metric."""
    keep: Money | None = None
    """What it takes to keep the tier for another year; null means as much as to enter."""
    multiplier: Multiplier = Decimal(1)
    """What the points of an order are multiplied by."""
    perks: tuple[Key, ...] = ()
    """What else the tier brings."""
    entry_gift: Points = 0
    """Points given once, on entering the tier for the first time."""
    birthday_boost: Boost = Decimal(1)
    """What the birthday rule's points are multiplied by."""

    @model_validator(mode="after")
    def keeping_is_no_harder(self) -> Self:
        if self.keep is not None and self.keep > self.threshold:
            raise Contradiction(N_("%(field)s must not be more than the threshold."), "keep")
        return self

    @property
    def to_keep(self) -> int:
        return self.threshold if self.keep is None else self.keep


class Ladder(Part):
    """Tiers from the lowest up, and how members climb and fall.

    `rolling`: what counts is the last `window_days` at any moment; a tier is held for as long as that suffices.
    `calendar_year`, `membership_year`: what counts is the year so far; a tier reached is held to the end of the
    following year, when the year just ended must have sufficed to keep it. `lifetime`: everything ever counts.
    Members fall to the tier that what they have earns them, or one step at a time, `grace_days` after the year's end
    unless they make up for it by then.
    """

    metric: Literal["eligible_spend", "points", "orders"] = "eligible_spend"
    """What thresholds are measured in: minor units of eligible spend, points earned, or orders."""
    period: Literal["rolling", "calendar_year", "membership_year", "lifetime"] = "rolling"
    """In which time it counts."""
    window_days: Annotated[Whole, Field(ge=1, le=3660)] = 365
    """The length of the rolling period."""
    grace_days: Annotated[Whole, Field(ge=0, le=180)] = 0
    """Days after a year's end in which members can still make up for what is missing."""
    demotion: Literal["earned", "one_step"] = "earned"
    """Whether members fall to the tier they have earned, or one tier at a time."""
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1, max_length=10)]
    """The tiers from the lowest up."""

    @model_validator(mode="after")
    def climbs(self) -> Self:
        check_keys([("tiers", place, tier.key) for place, tier in enumerate(self.tiers)])
        if self.tiers[0].threshold != 0:
            raise Contradiction(N_("%(field)s must be 0, so that every member has a tier."), "tiers", 0, "threshold")
        for place, (below, above) in enumerate(pairwise(self.tiers), start=1):
            at = ("tiers", place)
            if above.threshold <= below.threshold:
                raise Contradiction(
                    N_("%(field)s must be more than that of %(tier)s."), *at, "threshold", tier=below.name
                )
            if above.to_keep < below.to_keep:
                message = N_("%(field)s must not be less than %(tier)s takes to keep.")
                raise Contradiction(message, *at, "keep", tier=below.name)
        if self.tiers[0].entry_gift:
            message = N_("%(field)s must be 0: every member starts here, so give points for joining instead.")
            raise Contradiction(message, "tiers", 0, "entry_gift")
        return self

    @model_validator(mode="after")
    def falls_at_the_end_of_years(self) -> Self:
        if self.period in ("calendar_year", "membership_year"):
            return self
        if self.grace_days:
            message = N_("%(field)s must be 0: it needs a period that ends, such as calendar_year.")
            raise Contradiction(message, "grace_days")
        if self.demotion == "one_step":
            message = N_("%(field)s must be 'earned': it needs a period that ends, such as calendar_year.")
            raise Contradiction(message, "demotion")
        for place, tier in enumerate(self.tiers):
            if tier.to_keep != tier.threshold:
                message = N_(
                    "%(field)s must be the threshold or null: it needs a period that ends, such as calendar_year."
                )
                raise Contradiction(message, "tiers", place, "keep")
        return self
