"""The ladder of tiers as a merchant writes it."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from loyalty.program.parts import Boost, Key, Money, Multiplier, Name, Part, Points


class Tier(Part):
    """One tier: what it takes to enter, what it takes to keep, and what it brings.

    Thresholds are minor units, points or orders, as the ladder's metric says. `keep` defaults to the threshold.
    Perks: `free-shipping` and `early-access` become real in Shopify, others are shown and tagged.
    """

    key: Key
    name: Name
    threshold: Money
    keep: Money | None = None
    multiplier: Multiplier = Decimal(1)
    perks: tuple[Key, ...] = ()
    # Points given once, on entering the tier for the first time.
    entry_gift: Points = 0
    # What the birthday rule's points are multiplied by.
    birthday_boost: Boost = Decimal(1)

    @model_validator(mode="after")
    def keeping_is_no_harder(self) -> Self:
        if self.keep is not None and self.keep > self.threshold:
            raise ValueError("keeping a tier can't take more than entering it")
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
    period: Literal["rolling", "calendar_year", "membership_year", "lifetime"] = "rolling"
    window_days: Annotated[int, Field(ge=1, le=3660)] = 365
    grace_days: Annotated[int, Field(ge=0, le=180)] = 0
    demotion: Literal["earned", "one_step"] = "earned"
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1, max_length=10)]

    @model_validator(mode="after")
    def climbs(self) -> Self:
        if self.tiers[0].threshold != 0:
            raise ValueError(f"the first tier, {self.tiers[0].name}, must start at 0 so that every member has a tier")
        for below, above in zip(self.tiers, self.tiers[1:], strict=False):
            if above.threshold <= below.threshold:
                raise ValueError(f"{above.name} must need more than {below.name}")
            if above.to_keep < below.to_keep:
                raise ValueError(f"{above.name} must not be easier to keep than {below.name}")
        if len({tier.key for tier in self.tiers}) != len(self.tiers):
            raise ValueError("every tier needs a key of its own")
        if self.tiers[0].entry_gift:
            raise ValueError(f"every member starts as {self.tiers[0].name}: give points for joining instead of a gift")
        return self

    @model_validator(mode="after")
    def falls_at_the_end_of_years(self) -> Self:
        if self.period in ("calendar_year", "membership_year"):
            return self
        if self.grace_days or self.demotion == "one_step":
            raise ValueError("grace days and falling one step at a time need a period that ends, such as calendar_year")
        if any(tier.to_keep != tier.threshold for tier in self.tiers):
            raise ValueError("keeping a tier for less than entering it needs a period that ends, such as calendar_year")
        return self
