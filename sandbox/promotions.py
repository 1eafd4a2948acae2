"""Discounts a shop offers: by code or by themselves, and whether a basket may have them.

Money is minor units, times are epoch seconds. What a discount comes to in one order is an `orders.Discount`.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import field

from sandbox import metafields, segments
from sandbox.catalogue import COLLECTIONS
from sandbox.money import minor, shown
from sandbox.orders import Customer, Discount, Item, OrderError
from sandbox.payloads import gid, zone
from sandbox.world import World

# The discount functions the app has released, by handle, and the classes each may touch.
FUNCTIONS = {"capped-percentage": ("ORDER", "PRODUCT")}


class Promotion(msgspec.Struct):
    """`kind` is the GraphQL type. Without a `code` it is automatic. No customers and no segments means everybody."""

    id: int
    kind: str
    title: str
    created_at: int
    starts_at: int
    code: str | None = None
    ends_at: int | None = None
    usage_limit: int | None = None
    once_per_customer: bool = False
    uses: int = 0
    # `percentage` in percent, `fixed_amount` in minor units, `shipping`, or `function`.
    gives: str = "percentage"
    value: int | float = 0
    classes: list[str] = field(default_factory=lambda: ["ORDER"])
    products: list[int] = field(default_factory=list)
    variants: list[int] = field(default_factory=list)
    collections: list[int] = field(default_factory=list)
    minimum_subtotal: int | None = None
    minimum_quantity: int | None = None
    maximum_shipping: int | None = None
    maximum_off: int | None = None
    customers: list[int] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    combines_with: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    function: str | None = None

    @property
    def name(self) -> str:
        return self.code or self.title

    @property
    def entitled(self) -> bool:
        return bool(self.products or self.variants or self.collections)

    def node_id(self) -> str:
        return gid("DiscountCodeNode" if self.code else "DiscountAutomaticNode", self.id)

    def status(self, now: float) -> str:
        if self.ends_at is not None and self.ends_at <= now:
            return "EXPIRED"
        return "SCHEDULED" if self.starts_at > now else "ACTIVE"


# Codes that every shop of the sandbox has always had.
HOUSE = {
    promotion.code: promotion
    for promotion in (
        Promotion(1, "DiscountCodeBasic", "Welcome", 0, 0, "WELCOME10", value=10),
        Promotion(2, "DiscountCodeBasic", "Five off", 0, 0, "FIVEOFF", gives="fixed_amount", value=500),
        Promotion(
            3, "DiscountCodeFreeShipping", "Ships free", 0, 0, "SHIPFREE", gives="shipping", classes=["SHIPPING"]
        ),
    )
}


class Cart(NamedTuple):
    """What is about to be bought, by whom (a guest has an e-mail at most), and when."""

    items: Sequence[tuple[Item, int]]
    customer: Customer | None
    email: str
    at: int


def by_code(world: World, domain: str, code: str) -> Promotion | None:
    return world.store.get(domain, "discount", code.lower(), Promotion)


def every(world: World, domain: str) -> list[Promotion]:
    return sorted(world.store.all(domain, "discount", Promotion), key=lambda promotion: promotion.id)


def by_id(world: World, domain: str, number: int | None) -> Promotion | None:
    return next((promotion for promotion in every(world, domain) if promotion.id == number), None)


def save(world: World, domain: str, promotion: Promotion) -> None:
    world.store.put(domain, "discount", key(promotion), promotion)


def remove(world: World, domain: str, promotion: Promotion) -> None:
    world.store.remove(domain, "discount", key(promotion))


def key(promotion: Promotion) -> str:
    return promotion.code.lower() if promotion.code else f"automatic {promotion.id}"


def combine(one: Promotion, other: Promotion) -> bool:
    """Both must allow the other's class."""
    return set(other.classes) <= set(one.combines_with) and set(one.classes) <= set(other.combines_with)


class Counter:
    """Decides for one cart of one shop. Refusals are OrderErrors with a sentence for the shopper."""

    def __init__(self, world: World, domain: str, cart: Cart) -> None:
        self.world, self.domain, self.cart = world, domain, cart
        self.shop = world.shop(domain)

    def chosen(self, codes: Sequence[str]) -> list[tuple[Promotion, Discount]]:
        """What the codes and the automatic discounts come to. Raises OrderError for a code that can't be used."""
        asked = [self.accepted(code) for code in dict.fromkeys(code.strip().upper() for code in codes) if code]
        for place, one in enumerate(asked):
            for other in asked[:place]:
                if not combine(one, other):
                    raise OrderError(f"{other.code} and {one.code} can't be used together. Please choose one of them.")
        return [(promotion, self.discount(promotion)) for promotion in [*asked, *self.automatic(asked)]]

    def automatic(self, asked: Sequence[Promotion]) -> list[Promotion]:
        """At most one free shipping, and only beside codes it combines with: the shopper's own codes come first."""
        ready = [
            promotion
            for promotion in every(self.world, self.domain)
            if promotion.code is None and promotion.status(self.cart.at) == "ACTIVE" and not self.objection(promotion)
        ]
        return [promotion for promotion in ready if all(combine(promotion, one) for one in asked)][:1]

    def accepted(self, code: str) -> Promotion:
        found = by_code(self.world, self.domain, code) or HOUSE.get(code)
        if found is None:
            raise OrderError(f"{code} isn't a code this shop knows. Try WELCOME10, FIVEOFF or SHIPFREE.")
        promotion = self.configured(found)
        status = promotion.status(self.cart.at)
        if status == "EXPIRED":
            raise OrderError(f"{promotion.code} ended on {self.day(promotion.ends_at)}.")
        if status == "SCHEDULED":
            raise OrderError(f"{promotion.code} starts on {self.day(promotion.starts_at)}.")
        if why := self.used_up(promotion) or self.objection(promotion):
            raise OrderError(why)
        return promotion

    def day(self, at: int | None) -> str:
        return f"{datetime.fromtimestamp(at or 0, zone(self.shop.timezone)):%-d %B %Y}"

    def used_up(self, promotion: Promotion) -> str | None:
        if promotion.usage_limit is not None and promotion.uses >= promotion.usage_limit:
            return f"{promotion.code} has been used already."
        if promotion.once_per_customer and promotion.code in self.codes_of_the_past():
            return f"You have used {promotion.code} already."
        return None

    def codes_of_the_past(self) -> set[str]:
        buyer, email = self.cart.customer, self.cart.email.lower()
        if buyer:
            past = self.world.orders_of(self.domain, buyer.id)
        else:
            past = [order for order in self.world.orders(self.domain) if email and order.email.lower() == email]
        return {discount.code for order in past for discount in order.discounts}

    def objection(self, promotion: Promotion) -> str | None:
        """Why this cart can't have it, or None."""
        if not self.is_for(promotion):
            return self.whose(promotion)
        goods = self.goods(promotion)
        if promotion.gives != "shipping" and not goods:
            return f"{promotion.name} is for something that isn't in your order."
        worth, units = sum(item.price * n for item, n in goods), sum(n for _, n in goods)
        if promotion.minimum_subtotal is not None and worth < promotion.minimum_subtotal:
            least, more = self.price(promotion.minimum_subtotal), self.price(promotion.minimum_subtotal - worth)
            return f"{promotion.name} needs an order of at least {least}. Add {more} more to use it."
        if promotion.minimum_quantity is not None and units < promotion.minimum_quantity:
            return f"{promotion.name} needs at least {promotion.minimum_quantity} items in your order."
        if promotion.maximum_shipping is not None and self.shop.shipping > promotion.maximum_shipping:
            return f"{promotion.name} covers shipping of up to {self.price(promotion.maximum_shipping)}."
        return None

    def price(self, amount: int) -> str:
        return shown(amount, self.shop.currency)

    def is_for(self, promotion: Promotion) -> bool:
        buyer = self.cart.customer
        if promotion.customers:
            return buyer is not None and buyer.id in promotion.customers
        visitor = segments.visitor(self.world, self.domain, buyer, self.cart.email)
        return not promotion.segments or segments.belongs(self.world, self.domain, promotion.segments, visitor)

    def whose(self, promotion: Promotion) -> str:
        if promotion.customers:
            return f"{promotion.name} belongs to another account. Sign in with the one it was made for."
        if self.cart.customer is None and not self.cart.email:
            return f"{promotion.name} is for some customers only. Enter your e-mail address to use it."
        names = [one.name for one in segments.every(self.world, self.domain) if one.id in promotion.segments]
        return f"{promotion.name} can be used by “{', '.join(names)}” only."

    def goods(self, promotion: Promotion) -> list[tuple[Item, int]]:
        """The part of the cart it is for; gift cards are never discounted."""
        products = self.products(promotion)
        return [
            (item, quantity)
            for item, quantity in self.cart.items
            if not item.gift_card
            and (not promotion.entitled or item.product_id in products or item.variant_id in promotion.variants)
        ]

    def products(self, promotion: Promotion) -> set[int]:
        """By name or through a collection."""
        handles = {one.handle for one in COLLECTIONS if one.id in promotion.collections}
        listed = {item.product_id for item in self.world.products(self.domain) if item.product_id}
        gathered = {
            one for one in listed if handles and handles & set(self.world.product(self.domain, one).collections)
        }
        return gathered | set(promotion.products)

    def discount(self, promotion: Promotion) -> Discount:
        automatic = promotion.code is None
        if promotion.gives == "shipping":
            return Discount(promotion.name, "percentage", 100, "shipping_line", automatic=automatic)
        products = tuple(sorted(self.products(promotion)))
        worth = sum(item.price * quantity for item, quantity in self.goods(promotion))
        kind, value = promotion.gives, promotion.value
        # A function whose percentage would pass its cap gives the cap as an amount.
        if promotion.maximum_off is not None and Discount("", kind, value).off(worth) > promotion.maximum_off:
            kind, value = "fixed_amount", promotion.maximum_off
        return Discount(promotion.name, kind, value, "line_item", products, tuple(promotion.variants), automatic)

    def configured(self, promotion: Promotion) -> Promotion:
        """With what the app's function reads in its metafield `$app` / `config`, all but the first optional:

        {"percentage": 20, "maximum": "15.00", "minimum": "40.00", "products": [ids], "variants": [ids]}
        """
        stored = metafields.find(self.world, self.domain, promotion.node_id(), "$app", "config")
        if promotion.function is None:
            return promotion
        config: dict[str, Any] = json.loads(stored.value) if stored else {}
        return msgspec.structs.replace(
            promotion,
            gives="percentage",
            value=float(config.get("percentage") or 0),
            maximum_off=self.minor(config.get("maximum")),
            minimum_subtotal=self.minor(config.get("minimum")),
            products=[int(one.rpartition("/")[2]) for one in config.get("products", ())],
            variants=[int(one.rpartition("/")[2]) for one in config.get("variants", ())],
        )

    def minor(self, amount: str | float | None) -> int | None:
        return None if amount is None else minor(str(amount), self.shop.currency)


def use(world: World, domain: str, promotion: Promotion) -> None:
    """One more order has it."""
    stored = by_id(world, domain, promotion.id)
    if stored:
        stored.uses += 1
        save(world, domain, stored)
