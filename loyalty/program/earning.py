"""Every way to earn: orders and their bonuses, joining, and what members do beside buying."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from loyalty.program.parts import Award, Key, Money, Multiplier, Name, Points, Rate, Rule, ShopifyId, Text

Vendor = Annotated[str, Field(min_length=1, max_length=255)]
Tag = Annotated[str, Field(min_length=1, max_length=255)]


class OrderRule(Rule):
    """Points for orders: eligible spend in currency units x rate x the tier's multiplier, one floor at the end.

    `starts_at` lets a shop with years of history begin when it says so. Points are pending until the order is paid,
    or until it is fulfilled, and `waiting_days` after that.
    """

    key: Key = "order-points"
    points_per_unit: Rate = Decimal(1)
    include_tax: bool = False
    include_shipping: bool = False
    available: Literal["paid", "fulfilled"] = "paid"
    waiting_days: Annotated[int, Field(ge=0, le=365)] = 0


class Bonus(Rule):
    """More points for some orders: a fixed number, or a multiple of what the matching lines earn.

    A line matches when it is one of the products, variants or collections, or has one of the vendors or tags; with
    none named every line matches. A multiplier of 2 doubles what the matching lines earn, the tier's multiplier
    included. Fixed points come once an order, or once an item. A campaign is a bonus with a start and an end.
    """

    key: Key
    name: Name
    points: Points = 0
    per: Literal["order", "item"] = "order"
    multiplier: Multiplier | None = None
    products: tuple[ShopifyId, ...] = ()
    variants: tuple[ShopifyId, ...] = ()
    collections: tuple[ShopifyId, ...] = ()
    vendors: tuple[Vendor, ...] = ()
    tags: tuple[Tag, ...] = ()
    # Eligible spend of the whole order, in minor units.
    minimum_spend: Money = 0
    # 1 is a member's first order.
    order_number: Annotated[int, Field(ge=1, le=10_000)] | None = None
    channel: Literal["any", "online", "pos"] = "any"

    @model_validator(mode="after")
    def gives_one_thing(self) -> Self:
        if (self.points > 0) == (self.multiplier is not None):
            raise ValueError("give either points or a multiplier")
        if self.multiplier is not None and self.multiplier <= 1:
            raise ValueError("a multiplier must be more than 1")
        return self


class JoiningRule(Rule):
    """Points for becoming a member. Everybody joins at the lowest tier, so `tiers` has no meaning here."""

    key: Key = "joining"
    points: Points = 50

    @model_validator(mode="after")
    def is_for_everyone(self) -> Self:
        if self.tiers:
            raise ValueError("new members have no tier yet, so joining can't be for some tiers only")
        if self.limit.limits:
            raise ValueError("a member joins once, so joining needs no limit")
        return self


class _Activity(Rule):
    """Something a member does, or that comes round, for a fixed number of points."""

    key: Key
    name: Name
    points: Award


class Birthday(_Activity):
    """Once a year on the member's birthday, when the date was set at least so many days before."""

    kind: Literal["birthday"]
    days_before: Annotated[int, Field(ge=0, le=365)] = 30


class Anniversary(_Activity):
    """Every year on the day the member joined."""

    kind: Literal["anniversary"]


class Question(_Activity):
    """A question about the member, answered once; with choices it takes one of them."""

    kind: Literal["question"]
    question: Annotated[str, Field(min_length=1, max_length=200)]
    choices: Annotated[tuple[Name, ...], Field(max_length=50)] = ()


class OptIn(_Activity):
    """Consent to be written to, once. The moment and the source of the consent are kept."""

    kind: Literal["newsletter", "sms"]


class Social(_Activity):
    """Following or sharing, once each: nobody can prove it, so it is worth little."""

    kind: Literal["social"]
    network: Annotated[str, Field(min_length=1, max_length=40)]
    action: Literal["follow", "share"] = "follow"
    url: Annotated[str, Field(pattern=r"^https://", max_length=500)]


class Review(_Activity):
    """A product review, once a product."""

    kind: Literal["review"]
    photo_points: Points = 0


class Community(_Activity):
    """Joining the shop's community, once."""

    kind: Literal["community"]
    url: Annotated[str, Field(pattern=r"^https://", max_length=500)] | None = None


class Nps(_Activity):
    """An answer to "would you recommend us?", at most once in so many days. Every answer earns the same."""

    kind: Literal["nps"]
    every_days: Annotated[int, Field(ge=1, le=3660)] = 90


class Custom(_Activity):
    """Whatever the shop's own systems report by the API, each with a key of its own."""

    kind: Literal["custom"]
    description: Text = ""


Activity = Annotated[
    Birthday | Anniversary | Question | OptIn | Social | Review | Community | Nps | Custom, Field(discriminator="kind")
]
