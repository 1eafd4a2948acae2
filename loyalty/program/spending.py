"""What points buy."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from loyalty.program.parts import Key, Moment, Money, Name, Part, Rate, ShopifyId, Text, check_span

Percentage = Annotated[Rate, Field(gt=0, le=100)]
Cost = Annotated[int, Field(ge=1, le=10_000_000)]
Kind = Literal[
    "amount_off", "percentage", "free_shipping", "free_product", "store_credit", "gift_card", "variable", "custom"
]
# Kinds that become a discount code in Shopify, used at a checkout.
DISCOUNTS = frozenset({"amount_off", "percentage", "free_shipping", "free_product", "variable"})
_NEEDS_AMOUNT = frozenset({"amount_off", "free_product", "store_credit", "gift_card", "variable"})


class Reward(Part):
    """Something points buy. Money in minor units of the shop's currency.

    `amount` is what is off, credited, on the card, or, for `variable`, what `step` points are worth; for
    `free_product` it is the most the product may cost. `variable` takes any number of points from `cost` to
    `most_points` in steps of `step`.
    """

    key: Key
    name: Name
    cost: Cost
    kind: Kind
    description: Text = ""
    amount: Money = 0
    percentage: Percentage | None = None
    # The most a percentage may take off; null means no end.
    maximum: Annotated[Money, Field(ge=1)] | None = None
    step: Cost | None = None
    most_points: Cost | None = None
    products: tuple[ShopifyId, ...] = ()
    variants: tuple[ShopifyId, ...] = ()
    minimum_order: Money = 0
    # Days in which it must be used; null means it keeps.
    valid_days: Annotated[int, Field(ge=1, le=3660)] | None = None
    # Which other discounts a code may stand beside.
    combines_with: frozenset[Literal["order", "product", "shipping"]] = frozenset()
    tiers: tuple[Key, ...] = ()
    stock: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    per_member: Annotated[int, Field(ge=1, le=10_000)] | None = None
    channel: Literal["online", "pos", "both"] = "both"
    starts_at: Moment | None = None
    ends_at: Moment | None = None

    @model_validator(mode="after")
    def is_whole(self) -> Self:
        check_span(self.starts_at, self.ends_at)
        if self.kind in _NEEDS_AMOUNT and self.amount <= 0:
            raise ValueError("say what it is worth: amount must be more than 0")
        if self.kind == "percentage" and self.percentage is None:
            raise ValueError("say how much is off: percentage is missing")
        if self.kind != "percentage" and (self.percentage is not None or self.maximum is not None):
            raise ValueError("only a percentage reward has a percentage and a maximum")
        if self.kind == "free_product" and not (self.products or self.variants):
            raise ValueError("say which product: products or variants is empty")
        if self.kind == "variable":
            self._check_variable()
        elif self.step is not None or self.most_points is not None:
            raise ValueError("only a variable reward has a step and most_points")
        return self

    def _check_variable(self) -> None:
        if self.step is None:
            raise ValueError("say in which steps points are taken: step is missing")
        if self.cost % self.step:
            raise ValueError("the fewest points (cost) must be a whole number of steps")
        if self.most_points is not None and (self.most_points < self.cost or self.most_points % self.step):
            raise ValueError("most_points must be at least cost, and a whole number of steps")
