"""What both sides are given: codes and credit in Shopify, commission, tiers, limits, milestones; and taking it back."""

from typing import Any

import pytest
import sqlalchemy as sa

from core import clock
from core.errors import Conflict
from loyalty import merging
from loyalty.rewards import operations as rewards
from referrals import operations
from referrals.models import Referral, ReferralClaim, ReferralCode
from sandbox import payloads
from sandbox.catalogue import DEMO
from sandbox.orders import Customer, Discount
from tests.referrals.engine.rig import Town, off
from tests.webhooks.rig import delivery

POINTS = {"kind": "points", "points": 100}
TEN_OFF = {"kind": "amount_off", "amount": 1000}
COMMISSION = {"kind": "commission", "percentage": "10"}


def partnership(**more: Any) -> dict[str, Any]:
    return {"key": "creators", "name": "Creators", "kind": "influencer", "friend": {"kind": "none"},
            "referrer": COMMISSION, **more}  # fmt: skip


# Codes in Shopify.


def test_a_code_is_made_in_shopify_and_taken_back_unused(town: Town) -> None:
    anna, code = town.referrer(real=True)
    ben = town.person()
    order = town.buy(0, 50, ben, ref=code)
    town.work()
    (reward,) = town.rewards(anna)
    assert (reward.status, reward.points, reward.amount, reward.terms["name"]) == ("issued", 0, 1000, "$10.00 off")
    assert [one["code"] for one in town.discounts(anna)] == [reward.code]
    assert town.given() == [("given", 0, 1000)]
    town.refund(1, order, ben)
    town.work()
    assert [one.status for one in town.rewards(anna)] == ["returned"]
    assert [one["status"] for one in town.discounts(anna)] == ["EXPIRED"]
    assert (town.states(), town.given()) == (["reversed"], [("taken_back", 0, 1000)])
    assert town.points(anna) == []


def test_a_code_that_was_used_is_kept_and_counts_when_the_order_stands_again(town: Town) -> None:
    town.publish(friend_minimum=3000)
    anna, code = town.referrer(real=True)
    ben = town.person()
    order = town.buy(0, 50, ben, ref=code)
    town.work()
    (reward,) = town.rewards(anna)
    town.buy(1, 40, anna, codes=[off(reward.code)])
    town.refund(2, order, ben, pieces=1)
    town.work()
    assert (town.states(), town.given()) == (["reversed"], [("kept", 0, 1000)])
    town.enlarge(3, order, 20, ben)
    town.work()
    assert (town.states(), town.given()) == (["rewarded"], [("given", 0, 1000)])
    assert [one.status for one in town.rewards(anna)] == ["used"]


def test_a_code_may_be_taken_back_while_it_is_being_made(town: Town) -> None:
    anna, code = town.referrer(real=True)
    ben = town.person()
    order = town.buy(0, 50, ben, ref=code)
    with town.at(0):
        settle(town, order.id)
    town.cancel(0, order, ben)
    with town.at(0):
        settle(town, order.id)
    assert [one.status for one in town.rewards(anna)] == ["returning"]
    town.work()
    assert ([one.status for one in town.rewards(anna)], town.discounts(anna)) == (["returned"], [])
    assert town.given() == [("taken_back", 0, 1000)]


def settle(town: Town, order_id: int) -> None:
    operations.settle(town.house.database, town.shop, str(order_id))


def test_a_gift_cannot_be_given_back_for_points(town: Town) -> None:
    anna, code = town.referrer(real=True)
    town.buy(0, 50, town.person(), ref=code)
    town.work()
    (reward,) = town.rewards(anna)
    with pytest.raises(Conflict) as refused, town.house.database.transaction(town.shop) as session:
        rewards.give_back(session, town.shop, reward.member_id, reward.id, actor="test")
    assert refused.value.code == "reward_gift"


def test_store_credit_goes_to_both_and_back(town: Town) -> None:
    credit = {"kind": "store_credit", "amount": 700}
    town.publish(friend=credit, referrer=credit)
    anna, code = town.referrer(real=True)
    ben = town.person(real=True)
    order = town.buy(0, 50, ben, ref=code)
    town.work()
    assert [one.status for who in (anna, ben) for one in town.rewards(who)] == ["issued", "issued"]
    town.cancel(1, order, ben)
    town.work()
    assert [one.status for who in (anna, ben) for one in town.rewards(who)] == ["returned", "returned"]
    assert (town.given("friend"), town.given()) == ([("taken_back", 0, 700)], [("taken_back", 0, 700)])


def test_what_shopify_refuses_is_said_and_not_tried_for_ever(town: Town) -> None:
    anna, code = town.referrer(real=True)
    ben = town.person()
    refusal = [{"message": "No.", "code": "INVALID"}]
    town.ask("faults", kind="user_errors", field="discountCodeBasicCreate", user_errors=refusal)
    order = town.buy(0, 50, ben, ref=code)
    town.work()
    assert [(one.status, one.error) for one in town.rewards(anna)] == [("failed", "discount_basic_create: No.")]
    assert (town.states(), town.given()) == (["rewarded"], [("taken_back", 0, 1000)])
    town.enlarge(1, order, 5, ben)
    town.work()
    assert [one.status for one in town.rewards(anna)] == ["failed", "issued"]


# Commission.


def test_a_partner_earns_a_share_that_follows_the_order(town: Town) -> None:
    town.publish(partnerships=[partnership()])
    town.partner("creators", "PAT10")
    ben = town.person()
    order = town.buy(0, 80, ben, codes=[Discount("PAT10", "fixed_amount", 0)])
    town.work()
    assert (town.states(), town.commission()) == (["rewarded"], [("earned", 800)])
    town.refund(1, order, ben, pieces=1)
    town.work()
    assert town.commission() == [("earned", 800), ("reversed", -800), ("earned", 400)]
    town.refund(2, order, ben, pieces=1)
    town.work()
    assert sum(amount for _, amount in town.commission()) == 0
    assert town.states() == ["reversed"]


def test_where_every_order_counts_each_is_a_referral_of_its_own(town: Town) -> None:
    town.publish(partnerships=[partnership(every_order=True)])
    town.partner("creators", "PAT10")
    ben = town.person()
    town.buy(-9, 20, ben)
    orders = [town.buy(day, 80, ben, ref="pat-10") for day in (0, 1)]
    town.work()
    assert (town.states(), town.commission()) == (["rewarded"] * 2, [("earned", 800)] * 2)
    town.cancel(2, orders[0], ben)
    town.work()
    assert town.states() == ["reversed", "rewarded"]
    assert town.commission()[-1] == ("reversed", -800)


def test_a_partner_can_be_given_money_only(town: Town) -> None:
    town.publish(partnerships=[partnership(referrer=TEN_OFF)])
    town.partner("creators", "PAT10")
    town.buy(0, 80, town.person(), ref="PAT10")
    town.work()
    assert (town.states(), town.given()) == (["rewarded"], [])


# By tier, by month, and the so-maniest friend.


def test_the_tier_at_the_orders_time_decides(town: Town) -> None:
    town.publish(referrer=POINTS, tiers=[{"tier": "advocate", "referrer": {"kind": "points", "points": 250}}])
    anna, code = town.referrer()
    town.buy(0, 40, town.person(), ref=code)
    town.buy(1, 600, anna)
    town.buy(2, 40, town.person(), ref=code)
    late = town.person()
    order = town.buy(0.5, 40, late, ref=code, send=False)
    town.tell(3, order, ["orders/paid"], late)
    town.work()
    assert sorted(town.points(anna)) == [100, 100, 250]


def test_so_many_friends_a_month_bring_something(town: Town) -> None:
    town.publish(referrer=POINTS, friend={"kind": "none"}, monthly_limit=2)
    anna, code = town.referrer()
    people = [town.person() for _ in range(4)]
    orders = [town.buy(day, 50, who, ref=code) for day, who in zip((0, 1, 2, 27), people, strict=True)]
    town.work(40)
    assert sum(town.points(anna)) == 300
    assert [row.reasons for row in town.rows()][2] == [
        {
            "key": "monthly_limit",
            "points": 0,
            "text": "No reward: as many friends as a month may were ahead of this one.",
        }
    ]
    town.cancel(41, orders[0], people[0])
    town.work()
    assert sum(town.points(anna)) == 300
    assert town.given() == [("taken_back", 100, 0), *[("given", 100, 0)] * 3]


@pytest.mark.parametrize("turn", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_limit_goes_by_when_orders_were_placed(town: Town, turn: tuple[int, ...]) -> None:
    town.publish(referrer=POINTS, friend={"kind": "none"}, monthly_limit=2)
    _, code = town.referrer()
    placed = [(who := town.person(), town.buy(day, 50, who, ref=code, send=False)) for day in range(3)]
    for place in turn:
        town.tell(4, placed[place][1], ["orders/paid"], placed[place][0])
        town.work()
    over = [any(reason["key"] == "monthly_limit" for reason in town.row(order).reasons) for _, order in placed]
    assert over == [False, False, True]


def test_milestones_come_with_the_friend_and_go_with_them(town: Town) -> None:
    stones = [{"friends": 2, "benefit": {"kind": "points", "points": 500}}]
    town.publish(referrer={"kind": "none"}, friend={"kind": "none"}, milestones=stones)
    anna, code = town.referrer()
    people = [town.person() for _ in range(3)]
    orders = [town.buy(day, 50, who, ref=code) for day, who in enumerate(people)]
    town.work()
    assert (town.points(anna), town.given("milestone")) == ([500], [("given", 500, 0)])
    assert town.told(anna) == ["500 points because 2 friends you invited have placed a first order."]
    town.cancel(3, orders[1], people[1])
    town.work()
    assert town.points(anna) == [500]
    town.cancel(4, orders[0], people[0])
    town.work()
    assert town.points(anna) == [500, -500]
    town.buy(5, 50, town.person(), ref=code)
    town.work()
    assert town.points(anna) == [500, -500, 500]


# People who join, merge, leave and are forgotten.


def test_a_guest_who_becomes_a_member_is_the_same_friend(town: Town) -> None:
    town.publish(referrer=POINTS, friend={"kind": "points", "points": 50})
    anna, code = town.referrer()
    ben = town.person()
    order = town.buy(0, 50, None, email=ben.email or "", ref=code)
    town.work()
    assert (town.states(), town.points(anna), town.given("friend")) == (["rewarded"], [100], [])
    town.buy(1, 20, ben)
    join(town, 2, ben)
    town.work()
    (row,) = town.rows()
    assert (row.friend, row.order_id, row.state) == (f"m{town.member(ben).id}", order.id, "rewarded")
    assert (town.points(anna), town.points(ben)) == ([100], [50])


def join(town: Town, day: float, who: Customer) -> None:
    body = payloads.customer_payload(DEMO, who) | {"verified_email": True}
    town.send(day, [delivery("customers/update", body)])


def test_two_friends_who_are_one_count_once(town: Town) -> None:
    town.publish(referrer=POINTS, friend={"kind": "none"})
    anna, code = town.referrer()
    ben, double = town.person(), town.person()
    orders = [town.buy(day, 50, who, ref=code) for day, who in ((0, ben), (1, double))]
    town.work()
    assert sum(town.points(anna)) == 200
    town.merge(2, ben, double)
    town.work()
    assert [(row.order_id, row.state) for row in town.rows()] == [(orders[0].id, "rewarded"), (orders[1].id, "void")]
    assert sum(town.points(anna)) == 100
    town.cancel(3, orders[0], ben)
    town.work()
    assert (sum(town.points(anna)), sorted(town.states())) == (100, ["rewarded", "void"])


def test_a_merge_shows_that_somebody_brought_themselves(town: Town) -> None:
    town.publish(referrer=POINTS, friend={"kind": "none"})
    anna, code = town.referrer()
    alias = town.person()
    town.buy(0, 50, alias, ref=code)
    town.work()
    assert town.points(anna) == [100]
    town.merge(1, anna, alias)
    town.work()
    assert (town.states(), sum(town.points(anna))) == (["blocked"], 0)
    assert "same_customer" in {reason["key"] for reason in town.rows()[0].reasons}


def test_a_referrer_who_merges_takes_codes_and_friends_along(town: Town) -> None:
    town.publish(referrer=POINTS, friend={"kind": "none"}, holding_days=5)
    anna, code = town.referrer()
    other, second = town.referrer()
    town.buy(0, 50, town.person(), ref=code)
    town.work()
    town.merge(1, other, anna)
    town.buy(2, 50, town.person(), ref=code)
    town.work(10)
    assert town.points(other) == [100, 100]
    with town.house.database.transaction(town.shop) as session:
        mine = sa.select(ReferralCode.code).where(ReferralCode.retired_at.is_(None))
        assert list(session.scalars(mine)) == [second]


def test_who_has_left_earns_nothing_but_keeps_what_came(town: Town) -> None:
    town.publish(referrer=POINTS, friend={"kind": "none"})
    anna, code = town.referrer()
    ben = town.person()
    order = town.buy(0, 50, ben, ref=code)
    town.work()
    with town.at(1), town.house.database.transaction(town.shop) as session:
        merging.close_member(session, town.shop, anna.id, at=clock.now())
    town.buy(2, 50, town.person(), ref=code)
    town.enlarge(2, order, 5, ben)
    town.work()
    assert (town.states(), town.points(anna)) == (["rewarded"] * 2, [100])


def test_a_friend_who_is_forgotten_still_counts_and_is_nobody(town: Town) -> None:
    town.publish(referrer=POINTS, friend={"kind": "none"})
    anna, code = town.referrer()
    ben = town.person()
    claim = town.claim(-1, code, ben.email)
    order = town.buy(0, 50, ben, codes=[off(claim)])
    town.work()
    town.redact(1, ben)
    town.work()
    (row,) = town.rows()
    assert (row.state, row.via, row.evidence.get("email")) == ("rewarded", "discount", None)
    with town.house.database.transaction(town.shop) as session:
        kept = session.scalars(sa.select(ReferralClaim)).one()
    assert (kept.email, kept.email_index, kept.consent) == (b"", f"erased-{kept.id}", "")
    town.cancel(2, order, None)
    town.work()
    assert (town.states(), town.points(anna)) == (["reversed"], [100, -100])


def test_a_referrers_name_goes_with_them(town: Town) -> None:
    town.publish(referrer=POINTS, friend={"kind": "none"})
    anna, code = town.referrer("Anna")
    town.buy(0, 50, town.person(), ref=code)
    town.work()
    town.redact(1, anna)
    assert code.startswith("ANNA")
    with town.house.database.transaction(town.shop) as session:
        words = [*session.scalars(sa.select(ReferralCode.code)), *session.scalars(sa.select(ReferralCode.key))]
        words += session.scalars(sa.select(Referral.code_key))
    assert not [word for word in words if "ANNA" in word]
    town.work()
    assert town.states() == ["rewarded"]
