"""Whatever happens in whichever order, points end where a replay of the member's life puts them."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.loyalty.expiry.shop import IDLE, LOT, NOOR, Expiring

LIVES = 90  # days; both policies'


@dataclass
class Life:
    """What a member earned, kept and spent, by day. The replay knows what was kept in the end from the beginning."""

    earned: dict[int, tuple[int, int]] = field(default_factory=dict)  # by number: day, what is kept
    spent: list[tuple[int, int]] = field(default_factory=list)  # day, points; below zero when they came back
    active: list[int] = field(default_factory=list)

    def left(self, until: int, by_lot: bool) -> tuple[dict[int, int], int]:
        """Points by the day they were earned, when day after day what is too old expires, oldest spent first.

        And the balance: it may be below zero.
        """
        expired = 0
        for today in range(until + 1):
            for spends in (today, today + 1):  # what is too old goes before the day's spends, what they leave after
                lots = self._lots(today, spends, expired)
                expired += sum(n for day, n in lots.items() if today - (day if by_lot else self._last(today)) >= LIVES)
        spent = sum(points for _, points in self.spent)
        return self._lots(until, until + 1, expired), sum(kept for _, kept in self.earned.values()) - spent - expired

    def _last(self, today: int) -> int:
        return max(day for day in self.active if day <= today)

    def _lots(self, today: int, spends_before: int, expired: int) -> dict[int, int]:
        out = expired + sum(points for day, points in self.spent if day < spends_before)
        lots: dict[int, int] = {}
        for day, kept in sorted(self.earned.values()):
            if day <= today:
                taken = min(out, kept)
                out -= taken
                lots[day] = lots.get(day, 0) + kept - taken
        return {day: points for day, points in lots.items() if points}


class Player:
    """Does at random what members do, to the shop and in the replay."""

    def __init__(self, shop: Expiring, seed: int) -> None:
        self.shop, self.life, self.chance = shop, Life(), random.Random(seed)
        self.orders: dict[int, tuple[int, int]] = {}  # by number: day placed, dollars
        self.today = 0
        self.buy()

    def step(self) -> None:
        self.today += self.chance.choice((1, 7, 20, 40))
        self.shop.expire(self.today)
        self.chance.choice((self.buy, self.buy, self.buy_late, self.refund, self.refund, self.spend, self.come_back))()
        self.shop.expire(self.today)

    def buy(self, placed: int | None = None) -> None:
        number = len(self.orders) + 1
        dollars = self.chance.randint(1, 18)  # few enough that she stays in the first tier
        placed = self.today if placed is None else placed
        self.shop.buy(placed, number, dollars, seen=self.today)
        self.orders[number] = self.life.earned[number] = placed, dollars
        self.life.active.append(placed)

    def buy_late(self) -> None:
        """Heard of after it was placed, but before it expires: later, what was spent since could be of it, too."""
        self.buy(self.chance.randint(max(0, self.today - LIVES + 10), self.today))

    def refund(self) -> None:
        number = self.chance.choice(sorted(self.orders))
        (placed, dollars), kept = self.orders[number], self.life.earned[number][1]
        if kept:
            back = self.chance.randint(1, kept)
            self.shop.refund(self.today, number, back, placed=placed, of=dollars)
            self.life.earned[number] = placed, kept - back

    def spend(self) -> None:
        balance = self.shop.balance()
        if balance > 0:
            points = self.chance.randint(1, balance)
            self.shop.spend(self.today, points)
            self.life.spent.append((self.today, points))
            self.life.active.append(self.today)

    def come_back(self) -> None:
        out = sum(points for _, points in self.life.spent)
        if out > 0:
            points = self.chance.randint(1, out)
            self.shop.reimburse(self.today, points)
            self.life.spent.append((self.today, -points))


@pytest.mark.parametrize("policy", [LOT, IDLE], ids=["lot", "inactivity"])
@pytest.mark.parametrize("seed", range(4))
def test_the_ledger_ends_where_the_replay_does(open_shop: Any, policy: Any, seed: int) -> None:
    shop = open_shop(policy)
    player, by_lot = Player(shop, seed), policy is LOT
    for _ in range(25):
        player.step()
        left, balance = player.life.left(player.today, by_lot)
        assert shop.balance(NOOR) == balance
        if by_lot:
            assert shop.plan(player.today) == [(day + LIVES, points) for day, points in sorted(left.items())]
