"""Whatever order deliveries come in, however often and in whatever batches, and whoever works them off at once: both
sides end with the same."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from referrals import operations
from sandbox import orders as store
from sandbox import payloads
from sandbox.catalogue import DEMO
from sandbox.orders import Customer, Order
from tests.referrals.engine.rig import Town
from tests.webhooks.rig import at_once, delivery

POINTS = {"kind": "points", "points": 100}
# Friends who send back so much look odd to the checks: here nobody looks.
TERMS = {"referrer": POINTS, "friend": {"kind": "points", "points": 50}, "friend_minimum": 3000, "review_score": 100,
         "block_score": 100}  # fmt: skip
# A topic and a body.
Told = tuple[str, Any]

# What happens to a friend's orders after they are placed; the last state decides, whatever arrives last.
FATES = {
    "stands": (),
    "cancelled": ("cancel",),
    "refunded": ("refund",),
    "half refunded": ("half",),
    "refunded and enlarged": ("half", "enlarge"),
}


def live(town: Town, order: Order, who: Customer, fate: str, day: float) -> list[Told]:
    """Everything the store would send of an order's life, as (topic, body)."""
    told = [(topic, payloads.body(topic, DEMO, order, who)) for topic in ("orders/create", "orders/paid")]
    for place, act in enumerate(FATES[fate]):
        at = town.second(day + 1 + place)
        topics = _ACTS[act](order, at)
        told += [(topic, payloads.body(topic, DEMO, order, who)) for topic in topics]
    return told


_ACTS: dict[str, Any] = {
    "cancel": lambda order, at: store.cancel(DEMO, order, at),
    "refund": lambda order, at: store.refund(DEMO, order, {order.lines[0].id: 2}, at),
    "half": lambda order, at: store.refund(DEMO, order, {order.lines[0].id: 1}, at),
    "enlarge": lambda order, at: store.edit(DEMO, order, at, add=[(order.lines[0].item, 2)]),
}


STANDING = frozenset({"stands", "refunded and enlarged"})
lives = st.lists(st.lists(st.sampled_from(sorted(FATES)), min_size=1, max_size=2), min_size=4, max_size=4)


def expected(fates: Sequence[str]) -> tuple[int, str]:
    """What a friend's orders bring them: the first counts, and the next only where nothing of that is left."""
    fallen = list(itertools.takewhile(lambda fate: fate in ("cancelled", "refunded"), fates))
    counts = [*fates, "cancelled"][len(fallen)]
    return (50, "rewarded") if counts in STANDING else (0, "undone")


class World:
    """Friends with an order or two by one code each, in a shop where nobody else does anything."""

    def __init__(self, town: Town) -> None:
        self.town = town
        town.publish(**TERMS)
        self.anna, self.code = town.referrer()
        self.held = 0

    def play(self, lives: Sequence[Sequence[str]], mix: Callable[[list[Told]], list[list[Told]]]) -> None:
        """All friends' deliveries are mixed; in the end each has what their orders bring, and Anna hers."""
        town, friends, told = self.town, [self.town.person() for _ in lives], list[Told]()
        orders = []
        for who, fates in zip(friends, lives, strict=True):
            theirs = [town.buy(day, 50, who, ref=self.code, send=False) for day in range(len(fates))]
            for day, order in enumerate(theirs):
                told += live(town, order, who, fates[day], day)
            orders.append({order.id for order in theirs})
        for batch in mix(told):
            town.send(9, [delivery(topic, body) for topic, body in batch])
            town.work(9)
        found = [(sum(town.points(who)), self.state(ids)) for who, ids in zip(friends, orders, strict=True)]
        assert found == [expected(fates) for fates in lives]
        before, self.held = self.held, sum(town.points(self.anna))
        assert self.held - before == 100 * sum(state == "rewarded" for _, state in found)

    def state(self, order_ids: set[int]) -> str:
        """Whether the reward came before the order fell is a matter of when it was heard of."""
        (state,) = [row.state for row in self.town.rows() if row.order_id in order_ids]
        return "undone" if state in ("void", "reversed") else state


# Shrinking takes minutes; the lives say enough.
@settings(max_examples=4, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_both_sides_end_with_the_same_however_it_is_told(town: Town, data: st.DataObject) -> None:
    world = vars(town).setdefault("world", None) or World(town)
    vars(town)["world"] = world

    def mix(told: list[Told]) -> list[list[Told]]:
        again = [told[place] for place in data.draw(st.lists(st.integers(0, len(told) - 1), max_size=4))]
        mixed = data.draw(st.permutations(told + again))
        cuts = sorted(data.draw(st.sets(st.integers(1, len(mixed) - 1), max_size=3)))
        return [mixed[start:end] for start, end in zip([0, *cuts], [*cuts, len(mixed)], strict=True)]

    world.play(data.draw(lives), mix)


def test_two_orders_with_one_code_at_once_are_one_friend(town: Town) -> None:
    town.publish(**TERMS)
    anna, code = town.referrer()
    for _ in range(4):
        who = town.person()
        orders = [town.buy(0, 50, who, ref=code) for _ in range(2)]
        settle_at_once(town, [order.id for order in orders] * 2)
    assert town.states() == ["rewarded"] * 4
    assert town.points(anna) == [100] * 4


def test_a_guest_with_two_orders_at_once_is_one_friend(town: Town) -> None:
    town.publish(**TERMS)
    anna, code = town.referrer()
    orders = [town.buy(0, 50, None, email="guest@mail.example", ref=code) for _ in range(2)]
    settle_at_once(town, [order.id for order in orders] * 2)
    assert (town.states(), town.points(anna)) == (["rewarded"], [100])


def test_many_friends_at_once_keep_to_the_limit_and_reach_a_milestone_once(town: Town) -> None:
    stones = [{"friends": 3, "benefit": {"kind": "points", "points": 1000}}]
    town.publish(**TERMS | {"monthly_limit": 4, "milestones": stones})
    anna, code = town.referrer()
    orders = [town.buy(0.01 * day, 50, town.person(), ref=code) for day in range(6)]
    settle_at_once(town, [order.id for order in orders])
    town.work()
    assert sum(town.points(anna)) == 4 * 100 + 1000
    over = [any(reason["key"] == "monthly_limit" for reason in town.row(order).reasons) for order in orders]
    assert over == [False] * 4 + [True] * 2


def test_a_refund_that_races_the_reward_leaves_nothing(town: Town) -> None:
    town.publish(**TERMS)
    anna, code = town.referrer()
    for _ in range(4):
        ben = town.person()
        order = town.buy(0, 50, ben, ref=code)
        refund = store.refund(DEMO, order, {order.lines[0].id: 2}, town.second(1))
        told = [delivery(topic, payloads.body(topic, DEMO, order, ben)) for topic in refund]
        with town.at(2):
            town.house.put(town.shop, told)
            errors = at_once(
                town.house.drain, partial(operations.settle, town.house.database, town.shop, str(order.id))
            )
        assert errors == []
        town.work(2)
        assert (sum(town.points(anna)), sum(town.points(ben))) == (0, 0)


def settle_at_once(town: Town, order_ids: Sequence[int]) -> None:
    with town.at(3):
        calls = [partial(operations.settle, town.house.database, town.shop, str(order_id)) for order_id in order_ids]
        assert at_once(*calls) == []
    town.work(3)


def test_settling_again_writes_nothing(town: Town) -> None:
    town.publish(**TERMS)
    _, code = town.referrer()
    order = town.buy(0, 50, town.person(), ref=code)
    town.work()
    before = snapshot(town)
    for _ in range(2):
        with town.at(5):
            operations.settle(town.house.database, town.shop, str(order.id))
    assert snapshot(town) == before


def snapshot(town: Town) -> list[Any]:
    tables = ("referrals", "referral_rewards", "referral_decisions", "postings", "events")
    return [town.owner.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]  # type: ignore[call-overload]
