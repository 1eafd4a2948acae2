"""Failures that loyalty products are known for. Each docstring names one; its test shows that it is gone."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from core.errors import Conflict
from loyalty import programs
from loyalty.activities.operations import act, set_birthday
from loyalty.program import Program, demo_program
from loyalty.programs import Version
from loyalty.rewards import operations as rewards
from sandbox.orders import Discount
from sandbox.signing import Delivery
from tests.scenarios.story import NOOR, Story
from tests.scenarios.test_a_year import same_person
from tests.webhooks.rig import at_once
from tiers import recalculation
from tiers.operations import override

DOUBLE = {"key": "double", "name": "Double points", "multiplier": 2}


def program(**changes: Any) -> Program:
    return Program.model_validate(demo_program().model_dump() | changes)


def tiers(*changes: dict[str, Any]) -> dict[str, Any]:
    """The demo ladder, its tiers changed from the lowest up."""
    ladder = demo_program().ladder.model_dump()
    return ladder | {"tiers": [tier | change for tier, change in zip(ladder["tiers"], changes, strict=True)]}


# Refunds.


@pytest.mark.parametrize("rule", ["deleted", "changed", "not for this tier any more"])
def test_refund_after_the_rule_was_changed_or_deleted(story: Story, rule: str) -> None:
    """A refund takes back what today's rule would give, or nothing because the rule is gone.

    $80 × 2 = 160 ── the rule is gone or gives ten times ── half back: −80
    """
    afterwards = {
        "deleted": {"bonuses": []},
        "changed": {"bonuses": [DOUBLE | {"multiplier": 10}]},
        "not for this tier any more": {"bonuses": [DOUBLE | {"tiers": ["ambassador"]}]},
    }
    story.publish(-1, program(bonuses=[DOUBLE]))
    order = story.buy(0, 80, pieces=2)
    story.publish(1, program(**afterwards[rule]))
    story.refund(2, order, 1)
    assert story.ledger() == [("bonus", 50), ("earn", 160), ("reversal", -80)]
    story.refund(3, order, 1)
    assert story.member().available == 50


def test_partial_refunds(story: Story) -> None:
    """A partial refund takes back everything, or nothing; roundings add up to points that nobody earned.

    $99.99 in three: 99 ── 66 ── 33 ── 0
    """
    order = story.buy(0, 99.99, pieces=3)
    left = []
    for day in (1, 2, 3):
        story.refund(day, order, 1)
        left.append(story.member().available - 50)
    assert left == [66, 33, 0]


def test_a_refund_told_of_before_the_payment(story: Story) -> None:
    """A refund that arrives before the payment takes points that were never given, or is forgotten.

    told: refund ── created ── paid      points: none ── 50 + 40 ── 50 + 40
    """
    told: list[Delivery] = []
    with story.kept_back(told):
        order = story.buy(0, 80, pieces=2)
        story.refund(1, order, 1)
    first = {delivery.topic: delivery for delivery in reversed(told)}
    for day, topic in enumerate(("refunds/create", "orders/create", "orders/paid", "orders/updated"), start=2):
        story.send(day, [first[topic]])
    assert story.ledger() == [("bonus", 50), ("earn", 40)]


def test_a_refund_while_points_are_pending_takes_them_from_pending(story: Story) -> None:
    """A refund before points become available makes the balance negative and releases the points all the same."""
    story.publish(-1, program(orders={"waiting_days": 30}))
    order = story.buy(0, 80, pieces=2)
    story.refund(1, order, 1)
    assert (story.member().pending, story.member().available) == (40, 50)
    story.strike(31)
    assert (story.member().pending, story.member().available) == (0, 90)


@pytest.mark.parametrize(("clawback", "left", "then"), [("negative", -450, -350), ("clamp", 0, 100)])
def test_refund_of_an_order_whose_points_were_spent(story: Story, clawback: str, left: int, then: int) -> None:
    """A refund of an order whose points bought a reward fails, or the shopper keeps both.

    $450: 500 ── $5 off for 500: 0 ── all back: −450, owed (or forgiven, where the program says so) ── $100
    """
    story.publish(-1, program(clawback=clawback))
    order = story.buy(0, 450)
    reward = story.redeem(1, "5-off")
    story.refund(2, order, 1)
    assert story.member().available == left
    assert story.reward(reward).status == "issuing"  # what was paid for is hers
    with pytest.raises(Conflict, match="points"):
        story.redeem(3, "free-shipping")
    story.buy(4, 100)
    assert story.member().available == then


# Orders.


def test_a_recompleted_order(story: Story) -> None:
    """An order that leaves its paid state and comes back to it earns again.

    $80 paid: 80 ── edited to $100, partly paid: held ── paid again: 100 ── fulfilled, told again: 100
    """
    order = story.buy(0, 80)
    story.enlarge(1, order, 20)
    assert (story.member().pending, story.member().available) == (100, 50)
    story.pay(2, order)
    story.fulfil(3, order)
    story.tell(4, order, ("orders/paid", "orders/create", "orders/paid"), NOOR)
    assert (story.member().pending, story.member().available) == (0, 150)
    assert sum(points for kind, points in story.ledger() if kind == "earn") == 100


# Rewards.


def test_a_reward_that_shopify_will_not_make(story: Story) -> None:
    """The reward is burned: points are gone, but no discount was ever made.

    550 ── $5 off: 50 ── Shopify refuses ── 550, with a word about why
    """
    story.buy(0, 500)
    reward = story.redeem(1, "5-off")
    assert story.member().available == 50
    with story.act(2) as session:
        assert rewards.mark_failed(session, story.shop, reward.id, "the shop has too many discounts")
    with story.act(2) as session:
        assert not rewards.mark_failed(session, story.shop, reward.id, "told twice")
    assert (story.member().available, story.reward(reward).status) == (550, "failed")
    assert story.ledger()[-1] == ("reimbursement", 500)


def test_a_discount_that_was_not_applied(story: Story) -> None:
    """The reward is burned: the order went through without its discount, and the points are gone."""
    story.buy(0, 500)
    reward = story.redeem(1, "5-off")
    story.issue(1, reward)
    story.buy(2, 100)  # she forgot to type the code
    assert story.reward(reward).status == "issued"
    story.give_back(3, reward)
    assert story.member().available == 50 + 500 + 125


@pytest.mark.parametrize("setting", ["return", "keep"])
def test_an_order_paid_with_a_reward_is_cancelled(story: Story, setting: str) -> None:
    """The reward is burned: its order was cancelled, and neither code nor points come back. The program decides."""
    story.publish(-1, program(reward_refunds=setting))
    story.buy(0, 450)
    reward = story.redeem(1, "5-off")
    order = story.buy(2, 20, code=story.issue(1, reward))
    assert (story.member().available, story.reward(reward).status) == (15, "used")
    story.cancel(3, order)
    wanted = (500, "returned") if setting == "return" else (0, "used")
    assert (story.member().available, story.reward(reward).status) == wanted


@pytest.mark.parametrize("dollars", [5, 40])
def test_all_of_an_order_paid_with_a_reward_comes_back(story: Story, dollars: int) -> None:
    """The reward is burned: the shop kept the shipping, or the reward paid for all: the order is never "refunded"."""
    story.buy(0, 500)
    reward = story.redeem(1, "5-off")
    order = story.buy(2, dollars, pieces=5, code=story.issue(1, reward))
    story.refund(3, order, 4)
    assert story.reward(reward).status == "used"
    story.refund(4, order, 1)
    assert (story.reward(reward).status, story.member().available) == ("returned", 550)


def test_a_code_on_two_orders_pays_for_one(story: Story) -> None:
    """A code that is seen on a second order, because the first was cancelled late, is paid for twice or not at all."""
    story.buy(0, 450)
    reward = story.redeem(1, "5-off")
    code = story.issue(1, reward)
    first = story.buy(2, 20, code=Discount(code.code.lower(), code.kind, code.value))
    assert story.reward(reward).status == "used"
    story.cancel(3, first)
    story.buy(4, 20, code=code)
    assert (story.member().available, story.reward(reward).status) == (15, "used")
    kinds = [kind for kind, _ in story.ledger() if kind in ("redeem", "reimbursement")]
    assert kinds == ["redeem", "reimbursement", "redeem"]


def test_redeeming_from_many_sides_at_once(story: Story) -> None:
    """Two redemptions at the same moment both see the balance, and spend it twice.

    1,050 points, eight times $10 off for 1,000 at once: one is given, seven are told why not.
    """
    story.buy(0, 1000)
    member = story.member().id

    def redeem(key: str) -> None:
        with story.house.database.transaction(story.shop) as session:
            rewards.redeem(session, story.shop, member, "10-off", actor="test", key=key)

    with story.at(1):
        errors = at_once(*(lambda key=f"tab {n}": redeem(key) for n in range(8)))
    assert [getattr(error, "code", error) for error in errors] == ["points_short"] * 7
    assert story.member().available == 50
    with story.at(2):  # and a request that is repeated is one request
        story.buy(2, 1000)
        assert at_once(*(lambda: redeem("one tab, eight clicks") for _ in range(8))) == []
    assert [points for kind, points in story.ledger() if kind == "redeem"] == [-1000, -1000]
    assert story.house.differences(story.shop) == []


# Tiers.


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        (({}, {"threshold": 500_00}, {"threshold": 500_00}), "threshold"),
        (({}, {"threshold": 900_00}, {"threshold": 500_00}), "threshold"),
        (({}, {"key": "insider"}, {}), "key"),
    ],
)
def test_tiers_that_overlap_are_refused(changes: Sequence[dict[str, Any]], path: str) -> None:
    """Two tiers for the same spend: which one a member gets depends on the order in which they were saved."""
    with pytest.raises(ValidationError):
        program(ladder=tiers(*changes))


@pytest.mark.parametrize(("stacking", "points"), [("best", 300), ("stack", 399)])
def test_overlapping_rules_for_tiers_earn_by_one_stated_order(story: Story, stacking: str, points: int) -> None:
    """Rules for overlapping tiers both count the same purchase, or the one that happens to be read first.

    An Ambassador's $100 at × 1.5: 150 ── best: the better of + 150 and + 99 ── stack: both, one floor
    """
    rules = [
        {"key": "vip", "name": "VIP", "multiplier": 2, "tiers": ["advocate", "ambassador"]},
        {"key": "top", "name": "Top", "multiplier": "1.6666", "tiers": ["ambassador"]},
    ]
    story.publish(-1, program(bonuses=rules, stacking=stacking, ladder=tiers({}, {}, {"threshold": 600_00})))
    story.buy(0, 600)
    story.buy(1, 100)
    assert story.member().tier_key == "ambassador"
    assert story.ledger()[-1] == ("earn", points)
    told = story.postings()[-1].explanation["bonuses"]
    assert [bonus["rule"] for bonus in told] == (["vip"] if stacking == "best" else ["vip", "top"])


def test_expired_points_whose_spends_still_count(story: Story) -> None:
    """A lot expires in full although most of it was spent, and the balance falls below what was left of it.

    earned 100 + 50 joining ── 120 spent (of both, the oldest first) ── +90d the rest expires: −30 ── 0
    """
    story.publish(-1, program(expiry={"kind": "lot", "days": 90}))
    story.buy(0, 100)
    story.spend(10, 120)
    story.buy(60, 40)
    story.strike(91)
    assert story.ledger()[-1] == ("expiry", -30)
    assert story.member().available == 40
    story.strike(151)
    assert story.member().available == 0


def test_a_refund_of_what_has_expired_takes_nothing_twice(story: Story) -> None:
    """An order is refunded after its points expired, and its points are taken a second time."""
    story.publish(-1, program(expiry={"kind": "lot", "days": 30}))
    order = story.buy(0, 100)
    story.buy(20, 70)
    story.strike(31)
    assert story.member().available == 70
    story.refund(32, order, 1)
    story.strike(32.1)
    assert story.member().available == 70


def test_a_tier_follows_what_was_earned_not_what_is_left(story: Story) -> None:
    """Spending points, or letting them expire, costs the tier, because the tier looks at the balance."""
    ladder = tiers({}, {"threshold": 500}, {"threshold": 5000}) | {"metric": "points", "period": "lifetime"}
    story.publish(-1, program(ladder=ladder, expiry={"kind": "inactivity", "days": 60}))
    story.buy(0, 600)
    assert story.member().tier_key == "advocate"
    story.give_back(2, _issued(story, 1, "5-off"))
    story.redeem(3, "5-off")
    story.strike(4, 64)
    assert story.member().available == 0
    assert story.tiers() == ["advocate"]


def _issued(story: Story, day: float, key: str) -> Any:
    reward = story.redeem(day, key)
    story.issue(day, reward)
    return reward


def test_a_given_back_reward_is_no_earning(story: Story) -> None:
    """Points that come back from a reward, or by hand, lift the tier as if they were earned."""
    ladder = tiers({}, {"threshold": 700}, {"threshold": 5000}) | {"metric": "points", "period": "lifetime"}
    story.publish(-1, program(ladder=ladder))
    story.buy(0, 600)
    for day in (1, 2, 3):
        story.give_back(day + 0.5, _issued(story, day, "5-off"))
    story.strike(5)
    assert story.member().tier_key == "insider"


def test_tiers_that_are_switched_on_again_demote_nobody_silently(story: Story) -> None:
    """Tiers are switched off and on again: everyone starts at the bottom, and nobody was told.

    Advocate ── a ladder of one ── Advocate again, and the preview said so; her gift is given once
    """
    gift = {"entry_gift": 100}
    story.publish(-1, program(ladder=tiers({}, gift, {})))
    story.buy(0, 600)
    assert story.member().tier_key == "advocate"
    ladder = demo_program().ladder.model_dump()
    story.publish(10, program(ladder=ladder | {"tiers": ladder["tiers"][:1]}))
    story.strike(10.1)
    assert story.member().tier_key == "insider"
    again = program(ladder=tiers({}, gift, {}))
    with story.act(19) as session:
        seen = recalculation.preview(session, story.shop, Version(3, story.moment(20), again), story.moment(19))
    assert [(move.before, move.after, move.members) for move in seen.moves] == [("insider", "advocate", 1)]
    story.publish(20, again)
    story.strike(20.1)
    assert story.tiers() == ["advocate", "insider", "advocate"]
    assert story.ledger() == [("bonus", 50), ("earn", 600), ("bonus", 100)]


def test_tiers_by_hand_survive_a_change_of_the_ladder(story: Story) -> None:
    """Saving the ladder again wipes the tiers that were given by hand."""
    story.enrol(0, NOOR)
    with story.act(1) as session:
        override(session, story.shop, story.member().id, "advocate", reason="Press", until=None, actor="merchant")
    story.publish(2, program(ladder=tiers({}, {"threshold": 800_00}, {})))
    story.strike(2.1)
    assert story.member().tier_key == "advocate"


# Two customers who are one.


def test_merged_customers_keep_everything(story: Story) -> None:
    """A merge in Shopify loses points, counts them twice, or leaves the rewards with a member nobody can reach.

    Noor    50 + $300 ──────────────────────────┐
    at work 50 + $400 ── $3 shipping for 300 ────┴─ 500, Advocate ── gives the code back: 800
    """
    other = same_person(NOOR, 79)
    story.buy(0, 300)
    story.buy(1, 400, who=other)
    reward = story.redeem(2, "free-shipping", who=other)
    story.issue(2, reward)
    story.merge(3, NOOR, other)
    assert story.member().available == 50 + 300 + 50 + 400 - 300
    assert story.member().tier_key == "advocate"
    assert story.reward(reward).member_id == story.member().id
    story.give_back(4, reward)
    assert story.member().available == 800
    assert story.member(other).available == 0


def test_a_code_of_a_merged_customer_used_afterwards_is_settled_for_who_stays(story: Story) -> None:
    """The code was made for the customer who is gone; its order brings the reward back to somebody who isn't there."""
    other = same_person(NOOR, 79)
    story.buy(0, 10)
    story.buy(1, 500, who=other)
    reward = story.redeem(2, "5-off", who=other)
    code = story.issue(2, reward)
    story.merge(3, NOOR, other)
    order = story.buy(4, 100, code=code)
    assert story.reward(reward).status == "used"
    before = story.member().available
    story.cancel(5, order)
    assert story.member().available == before - 118 + 500  # $95 × 1.25, floored
    assert story.member(other).available == 0


def test_what_both_did_before_a_merge_is_not_earned_again(story: Story) -> None:
    """After a merge one person has two birthdays a year and reviews the same product twice."""
    rules = [
        {"kind": "birthday", "key": "birthday", "name": "Your birthday", "points": 100, "days_before": 0},
        {"kind": "review", "key": "review", "name": "Write a review", "points": 30},
    ]
    story.publish(-1, program(activities=rules))
    other = same_person(NOOR, 79)
    for who in (NOOR, other):
        story.enrol(0, who)
        with story.act(0) as session:
            set_birthday(session, story.shop, story.member(who).id, 2, 1, None, at=story.moment(0))
    review = {"fact": None, "data": {"product_id": "1"}, "actor": "test"}
    with story.act(1) as session:
        act(session, story.shop, story.member(other).id, "review", at=story.moment(1), **review)
    story.merge(2, NOOR, other)
    with pytest.raises(Conflict), story.act(3) as session:
        act(session, story.shop, story.member().id, "review", at=story.moment(3), **review)
    story.strike(26.5, 27, 27.5)
    assert story.member().available == 50 + 50 + 30 + 100
    assert len([rule for rule in _rules(story) if rule == "birthday"]) == 1


def _rules(story: Story) -> list[str]:
    return [posting.rule for posting in story.postings()]


def test_a_merge_keeps_a_tier_given_by_hand(story: Story) -> None:
    """The tier that somebody was given by hand is lost when their two accounts are joined."""
    other = same_person(NOOR, 79)
    story.enrol(0, NOOR)
    story.enrol(0, other)
    with story.act(1) as session:
        override(
            session, story.shop, story.member(other).id, "ambassador", reason="Press", until=story.moment(50), actor="m"
        )
    story.merge(2, NOOR, other)
    story.strike(2.1)
    assert story.member().tier_key == "ambassador"
    story.strike(51)
    assert story.member().tier_key == "insider"


@pytest.mark.parametrize("spent", [0, 600])
def test_a_merge_gives_no_entry_gift_twice(story: Story, spent: int) -> None:
    """Two accounts joined get a tier's gift once more, though one of them, or both, had it before."""
    story.publish(-1, program(ladder=tiers({}, {"entry_gift": 100}, {})))
    other = same_person(NOOR, 79)
    story.enrol(0, NOOR)
    if spent:
        story.buy(0, spent)
    story.buy(1, 600, who=other)
    story.merge(2, NOOR, other)
    story.strike(3)
    earned = spent + (750 if spent else 600)  # who was an Advocate already earns × 1.25
    assert story.member().available == 50 + 50 + earned + 100
    assert story.member().tier_key == "advocate"


def test_a_gift_that_was_taken_back_before_a_merge_is_not_given_beside_the_others(story: Story) -> None:
    """One account's promotion was undone, the other's was not: joined, they get the gift of the tier a second time."""
    story.publish(-1, program(ladder=tiers({}, {"entry_gift": 100}, {})))
    other = same_person(NOOR, 79)
    story.refund(1, story.buy(0, 600), 1)
    story.buy(2, 600, who=other)
    story.merge(3, NOOR, other)
    assert story.member().available == 50 + 50 + 600 + 100
    assert story.member().tier_key == "advocate"


def test_the_version_in_force_is_the_one_that_was_published(story: Story) -> None:
    """Saving the program while orders arrive settles some of them by a version nobody published."""
    story.publish(-1, program(orders={"points_per_unit": 2}))
    order = story.buy(0, 10)
    with story.house.database.transaction(story.shop) as session:
        known = programs.load(session, [story.shop])
    assert story.order(order).program_version == known.in_force(story.shop, story.moment(0)).number
