"""Redeeming: once each, never the same points, never the same last one; and what ends by itself."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock
from core.errors import Conflict, InvalidInput, NotFound, RapportError
from loyalty import programs
from loyalty.models import Member, Posting
from loyalty.program import Reward
from loyalty.rewards import operations, queries
from loyalty.rewards.models import MemberReward, RewardStock
from tests.loyalty.rewards.rig import START, Front, program
from tests.webhooks.rig import LONG_AGO, at_once


@pytest.fixture
def member(shop: Front) -> int:
    return shop.member(1, 1000)


def refused(call: Callable[..., object], *given: Any, **more: Any) -> RapportError:
    with pytest.raises(RapportError) as error:
        call(*given, **more)
    return error.value


def taken(shop: Front, key: str) -> int | None:
    with shop.house.database.transaction(shop.shop) as session:
        return session.scalar(sa.select(RewardStock.taken).where(RewardStock.reward_key == key))


def publish(shop: Front, *rewards: Reward) -> None:
    changed = program().model_copy(update={"rewards": rewards})
    with shop.house.database.transaction(shop.shop) as session:
        programs.publish(session, shop.shop, changed, effective_from=LONG_AGO + timedelta(days=1), actor="test")


def test_redeeming_takes_the_points_and_says_why(shop: Front, member: int) -> None:
    row = shop.redeem(member, "5-off")
    assert (row.status, row.points, row.amount, row.currency) == ("issuing", 500, 500, "USD")
    assert shop.points(member) == 500
    with shop.house.database.transaction(shop.shop) as session:
        posting = session.scalars(sa.select(Posting).where(Posting.key == f"redeem:{row.id}")).one()
    assert (posting.source, posting.target, posting.kind) == ("available", "redeemed", "redeem")
    assert posting.explanation == {
        "rule": "redeem", "reason": "redeemed", "points": 500, "reward": "5-off", "reward_id": row.id, "name": "$5 off"
    }  # fmt: skip
    assert (shop.effects(row), shop.events(row), shop.even()) == (["waiting"], ["reward.redeemed"], True)


def test_the_same_key_is_the_same_reward(shop: Front, member: int) -> None:
    first, again = (shop.redeem(member, "free-shipping", key="parcel 17") for _ in range(2))
    assert (first.id, first.code) == (again.id, again.code)
    assert shop.points(member) == 700
    assert refused(shop.redeem, member, "5-off", key="parcel 17").code == "idempotency_key_reused"


def test_a_key_is_one_members_and_one_price(shop: Front, member: int) -> None:
    """Whoever sends it for somebody else is refused, and never gets the first one's code."""
    shop.redeem(member, "any", key="till 1", points=300)
    other = shop.member(2, 1000)
    for whose, points in ((member, 400), (other, 300)):
        assert refused(shop.redeem, whose, "any", key="till 1", points=points).code == "idempotency_key_reused"
    assert (shop.points(member), shop.points(other)) == (700, 1000)


def test_codes_can_be_made_again_but_not_guessed(shop: Front, member: int) -> None:
    rows = [shop.redeem(member, "free-shipping") for _ in range(3)]
    assert len({row.code for row in rows}) == 3
    assert all(str(row.id) not in row.code.removeprefix("RAP-") or len(str(row.id)) < 3 for row in rows)


@pytest.mark.parametrize(
    ("key", "more", "kind", "code"),
    [
        ("nothing-like-it", {}, NotFound, "no_reward"),
        ("dinner", {}, Conflict, "points_short"),
        ("any", {}, InvalidInput, "bad_points"),
        ("any", {"points": 150}, InvalidInput, "bad_points"),
        ("5-off", {"points": 499}, InvalidInput, "bad_points"),
    ],
)
def test_what_is_refused_costs_nothing(
    shop: Front, member: int, key: str, more: dict[str, Any], kind: type[RapportError], code: str
) -> None:
    error = refused(shop.redeem, member, key, **more)
    assert (type(error), error.code) == (kind, code)
    assert (shop.points(member), shop.kinds(member)) == (1000, [])


def test_points_short_says_what_is_missing(shop: Front, member: int) -> None:
    error = refused(shop.redeem, member, "dinner")
    assert error.detail == "Dinner with us takes 4,000 points. You have 1,000, so you need 3,000 more."
    assert error.extra["missing"] == 3000


def test_once_each_and_again_after_giving_back(shop: Front, member: int) -> None:
    row = shop.redeem(member, "once")
    assert refused(shop.redeem, member, "once").code == "reward_limit"
    fail(shop, row)
    assert shop.redeem(member, "once").status == "issuing"


def fail(shop: Front, row: MemberReward) -> bool:
    with shop.house.database.transaction(shop.shop) as session:
        return operations.mark_failed(session, shop.shop, row.id, "no")


def issue(shop: Front, row: MemberReward) -> bool:
    with shop.house.database.transaction(shop.shop) as session:
        return operations.mark_issued(session, shop.shop, row.id, "gid://shopify/DiscountCodeNode/1")


def test_an_end_comes_once(shop: Front, member: int) -> None:
    row = shop.redeem(member, "5-off")
    assert (fail(shop, row), fail(shop, row), issue(shop, row)) == (True, False, False)
    assert shop.kinds(member) == [("redeem", -500), ("reimbursement", 500)]


def test_stock_comes_back_with_the_reward(shop: Front, member: int) -> None:
    row = shop.redeem(member, "last")
    assert taken(shop, "last") == 1
    assert refused(shop.redeem, member, "last").code == "out_of_stock"
    fail(shop, row)
    assert taken(shop, "last") == 0
    shop.redeem(member, "last")


def test_what_was_never_limited_counts_no_stock(shop: Front, member: int) -> None:
    row = shop.redeem(member, "free-shipping")
    limited = Reward(key="free-shipping", name="Free shipping", cost=300, kind="free_shipping", stock=1)
    publish(shop, limited)
    fail(shop, row)
    assert taken(shop, "free-shipping") is None
    shop.redeem(member, "free-shipping")
    assert refused(shop.redeem, member, "free-shipping").code == "out_of_stock"


def test_a_reward_that_is_over_or_for_another_tier(shop: Front, member: int) -> None:
    shared: dict[str, Any] = {"cost": 100, "kind": "amount_off", "amount": 100}
    publish(
        shop,
        Reward(key="gone", name="Gone", ends_at="2026-01-01T00:00", **shared),
        Reward(key="high", name="High", tiers=("ambassador",), **shared),
        Reward(key="till", name="Till", channel="pos", **shared),
    )
    assert refused(shop.redeem, member, "gone").code == "reward_over"
    assert refused(shop.redeem, member, "high").code == "wrong_tier"
    assert refused(shop.redeem, member, "till", channel="online").code == "wrong_channel"
    assert shop.redeem(member, "till", channel="pos").points == 100


def test_merged_and_erased_members_redeem_nothing(shop: Front, member: int) -> None:
    other = shop.member(2, 500)
    with shop.house.database.transaction(shop.shop) as session:
        session.get_one(Member, (shop.shop, member)).merged_into = other
    error = refused(shop.redeem, member, "5-off")
    assert (error.code, error.extra) == ("member_merged", {"member_id": str(other)})
    with shop.house.database.transaction(shop.shop) as session:
        session.get_one(Member, (shop.shop, other)).erased_at = clock.now()
    assert refused(shop.redeem, other, "5-off").code == "no_member"


def test_rewards_follow_a_merge(shop: Front, member: int) -> None:
    row, other = shop.redeem(member, "5-off"), shop.member(2)
    with shop.house.database.transaction(shop.shop) as session:
        operations.move_rewards(session, shop.shop, member, other)
    fail(shop, row)
    assert (shop.points(member), shop.points(other), shop.even()) == (500, 500, True)


# Races.


def test_two_redemptions_never_spend_the_same_points(shop: Front) -> None:
    """Ten at once, points for three."""
    member = shop.member(1, 1700)
    errors = at_once(*[lambda: shop.redeem(member, "5-off")] * 10)
    assert Counter(error.code for error in errors if isinstance(error, RapportError)) == {"points_short": 7}
    assert (shop.points(member), shop.even()) == (200, True)


def test_only_one_gets_the_last(shop: Front) -> None:
    members = [shop.member(number, 1000) for number in range(1, 9)]
    errors = at_once(*[lambda member=member: shop.redeem(member, "last") for member in members])
    assert Counter(error.code for error in errors if isinstance(error, RapportError)) == {"out_of_stock": 7}
    assert sorted(shop.points(member) for member in members) == [900, *[1000] * 7]
    assert (taken(shop, "last"), shop.even()) == (1, True)


def test_the_same_request_at_once_is_one_reward(shop: Front, member: int) -> None:
    rows: list[MemberReward] = []
    assert at_once(*[lambda: rows.append(shop.redeem(member, "free-shipping", key="the one"))] * 6) == []
    assert len({row.id for row in rows}) == 1
    assert shop.points(member) == 700


def test_giving_back_twice_at_once_pays_once(shop: Front, member: int) -> None:
    publish(shop, Reward(key="dinner", name="Dinner", cost=400, kind="custom"))
    row = shop.redeem(member, "dinner")
    assert at_once(*[lambda: shop.give_back(row)] * 4) == []
    assert (shop.points(member), shop.kinds(member)) == (1000, [("redeem", -400), ("reimbursement", 400)])


# Days that end.


def test_a_reward_ends_with_its_days_and_its_points_stay_spent(shop: Front, member: int) -> None:
    row, keeps = shop.redeem(member, "5-off"), shop.redeem(member, "free-shipping")
    for one in (row, keeps):
        issue(shop, one)
    assert row.expires_at is not None
    assert expire(shop, row.expires_at - timedelta(seconds=1)) == 0
    assert (expire(shop, row.expires_at), expire(shop, row.expires_at)) == (1, 0)
    after = shop.read(row)
    assert (after.status, after.ended_at) == ("expired", row.expires_at)
    assert (shop.status(keeps), shop.points(member)) == ("issued", 200)
    assert shop.events(row)[-1] == "reward.expired"
    assert refused(shop.give_back, row).code == "reward_expired"


def test_what_is_over_by_the_clock_can_not_be_given_back(shop: Front, member: int) -> None:
    """Though the job has not come by yet."""
    row = shop.redeem(member, "5-off")
    issue(shop, row)
    with clock.fixed_at(START + timedelta(days=40)):
        assert refused(shop.give_back, row).code == "reward_expired"


def expire(shop: Front, now: Any) -> int:
    with shop.house.database.transaction(shop.shop) as session:
        return operations.expire(session, now)


def test_only_custom_rewards_are_handed_over(shop: Front, member: int) -> None:
    assert refused(shop.fulfil, shop.redeem(member, "5-off")).code == "not_custom"


def test_what_a_member_can_have_and_why_not(shop: Front, member: int) -> None:
    shop.redeem(member, "last")
    with shop.house.database.transaction(shop.shop) as session:
        version = programs.load(session, [shop.shop]).in_force(shop.shop, clock.now())
        offers = queries.offers_for(session, session.get_one(Member, (shop.shop, member)), version)
    told = {offer.reward.key: offer.refused and offer.refused.code for offer in offers}
    assert told == {
        "5-off": None, "20-percent": None, "capped": None, "free-shipping": None, "mug": None, "any": None,
        "credit": "points_short", "card": "points_short", "dinner": "points_short", "last": "out_of_stock",
        "once": None,
    }  # fmt: skip
    assert {offer.reward.key: offer.left for offer in offers if offer.left is not None} == {"dinner": 1, "last": 0}
