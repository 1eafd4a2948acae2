"""What a balance is worth and what is offered first, by numbers; and text that Liquid leaves alone."""

from typing import Any

import pytest

from loyalty.program import Reward
from loyalty.rewards.queries import Offer
from loyalty.rewards.rules import Refusal
from web.portal import rules
from web.portal.liquid import inert


def offer(cost: int, amount: int, *, refused: str | None = None, left: int | None = None, **more: Any) -> Offer:
    reward = Reward(key=f"r{cost}", name="x", cost=cost, kind=more.pop("kind", "amount_off"), amount=amount, **more)
    return Offer(reward, left, Refusal(refused, "No.") if refused else None)


FIVE, TEN = offer(500, 500), offer(1000, 1200)
ANY = offer(100, 100, kind="variable", step=50)


@pytest.mark.parametrize(
    ("offers", "available", "worth"),
    [
        ([FIVE, TEN], 0, 0),
        ([FIVE], 499, 0),
        ([FIVE, TEN], 1840, 1200 + 500),
        ([FIVE, TEN], 3100, 3600),
        ([ANY], 149, 200),
        ([ANY], 99, 0),
        ([offer(500, 500, per_member=1)], 5000, 500),
        ([offer(500, 500, refused="reward_limit")], 5000, 0),
        ([offer(300, 0, kind="free_shipping")], 5000, 0),
        ([FIVE], -200, 0),
    ],
)
def test_a_balance_is_worth_what_brings_most(offers: list[Offer], available: int, worth: int) -> None:
    assert rules.worth(offers, available) == worth


def test_the_shelf_shows_the_dearest_that_can_be_had_and_the_nearest_that_can_t() -> None:
    far, near = offer(9000, 1, refused="points_short"), offer(2000, 1, refused="points_short")
    tier, over = offer(10, 1, refused="wrong_tier"), offer(11, 1, refused="reward_over")
    assert rules.shelf([FIVE, far, tier, TEN, near, over]) == rules.Shelf([TEN, FIVE], [near, far], [tier])


@pytest.mark.parametrize(
    ("available", "most", "offered"),
    [(149, None, [100]), (300, None, [300, 250, 200, 150, 100]), (10**6, 1000, [1000, 900, 700, 500, 300, 100])],
)
def test_a_variable_reward_is_offered_in_a_few_amounts(available: int, most: int | None, offered: list[int]) -> None:
    reward = offer(100, 100, kind="variable", step=50, most_points=most).reward
    assert rules.amounts(reward, available) == offered


@pytest.mark.parametrize(
    ("value", "remaining", "share"), [(0, 500, 0.0), (250, 250, 0.5), (500, 0, 1.0), (0, 0, 1.0), (-10, 500, 0.0)]
)
def test_a_ring_is_filled_by_what_counts(value: int, remaining: int, share: float) -> None:
    assert rules.share(value, remaining) == share


@pytest.mark.parametrize("text", ["{{ x }}", "{%x%}", "{{{%", "{{{{", "a{%-raw%}", "{{'{%'}}", "{\u200b{"])
def test_no_liquid_is_left(text: str) -> None:
    made = inert(text)
    assert "{{" not in made
    assert "{%" not in made
    assert made.replace("&#123;", "{") == text
