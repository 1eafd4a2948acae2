"""What Shopify is asked for to make a reward real: the documents of `shops/graphql` and their variables.

Pure functions of the reward as it was redeemed, so that whoever asks again asks for the same.
"""

from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec

from core.money import to_units
from loyalty.program import Reward

# The discount function that caps a percentage, for Shopify's own discounts have no cap. It reads its `config`.
CAPPED = "capped-percentage"
_CLASSES = {"orderDiscounts": "order", "productDiscounts": "product", "shippingDiscounts": "shipping"}

Json = dict[str, Any]


class Coupon(NamedTuple):
    """A discount code as Shopify is to have it. `context` says who may use it, `uses` how often (None for no end), each
    customer once. `amount` is in minor units; of `reward` only what it gives and asks for counts.
    """

    title: str
    code: str
    reward: Reward
    amount: int | None
    currency: str
    starts_at: datetime
    ends_at: datetime | None
    context: Json
    uses: int | None = 1

    def text(self, minor: int) -> str:
        return str(to_units(minor, self.currency))


class Task(NamedTuple):
    """A redeemed reward as far as Shopify cares. `amount` is in minor units, `last_day` of the shop's calendar."""

    shop_id: int
    reward_id: int
    member_id: int
    status: str
    code: str
    reward: Reward
    amount: int | None
    currency: str
    customer_id: int
    requested_at: datetime
    expires_at: datetime | None
    last_day: date | None
    reference: str | None

    @property
    def customer(self) -> str:
        return f"gid://shopify/Customer/{self.customer_id}"

    @property
    def title(self) -> str:
        """What the merchant reads in Shopify, and by which we know it to be ours."""
        return f"{self.reward.name} ({self.code})"

    @property
    def note(self) -> str:
        """The same for a gift card. Staff read it, and whoever knows the code can pay with it."""
        return f"{self.reward.name} (reward {self.reward_id})"

    @property
    def money(self) -> Json:
        return {"amount": str(to_units(self.amount or 0, self.currency)), "currencyCode": self.currency}

    @property
    def coupon(self) -> Coupon:
        """One code, for this one customer, once."""
        return Coupon(
            self.title, self.code, self.reward, self.amount, self.currency, self.requested_at, self.expires_at,
            {"customers": {"add": [self.customer]}},
        )  # fmt: skip


def discount(coupon: Coupon) -> tuple[str, Json]:
    """The document that makes the discount code, and its input."""
    if coupon.reward.kind == "free_shipping":
        return "discount_free_shipping_create", _common(coupon) | _least(coupon) | {"destination": {"all": True}}
    if coupon.reward.maximum is not None:
        return "discount_app_create", _common(coupon) | _capped(coupon)
    gets = {"value": _value(coupon), "items": _items(coupon.reward)}
    return "discount_basic_create", _common(coupon) | _least(coupon) | {"customerGets": gets}


def _common(coupon: Coupon) -> Json:
    return {
        "title": coupon.title,
        "code": coupon.code,
        "startsAt": coupon.starts_at.isoformat(),
        "endsAt": coupon.ends_at and coupon.ends_at.isoformat(),
        "usageLimit": coupon.uses,
        "appliesOncePerCustomer": True,
        "context": coupon.context,
        "combinesWith": _combinations(coupon.reward),
    }


def _combinations(reward: Reward) -> dict[str, bool]:
    """Shopify refuses a shipping discount that says it combines with others of its kind."""
    wanted = reward.combines_with - ({"shipping"} if reward.kind == "free_shipping" else set())
    return {theirs: ours in wanted for theirs, ours in _CLASSES.items()}


def _least(coupon: Coupon) -> Json:
    if not coupon.reward.minimum_order:
        return {}
    subtotal = {"greaterThanOrEqualToSubtotal": coupon.text(coupon.reward.minimum_order)}
    return {"minimumRequirement": {"subtotal": subtotal}}


def _value(coupon: Coupon) -> Json:
    if coupon.reward.percentage is not None:
        return {"percentage": float(coupon.reward.percentage / 100)}
    return {"discountAmount": {"amount": coupon.text(coupon.amount or 0), "appliesOnEachItem": False}}


def _items(reward: Reward) -> Json:
    if not (reward.products or reward.variants):
        return {"all": True}
    return {"products": {"productsToAdd": _products(reward), "productVariantsToAdd": _variants(reward)}}


def _products(reward: Reward) -> list[str]:
    return [f"gid://shopify/Product/{number}" for number in reward.products]


def _variants(reward: Reward) -> list[str]:
    return [f"gid://shopify/ProductVariant/{number}" for number in reward.variants]


def _capped(coupon: Coupon) -> Json:
    """An app's discount has no minimum and no items of its own: the function finds those in its configuration, too."""
    reward = coupon.reward
    config: Json = {"percentage": float(reward.percentage or 0), "maximum": coupon.text(reward.maximum or 0)}
    if reward.minimum_order:
        config["minimum"] = coupon.text(reward.minimum_order)
    if reward.products or reward.variants:
        config |= {"products": _products(reward), "variants": _variants(reward)}
    value = msgspec.json.encode(config).decode()
    return {
        "functionHandle": CAPPED,
        "discountClasses": ["PRODUCT" if "products" in config else "ORDER"],
        "metafields": [{"namespace": "$app", "key": "config", "type": "json", "value": value}],
    }


def gift_card(task: Task) -> Json:
    """The input of `gift_card_create`."""
    return {
        "code": task.code,
        "customerId": task.customer,
        "initialAmount": task.money,
        "expiresOn": task.last_day and task.last_day.isoformat(),
        "note": task.note,
    }


def store_credit(task: Task) -> Json:
    """The input of `store_credit_credit`."""
    return {"creditAmount": task.money, "expiresAt": task.expires_at and task.expires_at.isoformat()}
