"""What points buy."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.i18n import N_
from loyalty.program.parts import (
    MOST_MONEY,
    Contradiction,
    Key,
    Moment,
    Money,
    Name,
    Part,
    Rate,
    ShopifyId,
    Text,
    Whole,
    check_span,
)

Percentage = Annotated[Rate, Field(gt=0, le=100)]
MOST_COST = 10_000_000
Cost = Annotated[Whole, Field(ge=1, le=MOST_COST)]
Kind = Literal[
    "amount_off", "percentage", "free_shipping", "free_product", "store_credit", "gift_card", "variable", "custom"
]
# Kinds that become a discount code in Shopify, used at a checkout.
DISCOUNTS = frozenset({"amount_off", "percentage", "free_shipping", "free_product", "variable"})
_NEEDS_AMOUNT = frozenset({"amount_off", "free_product", "store_credit", "gift_card", "variable"})
_ONLY_FOR = {"percentage": "percentage", "maximum": "percentage", "step": "variable", "most_points": "variable"}


class Reward(Part):
    """Something points buy. Money in minor units of the shop's currency.

    `amount` is what is off, credited, on the card, or, for `variable`, what `step` points are worth; for
    `free_product` it is the most the product may cost. `variable` takes any number of points from `cost` to
    `most_points` in steps of `step`.
    """

    key: Key
    """What the reward is called over the API and in the ledger. It must never change its meaning."""
    name: Name
    """What shoppers read."""
    cost: Cost
    """What it costs, in points; for `variable` the fewest points."""
    kind: Kind
    """What shoppers get for their points."""
    description: Text = ""
    """What else shoppers read about it."""
    amount: Money = 0
    """What it is worth, in minor units; for `variable`, what one step is worth."""
    percentage: Percentage | None = None
    """How much is off, in percent."""
    maximum: Annotated[Money, Field(ge=1)] | None = None
    """The most a percentage may take off, in minor units; null means no end."""
    step: Cost | None = None
    """In which steps `variable` takes points."""
    most_points: Cost | None = None
    """The most points `variable` takes at once; null means no end."""
    products: tuple[ShopifyId, ...] = ()
    """Shopify ids of the products it is for."""
    variants: tuple[ShopifyId, ...] = ()
    """Shopify ids of the variants it is for."""
    minimum_order: Money = 0
    """The least an order must be worth for it, in minor units."""
    valid_days: Annotated[Whole, Field(ge=1, le=3660)] | None = None
    """Days in which it must be used; null means it keeps."""
    combines_with: frozenset[Literal["order", "product", "shipping"]] = frozenset()
    """Which other kinds of discounts a code may stand beside."""
    tiers: tuple[Key, ...] = ()
    """Only for members of these tiers; empty means all."""
    stock: Annotated[Whole, Field(ge=0, le=10_000_000)] | None = None
    """How many there are in all; null means no end."""
    per_member: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    """How many one member may have; null means no end."""
    channel: Literal["online", "pos", "both"] = "both"
    """Where it can be used."""
    starts_at: Moment | None = None
    """From when on it is offered. Without an offset it is the shop's own clock."""
    ends_at: Moment | None = None
    """Until when it is offered. Without an offset it is the shop's own clock."""

    @model_validator(mode="after")
    def is_whole(self) -> Self:
        check_span(self.starts_at, self.ends_at)
        if self.kind in _NEEDS_AMOUNT and self.amount <= 0:
            raise Contradiction(N_("%(field)s must be more than 0: say what the reward is worth."), "amount")
        if self.kind == "percentage" and self.percentage is None:
            raise Contradiction(N_("%(field)s is missing: say how much is off."), "percentage")
        if self.kind == "free_product" and not (self.products or self.variants):
            raise Contradiction(N_("%(field)s must not be empty: say which product is free."), "products")
        if self.kind == "variable":
            self._check_variable()
        for field, kind in _ONLY_FOR.items():
            if self.kind != kind and getattr(self, field) is not None:
                raise Contradiction(
                    N_("%(field)s has a meaning for rewards of the kind '%(kind)s' only."), field, kind=kind
                )
        return self

    def _check_variable(self) -> None:
        if self.step is None:
            raise Contradiction(N_("%(field)s is missing: say in which steps points are taken."), "step")
        if self.cost % self.step:
            raise Contradiction(N_("%(field)s must be a whole number of steps of %(step)s."), "cost", step=self.step)
        if self.most_points is not None and (self.most_points < self.cost or self.most_points % self.step):
            message = N_("%(field)s must be at least the cost, in whole steps of %(step)s.")
            raise Contradiction(message, "most_points", step=self.step)
        most = self.most_points or MOST_COST
        if most // self.step * self.amount > MOST_MONEY:
            message = N_("%(field)s is too much: %(points)s points would be worth more than a reward may be.")
            raise Contradiction(message, "amount", points=f"{most:,}")
