"""The program: a validated document that says how points are earned and what they lead to.

A published version never changes. `demo_program` is the program every new shop starts from.
"""

from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Name = Annotated[str, Field(min_length=1, max_length=80)]
Points = Annotated[int, Field(ge=0, le=1_000_000)]
# Exact decimals as text ("1.25"), so that no float ever touches a point.
Rate = Annotated[Decimal, Field(ge=0, le=1000, max_digits=8, decimal_places=4)]
Multiplier = Annotated[Decimal, Field(ge=0, le=100, max_digits=8, decimal_places=4)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OrderRule(Part):
    """Points for orders: eligible spend in currency units x rate x the tier's multiplier, one floor at the end."""

    key: Key = "order-points"
    points_per_unit: Rate = Decimal(1)
    include_tax: bool = False
    include_shipping: bool = False
    waiting_days: Annotated[int, Field(ge=0, le=365)] = 0
    # Orders placed before this moment earn nothing: a shop with years of history starts when it says so.
    starts_at: datetime | None = None


class JoiningRule(Part):
    key: Key = "joining"
    points: Points = 50


class Tier(Part):
    key: Key
    name: Name
    # Minor units of eligible spend within the window.
    threshold: Annotated[int, Field(ge=0, le=10**13)]
    multiplier: Multiplier = Decimal(1)
    perks: tuple[Key, ...] = ()


class Ladder(Part):
    metric: Literal["eligible_spend"] = "eligible_spend"
    window_days: Annotated[int, Field(ge=1, le=3660)] = 365
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1, max_length=10)]

    @model_validator(mode="after")
    def climbs(self) -> Self:
        if self.tiers[0].threshold != 0:
            raise ValueError(f"the first tier, {self.tiers[0].name}, must start at 0 so that every member has a tier")
        for below, above in zip(self.tiers, self.tiers[1:], strict=False):
            if above.threshold <= below.threshold:
                raise ValueError(f"{above.name} must need more than {below.name}")
        if len({tier.key for tier in self.tiers}) != len(self.tiers):
            raise ValueError("every tier needs a key of its own")
        return self


class Reward(Part):
    key: Key
    name: Name
    cost: Annotated[int, Field(ge=1, le=10_000_000)]
    kind: Literal["amount_off", "free_shipping"]
    # Minor units off, for `amount_off`.
    amount: Annotated[int, Field(ge=0)] = 0


class Referral(Part):
    """Give-get, in minor units: what the friend gets on a first order of at least the minimum, and the referrer."""

    friend_amount: int = 1000
    friend_minimum: int = 3000
    referrer_amount: int = 1000


class Program(Part):
    """One version of a shop's program."""

    name: Name
    orders: OrderRule = OrderRule()
    joining: JoiningRule = JoiningRule()
    ladder: Ladder
    rewards: tuple[Reward, ...] = ()
    referral: Referral = Referral()
    # Points expire after this many days without activity; null means never.
    expiry_days: Annotated[int, Field(ge=30, le=3650)] | None = 365
    # What happens when points that were already spent are clawed back.
    clawback: Literal["negative", "clamp"] = "negative"

    @model_validator(mode="after")
    def keys_are_unique(self) -> Self:
        keys = [reward.key for reward in self.rewards]
        if len(set(keys)) != len(keys):
            raise ValueError("every reward needs a key of its own")
        return self

    @property
    def rate(self) -> Fraction:
        return Fraction(self.orders.points_per_unit)


def demo_program(name: str = "Rewards") -> Program:
    """Insider, Advocate and Ambassador; a point per currency unit; the rewards of the demo shop."""
    return Program(
        name=name,
        ladder=Ladder(
            tiers=(
                Tier(key="insider", name="Insider", threshold=0, perks=("free-shipping",)),
                Tier(
                    key="advocate",
                    name="Advocate",
                    threshold=500_00,
                    multiplier=Decimal("1.25"),
                    perks=("free-shipping",),
                ),
                Tier(
                    key="ambassador",
                    name="Ambassador",
                    threshold=1500_00,
                    multiplier=Decimal("1.5"),
                    perks=("free-shipping", "early-access"),
                ),
            )
        ),
        rewards=(
            Reward(key="5-off", name="$5 off", cost=500, kind="amount_off", amount=500),
            Reward(key="10-off", name="$10 off", cost=1000, kind="amount_off", amount=1000),
            Reward(key="free-shipping", name="Free shipping", cost=300, kind="free_shipping"),
        ),
    )
