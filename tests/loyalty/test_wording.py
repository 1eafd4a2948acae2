"""The words for what happened to points, one example of each."""

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from loyalty.earning.rules import Terms, refusal
from loyalty.models import Posting
from loyalty.rules import OrderState, Policy
from loyalty.wording import order_text, sentence

NAMES = {"insider": "Insider", "advocate": "Advocate", "vip": "VIP"}
NOW = datetime(2026, 3, 1, tzinfo=UTC)
COFFEE = {
    "rule": "order-points",
    "order": "#1043",
    "currency": "USD",
    "spend": 80_00,
    "refunded": 0,
    "eligible": 80_00,
    "rate": "1",
    "tier": "insider",
    "multiplier": "1",
    "status": "paid",
    "points": 80,
    "reason": "earned",
    "points_before": 0,
}


def posting(points: int, source: str, target: str, kind: str = "earn", **told: Any) -> Posting:
    return Posting(kind=kind, source=source, target=target, points=points, explanation=COFFEE | told)


@pytest.mark.parametrize(
    ("points", "told", "text"),
    [
        (80, {}, "80 points for order #1043. $80.00 at 1 point per dollar."),
        (
            100,
            {"tier": "advocate", "multiplier": "1.25"},
            "100 points for order #1043. $80.00 at 1 point per dollar, × 1.25 because you're an Advocate.",
        ),
        (
            120,
            {"tier": "vip", "multiplier": "1.5"},
            "120 points for order #1043. $80.00 at 1 point per dollar, × 1.5 because you're a VIP.",
        ),
        (160, {"rate": "2"}, "160 points for order #1043. $80.00 at 2 points per dollar."),
        (40, {"rate": "0.5"}, "40 points for order #1043. $80.00 at 0.5 points per dollar."),
        (79, {"eligible": 79_99}, "79 points for order #1043. $79.99 at 1 point per dollar, rounded down."),
        (1, {"eligible": 1_00}, "1 point for order #1043. $1.00 at 1 point per dollar."),
        (
            1234567,
            {"eligible": 1234567_00},
            "1,234,567 points for order #1043. $1,234,567.00 at 1 point per dollar.",
        ),
        (80, {"currency": "EUR"}, "80 points for order #1043. €80.00 at 1 point per euro."),
        (80, {"currency": "CAD"}, "80 points for order #1043. CA$80.00 at 1 point per dollar."),
        (8000, {"currency": "JPY"}, "8,000 points for order #1043. ¥8,000 at 1 point per yen."),
        (8, {"currency": "KWD"}, "8 points for order #1043. KWD8.000 at 1 point per dinar."),
        (80, {"currency": "GBP"}, "80 points for order #1043. £80.00 at 1 point per pound."),
    ],
)
def test_what_an_order_earned(points: int, told: dict[str, Any], text: str) -> None:
    assert sentence(posting(points, "issued", "available", **told), NAMES) == text


@pytest.mark.parametrize(
    ("source", "target", "kind", "told", "text"),
    [
        (
            "issued",
            "pending",
            "earn",
            {"status": "pending"},
            "80 points for order #1043. $80.00 at 1 point per dollar. Yours to use once the order is paid.",
        ),
        (
            "issued",
            "pending",
            "earn",
            {},
            "80 points for order #1043. $80.00 at 1 point per dollar. Yours to use after the waiting time.",
        ),
        ("pending", "available", "release", {"reason": "payment"}, "80 points for order #1043 are ready to use."),
        (
            "available",
            "pending",
            "reversal",
            {"reason": "payment"},
            "80 points for order #1043 wait until the payment is complete.",
        ),
    ],
)
def test_points_that_wait(source: str, target: str, kind: str, told: dict[str, Any], text: str) -> None:
    assert sentence(posting(80, source, target, kind, **told), NAMES) == text


@pytest.mark.parametrize(
    ("points", "told", "text"),
    [
        (
            25,
            {"reason": "refund", "refunded": 20_00, "eligible": 60_00, "multiplier": "1.25", "points_before": 100},
            "$20.00 of order #1043 was refunded, so 25 points went back.",
        ),
        (
            10,
            {"reason": "refund", "refunded": 30_00, "refunded_before": 20_00, "eligible": 50_00, "points_before": 60},
            "$10.00 of order #1043 was refunded, so 10 points went back.",
        ),
        (
            1,
            {"reason": "refund", "refunded": 1_00, "eligible": 79_00, "points_before": 80},
            "$1.00 of order #1043 was refunded, so 1 point went back.",
        ),
        (
            20,
            {"reason": "edit", "spend": 60_00, "eligible": 60_00},
            "Order #1043 was changed and now counts $60.00, so 20 points went back.",
        ),
        (
            20,
            {"reason": "tier"},
            "You were an Insider when you placed order #1043, so it counts × 1 and 20 points went back.",
        ),
        (80, {"reason": "cancelled"}, "Order #1043 was cancelled, so 80 points went back."),
        (80, {"reason": "voided"}, "The payment for order #1043 was voided, so 80 points went back."),
        (80, {"reason": "expired"}, "The payment for order #1043 expired, so 80 points went back."),
        (80, {"reason": "deleted"}, "Order #1043 was deleted, so 80 points went back."),
        (80, {"reason": "test_order"}, "Order #1043 is a test, so 80 points went back."),
        (
            80,
            {"reason": "unknown_status"},
            "Order #1043 has a payment status we don't know, so 80 points went back.",
        ),
        (
            80,
            {"reason": "before_start"},
            "Order #1043 was placed before the program began, so 80 points went back.",
        ),
        (
            80,
            {"reason": "moved_to_other_member"},
            "Order #1043 belongs to another account now, and its 80 points went with it.",
        ),
        (80, {"reason": "settled_again"}, "80 points went back for order #1043."),
        (80, {"reason": "not known to anyone"}, "80 points went back for order #1043."),
    ],
)
def test_points_that_went_back(points: int, told: dict[str, Any], text: str) -> None:
    assert sentence(posting(points, "available", "issued", "reversal", **told), NAMES) == text


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (
            {"reason": "edit", "spend": 100_00, "eligible": 100_00},
            "Order #1043 was changed and now counts $100.00, so 20 points came in.",
        ),
        (
            {"reason": "tier", "tier": "advocate", "multiplier": "1.25"},
            "You were an Advocate when you placed order #1043, so it counts × 1.25 and 20 points came in.",
        ),
    ],
)
def test_points_that_came_later(told: dict[str, Any], text: str) -> None:
    assert sentence(posting(20, "issued", "available", **told), NAMES) == text


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (("bonus", "issued", "available", 50, {"reason": "joined"}), "50 points for joining."),
        (
            ("adjustment", "adjusted", "available", 100, {"reason": "adjusted", "reason_given": "Happy birthday!"}),
            "100 points added by the shop: Happy birthday!",
        ),
        (
            ("adjustment", "available", "adjusted", 1, {"reason": "adjusted", "reason_given": "Added twice"}),
            "1 point taken off by the shop: Added twice.",
        ),
        # The words somebody typed go with an erased person.
        (("adjustment", "adjusted", "available", 100, {"reason": "adjusted"}), "100 points added by the shop."),
        (
            ("adjustment", "adjusted", "available", 40, COFFEE | {"reason": "spent_points_forgiven"}),
            "40 points for order #1043 were spent already, so you keep what you got for them.",
        ),
        (("expiry", "available", "expired", 40, {}), "40 points went back."),
    ],
)
def test_points_without_an_order(made: tuple[str, str, str, int, dict[str, Any]], text: str) -> None:
    kind, source, target, points, told = made
    row = Posting(kind=kind, source=source, target=target, points=points, explanation=told)
    assert sentence(row) == text


def test_without_names_the_key_speaks_for_the_tier() -> None:
    told = sentence(posting(100, "issued", "available", tier="early-bird", multiplier="1.25"))
    assert told.endswith("because you're an Early Bird.")


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (
            "guest_held",
            "Order #7 was placed without an account. Its points wait for whoever joins with that e-mail address.",
        ),
        ("no_customer", "Order #7 has no customer, so it earns nothing."),
        ("below_one_point", "Order #7 comes to less than one point, so it earns nothing."),
        ("nothing_eligible", "Nothing in order #7 counts, so it earns nothing."),
        ("order_unknown", "Only a refund of order #7 is known so far. It counts as soon as the order itself arrives."),
        ("a code of tomorrow", "Order #7 does not count, so it earns nothing."),
    ],
)
def test_why_an_order_earned_nothing(reason: str, text: str) -> None:
    assert order_text("#7", reason, None, NAMES) == text


def test_an_order_that_earned_tells_its_arithmetic() -> None:
    assert order_text("#1043", None, COFFEE, NAMES) == "80 points for order #1043. $80.00 at 1 point per dollar."


@pytest.mark.parametrize(
    "changes",
    [{"test": True}, {"cancelled_at": NOW}, {"status": "voided"}, {"status": "expired"}, {"status": "odd"}],
)
def test_every_refusal_has_words_of_its_own(changes: dict[str, Any]) -> None:
    known: dict[str, Any] = {"status": "paid", "cancelled_at": None, "test": False} | changes
    state = OrderState(
        1, "#7", NOW, NOW, currency="USD", digits=2, taxes_included=False, shipping=0, shipping_tax=0, lines=(), **known
    )
    reason = refusal(state, Terms(1, "order-points", Fraction(1), "insider", Fraction(1), Policy()), None)
    assert reason
    assert "does not count" not in order_text("#7", reason, None, NAMES)
