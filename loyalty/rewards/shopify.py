"""Rewards as they stand in Shopify: each kind is made there, found there again, and taken back from there.

`make` is harmless to repeat: Shopify's create calls are not idempotent, but our codes are ours alone, so a code that
exists was made by a call whose answer we never heard. Every function raises what `shops.admin.Admin.call` raises:
AdminRefused when Shopify will never do it, Unavailable when it may do it later.
"""

from typing import Any

from core.db import Database
from core.errors import Unavailable
from core.money import to_minor
from loyalty.program import DISCOUNTS
from loyalty.rewards import credit, inputs
from loyalty.rewards.inputs import Task
from shops.admin import Admin, AdminRefused


def make(database: Database, admin: Admin, task: Task) -> str:
    """Make Shopify have the reward and return what Shopify calls it."""
    if task.reward.kind == "store_credit":
        return credit.move(database, admin, task, credit.CREDIT)
    try:
        return _create(admin, task)
    except AdminRefused as refused:
        # Whatever the refusal says, an earlier call may have made it: then nobody gets the points back, too.
        if found := find(database, admin, task):
            return found
        if "TAKEN" not in refused.codes:
            raise
    raise Unavailable("Shopify says that the code exists, but does not find it yet")


def _create(admin: Admin, task: Task) -> str:
    if task.reward.kind == "gift_card":
        made = admin.call("gift_card_create", card=inputs.gift_card(task))
        return str(made["giftCardCreate"]["giftCard"]["id"])
    document, discount = inputs.discount(task)
    (made,) = admin.call(document, discount=discount).values()
    node = made.get("codeDiscountNode") or made["codeAppDiscount"]
    return str(node.get("id") or node["discountId"])


def find(database: Database, admin: Admin, task: Task) -> str | None:
    """What Shopify calls the reward, if it has it. Raises AdminRefused when the code belongs to somebody else."""
    if task.reward.kind == "store_credit":
        return credit.find(database, admin, task, credit.CREDIT)
    found = _gift_card(admin, task) if task.reward.kind == "gift_card" else _discount(admin, task)
    return None if found is None else str(found["id"])


def take_back(database: Database, admin: Admin, task: Task) -> bool:
    """End the reward in Shopify. False when it has been used, and so can't come back."""
    if task.reward.kind in DISCOUNTS:
        return _end_discount(admin, task)
    if task.reward.kind == "gift_card":
        return _end_gift_card(admin, task)
    return credit.take_back(database, admin, task)


def _discount(admin: Admin, task: Task) -> dict[str, Any] | None:
    found: dict[str, Any] | None = admin.call("discount_by_code", code=task.code)["codeDiscountNodeByCode"]
    # A merchant may have given it another title since.
    if found and found["codeDiscount"].get("title") != task.title and found["id"] != task.reference:
        raise AdminRefused("the code exists in Shopify but is not ours")
    return found


def _end_discount(admin: Admin, task: Task) -> bool:
    """Ended first, and only then looked at: from here on nobody can use it, and the count can only catch up."""
    found = _discount(admin, task)
    if found is None:
        return True
    admin.call("discount_deactivate", id=found["id"])
    after = _discount(admin, task)
    return after is None or not after["codeDiscount"]["asyncUsageCount"]


def _gift_card(admin: Admin, task: Task) -> dict[str, Any] | None:
    """By its id if we know it; the search looks into more than codes, so of what it finds only ours counts."""
    if task.reference:
        known: dict[str, Any] | None = admin.call("gift_card", id=task.reference)["giftCard"]
        return known
    cards = admin.call("gift_card_find", query=task.code)["giftCards"]["nodes"]
    return next((card for card in cards if card["note"] == task.note), None)


def _end_gift_card(admin: Admin, task: Task) -> bool:
    """Only a card nobody has paid with yet: ending it is for good, and what is left on it would be lost."""
    found = _gift_card(admin, task)
    if found is None:
        return True
    if not _untouched(found, task):
        return False
    if found["enabled"]:
        found = admin.call("gift_card_deactivate", id=found["id"])["giftCardDeactivate"]["giftCard"]
    return _untouched(found, task)


def _untouched(card: dict[str, Any], task: Task) -> bool:
    return to_minor(card["balance"]["amount"], card["balance"]["currencyCode"]) == task.amount
