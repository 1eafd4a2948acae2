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
        return {"amount": self.text(self.amount or 0), "currencyCode": self.currency}

    def text(self, minor: int) -> str:
        return str(to_units(minor, self.currency))


def discount(task: Task) -> tuple[str, Json]:
    """The document that makes the discount code, and its input."""
    if task.reward.kind == "free_shipping":
        return "discount_free_shipping_create", _common(task) | _least(task) | {"destination": {"all": True}}
    if task.reward.maximum is not None:
        return "discount_app_create", _common(task) | _capped(task)
    gets = {"value": _value(task), "items": _items(task.reward)}
    return "discount_basic_create", _common(task) | _least(task) | {"customerGets": gets}


def _common(task: Task) -> Json:
    """One code, for this one customer, once."""
    return {
        "title": task.title,
        "code": task.code,
        "startsAt": task.requested_at.isoformat(),
        "endsAt": task.expires_at and task.expires_at.isoformat(),
        "usageLimit": 1,
        "appliesOncePerCustomer": True,
        "context": {"customers": {"add": [task.customer]}},
        "combinesWith": _combinations(task.reward),
    }


def _combinations(reward: Reward) -> dict[str, bool]:
    """Shopify refuses a shipping discount that says it combines with others of its kind."""
    wanted = reward.combines_with - ({"shipping"} if reward.kind == "free_shipping" else set())
    return {theirs: ours in wanted for theirs, ours in _CLASSES.items()}


def _least(task: Task) -> Json:
    if not task.reward.minimum_order:
        return {}
    subtotal = {"greaterThanOrEqualToSubtotal": task.text(task.reward.minimum_order)}
    return {"minimumRequirement": {"subtotal": subtotal}}


def _value(task: Task) -> Json:
    if task.reward.percentage is not None:
        return {"percentage": float(task.reward.percentage / 100)}
    return {"discountAmount": {"amount": task.text(task.amount or 0), "appliesOnEachItem": False}}


def _items(reward: Reward) -> Json:
    if not (reward.products or reward.variants):
        return {"all": True}
    return {"products": {"productsToAdd": _products(reward), "productVariantsToAdd": _variants(reward)}}


def _products(reward: Reward) -> list[str]:
    return [f"gid://shopify/Product/{number}" for number in reward.products]


def _variants(reward: Reward) -> list[str]:
    return [f"gid://shopify/ProductVariant/{number}" for number in reward.variants]


def _capped(task: Task) -> Json:
    """An app's discount has no minimum and no items of its own: the function finds those in its configuration, too."""
    reward = task.reward
    config: Json = {"percentage": float(reward.percentage or 0), "maximum": task.text(reward.maximum or 0)}
    if reward.minimum_order:
        config["minimum"] = task.text(reward.minimum_order)
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
