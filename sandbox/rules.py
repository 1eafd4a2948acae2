"""Rules of a shop's checkout that the app's functions keep. The sandbox knows one of them: early access.

Source: https://shopify.dev/docs/api/functions/reference/cart-checkout-validation
"""

from collections.abc import Sequence

import msgspec

from sandbox.orders import Customer, Item
from sandbox.payloads import gid
from sandbox.world import World

# The functions the app has released, by handle.
FUNCTIONS = ("early-access",)
MOST = 25


class Rule(msgspec.Struct):
    """A rule as the Admin API knows it."""

    id: int
    title: str
    function: str
    enabled: bool

    def node_id(self) -> str:
        return gid("Validation", self.id)


def every(world: World, domain: str) -> list[Rule]:
    return sorted(world.store.all(domain, "rule", Rule), key=lambda rule: rule.id)


def objection(
    world: World, domain: str, items: Sequence[tuple[Item, int]], customer: Customer | None
) -> str | None:  # fmt: skip
    """Why the checkout does not let this be bought, or None; as extensions/early-access says it."""
    if not any(rule.enabled for rule in every(world, domain)):
        return None
    if customer and "perk:early-access" in customer.tags:
        return None
    for item, _ in items:
        if item.product_id and "early-access" in world.product(domain, item.product_id).tags:
            return (
                f"{item.title} is for members with early access just now. "
                "Sign in with their account, or leave it for later."
            )
    return None
