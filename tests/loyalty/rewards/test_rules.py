"""Who may have a reward, what it costs and is worth, and how its life goes on: exact examples."""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from loyalty.program import Reward
from loyalty.rewards import rules
from loyalty.rewards.models import STATUSES
from loyalty.rewards.rules import Standing, Use
from loyalty.rules import Line, OrderState

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
NAMES = {"insider": "Insider", "advocate": "Advocate", "ambassador": "Ambassador"}


def reward(**more: Any) -> Reward:
    return Reward(**{"key": "5-off", "name": "$5 off", "cost": 500, "kind": "amount_off", "amount": 500} | more)


def standing(**more: Any) -> Standing:
    held: dict[str, Any] = {
        "available": 1200, "tier_key": "insider", "had": 0, "taken": 0, "now": NOW, "zone": BERLIN, "tier_names": NAMES
    }  # fmt: skip
    return Standing(**held | more)


# The reward, the member, and the answer.
EXAMPLES = [
    ({}, {}, None),
    ({}, {"available": 500}, None),
    ({}, {"available": 380}, ("points_short", "$5 off takes 500 points. You have 380, so you need 120 more.")),
    ({}, {"available": -20}, ("points_short", "$5 off takes 500 points. You have -20, so you need 520 more.")),
    ({"stock": 3}, {"taken": 2}, None),
    ({"stock": 3}, {"taken": 3}, ("out_of_stock", "$5 off is all gone.")),
    ({"stock": 0}, {}, ("out_of_stock", "$5 off is all gone.")),
    ({"per_member": 2}, {"had": 1}, None),
    ({"per_member": 2}, {"had": 2}, ("reward_limit", "You can have $5 off 2 times, and you've had all of them.")),
    ({"per_member": 1}, {"had": 1}, ("reward_limit", "You can have $5 off once, and you've had it.")),
    ({"tiers": ["advocate"]}, {"tier_key": "advocate"}, None),
    ({"tiers": ["advocate"]}, {}, ("wrong_tier", "$5 off is for Advocate members.")),
    ({"tiers": ["advocate", "ambassador"]}, {}, ("wrong_tier", "$5 off is for Advocate and Ambassador members.")),
    ({"channel": "pos"}, {}, None),
    ({"channel": "pos"}, {"channel": "pos"}, None),
    ({"channel": "pos"}, {"channel": "online"}, ("wrong_channel", "$5 off can be used in our stores only.")),
    ({"channel": "online"}, {"channel": "pos"}, ("wrong_channel", "$5 off can be used online only.")),
    # Without an offset, moments are the shop's: noon in UTC is 13:00 in Berlin.
    ({"starts_at": "2026-11-27T13:00"}, {}, None),
    ({"starts_at": "2026-11-27T13:01"}, {}, ("reward_not_yet", "$5 off starts on 27 November 2026.")),
    ({"ends_at": "2026-11-27T13:01"}, {}, None),
    ({"ends_at": "2026-11-27T13:00"}, {}, ("reward_over", "$5 off ended on 27 November 2026.")),
    # What can't be changed comes before what can be earned.
    ({"tiers": ["advocate"]}, {"available": 0}, ("wrong_tier", "$5 off is for Advocate members.")),
]


@pytest.mark.parametrize(("terms", "member", "answer"), EXAMPLES)
def test_who_may_have_it(terms: dict[str, Any], member: dict[str, Any], answer: tuple[str, str] | None) -> None:
    refused = rules.refusal(reward(**terms), standing(**member), 500)
    assert (refused and (refused.code, refused.text)) == answer


def test_a_refusal_tells_what_is_missing() -> None:
    refused = rules.refusal(reward(), standing(available=380), 500)
    assert refused is not None
    assert refused.extra == {"missing": 120, "cost": 500, "available": 380}


VARIABLE = {"kind": "variable", "amount": 100, "step": 100, "cost": 200, "most_points": 1000}
POINTS = [
    (VARIABLE, 200, None, 200),
    (VARIABLE, 700, None, 700),
    (VARIABLE, 1000, None, 1000),
    (VARIABLE, None, "say how many points to spend on $5 off: from 200 to 1,000, in steps of 100", None),
    (VARIABLE, 100, "say how many points to spend on $5 off: from 200 to 1,000, in steps of 100", None),
    (VARIABLE, 1100, "say how many points to spend on $5 off: from 200 to 1,000, in steps of 100", None),
    (VARIABLE, 250, "say how many points to spend on $5 off: from 200 to 1,000, in steps of 100", None),
    (VARIABLE | {"most_points": None}, 5000, None, 5000),
    (VARIABLE | {"most_points": None}, 1, "say how many points to spend on $5 off: 200 or more, in steps of 100", None),
    ({}, None, None, 500),
    ({}, 500, None, 500),
    ({}, 499, "$5 off takes 500 points, no more and no fewer", None),
    ({"kind": "gift_card", "amount": 2500}, None, None, 2500),
    ({"kind": "free_shipping", "amount": 0}, None, None, None),
    ({"kind": "percentage", "amount": 0, "percentage": "20"}, None, None, None),
    ({"kind": "custom", "amount": 0}, None, None, None),
]


@pytest.mark.parametrize(("terms", "points", "wrong", "minor"), POINTS)
def test_points_and_what_they_are_worth(
    terms: dict[str, Any], points: int | None, wrong: str | None, minor: int | None
) -> None:
    asked = reward(**terms)
    assert rules.bad_points(asked, points) == wrong
    if wrong is None:
        assert rules.worth(asked, points or asked.cost) == minor


DAYS = [
    # Whole days of the shop, the last one included; across both changes of the clock, and on a leap day.
    (1, "2026-11-27T12:00Z", "2026-11-28T23:00Z"),
    (30, "2026-11-27T23:30Z", "2026-12-28T23:00Z"),
    (1, "2026-03-27T12:00Z", "2026-03-28T23:00Z"),
    (2, "2026-03-27T12:00Z", "2026-03-29T22:00Z"),
    (1, "2026-10-24T12:00Z", "2026-10-25T23:00Z"),
    (1, "2028-02-28T12:00Z", "2028-02-29T23:00Z"),
]


@pytest.mark.parametrize(("days", "redeemed", "ends"), DAYS)
def test_when_it_ends(days: int, redeemed: str, ends: str) -> None:
    at, until = datetime.fromisoformat(redeemed), datetime.fromisoformat(ends)
    assert rules.expires_at(reward(valid_days=days), at, BERLIN) == until


def test_without_days_it_keeps() -> None:
    assert rules.expires_at(reward(), NOW, BERLIN) is None


def test_codes_read_well_and_differ() -> None:
    codes = [rules.code_of("amount_off", f"{number * 0x9E3779B97F4A7C15:064x}") for number in range(1, 1000)]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"RAP-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", code) for code in codes)
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{16}", rules.code_of("gift_card", "f" * 64))


# Where the reward stood, what order 2 says, and where it stands then: (status, order).
ORDERS = [
    (("issued", None), "stands", ("used", 2)),
    (("issuing", None), "stands", ("used", 2)),
    (("expired", None), "stands", ("used", 2)),
    (("returning", None), "stands", ("used", 2)),
    (("returned", None), "stands", ("used", 2)),
    (("failed", None), "stands", ("used", 2)),
    (("used", None), "stands", ("used", 2)),
    (("used", 2), "stands", ("used", 2)),
    (("returned", 2), "stands", ("used", 2)),
    (("used", 1), "stands", ("used", 2)),
    (("used", 3), "stands", ("used", 3)),
    (("returned", 3), "stands", ("used", 2)),
    (("issued", None), "undone", ("returned", 2)),
    (("used", 2), "undone", ("returned", 2)),
    (("returned", 2), "undone", ("returned", 2)),
    (("used", 1), "undone", ("used", 1)),
    (("used", 2), "undone, points stay spent", ("used", 2)),
    (("issued", None), "undone, points stay spent", ("used", 2)),
]


@pytest.mark.parametrize(("before", "order", "after"), ORDERS)
def test_what_an_order_makes_of_it(
    before: tuple[str, int | None], order: str, after: tuple[str, int | None]
) -> None:  # fmt: skip
    undone, keeps = order != "stands", order.endswith("spent")
    became = rules.after_order(Use(*before), 2, undone=undone, points_return=not keeps)
    assert became == Use(*after)
    assert rules.after_order(became, 2, undone=undone, points_return=not keeps) == became


@pytest.mark.parametrize(
    ("order", "undone"),
    [
        ({}, False),
        ({"cancelled_at": NOW}, True),
        ({"status": "voided"}, True),
        ({"status": "refunded"}, True),
        ({"status": "partially_refunded"}, False),
        ({"status": "partially_refunded", "left": (0, 1)}, False),
        ({"status": "partially_refunded", "left": (0, 0)}, True),
        ({"status": "paid", "left": (0, 0)}, True),
        ({"status": "paid", "left": (None, 0)}, False),
        ({"left": ()}, False),
    ],
)
def test_when_an_order_is_undone(order: dict[str, Any], undone: bool) -> None:
    told = {"status": "paid", "cancelled_at": None, "left": (2, 1)} | order
    lines = tuple(Line(n, "Beans", 2, current, 1000, 0, 0) for n, current in enumerate(told["left"]))
    state = OrderState(1, "#1", NOW, NOW, told["status"], told["cancelled_at"], False, "USD", 2, False, 0, 0, lines)
    assert rules.undone(state, None) is undone
    assert rules.undone(state, NOW) is True


def test_every_status_leads_only_to_known_ones() -> None:
    ways = {(a, b) for a in STATUSES for b in STATUSES if rules.may_become(a, b)}
    # What was granted may be revoked while it is made; whoever redeemed it waits until it is there.
    assert ("failed", "returning") not in ways
    assert ("used", "issued") not in ways
    assert all(rules.may_become("issuing", end) for end in ("issued", "failed"))
    assert set(STATUSES) >= rules.PAID
