"""Every kind of reward in the store, and every way the store may fail while it is made or taken back.

    redeem            Shopify has it                 Shopify never will
available ──▶ redeemed ──▶ (used)        available ◀── redeemed
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import clock, effects
from core.errors import Conflict
from loyalty.rewards import issue, operations, queries, shopify
from loyalty.rewards.models import MemberReward
from sandbox.catalogue import DEMO
from shops import admin
from tests.loyalty.rewards.rig import Front

# What each kind becomes in the store, as its control answers. Money is minor units.
MADE = {
    "5-off": {"kind": "DiscountCodeBasic", "gives": "fixed_amount", "value": 500, "minimum_subtotal": 2000},
    "20-percent": {"kind": "DiscountCodeBasic", "gives": "percentage", "value": 20, "minimum_subtotal": None},
    "capped": {"kind": "DiscountCodeApp", "gives": "function", "function": "capped-percentage"},
    "free-shipping": {"kind": "DiscountCodeFreeShipping", "gives": "shipping", "classes": ["SHIPPING"]},
    "mug": {"kind": "DiscountCodeBasic", "gives": "fixed_amount", "value": 1800, "classes": ["PRODUCT"]},
    "any": {"kind": "DiscountCodeBasic", "gives": "fixed_amount", "value": 700},
}
CREATES = {
    "5-off": "discountCodeBasicCreate",
    "capped": "discountCodeAppCreate",
    "free-shipping": "discountCodeFreeShippingCreate",
    "card": "giftCardCreate",
    "credit": "storeCreditAccountCredit",
}
UNDOES = {
    "5-off": "discountCodeDeactivate",
    "card": "giftCardDeactivate",
    "credit": "storeCreditAccountDebit",
}


def redeemed(front: Front, member: int, key: str) -> MemberReward:
    return front.redeem(member, key, points=700 if key == "any" else None)


def things(front: Front, customer: int) -> tuple[int, int, int]:
    """Active discounts, active gift cards, and store credit in minor units."""
    known = front.ask(f"customers/{customer}")
    cards = [card for card in known["gift_cards"] if not card["deactivated_at"]]
    active = [one for one in front.discounts(customer) if one["status"] == "ACTIVE"]
    return len(active), len(cards), known["store_credit"]


HAD = {"5-off": (1, 0, 0), "capped": (1, 0, 0), "free-shipping": (1, 0, 0), "card": (0, 1, 0), "credit": (0, 0, 1000)}
NOTHING = (0, 0, 0)


@pytest.mark.parametrize("key", MADE)
def test_a_discount_is_for_this_customer_once(front: Front, member: int, customer: int, key: str) -> None:
    row = redeemed(front, member, key)
    assert (row.status, front.points(member)) == ("issuing", 10_000 - row.points)
    assert front.work() == 1
    after = front.read(row)
    assert (after.status, after.code, after.error) == ("issued", row.code, None)
    assert after.reference is not None
    assert after.issued_at is not None
    (made,) = front.discounts(customer)
    assert {name: made[name] for name in MADE[key]} == MADE[key]
    assert (made["code"], made["customers"], made["usage_limit"]) == (row.code, [customer], 1)
    assert made["once_per_customer"] is True
    assert front.effects(row) == []
    assert front.even()


def test_a_code_ends_with_its_last_day_and_combines_as_told(front: Front, member: int, customer: int) -> None:
    row = redeemed(front, member, "5-off")
    front.work()
    (made,) = front.discounts(customer)
    assert row.expires_at is not None
    assert made["ends_at"] == int(row.expires_at.timestamp())
    assert made["combines_with"] == []


def test_the_cap_of_a_percentage_holds_at_the_checkout(front: Front, member: int, customer: int) -> None:
    row = redeemed(front, member, "capped")
    front.work()
    answer = front.buy(customer, [row.code])
    assert answer.status_code == 201, answer.text
    assert answer.json()["total_discounts"] == "15.00"


def test_store_credit_and_gift_cards(front: Front, member: int, customer: int) -> None:
    rows = [redeemed(front, member, key) for key in ("credit", "card")]
    assert front.work() == 2
    assert [front.status(row) for row in rows] == ["issued", "issued"]
    known = front.ask(f"customers/{customer}")
    assert known["store_credit"] == 1000
    (card,) = known["gift_cards"]
    assert (card["code"].upper(), card["balance"], card["customer_id"]) == (rows[1].code, 2500, customer)
    assert rows[1].code not in card["note"].upper()  # staff read the note, and a code is money
    assert rows[1].expires_at is not None
    assert card["expires_on"] == (rows[1].expires_at - timedelta(seconds=1)).date().isoformat()


def test_a_custom_reward_is_ready_at_once_and_handed_over(front: Front, member: int) -> None:
    row = redeemed(front, member, "dinner")
    assert row.status == "issued"
    assert front.work() == 0
    assert front.fulfil(row).status == "used"
    assert front.fulfil(row).status == "used"
    with pytest.raises(Conflict) as refused:
        front.give_back(row)
    assert refused.value.code == "reward_used"
    assert front.events(row) == ["reward.redeemed", "reward.used"]


# What goes wrong while it is made.


STUMBLES = ["timeout_before", "timeout_after", "502", "html", "throttle", "rate_limit"]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        *((key, kind) for key in ("5-off", "card", "credit") for kind in STUMBLES),
        *((key, "timeout_after") for key in ("capped", "free-shipping")),
    ],
)
def test_a_stumbling_shopify_makes_it_once(
    front: Front, member: int, customer: int, key: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time-outs before and after the call, errors and throttling: in the end there is one, and the points are spent."""
    monkeypatch.setattr(admin, "TRIES", 1)
    row = redeemed(front, member, key)
    front.fault(kind, CREATES[key])
    front.work()
    assert front.status(row) == "issuing"
    front.work(minutes=2)
    assert (front.status(row), things(front, customer)) == ("issued", HAD[key])
    assert front.kinds(member) == [("redeem", -row.points)]
    assert front.effects(row) == []
    assert front.even()


@pytest.mark.parametrize("fault", ["user_errors", "access_denied"])
@pytest.mark.parametrize("key", CREATES)
def test_what_shopify_refuses_for_good_is_paid_back(
    front: Front, member: int, customer: int, key: str, fault: str
) -> None:
    row = redeemed(front, member, key)
    more: dict[str, Any] = {"user_errors": [{"message": "No.", "code": "INVALID"}]} if fault == "user_errors" else {}
    front.fault(fault, CREATES[key], **more)
    front.work()
    after = front.read(row)
    assert after.status == "failed"
    assert after.error
    assert front.kinds(member) == [("redeem", -row.points), ("reimbursement", row.points)]
    assert (front.points(member), things(front, customer)) == (10_000, NOTHING)
    assert front.events(row) == ["reward.redeemed", "reward.failed"]
    assert front.effects(row) == []
    assert front.even()


@pytest.mark.parametrize("key", ["5-off", "card"])
def test_a_refusal_after_a_lost_answer_pays_nothing_back(
    front: Front, member: int, customer: int, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shopify has made it, we did not hear of it, and the next call is refused: nobody gets code and points both."""
    monkeypatch.setattr(admin, "TRIES", 1)
    row = redeemed(front, member, key)
    front.fault("timeout_after", CREATES[key])
    front.work()
    front.fault("user_errors", CREATES[key], user_errors=[{"message": "No.", "code": "INVALID"}])
    front.work(minutes=2)
    assert (front.status(row), front.points(member)) == ("issued", 10_000 - row.points)
    assert things(front, customer) == HAD[key]


def test_a_customer_who_is_gone_is_paid_back(front: Front, member: int, customer: int) -> None:
    row = redeemed(front, member, "credit")
    stranger = front.member(999_999, 1000)
    lost = redeemed(front, stranger, "5-off")
    front.tell(f"{DEMO.domain}/customers/{customer}/delete")
    front.work()
    assert front.status(lost) == "failed"
    assert front.points(stranger) == 1000
    assert front.status(row) in ("failed", "issued")


@pytest.mark.parametrize("key", CREATES)
def test_a_worker_that_dies_between_shopify_and_us_leaves_one(
    front: Front, member: int, customer: int, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shopify has it, and then the worker is gone before it could say so."""
    row = redeemed(front, member, key)

    class Killed(BaseException):
        """Nothing catches a kill."""

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(operations, "mark_issued", die)
        with pytest.raises(Killed):
            front.work()
    assert (front.status(row), things(front, customer)) == ("issuing", HAD[key])
    with clock.fixed_at(datetime.now(UTC) + timedelta(minutes=11)):  # the dead worker's lease is over
        front.work(minutes=11)
    assert (front.status(row), things(front, customer)) == ("issued", HAD[key])
    assert front.kinds(member) == [("redeem", -row.points)]


def test_what_comes_after_its_days_are_over_is_paid_back(front: Front, member: int, customer: int) -> None:
    """The worker stood still for so long that nobody could have used it."""
    with front.at(days=-40):
        row = redeemed(front, member, "5-off")
    front.work()
    assert (front.status(row), front.points(member), things(front, customer)) == ("failed", 10_000, NOTHING)
    assert front.discounts(customer) == []


def test_a_code_of_somebody_elses_is_not_ours(front: Front, member: int) -> None:
    row = redeemed(front, member, "5-off")
    foreign = {
        "title": "Our own sale", "code": row.code, "startsAt": "2026-01-01T00:00:00Z", "context": {"all": "ALL"},
        "customerGets": {"value": {"percentage": 0.1}, "items": {"all": True}},
    }  # fmt: skip
    with admin.Admin.of(front.house.database, front.shop) as shopify_admin:
        shopify_admin.call("discount_basic_create", discount=foreign)
    front.work()
    assert front.status(row) == "failed"
    assert front.points(member) == 10_000


# Store credit, which nothing makes idempotent.


def test_store_credit_is_looked_for_before_it_is_given_again(front: Front, member: int, customer: int) -> None:
    row = redeemed(front, member, "credit")
    front.fault("timeout_before", "storeCreditAccountCredit")
    front.work()
    assert front.calls(row) == [None]
    front.work(minutes=0.2)  # too early to tell that nothing was done
    assert (front.calls(row), things(front, customer)) == ([None], NOTHING)
    front.work(minutes=5)
    assert (front.calls(row), things(front, customer)) == (["not_made", "done"], HAD["credit"])


def test_two_equal_credits_of_one_customer_are_two(front: Front, member: int, customer: int) -> None:
    """Both answers are lost: each call finds a transaction of its own, and neither takes the other's."""
    rows = [redeemed(front, member, "credit") for _ in range(2)]
    front.fault("timeout_after", "storeCreditAccountCredit", times=2)
    front.work()
    front.work(minutes=2)
    assert [front.status(row) for row in rows] == ["issued", "issued"]
    assert things(front, customer) == (0, 0, 2000)
    assert len({front.read(row).reference for row in rows}) == 2


def test_one_credit_of_two_that_was_lost_is_given_again(front: Front, member: int, customer: int) -> None:
    rows = [redeemed(front, member, "credit") for _ in range(2)]
    front.fault("timeout_after", "storeCreditAccountCredit")
    front.fault("timeout_before", "storeCreditAccountCredit")
    front.work()
    for minutes in (2, 8, 40):
        front.work(minutes=minutes)
    assert [front.status(row) for row in rows] == ["issued", "issued"]
    assert things(front, customer) == (0, 0, 2000)


def test_an_earlier_credit_of_the_same_amount_is_not_taken_for_this_one(
    front: Front, member: int, customer: int
) -> None:
    """It is known whose it is."""
    earlier = redeemed(front, member, "credit")
    front.work()
    row = redeemed(front, member, "credit")
    front.fault("timeout_before", "storeCreditAccountCredit")
    front.work()
    front.work(minutes=3)
    assert (front.status(earlier), front.status(row)) == ("issued", "issued")
    assert things(front, customer) == (0, 0, 2000)


# Giving back.


@pytest.mark.parametrize("key", HAD)
def test_an_unused_reward_is_given_back(front: Front, member: int, customer: int, key: str) -> None:
    row = redeemed(front, member, key)
    with pytest.raises(Conflict) as refused:
        front.give_back(row)
    assert refused.value.code == "reward_issuing"
    front.work()
    assert front.give_back(row).status == "returning"
    assert (front.give_back(row).status, front.points(member)) == ("returning", 10_000 - row.points)
    front.work()
    assert (front.status(row), front.points(member), things(front, customer)) == ("returned", 10_000, NOTHING)
    assert front.give_back(row).status == "returned"
    assert front.kinds(member) == [("redeem", -row.points), ("reimbursement", row.points)]
    assert front.even()


@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after", "502", "throttle"])
@pytest.mark.parametrize("key", UNDOES)
def test_a_stumbling_shopify_takes_it_back_once(
    front: Front, member: int, customer: int, key: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "TRIES", 1)
    row = redeemed(front, member, key)
    front.work()
    front.give_back(row)
    front.fault(kind, UNDOES[key])
    front.work()
    assert (front.status(row), front.points(member)) == ("returning", 10_000 - row.points)
    front.work(minutes=2)
    assert (front.status(row), front.points(member), things(front, customer)) == ("returned", 10_000, NOTHING)


def test_a_code_that_was_used_meanwhile_is_not_paid_back(front: Front, member: int, customer: int) -> None:
    row = redeemed(front, member, "20-percent")
    front.work()
    assert front.buy(customer, [row.code]).status_code == 201
    front.give_back(row)
    front.work()
    assert (front.status(row), front.points(member)) == ("used", 10_000 - row.points)
    assert front.events(row)[-1] == "reward.used"


def test_a_gift_card_somebody_paid_with_stays(front: Front, member: int, customer: int) -> None:
    row = redeemed(front, member, "card")
    front.work()
    assert front.buy(customer, gift_cards=[row.code]).status_code == 201
    front.give_back(row)
    front.work()
    assert front.status(row) == "used"
    (card,) = front.ask(f"customers/{customer}")["gift_cards"]
    assert card["deactivated_at"] is None


def test_a_gift_card_is_taken_back_though_the_search_does_not_find_it(front: Front, member: int, customer: int) -> None:
    """What Shopify has just made its search may not know yet. We know what it is called."""
    row = redeemed(front, member, "card")
    front.work()
    front.fault("access_denied", "giftCards", times=3)
    front.give_back(row)
    front.work()
    front.calm()
    assert (front.status(row), front.points(member), things(front, customer)) == ("returned", 10_000, NOTHING)


def test_store_credit_that_was_spent_stays_spent(front: Front, member: int, customer: int) -> None:
    row = redeemed(front, member, "credit")
    front.work()
    assert front.buy(customer, store_credit=True).status_code == 201
    front.give_back(row)
    front.work()
    assert (front.status(row), front.points(member)) == ("used", 9000)


def test_what_shopify_refuses_to_take_back_is_kept(front: Front, member: int, customer: int) -> None:
    row = redeemed(front, member, "5-off")
    front.work()
    front.give_back(row)
    front.fault("access_denied", "discountCodeDeactivate")
    front.work()
    after = front.read(row)
    assert (after.status, front.points(member), things(front, customer)) == ("issued", 9500, HAD["5-off"])
    assert after.error
    assert front.events(row)[-1] == "reward.kept"


def test_a_code_the_merchant_deleted_is_given_back(front: Front, member: int, customer: int) -> None:
    row = redeemed(front, member, "5-off")
    front.work()
    (made,) = front.discounts(customer)
    front.tell(f"{DEMO.domain}/discounts/{made['id']}/delete")
    front.give_back(row)
    front.work()
    assert (front.status(row), front.points(member)) == ("returned", 10_000)


# When everything was tried in vain.


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Effects try as often as ever, but without resting in between, and their calls once each."""
    monkeypatch.setattr(admin, "TRIES", 1)
    monkeypatch.setattr(effects, "BACK_OFF", (timedelta(),) * len(effects.BACK_OFF))


def give_up(front: Front, row: MemberReward, field: str, kind: str) -> None:
    front.fault(kind, field, times=1 + len(effects.BACK_OFF))
    assert front.work() == 1 + len(effects.BACK_OFF)
    assert front.effects(row) == ["failed"]
    front.calm()


def stuck(front: Front, row: MemberReward) -> list[tuple[int, int]]:
    """This reward, if the repair would find it in an hour or two."""
    later = datetime.now(UTC) + timedelta(hours=2)
    with front.house.database.transaction(front.shop) as session:
        return [one for one in queries.stuck(session, later) if one == (front.shop, row.id)]


def repair(front: Front, row: MemberReward) -> int:
    with clock.fixed_at(datetime.now(UTC) + timedelta(minutes=30)):
        return issue.repair_all(front.house.database, stuck(front, row))


@pytest.mark.parametrize("key", ["5-off", "card", "credit"])
@pytest.mark.parametrize("kind", ["502", "timeout_after"])
@pytest.mark.usefixtures("hasty")
def test_the_repair_settles_what_gave_up(front: Front, member: int, customer: int, key: str, kind: str) -> None:
    """By what Shopify shows: there is nothing, and the points come back; or there is, and it is the member's."""
    row = redeemed(front, member, key)
    look = {"5-off": "codeDiscountNodeByCode", "card": "giftCards", "credit": "customer"}[key]
    front.fault("502", look, times=8)
    give_up(front, row, CREATES[key], kind)
    assert stuck(front, row)
    assert repair(front, row) == 1
    made = things(front, customer) != NOTHING
    assert front.status(row) == ("issued" if made else "failed")
    assert front.points(member) == 10_000 - (row.points if made else 0)
    assert made == (kind == "timeout_after")
    assert (front.effects(row), stuck(front, row)) == ([], [])


@pytest.mark.usefixtures("hasty")
def test_the_repair_takes_back_what_gave_up(front: Front, member: int, customer: int) -> None:
    row = redeemed(front, member, "5-off")
    front.work()
    front.give_back(row)
    give_up(front, row, "discountCodeDeactivate", "502")
    assert repair(front, row) == 1
    assert (front.status(row), front.points(member), things(front, customer)) == ("returned", 10_000, NOTHING)


def test_the_repair_leaves_alone_what_an_effect_works_on(front: Front, member: int) -> None:
    row = redeemed(front, member, "5-off")
    assert stuck(front, row) == []
    front.work()


def too_late(front: Front, row: MemberReward) -> Callable[..., str]:
    """Makes the reward, but until it is made somebody has given up on it."""
    make = shopify.make

    def slow(*given: Any) -> str:
        reference = make(*given)
        with front.house.database.transaction(front.shop) as session:
            operations.mark_failed(session, front.shop, row.id, "gave up")
        return reference

    return slow


def test_what_comes_after_the_repair_gave_up_is_withdrawn(
    front: Front, member: int, customer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The points went back while a slow worker was still at it: the code it made must not stay."""
    row = redeemed(front, member, "5-off")
    monkeypatch.setattr(shopify, "make", too_late(front, row))
    front.work()
    assert (front.status(row), front.points(member), things(front, customer)) == ("failed", 10_000, NOTHING)


def test_a_withdrawal_that_stumbles_is_tried_again(
    front: Front, member: int, customer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = redeemed(front, member, "5-off")
    with monkeypatch.context() as patched:
        patched.setattr(shopify, "make", too_late(front, row))
        front.fault("502", "discountCodeDeactivate")
        front.work()
    assert (front.status(row), things(front, customer)) == ("failed", HAD["5-off"])
    front.work(minutes=2)
    assert (front.status(row), front.points(member), things(front, customer)) == ("failed", 10_000, NOTHING)
    assert front.effects(row) == []
