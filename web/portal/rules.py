"""The thinking behind the rewards pages: what a balance is worth, what comes first, how full a ring is. Pure."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from loyalty.program import Reward
from loyalty.rewards.queries import Offer

# Rewards that are worth a sum of money whatever is bought.
_MONEY = frozenset({"amount_off", "store_credit", "gift_card", "variable"})
# How many amounts a variable reward is offered in.
MOST_AMOUNTS = 6


def worth(offers: Iterable[Offer], available: int) -> int:
    """What points come to in minor units, spent on what brings most for each and can be had now; 0 for nothing yet.

    What one member can have only so often counts once, for how often they had it is not asked here.
    """
    left, total = available, 0
    by_rate = sorted((offer for offer in offers if _pays(offer)), key=lambda offer: _rate(offer.reward), reverse=True)
    for offer in by_rate:
        times = _times(offer, left)
        total += times * offer.reward.amount
        left -= times * _unit(offer.reward)
    return total


def _pays(offer: Offer) -> bool:
    return offer.reward.kind in _MONEY and offer.refused is None


def _rate(reward: Reward) -> tuple[Fraction, int]:
    return Fraction(reward.amount, _unit(reward)), reward.cost


def _unit(reward: Reward) -> int:
    return reward.step if reward.kind == "variable" and reward.step else reward.cost


def _times(offer: Offer, left: int) -> int:
    reward = offer.reward
    if left < reward.cost:
        return 0
    if reward.per_member is not None or offer.left is not None:
        return (min(left, reward.most_points or left) // _unit(reward)) if reward.kind == "variable" else 1
    return left // _unit(reward)


class Shelf(NamedTuple):
    """`now` can be had, dearest first; `next` are short of points, nearest first; `others` are refused otherwise."""

    now: list[Offer]
    next: list[Offer]
    others: list[Offer]


# A member can do nothing about these, so they are not shown.
_HIDDEN = frozenset({"reward_over", "wrong_channel", "out_of_stock"})


def shelf(offers: Sequence[Offer]) -> Shelf:
    """Rewards in the order in which a member wants to see them."""
    now = [offer for offer in offers if offer.refused is None]
    short = [offer for offer in offers if offer.refused and offer.refused.code == "points_short"]
    others = [o for o in offers if o.refused and o.refused.code not in _HIDDEN | {"points_short"}]
    return Shelf(
        sorted(now, key=lambda offer: -offer.reward.cost), sorted(short, key=lambda offer: offer.reward.cost), others
    )


def amounts(reward: Reward, available: int) -> list[int]:
    """The points that a variable reward is offered for: from the fewest to all there are, in even steps."""
    assert reward.step is not None
    most = min(available, reward.most_points or available) // reward.step * reward.step
    if most < reward.cost:
        return [reward.cost]
    count = (most - reward.cost) // reward.step + 1
    apart = -(-count // MOST_AMOUNTS) * reward.step
    return sorted({most, *range(reward.cost, most + 1, apart)}, reverse=True)[:MOST_AMOUNTS]


def share(value: int, remaining: int) -> float:
    """How much of the way to the next tier is done, from 0 to 1."""
    whole = max(0, value) + remaining
    return max(0, value) / whole if whole else 1.0
