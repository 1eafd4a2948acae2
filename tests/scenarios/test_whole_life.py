"""Whole lives in a program: every way points come, wait, go, and come back. Above each, what the shopper holds."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from loyalty.activities.operations import act, set_birthday
from loyalty.program import Expiry, Ladder, OrderRule, Program, Tier, demo_program
from loyalty.publishing import operations as publishing
from sandbox.orders import Customer
from tests.scenarios.story import NOOR, T0, Story
from tests.scenarios.test_a_year import same_person
from tiers.operations import end_override, override

ROSA = Customer(78, "Rosa", "Lima", "rosa@example.com", int(T0.timestamp()), int(T0.timestamp()))


def program(**changes: Any) -> Program:
    """The demo program with changes, checked as a merchant's would be."""
    return Program.model_validate(demo_program().model_dump() | changes)


def day_of(moment: datetime) -> float:
    return (moment - T0).total_seconds() / 86_400


# A year.

CLIMBING = demo_program().ladder.model_dump() | {
    "tiers": [
        tier | {"entry_gift": 200 * place, "birthday_boost": Decimal("1.5") if place else 1}
        for place, tier in enumerate(demo_program().ladder.model_dump()["tiers"])
    ]
}
WHOLE = program(
    ladder=CLIMBING,
    activities=[
        {"kind": "birthday", "key": "birthday", "name": "Your birthday", "points": 100, "days_before": 30},
        {"kind": "review", "key": "review", "name": "Write a review", "points": 30},
    ],
    expiry={"kind": "inactivity", "days": 90},
)


def test_a_year_of_one_shopper(story: Story) -> None:
    """
    points  50 ── 250 ─────── 200 ──── 1200 ──── 1350 ─────────── 850 ──── 1087 ─── 1350 ──── 1425 ──── 0 ─▶
            joins +200        −50      +800      +150  reminders  −500     +237     −237      +75       −1425
                  $200        $50 back +200 gift birth- 30, 7, 1  $5 off   $100     +500      another   expired
                        × 2   at × 1   $400 × 2  day   days ahead          with it  cancelled merged
            +0d   +5d   +10d  +20d     +30d      +60d             +150d    +152d    +155d     +160d     +250d
    tier    Insider ───────────────────│ Advocate ────────────────────────────────────────────────────────▶
    """
    story.publish(-1, WHOLE)
    story.enrol(0, NOOR)
    with story.act(1) as session:
        set_birthday(session, story.shop, story.member().id, 3, 6, 1990, at=story.moment(1))
    first = story.buy(5, 200, pieces=4)
    story.publish(10, WHOLE.model_copy(update={"orders": OrderRule(points_per_unit=Decimal(2))}))
    story.refund(20, first, pieces=1)
    assert story.ledger() == [("bonus", 50), ("earn", 200), ("reversal", -50)]

    story.buy(30, 400)
    assert story.ledger()[-2:] == [("earn", 800), ("bonus", 200)]
    assert (story.member().available, story.member().tier_key) == (1200, "advocate")

    story.strike(59.5, 60, 60.5, 61)
    assert story.ledger()[-1] == ("bonus", 150)  # once, and half as much again for an Advocate
    assert story.member().available == 1350

    ends = story.member().last_active_at
    assert ends is not None
    active = day_of(ends)
    story.strike(*(active + 90 - ahead + 0.01 for ahead in (31, 30, 29, 7, 6, 1, 0.5)))
    assert [(told["days"], told["points"]) for _, told in story.events("points.expiring")] == [
        (30, 1350),
        (7, 1350),
        (1, 1350),
    ]

    reward = story.redeem(active + 89.5, "5-off")
    code = story.issue(active + 89.5, reward)
    story.strike(active + 90.5)  # she was active, so nothing expires
    assert story.member().available == 850

    order = story.buy(152, 100, code=code)
    assert story.ledger()[-1] == ("earn", 237)  # $95 × 2 × 1.25, floored
    assert story.reward(reward).status == "used"
    story.cancel(155, order)
    assert sorted(story.ledger()[-2:]) == [("reimbursement", 500), ("reversal", -237)]
    assert story.reward(reward).status == "returned"
    assert story.member().available == 1350

    other = same_person(NOOR, 79)
    story.enrol(156, other)
    story.buy(157, 10, who=other)
    story.merge(160, NOOR, other)
    assert story.member().available == 1350 + 50 + 25  # her $10 were an Advocate's
    assert story.member(other).available == 0

    story.strike(249, 251)
    assert story.ledger()[-1] == ("expiry", -1425)
    assert story.member().available == 0
    assert story.member().tier_key == "advocate"  # a tier follows what was earned, not what is left
    assert story.tiers() == ["advocate"]


def test_every_sentence_of_a_year_is_told(story: Story) -> None:
    """The points of a year in the words she reads: none is left without a reason."""
    story.publish(-1, WHOLE)
    order = story.buy(0, 80, pieces=2)
    with story.act(1) as session:
        fact = {"product_id": "1"}
        act(session, story.shop, story.member().id, "review", fact=None, data=fact, at=story.moment(1), actor="test")
    story.refund(2, order, 1)
    story.buy(3, 600)
    story.give_back(5, issued(story, 4, "5-off"))
    story.strike(200)
    told = story.told()
    assert len(told) == len(set(told)) == 9
    assert [sentence for sentence in told if re.fullmatch(r"[\d,]+ points? (came in|went back)\.", sentence)] == []


def issued(story: Story, day: float, key: str) -> Any:
    reward = story.redeem(day, key)
    story.issue(day, reward)
    return reward


# Campaigns.

DOUBLE = {
    "key": "weekend", "name": "Double points", "multiplier": 2,
    "starts_at": "2026-03-07T00:00", "ends_at": "2026-03-09T00:00",
}  # fmt: skip
BEANS = {"key": "beans", "name": "Beans week", "multiplier": "1.5", "products": [1]}


@pytest.mark.parametrize(("stacking", "both"), [("best", 20), ("stack", 25)])
def test_a_campaign_weekend_by_the_shops_own_clock(story: Story, stacking: str, both: int) -> None:
    """
    The weekend of 7 March in Los Angeles has 47 hours: its Sunday night ends at 07:00 UTC, not at 08:00.

    $10    15 │ 20 or 25 ................... 20 or 25 │ 15
              7 March 08:00 UTC        9 March 06:59  07:00
    """
    weekend = program(timezone="America/Los_Angeles", stacking=stacking, bonuses=[DOUBLE, BEANS])
    story.publish(-1, weekend)
    moments = [
        datetime(2026, 3, 7, 7, 59, 59, tzinfo=UTC),
        datetime(2026, 3, 7, 8, tzinfo=UTC),
        datetime(2026, 3, 9, 6, 59, 59, tzinfo=UTC),
        datetime(2026, 3, 9, 7, tzinfo=UTC),
    ]
    for moment in moments:
        story.buy(day_of(moment), 10)
    assert story.ledger() == [("bonus", 50), ("earn", 15), ("earn", both), ("earn", both), ("earn", 15)]


def test_a_campaign_order_told_of_long_after_the_weekend_still_counts_double(story: Story) -> None:
    """
    T0 ── weekend: $10 ──── over ──── +90d the order arrives: 20 ──── +91d half of it back: −10
    """
    story.publish(-1, program(bonuses=[DOUBLE]))
    late: list[Any] = []
    with story.kept_back(late):
        order = story.buy(62, 10, pieces=2)
    story.send(90, late)
    assert story.ledger()[-1] == ("earn", 20)
    story.refund(91, order, 1)
    assert story.ledger()[-1] == ("reversal", -10)


# Points that wait.


def test_points_wait_for_payment_then_fulfilment_then_days(story: Story) -> None:
    """
    pending     80 ──── 80 ───── 80 ─────── 60 ──────────── 0 ──▶
    available   50 ──────────────────────────────────────── 110 ▶
                authorized paid   fulfilled  $20 back        released
                +0d     +2d      +5d        +10d            +19d
    """
    story.publish(-1, program(orders={"available": "fulfilled", "waiting_days": 14}))
    order = story.buy(0, 80, status="authorized", pieces=4)
    assert waits(story) == ("payment", None)
    story.pay(2, order)
    assert (story.member().pending, story.member().available) == (80, 50)
    story.fulfil(5, order)
    due = story.order(order).release_at
    assert due is not None
    assert day_of(due) == 19
    story.refund(10, order, 1)
    assert (story.member().pending, story.member().available) == (60, 50)
    assert story.order(order).release_at == due
    assert waits(story) == ("days", due.isoformat())
    story.strike(18.99)
    assert (story.member().pending, story.member().available) == (60, 50)
    story.strike(19)
    assert story.ledger()[-1] == ("release", 60)
    assert (story.member().pending, story.member().available) == (0, 110)
    story.refund(20, order, 3)
    assert story.member().available == 50


def waits(story: Story) -> tuple[str | None, str | None]:
    """What the newest posting says its points wait for, and the date they arrive."""
    told = story.postings()[-1].explanation
    return told.get("waits"), told.get("available_at")


@pytest.mark.parametrize("end", ["cancel", "refund"])
def test_an_order_undone_before_the_date_takes_its_points_from_pending(story: Story, end: str) -> None:
    """
    pending   80 ───── 0 ──────────────▶    available   50 ─────────────▶
              T0      +3d    (+14d nothing is left to release)
    """
    story.publish(-1, program(orders={"waiting_days": 14}))
    order = story.buy(0, 80)
    if end == "cancel":
        story.cancel(3, order)
    else:
        story.refund(3, order, 1)
    story.strike(15)
    assert story.ledger() == [("bonus", 50), ("earn", 80), ("reversal", -80)]
    assert (story.member().pending, story.member().available) == (0, 50)


# Guests and the counter.


def test_a_guest_and_a_pos_order_are_claimed_with_a_verified_address(story: Story) -> None:
    """
    online guest $80 ─┐
    POS with mail $20 ┴── wait ── enrols, address unverified: 50 ── verified: 50 + 80 + 20 = 150
    +0d        +3d               +9d                              +10d
    """
    rosa = Customer(78, "Rosa", "Lima", "rosa@example.com", int(T0.timestamp()), int(T0.timestamp()))
    story.buy(0, 80, who=None, email="Rosa@Example.com")
    story.buy(3, 20, who=None, email="rosa@example.com", source="pos")
    story.enrol(9, rosa, verified=False)
    story.strike(9.5)
    assert story.member(rosa).available == 50
    story.verify(10, rosa)
    story.strike(10.5)
    assert story.member(rosa).available == 150
    assert story.member(rosa).last_order_at == story.moment(3)


def test_bonuses_for_the_counter_and_for_the_web_stay_apart(story: Story) -> None:
    """
    $10 online: 10 + 5     $10 at the counter: 10 + 7
    """
    bonuses = [
        {"key": "web", "name": "Online", "points": 5, "channel": "online"},
        {"key": "counter", "name": "In store", "points": 7, "channel": "pos"},
    ]
    story.publish(-1, program(bonuses=bonuses))
    story.buy(0, 10)
    story.buy(1, 10, source="pos")
    assert story.ledger() == [("bonus", 50), ("earn", 15), ("earn", 17)]


# Ladders.


def years(**changes: Any) -> Program:
    """Silver from $300, kept with $200; gold from $1,000, kept with $800. The shop's clock is New York's."""
    tiers = (
        Tier(key="bronze", name="Bronze", threshold=0),
        Tier(key="silver", name="Silver", threshold=300_00, keep=200_00),
        Tier(key="gold", name="Gold", threshold=1000_00, keep=800_00, entry_gift=100),
    )
    ladder = {"period": "calendar_year", "grace_days": 30, "demotion": "one_step"} | changes
    return program(ladder=Ladder(tiers=tiers, **ladder).model_dump(), timezone="America/New_York")


def test_a_calendar_year_ladder_holds_through_the_next_year_and_falls_one_step(story: Story) -> None:
    """
    spent    $1,200 ─────────── $100 ─────────────────────────────────────────────▶
    tier     bronze│gold ······ held ······ grace ····│silver ·············· grace│bronze
             2026  +50d         2027        January   31 Jan 2028   2028          31 Jan 2029
    """
    story.publish(-1, years())
    story.buy(50, 1200)
    assert story.ledger()[-1] == ("bonus", 100)
    story.buy(400, 100)
    begins_2028 = day_of(datetime(2028, 1, 1, 5, tzinfo=UTC))
    story.strike(begins_2028 - 1, begins_2028 + 1, begins_2028 + 29.9)
    assert story.member().tier_key == "gold"
    story.strike(begins_2028 + 30.1)
    assert story.member().tier_key == "silver"
    begins_2029 = day_of(datetime(2029, 1, 1, 5, tzinfo=UTC))
    story.strike(begins_2029 + 29.9)
    assert story.member().tier_key == "silver"
    story.strike(begins_2029 + 30.1)
    assert story.tiers() == ["gold", "silver", "bronze"]
    assert story.ledger() == [("bonus", 50), ("earn", 1200), ("bonus", 100), ("earn", 100), *expired(story)]


def expired(story: Story) -> list[tuple[str, int]]:
    """The demo program's points expire after a year without activity; this story isn't about that."""
    return [entry for entry in story.ledger() if entry[0] == "expiry"]


def test_what_is_missing_for_the_year_can_be_made_up_in_the_grace_days(story: Story) -> None:
    """
    spent    $1,200 ─────────── $100 ──────── $700 (for 2027 and 2028) ───▶
    tier     bronze│gold ······ held ······ grace │gold ······
             2026              2027        20 January 2028
    """
    story.publish(-1, years())
    story.buy(50, 1200)
    story.buy(400, 100)
    begins_2028 = day_of(datetime(2028, 1, 1, 5, tzinfo=UTC))
    story.buy(begins_2028 + 19, 700)
    story.strike(begins_2028 + 31)
    assert story.tiers() == ["gold"]


def test_a_refund_in_the_same_year_undoes_the_promotion_and_its_gift(story: Story) -> None:
    """
    points   50 ── 1250 ── 1350 ─────── 50 ──────── 1150
    tier     bronze│ gold (+100)        │bronze     │gold again, and its gift
             T0  $1,200                 all back    +$1,000
    """
    story.publish(-1, years())
    order = story.buy(0, 1200)
    assert story.member().available == 50 + 1200 + 100
    story.refund(10, order, 1)
    assert (story.member().tier_key, story.member().available) == ("bronze", 50)
    story.buy(20, 1000)
    assert (story.member().tier_key, story.member().available) == ("gold", 50 + 1000 + 100)
    assert story.tiers() == ["gold", "bronze", "gold"]


def test_a_tier_given_by_hand_ends_on_its_day(story: Story) -> None:
    """
    tier     Insider │Ambassador by hand ─────────────│Insider
    $100              × 1.5          (× 1.5, told late) × 1
             T0      +5d   +10d      +20d             +30d  +40d
    """
    story.enrol(0, NOOR)
    with story.act(5) as session:
        override(
            session, story.shop, story.member().id, "ambassador", reason="A friend of the house",
            until=story.moment(30), actor="merchant",
        )  # fmt: skip
    story.buy(10, 100)
    assert story.ledger()[-1] == ("earn", 150)
    late: list[Any] = []
    with story.kept_back(late):
        story.buy(20, 100)
    story.strike(29.9)
    assert story.member().tier_key == "ambassador"
    story.strike(30.1)
    assert story.member().tier_key == "insider"
    story.buy(40, 100)
    assert story.ledger()[-1] == ("earn", 100)
    story.send(41, late)
    assert story.ledger()[-1] == ("earn", 150)
    assert story.moves() == [("ambassador", 5), ("insider", 30)]


def test_a_tier_given_by_hand_hides_what_was_earned_meanwhile_no_longer_than_it_lasts(story: Story) -> None:
    """
    tier     Insider │Ambassador by hand ── $600 ──│Advocate: earned meanwhile
             T0      +5d                    +10d   +15d ended early
    """
    story.enrol(0, NOOR)
    with story.act(5) as session:
        override(session, story.shop, story.member().id, "ambassador", reason="Winner", until=None, actor="merchant")
    story.buy(10, 600)
    assert story.member().tier_key == "ambassador"
    with story.act(15) as session:
        end_override(session, story.shop, story.member().id, actor="merchant")
    assert story.tiers() == ["ambassador", "advocate"]


# Versions.


def test_a_scheduled_version_takes_force_on_its_day(story: Story) -> None:
    """
    version   1 ──────────────── 2: triple points, Advocate from $50 ─────▶
    $100      100 (of +9.9d, told on +12d) │300            half of the first back: −50
    tier      Insider ─────────────────────│Advocate, by the clock
              T0  published        +9.9d   +10d   +11d                 +20d
    """
    story.enrol(0, NOOR)
    tiers = demo_program().ladder.model_dump()["tiers"]
    tiers[1]["threshold"] = 50_00
    generous = program(orders={"points_per_unit": 3}, ladder={"tiers": tiers})
    with story.act(0) as session:
        planned = publishing.publish(
            session, story.shop, generous.model_dump(mode="json"), actor="merchant", at=story.moment(10)
        )
    assert day_of(planned.effective_from) == 10
    late: list[Any] = []
    with story.kept_back(late):
        first = story.buy(9.9, 100, pieces=2)
    story.strike(9.95)
    assert story.member().tier_key == "insider"
    story.buy(10, 10)
    story.send(12, late)
    story.strike(12.1)
    assert story.ledger() == [("bonus", 50), ("earn", 30), ("earn", 100), *gained(story)]
    assert story.member().tier_key == "advocate"
    story.refund(20, first, 1)
    assert story.ledger()[-1] == ("reversal", -50)
    assert (story.order(first).program_version, planned.version) == (1, 2)


def gained(story: Story) -> list[tuple[str, int]]:
    """The first order was told of late: the second was an Advocate's after all."""
    return [("earn", 7)]


def test_points_keep_until_the_announced_date_when_the_policy_becomes_stricter(story: Story) -> None:
    """
    policy    a year ───────│30 days from +100d on, announced: nothing goes before +130d
    points    130 ───────────────────────────────────────130│0
              T0 $80       +100d                       +130d
    """
    story.publish(-1, program(expiry={"kind": "lot", "days": 365}))
    story.buy(0, 80)
    with story.act(100) as session:
        stricter = program(expiry=Expiry(kind="lot", days=30).model_dump())
        publishing.publish(session, story.shop, stricter.model_dump(mode="json"), actor="merchant")
    story.strike(100.1, 123.1, 129.1, 129.9)
    assert story.member().available == 130
    assert [told["days"] for _, told in story.events("points.expiring")] == [30, 7, 1]
    story.strike(130.1)
    assert story.member().available == 0


def test_rolling_back_publishes_the_old_program_anew(story: Story) -> None:
    """
    version   1 ────── 2: × 3 ────── 3: as 1 ──▶      $10: 10 ── 30 ── 10
    """
    story.buy(0, 10)
    with story.act(1) as session:
        changed = program(orders={"points_per_unit": 3}).model_dump(mode="json")
        publishing.publish(session, story.shop, changed, actor="merchant")
    story.buy(2, 10)
    with story.act(3) as session:
        publishing.roll_back(session, story.shop, 1, actor="merchant")
    order = story.buy(4, 10)
    assert story.ledger() == [("bonus", 50), ("earn", 10), ("earn", 30), ("earn", 10)]
    assert story.order(order).program_version == 3


def test_a_bonus_for_the_first_order_is_one_shoppers_once(story: Story) -> None:
    """
    $10   10 + 100 ── $10: 10 ── the first comes back: the second is no first ── Rosa's first: 10 + 100
    """
    story.publish(-1, program(bonuses=[{"key": "first", "name": "First order", "points": 100, "order_number": 1}]))
    first = story.buy(0, 10)
    story.buy(1, 10)
    story.refund(2, first, 1)
    assert story.ledger() == [("bonus", 50), ("earn", 110), ("earn", 10), ("reversal", -110)]
    story.buy(3, 10, who=ROSA)
    assert story.ledger(ROSA) == [("bonus", 50), ("earn", 110)]
