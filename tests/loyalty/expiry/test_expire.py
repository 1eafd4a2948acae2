"""Points expire, to the second and once; the members are told before.

by lot (90 days)    day 0      +100 ├──────────────────────────────┤ day 90: −100
                    day 10        +50 ├──────────────────────────────┤ day 100: −50
by inactivity       day 0      +100 ├───────┐
                    day 10              +50 ├──────────────────────────────┤ day 100: −150
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock
from core.db import rows_by
from loyalty.expiry import operations, upkeep
from loyalty.models import Member
from loyalty.program import Expiry
from loyalty.wording import sentence
from tests.loyalty.expiry.shop import IDLE, LOT, NOOR, T0, THEO, day

SECOND = 1 / 86_400


def test_each_lot_expires_in_its_second(open_shop: Any) -> None:
    shop = open_shop(LOT)
    shop.buy(0, 1, 100)
    shop.buy(10, 2, 50)
    assert shop.plan(20) == [(90, 100), (100, 50)]
    shop.expire(90 - SECOND)
    assert shop.balance() == 150
    shop.expire(90)
    assert (shop.balance(), shop.plan(90)) == (50, [(100, 50)])
    shop.expire(100)
    assert (shop.balance(), shop.plan(100), shop.expiries()) == (0, [], [(90, -100), (100, -50)])


def test_activity_keeps_all_points(open_shop: Any) -> None:
    shop = open_shop(IDLE)
    shop.buy(0, 1, 100)
    shop.buy(10, 2, 50)
    assert shop.plan(20) == [(100, 150)]
    shop.expire(100 - SECOND)
    assert shop.balance() == 150
    shop.expire(100)
    assert (shop.balance(), shop.expiries()) == (0, [(100, -150)])


@pytest.mark.parametrize("expiry", [IDLE, LOT])
def test_late_or_often_makes_no_difference(open_shop: Any, expiry: Expiry) -> None:
    shop = open_shop(expiry)
    shop.buy(0, 1, 100)
    for moment in (300, 300, 300.5, 301):
        shop.expire(moment)
    assert (shop.balance(), shop.expiries()) == (0, [(90, -100)])
    assert shop.expire(302) == 0


def test_spending_is_activity_and_a_refund_is_not(open_shop: Any) -> None:
    shop = open_shop(IDLE)
    shop.buy(0, 1, 100)
    shop.spend(50, 30)
    assert shop.plan(51) == [(140, 70)]
    shop.refund(60, 1, 20, placed=0, of=100)
    assert shop.plan(61) == [(140, 50)]


def test_pending_points_never_expire(open_shop: Any) -> None:
    shop = open_shop(LOT)
    shop._tell(0, 1, 100, 0, status="pending")
    shop.buy(0, 2, 40)
    shop.expire(500)
    member = shop.member()
    assert (member.available, member.pending) == (0, 100)


def test_without_expiry_nothing_happens(open_shop: Any) -> None:
    shop = open_shop(None)
    shop.buy(0, 1, 100)
    shop.expire(5000)
    assert (shop.balance(), shop.plan(5000)) == (100, [])
    assert shop.member().expiry_look_at is None


@pytest.mark.parametrize("expiry", [IDLE, LOT])
def test_a_balance_below_zero_expires_nothing(open_shop: Any, expiry: Expiry) -> None:
    shop = open_shop(expiry)
    shop.buy(0, 1, 100)
    shop.spend(1, 100)
    shop.cancel(2, 1, placed=0, of=100)
    assert shop.balance() == -100
    shop.expire(400)
    assert (shop.balance(), shop.expiries(), shop.member().expiry_look_at) == (-100, [], None)


# Spends, refunds and give-backs.


def test_points_that_were_spent_do_not_expire(open_shop: Any) -> None:
    """Another product expired the whole lot and kept counting what had been spent of it."""
    shop = open_shop(LOT)
    shop.buy(0, 1, 100)
    shop.spend(10, 60)
    shop.buy(20, 2, 50)
    assert shop.plan(21) == [(90, 40), (110, 50)]
    shop.expire(90)
    assert shop.balance() == 50
    shop.expire(110)
    assert (shop.balance(), shop.expiries()) == (0, [(90, -40), (110, -50)])


def test_a_spend_larger_than_the_first_lot_goes_on_to_the_next(open_shop: Any) -> None:
    shop = open_shop(LOT)
    shop.buy(0, 1, 100)
    shop.buy(10, 2, 50)
    shop.spend(20, 120)
    assert shop.plan(21) == [(100, 30)]


def test_a_refund_takes_from_the_lot_of_its_order(open_shop: Any) -> None:
    shop = open_shop(LOT)
    shop.buy(0, 1, 100)
    shop.buy(10, 2, 50)
    shop.refund(20, 2, 20, placed=10, of=50)
    assert shop.plan(21) == [(90, 100), (100, 30)]


def test_reimbursed_points_are_as_old_as_they_were(open_shop: Any) -> None:
    shop = open_shop(LOT)
    shop.buy(0, 1, 100)
    shop.buy(10, 2, 50)
    shop.spend(20, 120)
    shop.reimburse(30, 120)
    assert shop.plan(31) == [(90, 100), (100, 50)]
    shop.spend(40, 100)
    shop.expire(95)
    shop.reimburse(96, 100)  # what they were spent of is over
    shop.expire(96)
    assert (shop.balance(), shop.expiries()) == (50, [(90, -100)])


def test_bonuses_and_gifts_are_lots_of_their_own(open_shop: Any) -> None:
    shop = open_shop(LOT)
    shop.buy(0, 1, 100)
    shop.give(5, 25)
    shop.post(6, "adjustment", "adjusted", "available", 10)
    shop.post(7, "adjustment", "available", "adjusted", 30)
    assert shop.plan(8) == [(90, 70), (95, 25), (96, 10)]


@pytest.mark.parametrize("expiry", [IDLE, LOT])
@pytest.mark.parametrize("refunded", [30, 100])
def test_a_refund_after_the_points_expired_takes_nothing_twice(open_shop: Any, expiry: Expiry, refunded: int) -> None:
    shop = open_shop(expiry)
    shop.buy(0, 1, 100)
    shop.expire(90)
    shop.buy(91, 2, 50)
    shop.refund(92, 1, refunded, placed=0, of=100)
    assert shop.balance() == 50 - refunded
    shop.expire(92)
    shop.expire(93)
    assert (shop.balance(), shop.plan(93)[-1]) == (50, (181, 50))
    assert shop.expiries() == [(90, -100), (92, refunded)]


def test_a_refund_of_points_that_were_spent_counts_in_full(open_shop: Any) -> None:
    shop = open_shop(LOT)
    shop.buy(0, 1, 100)
    shop.spend(10, 70)
    shop.expire(90)
    shop.refund(91, 1, 100, placed=0, of=100)
    shop.expire(91)
    assert (shop.balance(), shop.expiries()) == (-70, [(90, -30), (91, 30)])


def test_what_was_forgiven_is_not_given_back_as_well(open_shop: Any) -> None:
    shop = open_shop(LOT, clawback="clamp")
    shop.buy(0, 1, 100)
    shop.expire(90)
    shop.refund(91, 1, 100, placed=0, of=100)
    shop.expire(91)
    assert (shop.balance(), shop.expiries()) == (0, [(90, -100)])


def test_an_old_order_that_is_heard_of_late_has_expired(open_shop: Any) -> None:
    shop = open_shop(LOT)
    shop.buy(200, 1, 40)
    shop.buy(0, 2, 100, seen=201)
    shop.expire(201)
    assert (shop.balance(), shop.expiries()) == (40, [(90, -100)])


def test_points_that_expired_before_an_order_was_heard_of_come_back(open_shop: Any) -> None:
    shop = open_shop(IDLE)
    shop.buy(0, 1, 100)
    shop.expire(90)
    shop.buy(89, 2, 50, seen=91)
    shop.expire(91)
    shop.expire(92)
    assert (shop.expiries(), shop.plan(92)) == ([(90, -100), (91, 100)], [(179, 150)])


# Reminders.


@pytest.mark.parametrize("expiry", [IDLE, LOT])
def test_a_member_is_reminded_three_times(open_shop: Any, expiry: Expiry) -> None:
    shop = open_shop(expiry)
    shop.buy(0, 1, 100)
    for around in (60, 83, 89):
        for hours in (-6, 0, 6):
            shop.expire(around + hours / 24)
    assert shop.reminders() == [(30, 100, "2026-05-30"), (7, 100, "2026-05-30"), (1, 100, "2026-05-30")]
    assert [event.occurred_at for event in shop.events("points.expiring")] == [day(60), day(83), day(89)]


def test_another_date_is_reminded_of_anew(open_shop: Any) -> None:
    shop = open_shop(IDLE)
    shop.buy(0, 1, 100)
    shop.expire(60)
    shop.expire(83)
    shop.spend(85, 10)  # now the rest expires on day 175
    for moment in (86, 144, 145, 145, 168, 174, 175):
        shop.expire(moment)
    assert [(days, date) for days, _, date in shop.reminders()] == [
        (30, "2026-05-30"),
        (7, "2026-05-30"),
        (30, "2026-08-23"),
        (7, "2026-08-23"),
        (1, "2026-08-23"),
    ]


def test_each_lot_has_reminders_of_its_own(open_shop: Any) -> None:
    shop = open_shop(LOT)
    shop.buy(0, 1, 100)
    shop.buy(10, 2, 50)
    for number in range(59, 101):
        shop.expire(number)
    assert [(days, points) for days, points, _ in shop.reminders()] == [
        (30, 100), (30, 50), (7, 100), (1, 100), (7, 50), (1, 50),
    ]  # fmt: skip


def test_a_reminder_names_what_is_left(open_shop: Any) -> None:
    shop = open_shop(LOT)
    shop.buy(0, 1, 100)
    shop.expire(60)
    shop.spend(70, 80)
    shop.expire(83)
    shop.spend(84, 20)
    shop.expire(89)
    assert [(days, points) for days, points, _ in shop.reminders()] == [(30, 100), (7, 20)]


# Policies that change.


def test_a_stricter_policy_takes_nothing_before_its_notice_is_over(open_shop: Any) -> None:
    shop = open_shop(Expiry(days=365))
    shop.buy(0, 1, 100)
    shop.expire(1)
    shop.publish(200, IDLE)  # 110 days too late for these points
    shop.expire(199)
    assert shop.plan(199) == [(365, 100)]
    shop.expire(200)
    assert shop.plan(200) == [(230, 100)]
    assert shop.reminders() == [(30, 100, "2026-10-17")]
    shop.expire(230 - SECOND)
    assert shop.balance() == 100
    shop.expire(230)
    assert (shop.balance(), shop.expiries()) == (0, [(230, -100)])


def test_the_first_policy_gives_notice_too(open_shop: Any) -> None:
    shop = open_shop(IDLE, since=200)
    shop.buy(0, 1, 100)
    shop.expire(229)
    assert (shop.balance(), shop.plan(229)) == (100, [(230, 100)])


def test_publishing_the_same_policy_again_moves_no_date(open_shop: Any) -> None:
    shop = open_shop(IDLE)
    shop.buy(0, 1, 100)
    shop.publish(80, IDLE)
    assert shop.plan(81) == [(90, 100)]


def test_a_member_who_joins_before_an_announced_policy_is_looked_at_when_it_begins(open_shop: Any) -> None:
    shop = open_shop(Expiry(days=365))
    shop.publish(60, Expiry(days=60))
    shop.buy(10, 1, 100)
    for number in (11, 59, 60, 61, 83, 84, 89, 90):
        shop.expire(number)
    assert shop.expiries() == [(90, -100)]
    assert [days for days, _, _ in shop.reminders()] == [30, 7, 1]


def test_expiry_that_is_switched_off_and_on(open_shop: Any) -> None:
    shop = open_shop(IDLE)
    shop.buy(0, 1, 100)
    shop.publish(50, None)
    shop.expire(51)
    assert (shop.member().expiry_look_at, shop.plan(51)) == (None, [])
    shop.expire(300)
    shop.publish(400, LOT)
    shop.expire(401)
    assert (shop.balance(), shop.plan(401)) == (100, [(430, 100)])
    shop.expire(430)
    assert shop.balance() == 0


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (IDLE, IDLE, None),
        (IDLE, Expiry(days=90, notice_days=60), None),
        (None, None, None),
        (IDLE, LOT, {"kind": "lot", "days": 90}),
        (Expiry(days=365), Expiry(months=12), {"kind": "inactivity", "months": 12}),
        (IDLE, None, None),
    ],
)
def test_a_change_of_policy_is_announced(open_shop: Any, before: Any, after: Any, told: Any) -> None:
    shop = open_shop(before)
    with shop.open() as session:
        changed = operations.policy_changed(session, shop.shop_id, before, after, day(5), actor="merchant")
    events = shop.events("expiry.policy_changed")
    assert changed == bool(events) == (told is not None or (before is not None and after is None))
    if changed:
        assert events[0].data["after"] == told
        assert events[0].data["expires_from"] == (told and "2026-04-05T12:00:00Z")
        assert (events[0].occurred_at, events[0].actor) == (day(5), "merchant")


# Many at once.


def test_two_workers_at_once_expire_once(open_shop: Any) -> None:
    shop = open_shop(LOT)
    for number in range(40):
        shop.buy(0, number + 1, 100, who=2000 + number)
    with shop.at(85), ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: upkeep.expire(shop.database), range(4)))
    with shop.at(90), ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: upkeep.expire(shop.database), range(4)))
    assert len(shop.events("points.expiring")) == 40
    with shop.open() as session:
        assert session.scalar(sa.select(sa.func.sum(Member.available))) == 0


def test_a_member_who_fails_delays_no_other(open_shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = open_shop(LOT)
    for number in range(5):
        shop.buy(0, number + 1, 100, who=2000 + number)
    with shop.open() as session:
        # A posting that takes the key of the second member's first expiry.
        second = shop.member(2001).id
        rows_by(
            session,
            "INSERT INTO postings (shop_id, member_id, kind, source, target, points, key, rule, explanation, actor, "
            "occurred_at, recorded_at, available_after, pending_after) SELECT shop_id, member_id, kind, source, "
            "target, 1, 'expiry:' || k.id || ':0', rule, explanation, actor, occurred_at, recorded_at, 0, 0 "
            "FROM postings p JOIN {keys} AS k(id) ON p.member_id = k.id RETURNING id",
            ("bigint",),
            [(second,)],
        )
    shop.expire(90)
    assert [shop.balance(2000 + number) for number in range(5)] == [0, 100, 0, 0, 0]
    with shop.open() as session:  # the forged posting is accounted for, so that the books are right again
        session.execute(sa.update(Member).where(Member.id == second).values(available=101, lifetime=101))


def test_ten_thousand_postings(open_shop: Any) -> None:
    """Newest and oldest lots of a long history, whether most of it was spent or none."""
    shop = open_shop(LOT)
    shop.buy(0, 1, 7)
    noor = shop.member().id
    with shop.open() as session:
        session.execute(
            sa.text(
                "INSERT INTO postings (shop_id, member_id, kind, source, target, points, key, rule, explanation, "
                "actor, occurred_at, recorded_at, available_after, pending_after) "
                "SELECT :shop, :member, 'bonus', 'issued', 'available', 1, 'many:' || n, 'gift', '{}', 'test', "
                "CAST(:start AS timestamptz) + n * interval '10 minutes', CAST(:start AS timestamptz), 0, 0 "
                "FROM generate_series(1, 10000) n"
            ),
            {"shop": shop.shop_id, "member": noor, "start": T0},
        )
        session.execute(
            sa.update(Member).where(Member.id == noor).values(available=10_007, lifetime=10_007, last_active_at=day(70))
        )
    planned = shop.plan(70)
    assert (len(planned), planned[0], planned[1][1]) == (10_001, (90, 7), 1)
    shop.spend(70, 9_000)
    assert sum(points for _, points in shop.plan(70)) == 1_007
    shop.spend(70.1, 1_000)
    assert [points for _, points in shop.plan(70.2)] == [1] * 7
    shop.expire(200)
    assert (shop.balance(), sum(points for _, points in shop.expiries())) == (0, -7)


# Words.


@pytest.mark.parametrize(
    ("expiry", "text"),
    [
        (
            Expiry(days=90),
            "150 points expired: you last earned or spent points on 11 March 2026, and points stay 90 days after that.",
        ),
        (
            Expiry(kind="lot", days=90),
            "100 points expired: they were earned on 1 March 2026, and points stay 90 days.",
        ),
        (
            Expiry(kind="lot", months=1),
            "100 points expired: they were earned on 1 March 2026, and points stay 1 month.",
        ),
    ],
)
def test_an_expiry_says_why(open_shop: Any, expiry: Expiry, text: str) -> None:
    shop = open_shop(expiry)
    shop.buy(0, 1, 100)
    shop.buy(10, 2, 50)
    shop.expire(100)
    assert sentence(shop.postings(NOOR, "expiry")[0]) == text


def test_points_that_were_earned_on_several_days_and_points_that_come_back(open_shop: Any) -> None:
    shop = open_shop(None)
    shop.buy(0, 1, 100)
    shop.buy(10, 2, 50)
    shop.publish(300, LOT)
    shop.expire(330)
    shop.refund(331, 2, 1, placed=10, of=50)
    shop.expire(331)
    assert [sentence(posting) for posting in shop.postings(NOOR, "expiry")] == [
        "150 points expired: they were earned between 1 March 2026 and 11 March 2026, and points stay 90 days.",
        "1 point came back: it had expired already when a refund or a change of the order took them back, and nothing "
        "is taken twice.",
    ]


def test_every_look_is_in_time(open_shop: Any) -> None:
    """After any look, the next is not later than what is to happen next."""
    shop = open_shop(LOT)
    shop.buy(0, 1, 100)
    shop.buy(20, 2, 100)
    shop.buy(21, 3, 10, who=THEO)
    for number, wanted in ((22, 60), (60, 80), (80, 83), (83, 89), (89, 90), (90, 103), (103, 109), (109, 110)):
        shop.expire(number)
        assert shop.member().expiry_look_at == day(wanted)
    shop.expire(110)
    assert shop.member().expiry_look_at is None
    with shop.at(200):
        assert clock.now() == day(200)
