"""What points were spent on, and what came back, in words; and what a reward's status means for its member."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from core.money import money_text
from loyalty.models import Posting
from loyalty.rewards.rules import day_text
from loyalty.wording.words import Teller, TierNames, Told, are, order_name, points_text


def _name(told: Told) -> str:
    return str(told.get("name") or "a reward")


def _back(posting: Posting) -> str:
    return f"{points_text(posting.points)} {are(posting.points)} back"


def _redeemed(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{points_text(posting.points)} spent on {_name(told)}."


def _given_back(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{_back(posting)}: you returned {_name(told)} unused."


def _failed(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{_back(posting)}: we couldn't get {_name(told)} ready for you. We're sorry."


def _undone(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{_back(posting)}: {order_name(told)}, on which you used {_name(told)}, was cancelled or refunded."


def _used_after_all(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{points_text(posting.points)} spent on {_name(told)}, which you used on {order_name(told)}."


TELLERS: dict[str, Teller] = {
    "redeemed": _redeemed,
    "given_back": _given_back,
    "reward_failed": _failed,
    "order_undone": _undone,
    "order_used_reward": _used_after_all,
}

_HOW = {
    "store_credit": "It's in your store credit, ready for your next order.",
    "gift_card": "Your gift card is ready: pay with {code} at checkout.",
    "custom": "It's yours. Show {code} to the shop.",
}
_ENDED = {
    "issuing": "We're getting it ready. This takes a few seconds.",
    "used": "You've used it. Enjoy!",
    "returning": "We're taking it back. Your points come back in a few seconds.",
    "failed": "We couldn't get it ready, so {points} {are} back. We're sorry.",
}

# What cost no points brings none back.
_GIFT_ENDED = {
    "returning": "It's being taken back, because what it was a thank-you for was undone.",
    "returned": "It was taken back unused, because what it was a thank-you for was undone.",
    "failed": "We couldn't get it ready. We're sorry.",
}


def status_text(row: Any, zone: ZoneInfo) -> str:
    """What the status of a reward (a `MemberReward`) means for its member. Days are those of the shop's clock."""
    if row.status == "issued":
        return _ready(row, zone)
    if row.status == "expired":
        return f"It could be used until {_last_day(row, zone)}."
    if not row.points and row.status in _GIFT_ENDED:
        return _GIFT_ENDED[row.status]
    if row.status == "returned":
        undone = "The order you used it on was cancelled or refunded" if row.order_id else "You returned it"
        return f"{undone}, and {points_text(row.points)} {are(row.points)} back."
    return _ENDED[row.status].format(points=points_text(row.points), are=are(row.points))


def _ready(row: Any, zone: ZoneInfo) -> str:
    text = _HOW.get(row.terms["kind"], "It's ready: enter {code} at checkout.").format(code=row.code)
    if row.terms.get("minimum_order"):
        text += f" It's for orders of at least {money_text(row.terms['minimum_order'], row.currency)}."
    return f"{text} Use it by {_last_day(row, zone)}." if row.expires_at else text


def _last_day(row: Any, zone: ZoneInfo) -> str:
    return day_text(row.expires_at - timedelta(seconds=1), zone)
