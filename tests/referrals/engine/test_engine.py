"""Give and get, from the friend's order to both sides' rewards and back."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from loyalty import programs
from loyalty.operations import adjust
from tests.referrals.engine.rig import T0, Town, off, program

POINTS = {"kind": "points", "points": 100}
BOTH = {"referrer": POINTS, "friend": {"kind": "points", "points": 50}}


def test_a_friend_who_came_by_a_link_brings_both_sides_theirs(town: Town) -> None:
    town.publish(**BOTH)
    anna, code = town.referrer()
    ben = town.person()
    town.buy(0, 50, ben, ref=code)
    town.work()
    assert town.states() == ["rewarded"]
    assert town.points(anna) == [100]
    assert town.points(ben) == [50]
    assert town.told(anna) == ["100 points because a friend you invited placed a first order."]
    assert town.told(ben) == ["50 points because a friend invited you, and your first order is paid."]
    assert town.decisions() == [("new", "rewarded")]
    assert town.notes() == [
        "The friend came by the referrer's link. The friend's order is paid and stood the holding days."
    ]


# How an order tells of the referrer.


@pytest.mark.parametrize(
    ("told", "via"),
    [
        ({"ref": "{code}"}, "cart"),
        ({"ref": " {lower} "}, "cart"),
        ({"codes": ["{code}"]}, "code"),
        ({"codes": ["{claim}"]}, "discount"),
        ({"codes": ["SUMMER", "{claim}"], "ref": "{code}"}, "discount"),
        ({"codes": ["{code}"], "ref": "{code}"}, "cart"),
        ({}, "email"),
    ],
    ids=["cart", "cart, in another spelling", "typed", "claim", "claim before cart", "cart before typed", "e-mail"],
)
def test_an_order_tells_of_the_referrer_in_many_ways(town: Town, told: dict[str, Any], via: str) -> None:
    town.publish(**BOTH)
    anna, code = town.referrer()
    ben = town.person()
    claim = town.claim(-1, code, ben.email) if via in ("discount", "email") else "none"
    names = {"code": code, "lower": code.lower(), "claim": claim}
    discounts = [off(text.format(**names)) for text in told.get("codes", ())]
    town.buy(0, 60, ben, ref=told["ref"].format(**names) if "ref" in told else None, codes=discounts)
    town.work()
    assert [(row.via, row.state) for row in town.rows()] == [(via, "rewarded")]
    assert town.points(anna) == [100]


def test_the_last_referrer_wins_within_the_window(town: Town) -> None:
    town.publish(window_days=30, **BOTH)
    _, first = town.referrer("Anna")
    ben, second = town.referrer("Ben")
    friend = town.person()
    town.claim(-40, first, friend.email)
    town.claim(-20, second, friend.email)
    town.buy(0, 60, friend)
    late = town.person()
    town.claim(-40, first, late.email)
    town.buy(0, 60, late)
    town.work()
    assert [row.referrer_member_id for row in town.rows()] == [town.member(ben).id]


def test_a_friends_address_is_known_again_however_it_is_written(town: Town) -> None:
    town.publish(**BOTH)
    anna, code = town.referrer()
    town.claim(-1, code, "Carla.Gomez+shop@gmail.com")
    town.buy(0, 60, None, email="carlagomez@googlemail.com")
    town.work()
    assert town.states() == ["rewarded"]
    assert town.points(anna) == [100]


def test_an_order_that_names_nobody_asks_for_nothing(town: Town) -> None:
    town.referrer()
    town.buy(0, 60, town.person(), ref="NOBODY", codes=[off("SUMMER")])
    assert town.waiting() == []


# Time.


def test_the_referrers_side_waits_for_payment_and_the_holding_days(town: Town) -> None:
    town.publish(holding_days=14, **BOTH)
    anna, code = town.referrer()
    ben = town.person()
    order = town.buy(0, 50, ben, ref=code, status="pending")
    town.work(3)
    assert (town.states(), town.points(ben)) == (["waiting"], [])
    town.pay(4, order, ben)
    town.work(17.9)
    assert (town.states(), town.points(anna), town.points(ben)) == (["holding"], [], [50])
    town.work(18)
    assert (town.states(), town.points(anna)) == (["rewarded"], [100])
    assert town.decisions() == [("new", "waiting"), ("waiting", "holding"), ("holding", "rewarded")]


def test_what_fails_to_be_released_holds_up_nobody(town: Town) -> None:
    town.publish(holding_days=14, **BOTH)
    anna, code = town.referrer()
    for _ in range(3):
        town.buy(0, 50, town.person(), ref=code)
    town.work(0)
    broken = town.rows()[1]
    spoilt = """UPDATE referrals SET evidence = evidence || '{"same_home": "never"}' WHERE id = %s"""
    town.owner.execute(spoilt, [broken.id])
    town.work(14)
    assert town.states() == ["rewarded", "holding", "rewarded"]
    assert town.points(anna) == [100, 100]


# The order that counts.


@pytest.mark.parametrize(
    ("dollars", "state"), [(30, "rewarded"), (29.98, "void")], ids=["just enough", "a little less"]
)
def test_the_minimum_is_before_the_friends_own_discount(town: Town, dollars: float, state: str) -> None:
    town.publish(friend_minimum=3000, **BOTH)
    _, code = town.referrer()
    ben = town.person()
    claim = town.claim(-1, code, ben.email)
    order = town.buy(0, dollars, ben, codes=[off(claim)])
    town.work()
    assert town.states() == [state]
    assert (town.row(order).amount, town.row(order).discount) == (round(dollars * 100) - 1000, 1000)


def test_other_discounts_count_for_the_minimum(town: Town) -> None:
    town.publish(friend_minimum=3000, **BOTH)
    _, code = town.referrer()
    ben = town.person()
    claim = town.claim(-1, code, ben.email)
    town.buy(0, 38, ben, codes=[off("SALE", 9), off(claim)])
    town.work()
    assert town.states() == ["void"]


def test_somebody_who_had_ordered_before_is_no_friend(town: Town) -> None:
    _, code = town.referrer()
    ben = town.person()
    town.buy(-20, 15, ben)
    town.buy(0, 60, ben, ref=code)
    town.work()
    (row,) = town.rows()
    assert (row.state, row.score) == ("blocked", 100)
    assert [reason["key"] for reason in row.reasons] == ["not_new"]
    assert town.given() == []


def test_an_earlier_order_that_comes_late_takes_the_reward_back(town: Town) -> None:
    town.publish(**BOTH)
    anna, code = town.referrer()
    ben = town.person()
    town.buy(0, 60, ben, ref=code)
    town.work()
    earlier = town.buy(-20, 15, ben)
    town.work(1)
    assert (town.states(), town.points(anna), town.points(ben)) == (["blocked"], [100, -100], [50, -50])
    town.cancel(2, earlier, ben)
    town.work(2)
    assert (town.states(), town.points(anna)) == (["rewarded"], [100, -100, 100])


def test_ones_own_code_brings_nothing(town: Town) -> None:
    anna, code = town.referrer()
    town.buy(0, 60, anna, ref=code)
    town.work()
    (row,) = town.rows()
    assert row.state == "blocked"
    assert {reason["key"] for reason in row.reasons} == {"same_customer", "not_new"}


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "the later first"])
def test_of_two_orders_the_first_counts(town: Town, turned: bool) -> None:
    town.publish(**BOTH)
    anna, code = town.referrer()
    ben = town.person()
    one, two = (town.buy(day, 60, ben, ref=code, send=False) for day in (0, 0.01))
    for order in (two, one) if turned else (one, two):
        town.tell(1, order, ["orders/paid"], ben)
        town.work(1)
    (row,) = town.rows()
    assert (row.order_id, row.state) == (one.id, "rewarded")
    assert sum(town.points(anna)) == 100


def test_when_the_first_order_falls_the_next_one_counts(town: Town) -> None:
    town.publish(**BOTH)
    anna, code = town.referrer()
    ben = town.person()
    first = town.buy(0, 60, ben, ref=code)
    second = town.buy(1, 60, ben, ref=code)
    town.cancel(2, first, ben)
    town.work(2)
    assert [(row.order_id, row.state) for row in town.rows()] == [(second.id, "rewarded")]
    assert sum(town.points(anna)) == 100


def test_a_friend_has_one_referrer_for_ever(town: Town) -> None:
    town.publish(**BOTH)
    anna, hers = town.referrer("Anna")
    ben, his = town.referrer("Ben")
    friend = town.person()
    first = town.buy(0, 60, friend, ref=hers)
    town.cancel(1, first, friend)
    town.buy(2, 60, friend, ref=his)
    town.work(3)
    (row,) = town.rows()
    assert (row.referrer_member_id, row.state) == (town.member(anna).id, "void")
    assert town.points(ben) == []


# What is undone, before and after.


def test_a_cancel_before_the_reward_voids_it(town: Town) -> None:
    town.publish(holding_days=14, **BOTH)
    anna, code = town.referrer()
    ben = town.person()
    order = town.buy(0, 50, ben, ref=code)
    town.work(1)
    town.cancel(2, order, ben)
    town.work(20)
    assert (town.states(), town.points(anna), town.points(ben)) == (["void"], [], [50, -50])
    assert town.told(ben)[-1] == "50 points went back: the order they were for no longer counts."


def test_a_refund_after_the_reward_takes_it_back_and_an_edit_brings_it_again(town: Town) -> None:
    town.publish(friend_minimum=3000, **BOTH)
    anna, code = town.referrer()
    ben = town.person()
    order = town.buy(0, 50, ben, ref=code)
    town.work(1)
    town.refund(2, order, ben, pieces=1)
    town.work(2)
    assert (town.states(), town.points(anna)) == (["reversed"], [100, -100])
    town.enlarge(3, order, 20, ben)
    town.work(3)
    assert (town.states(), town.points(anna)) == (["rewarded"], [100, -100, 100])
    assert town.given() == [("taken_back", 100, 0), ("given", 100, 0)]
    assert town.told(anna)[1] == "100 points went back: the order of a friend you invited no longer counts."


def test_without_clawback_the_reward_stays(town: Town) -> None:
    town.publish(clawback=False, **BOTH)
    anna, code = town.referrer()
    ben = town.person()
    order = town.buy(0, 50, ben, ref=code)
    town.work(1)
    town.refund(2, order, ben)
    town.work(2)
    assert (town.states(), town.points(anna), town.points(ben)) == (["rewarded"], [100], [50])


def test_points_that_were_spent_are_forgiven_where_the_program_says_so(town: Town) -> None:
    with town.house.database.transaction(town.shop) as session:
        mild = program(**BOTH).model_copy(update={"clawback": "clamp"})
        programs.publish(session, town.shop, mild, effective_from=T0 - timedelta(days=300), actor="test")
    anna, code = town.referrer()
    ben = town.person()
    order = town.buy(0, 50, ben, ref=code)
    town.work(1)
    with town.at(2), town.house.database.transaction(town.shop) as session:
        adjust(session, town.shop, town.member(anna).id, -town.member(anna).available, "spent", actor="test", key="s")
    town.cancel(3, order, ben)
    town.work(3)
    assert town.points(anna) == [100, -100, 100]
    assert town.member(anna).available == 0


# Decisions.


def test_what_is_in_review_waits_for_a_person_and_for_no_deadline(town: Town) -> None:
    town.publish(holding_days=3, **BOTH)
    anna, code = town.referrer()
    ben = town.person(email="somebody.unknown@mailinator.com")
    order = town.buy(0, 50, ben, ref=code)
    town.work(60)
    assert (town.states(), town.points(anna), town.points(ben)) == (["review"], [], [])
    town.decide(order, "approve")
    town.work(60)
    assert (town.states(), town.points(anna), town.points(ben)) == (["rewarded"], [100], [50])
    town.decide(order, "refuse")
    town.work(61)
    assert (town.states(), sum(town.points(anna)), sum(town.points(ben))) == (["blocked"], 0, 0)
    town.decide(order, None)
    town.work(62)
    assert (town.states(), sum(town.points(anna))) == (["rewarded"], 100)


def test_while_shopify_is_away_nothing_is_decided(town: Town) -> None:
    town.publish(**BOTH)
    anna, code = town.referrer()
    town.ask("faults", kind="500", times=40)
    town.buy(0, 50, town.person(), ref=code)
    with town.at(0):
        town.carry_out()
    assert (town.states(), town.points(anna)) == ([], [])
    httpx.delete(f"{town.running.url}/sandbox/faults")
    town.work()
    assert (town.states(), town.points(anna)) == (["rewarded"], [100])
