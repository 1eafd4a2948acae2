"""Rewards that cost no points: granted once, made in Shopify, and revoked unless they were used."""

import pytest

from core.errors import Conflict
from loyalty.program import Reward
from loyalty.rewards import operations
from loyalty.rewards.models import MemberReward
from tests.loyalty.rewards.rig import Front, numbers

TEN_OFF = Reward(key="referral", name="$10 off", cost=1, kind="amount_off", amount=1000, valid_days=30)
CREDIT = Reward(key="referral", name="$5 of store credit", cost=1, kind="store_credit", amount=500)


def grant(front: Front, member: int, reward: Reward = TEN_OFF, key: str | None = None) -> MemberReward:
    with front.house.database.transaction(front.shop) as session:
        return operations.grant(
            session, front.shop, member, reward, source="test", key=key or f"grant {next(numbers)}", actor="test"
        )


def revoke(front: Front, row: MemberReward) -> bool:
    with front.house.database.transaction(front.shop) as session:
        return operations.revoke(session, front.shop, row.id, actor="test")


def test_a_grant_costs_nothing_and_is_made(front: Front, customer: int, member: int) -> None:
    row = grant(front, member)
    assert (row.points, row.amount, row.status, front.points(member)) == (0, 1000, "issuing", 10_000)
    front.work()
    assert front.status(row) == "issued"
    assert [one["code"] for one in front.discounts(customer)] == [row.code]
    assert front.events(row) == ["reward.granted", "reward.issued"]
    assert front.kinds(member) == []


def test_the_same_key_grants_once(shop: Front) -> None:
    member = shop.member(1)
    assert grant(shop, member, key="once").id == grant(shop, member, key="once").id


@pytest.mark.parametrize("reward", [TEN_OFF, CREDIT], ids=["a code", "store credit"])
def test_what_is_unused_is_revoked(front: Front, member: int, reward: Reward) -> None:
    row = grant(front, member, reward)
    front.work()
    assert revoke(front, row)
    assert front.status(row) == "returning"
    front.work()
    assert (front.status(row), front.points(member), front.kinds(member)) == ("returned", 10_000, [])
    assert revoke(front, row)
    assert front.events(row)[-2:] == ["reward.revoked", "reward.returned"]
    assert front.even()


def test_what_was_used_is_not(front: Front, customer: int, member: int) -> None:
    row = grant(front, member)
    front.work()
    with front.house.database.transaction(front.shop) as session:
        kept = session.get_one(MemberReward, (front.shop, row.id))
        kept.status = "used"
    assert not revoke(front, row)
    assert front.status(row) == "used"


def test_what_shopify_saw_used_before_we_did_is_kept(front: Front, customer: int, member: int) -> None:
    row = grant(front, member)
    front.work()
    assert front.buy(customer, [row.code]).status_code == 201
    assert revoke(front, row)
    front.work()
    assert front.status(row) == "used"


def test_revoking_while_it_is_made_leaves_nothing_in_shopify(front: Front, customer: int, member: int) -> None:
    row = grant(front, member)
    front.fault("timeout_after", "discountCodeBasicCreate", times=9)
    front.work()
    assert (front.status(row), len(front.discounts(customer))) == ("issuing", 1)
    front.calm()
    assert revoke(front, row)
    front.work()
    assert front.status(row) == "returned"
    assert [one["status"] for one in front.discounts(customer)] == ["EXPIRED"]


def test_a_gift_is_not_given_back_for_points(shop: Front) -> None:
    row = grant(shop, shop.member(2))
    with pytest.raises(Conflict) as refused:
        shop.give_back(row)
    assert refused.value.code == "reward_gift"
