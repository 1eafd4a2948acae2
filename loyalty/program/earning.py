"""Every way to earn: orders and their bonuses, joining, and what members do beside buying."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.i18n import N_
from loyalty.program.parts import (
    Award,
    Contradiction,
    Key,
    Label,
    Link,
    Money,
    Multiplier,
    Name,
    Points,
    Rate,
    Rule,
    ShopifyId,
    Text,
    Whole,
)


class OrderRule(Rule):
    """Points for orders: eligible spend in currency units x rate x the tier's multiplier, one floor at the end.

    `starts_at` lets a shop with years of history begin when it says so. Points are pending until the order is paid,
    or until it is fulfilled, and `waiting_days` after that.
    """

    key: Key = "order-points"
    """What postings call this rule. It must never change its meaning."""
    points_per_unit: Rate = Decimal(1)
    """Points for one unit of the shop's currency, such as one dollar."""
    include_tax: bool = False
    """Whether tax counts as spend."""
    include_shipping: bool = False
    """Whether shipping counts as spend."""
    available: Literal["paid", "fulfilled"] = "paid"
    """Whether points wait for the payment, or for the payment and the whole order being fulfilled."""
    waiting_days: Annotated[Whole, Field(ge=0, le=365)] = 0
    """Days after that in which points are still pending."""


class Bonus(Rule):
    """More points for some orders: a fixed number, or a multiple of what the matching lines earn.

    A line matches when it is one of the products, variants or collections, or has one of the vendors or tags; with
    none named every line matches. A multiplier of 2 doubles what the matching lines earn, the tier's multiplier
    included. Fixed points come once an order, or once an item. A campaign is a bonus with a start and an end.
    """

    key: Key
    """What postings call this rule. It must never change its meaning."""
    name: Name
    """What shoppers read."""
    points: Points = 0
    """Fixed points; give either these or a multiplier."""
    per: Literal["order", "item"] = "order"
    """Whether fixed points come once an order or once for each matching item."""
    multiplier: Multiplier | None = None
    """What the points of the matching lines are multiplied by: 2 doubles them."""
    products: tuple[ShopifyId, ...] = ()
    """Shopify ids of products that match."""
    variants: tuple[ShopifyId, ...] = ()
    """Shopify ids of variants that match."""
    collections: tuple[ShopifyId, ...] = ()
    """Shopify ids of collections whose products match."""
    vendors: tuple[Label, ...] = ()
    """Vendors whose products match."""
    tags: tuple[Label, ...] = ()
    """Product tags that match."""
    minimum_spend: Money = 0
    """The least eligible spend of the whole order, in minor units."""
    order_number: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    """Only a member's n-th order; 1 is the first."""
    channel: Literal["any", "online", "pos"] = "any"
    """Where the order must be placed: online, at a point of sale, or anywhere."""

    @model_validator(mode="after")
    def gives_one_thing(self) -> Self:
        if (self.points > 0) == (self.multiplier is not None):
            raise Contradiction(N_("%(field)s must have either points or a multiplier."))
        if self.multiplier is not None and self.multiplier <= 1:
            raise Contradiction(N_("%(field)s must be more than 1."), "multiplier")
        return self


class JoiningRule(Rule):
    """Points for becoming a member. Everybody joins at the lowest tier, so `tiers` has no meaning here."""

    key: Key = "joining"
    """What postings call this rule."""
    points: Points = 50
    """Points for becoming a member; 0 for none."""

    @model_validator(mode="after")
    def is_for_everyone(self) -> Self:
        if self.tiers:
            raise Contradiction(N_("%(field)s must be empty: new members have no tier yet."), "tiers")
        if self.limit.limits:
            raise Contradiction(N_("%(field)s must be empty: a member joins only once."), "limit")
        return self


class _Activity(Rule):
    """Something a member does, or that comes round, for a fixed number of points."""

    key: Key
    """What postings call this rule. It must never change its meaning."""
    name: Name
    """What shoppers read."""
    points: Award
    """Points for doing it."""


class Birthday(_Activity):
    """Once a year on the member's birthday, when the date was set at least so many days before."""

    kind: Literal["birthday"]
    days_before: Annotated[Whole, Field(ge=0, le=365)] = 30
    """How many days before the birthday its date must be known."""


class Anniversary(_Activity):
    """Every year on the day the member joined."""

    kind: Literal["anniversary"]


class Question(_Activity):
    """A question about the member, answered once; with choices it takes one of them."""

    kind: Literal["question"]
    question: Annotated[Label, Field(max_length=200)]
    """What is asked."""
    choices: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
    """The answers to choose from; empty means any words."""


class OptIn(_Activity):
    """Consent to be written to, once. The moment and the source of the consent are kept."""

    kind: Literal["newsletter", "sms"]


class Social(_Activity):
    """Following or sharing, once each: nobody can prove it, so it is worth little."""

    kind: Literal["social"]
    network: Annotated[Label, Field(max_length=40)]
    """Such as Instagram."""
    action: Literal["follow", "share"] = "follow"
    """What to do there."""
    url: Link
    """Where the button leads."""


class Review(_Activity):
    """A product review, once a product."""

    kind: Literal["review"]
    photo_points: Points = 0
    """Points on top for a review with a photo."""


class Community(_Activity):
    """Joining the shop's community, once."""

    kind: Literal["community"]
    url: Link | None = None
    """Where the button leads."""


class Nps(_Activity):
    """An answer to "would you recommend us?", at most once in so many days. Every answer earns the same."""

    kind: Literal["nps"]
    every_days: Annotated[Whole, Field(ge=1, le=3660)] = 90
    """How many days lie between two answers that earn."""


class Custom(_Activity):
    """Whatever the shop's own systems report by the API, each with a key of its own."""

    kind: Literal["custom"]
    description: Text = ""
    """What shoppers read about it."""


Activity = Annotated[
    Birthday | Anniversary | Question | OptIn | Social | Review | Community | Nps | Custom, Field(discriminator="kind")
]
