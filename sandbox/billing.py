"""What a merchant pays for the app through Shopify: plans chosen on Shopify's own page, never by the app."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from sandbox.payloads import gid, utc

if TYPE_CHECKING:
    from sandbox.world import World


class Subscription(msgspec.Struct, forbid_unknown_fields=True):
    """`handle` names the plan; `price` is in minor units of the shop's currency."""

    name: str
    handle: str | None = None
    price: int = 0
    status: str = "ACTIVE"
    trial_days: int = 0
    id: int = 0
    at: int = 0


def active(world: "World", domain: str) -> list[Subscription]:
    return [one for one in world.store.all(domain, "subscription", Subscription) if one.status == "ACTIVE"]


def choose(world: "World", domain: str, chosen: Subscription) -> Subscription:
    """The merchant takes a plan, whose predecessor ends; or gives one up, with a status other than ACTIVE."""
    at = world.now(None)
    with world.store.transaction():
        for old in active(world, domain):
            tell(world, domain, msgspec.structs.replace(old, status="CANCELLED"), at)
        chosen = msgspec.structs.replace(chosen, id=7_100_000 + world.store.count(domain, "subscriptions"), at=at)
        tell(world, domain, chosen, at)
    return chosen


def tell(world: "World", domain: str, one: Subscription, at: int) -> None:
    world.store.put(domain, "subscription", one.id, one, one.at)
    told: dict[str, Any] = {
        "admin_graphql_api_id": gid("AppSubscription", one.id),
        "name": one.name,
        "status": one.status,
        "admin_graphql_api_shop_id": gid("Shop", world.shop(domain).id),
        "created_at": utc(one.at),
        "updated_at": utc(at),
        "plan_handle": one.handle,
    }
    world.emit(domain, {"app_subscriptions/update": {"app_subscription": told}}, at)


def node(amount: Callable[[int], dict[str, Any]], one: Subscription) -> dict[str, Any]:
    pricing = {
        "__typename": "AppRecurringPricing",
        "planHandle": one.handle,
        "interval": "EVERY_30_DAYS",
        "price": amount(one.price),
    }
    return {
        "id": gid("AppSubscription", one.id),
        "name": one.name,
        "status": one.status,
        "test": True,
        "trialDays": one.trial_days,
        "createdAt": utc(one.at),
        "currentPeriodEnd": utc(one.at + 30 * 86_400),
        "lineItems": [{"id": gid("AppSubscriptionLineItem", one.id), "plan": {"pricingDetails": pricing}}],
    }
