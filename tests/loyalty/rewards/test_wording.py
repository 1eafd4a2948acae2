"""Rewards in words."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from loyalty.models import Posting
from loyalty.rewards.models import MemberReward
from loyalty.wording import sentence
from loyalty.wording.rewards import status_text

SPENT, BACK = ("redeem", "available", "redeemed"), ("reimbursement", "redeemed", "available")
POSTINGS = [
    (SPENT, {"reason": "redeemed"}, "500 points spent on $5 off."),
    (BACK, {"reason": "given_back"}, "500 points are back: you returned $5 off unused."),
    (BACK, {"reason": "reward_failed"}, "500 points are back: we couldn't get $5 off ready for you. We're sorry."),
    (
        BACK,
        {"reason": "order_undone", "order": "#1043"},
        "500 points are back: order #1043, on which you used $5 off, was cancelled or refunded.",
    ),
    (
        SPENT,
        {"reason": "order_used_reward", "order": "#1043"},
        "500 points spent on $5 off, which you used on order #1043.",
    ),
]


@pytest.mark.parametrize(("way", "told", "text"), POSTINGS)
def test_why_points_went_or_came(way: tuple[str, str, str], told: dict[str, Any], text: str) -> None:
    kind, source, target = way
    explanation = {"rule": "redeem", "name": "$5 off", "points": 500} | told
    assert sentence(Posting(kind=kind, source=source, target=target, points=500, explanation=explanation)) == text


ENDS = datetime(2026, 12, 31, 23, tzinfo=UTC)  # midnight in Berlin
STATUSES = [
    ("issuing", "amount_off", {}, "We're getting it ready. This takes a few seconds."),
    ("issued", "amount_off", {}, "It's ready: enter RAP-7KQ4-M2XD at checkout."),
    (
        "issued",
        "amount_off",
        {"minimum_order": 2000, "expires_at": ENDS},
        "It's ready: enter RAP-7KQ4-M2XD at checkout. It's for orders of at least $20.00. Use it by 31 December 2026.",
    ),
    ("issued", "store_credit", {}, "It's in your store credit, ready for your next order."),
    ("issued", "gift_card", {}, "Your gift card is ready: pay with RAP-7KQ4-M2XD at checkout."),
    ("issued", "custom", {}, "It's yours. Show RAP-7KQ4-M2XD to the shop."),
    ("used", "amount_off", {}, "You've used it. Enjoy!"),
    ("returning", "amount_off", {}, "We're taking it back. Your points come back in a few seconds."),
    ("returned", "amount_off", {}, "You returned it, and 500 points are back."),
    (
        "returned",
        "amount_off",
        {"order_id": 7},
        "The order you used it on was cancelled or refunded, and 500 points are back.",
    ),
    ("failed", "amount_off", {}, "We couldn't get it ready, so 500 points are back. We're sorry."),
    ("expired", "amount_off", {"expires_at": ENDS}, "It could be used until 31 December 2026."),
]


@pytest.mark.parametrize(("status", "kind", "more", "text"), STATUSES)
def test_what_a_status_means(status: str, kind: str, more: dict[str, Any], text: str) -> None:
    row = MemberReward(
        status=status, code="RAP-7KQ4-M2XD", currency="USD", points=500, order_id=more.get("order_id"),
        expires_at=more.get("expires_at"), terms={"kind": kind, "minimum_order": more.get("minimum_order", 0)},
    )  # fmt: skip
    assert status_text(row, ZoneInfo("Europe/Berlin")) == text
