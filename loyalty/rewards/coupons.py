"""Discount codes as they stand in Shopify: made, found again, and ended.

Shopify's create calls are not idempotent, but our codes are ours alone: one that exists was made by a call whose answer
we never heard. Every function raises what `shops.admin.Admin.call` raises.
"""

from collections.abc import Callable
from typing import Any

from core.errors import Unavailable
from loyalty.rewards import inputs
from loyalty.rewards.inputs import Coupon
from shops.admin import Admin, AdminRefused


def make(admin: Admin, coupon: Coupon, reference: str | None = None) -> str:
    """Make Shopify have the code and return what Shopify calls it. Harmless to repeat."""
    return once(lambda: _create(admin, coupon), lambda: find(admin, coupon, reference))


def once(create: Callable[[], str], look: Callable[[], str | None]) -> str:
    """What `create` makes, or what `look` finds when it is refused: whatever the refusal says, an earlier call may have
    made it, and then nobody gets the points back, too.
    """
    try:
        return create()
    except AdminRefused as refused:
        if found := look():
            return found
        if "TAKEN" not in refused.codes:
            raise
    raise Unavailable("Shopify says that the code exists, but does not find it yet")


def _create(admin: Admin, coupon: Coupon) -> str:
    document, discount = inputs.discount(coupon)
    (made,) = admin.call(document, discount=discount).values()
    node = made.get("codeDiscountNode") or made["codeAppDiscount"]
    return str(node.get("id") or node["discountId"])


def find(admin: Admin, coupon: Coupon, reference: str | None = None) -> str | None:
    """What Shopify calls the code, if it has it. Raises AdminRefused when the code belongs to somebody else."""
    found = _node(admin, coupon, reference)
    return None if found is None else str(found["id"])


def end(admin: Admin, coupon: Coupon, reference: str | None = None) -> bool:
    """End the code. False when it has been used: ended first, and only then looked at, for from here on nobody can use
    it, and the count can only catch up.
    """
    found = _node(admin, coupon, reference)
    if found is None:
        return True
    admin.call("discount_deactivate", id=found["id"])
    after = _node(admin, coupon, reference)
    return after is None or not after["codeDiscount"]["asyncUsageCount"]


def _node(admin: Admin, coupon: Coupon, reference: str | None) -> dict[str, Any] | None:
    found: dict[str, Any] | None = admin.call("discount_by_code", code=coupon.code)["codeDiscountNodeByCode"]
    # A merchant may have given it another title since.
    if found and found["codeDiscount"].get("title") != coupon.title and found["id"] != reference:
        raise AdminRefused("the code exists in Shopify but is not ours")
    return found
