"""Rewards as they stand in Shopify: each kind is made there, found there again, and taken back from there.

`make` is harmless to repeat: Shopify's create calls are not idempotent, but our codes are ours alone, so a code that
exists was made by a call whose answer we never heard. Every function raises what `shops.admin.Admin.call` raises:
AdminRefused when Shopify will never do it, Unavailable when it may do it later.
"""

from typing import Any

from core.db import Database
from core.money import to_minor
from loyalty.program import DISCOUNTS
from loyalty.rewards import coupons, credit, inputs
from loyalty.rewards.inputs import Task
from shops.admin import Admin


def make(database: Database, admin: Admin, task: Task) -> str:
    """Make Shopify have the reward and return what Shopify calls it."""
    if task.reward.kind == "store_credit":
        return credit.move(database, admin, task, credit.CREDIT)
    if task.reward.kind == "gift_card":
        return coupons.once(lambda: _create_gift_card(admin, task), lambda: find(database, admin, task))
    return coupons.make(admin, task.coupon, task.reference)


def _create_gift_card(admin: Admin, task: Task) -> str:
    made = admin.call("gift_card_create", card=inputs.gift_card(task))
    return str(made["giftCardCreate"]["giftCard"]["id"])


def find(database: Database, admin: Admin, task: Task) -> str | None:
    """What Shopify calls the reward, if it has it. Raises AdminRefused when the code belongs to somebody else."""
    if task.reward.kind == "store_credit":
        return credit.find(database, admin, task, credit.CREDIT)
    if task.reward.kind == "gift_card":
        card = _gift_card(admin, task)
        return None if card is None else str(card["id"])
    return coupons.find(admin, task.coupon, task.reference)


def take_back(database: Database, admin: Admin, task: Task) -> bool:
    """End the reward in Shopify. False when it has been used, and so can't come back."""
    if task.reward.kind in DISCOUNTS:
        return coupons.end(admin, task.coupon, task.reference)
    if task.reward.kind == "gift_card":
        return _end_gift_card(admin, task)
    return credit.take_back(database, admin, task)


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
