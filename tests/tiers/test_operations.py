"""Climbing, falling, gifts and tiers by hand, as they are written."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock
from core.errors import Conflict, InvalidInput, NotFound
from core.events import Event, record
from loyalty import programs
from loyalty.models import Member, Posting
from loyalty.program import Program
from loyalty.wording import sentence
from sandbox.signing import Delivery
from tests.scenarios.story import NOOR, T0, Story
from tests.scenarios.test_a_year import same_person
from tests.tiers.members import laddered, tiers
from tiers import jobs, operations
from tiers.models import TierGift, TierPeriod
from tiers.operations import end_override, override
from tiers.queries import standings
from tiers.wording import tier_text

GIFTS = {"advocate": {"entry_gift": 200}, "ambassador": {"entry_gift": 500}}
STEPS = (("insider", 0), ("advocate", 500_00), ("ambassador", 1500_00))


def with_gifts(**changes: Any) -> Program:
    return laddered(tiers=tiers(*STEPS, **GIFTS), **changes)


def give(story: Story, day: float, tier: str, *, until: datetime | None = None, reason: str = "a friend") -> None:
    with story.at(day), story.house.database.transaction(story.shop) as session:
        override(session, story.shop, member_id(story), tier, reason=reason, until=until, actor="api:1")


def take_back(story: Story, day: float) -> None:
    with story.at(day), story.house.database.transaction(story.shop) as session:
        end_override(session, story.shop, member_id(story), actor="api:1")


def member_id(story: Story) -> int:
    return story.member().id


def kinds(story: Story) -> list[str]:
    with story.house.database.transaction(story.shop) as session:
        return list(session.scalars(sa.select(Event.kind).order_by(Event.id)))


def sentences(story: Story) -> list[str]:
    with story.house.database.transaction(story.shop) as session:
        return [sentence(row) for row in session.scalars(sa.select(Posting).order_by(Posting.id))]


def told(story: Story) -> list[str]:
    with story.house.database.transaction(story.shop) as session:
        published = programs.load(session, [story.shop])
        rows = session.scalars(sa.select(TierPeriod).order_by(TierPeriod.id))
        return [tier_text(row, published.numbered(story.shop, row.program_version), "USD") for row in rows]


# Gifts.


def test_entering_a_tier_brings_its_gift_once(story: Story) -> None:
    """
    $600 Advocate +200        +1y falls        +1y $700 Advocate again: no second gift
    """
    story.publish(-1, with_gifts())
    story.buy(0, 600)
    assert story.ledger()[-1] == ("bonus", 200)
    story.review_tier(366)
    assert story.member().tier_key == "insider"
    story.buy(370, 700)
    assert story.tiers() == ["advocate", "insider", "advocate"]
    assert [points for kind, points in story.ledger() if kind == "bonus"] == [50, 200]


def test_passing_a_tier_brings_its_gift_too(story: Story) -> None:
    story.publish(-1, with_gifts())
    story.buy(0, 1600)
    assert sorted(points for kind, points in story.ledger() if kind == "bonus") == [50, 200, 500]


def test_a_refund_that_undoes_the_promotion_takes_the_gift_back_and_earning_it_again_brings_it_again(
    story: Story,
) -> None:
    story.publish(-1, with_gifts())
    order = story.buy(0, 600, pieces=6)
    story.refund(10, order, pieces=2)
    assert story.tiers() == ["advocate", "insider"]
    assert [row for row in story.ledger() if row[0] != "earn"] == [
        ("bonus", 50), ("bonus", 200), ("reversal", -200), ("reversal", -200)
    ]  # fmt: skip
    assert "200 points for reaching Advocate. Congratulations!" in sentences(story)
    assert sentences(story)[-1] == "200 points went back: after a refund, what you bought no longer reaches Advocate."
    story.buy(20, 100)
    assert story.ledger()[-1] == ("bonus", 200)
    with story.house.database.transaction(story.shop) as session:
        held = session.scalars(sa.select(TierGift)).one()
    assert (held.points, held.count) == (200, 3)
    assert told(story)[1] == "You went back to Insider: after a refund it is $400.00 in 365 days."


def test_a_cancel_in_the_year_undoes_the_promotion_and_next_years_does_not(story: Story) -> None:
    story.publish(-1, with_gifts(period="calendar_year"))
    order = story.buy(0, 600)
    story.cancel(5, order)
    assert (story.member().tier_key, story.member().available) == ("insider", 50)
    again = story.buy(6, 600)
    story.cancel(400, again)  # a year later: the tier was theirs, and is held to the end of this year
    assert story.member().tier_key == "advocate"
    assert story.ledger()[-1] == ("reversal", -600)
    assert ("reversal", -200) not in story.ledger()[-2:]


def test_a_gift_of_long_ago_stays_when_a_later_refund_takes_the_tier(story: Story) -> None:
    """Advocate by the first order, Ambassador by the second; refunding the second undoes only what it brought."""
    story.publish(-1, with_gifts(window_days=365))
    story.buy(0, 600)
    second = story.buy(200, 1000)
    story.refund(210, second, pieces=1)
    bonuses = [row for row in story.ledger() if abs(row[1]) in (200, 500)]
    assert bonuses == [("bonus", 200), ("bonus", 500), ("reversal", -500)]


def test_what_was_bought_before_the_shop_came_to_us_brings_no_gift(story: Story) -> None:
    program = with_gifts()
    orders = program.orders.model_copy(update={"starts_at": T0 + timedelta(days=5)})
    story.publish(-1, program.model_copy(update={"orders": orders}))
    story.buy(0, 600)
    assert story.member().tier_key == "advocate"
    assert story.member().available == 50


# Years.


def test_a_year_ladder_falls_by_itself_when_its_grace_is_over(story: Story) -> None:
    """
    2026: $600, Advocate … … 2027: nothing … … 31 Dec 2027, 30 days of grace … … 31 Jan 2028: Insider
    """
    story.publish(-1, laddered(period="calendar_year", grace_days=30))
    story.buy(0, 600)
    assert due(story) == datetime.fromisoformat("2026-01-31T00:00Z")
    with clock.fixed_at(datetime.fromisoformat("2026-01-31T00:00Z")):
        review(story)
    assert due(story) == datetime.fromisoformat("2027-01-31T00:00Z")
    for moment, tier in (
        ("2027-01-31T00:00Z", "advocate"),
        ("2028-01-30T23:59Z", "advocate"),
        ("2028-01-31T00:00Z", "insider"),
    ):
        with clock.fixed_at(datetime.fromisoformat(moment)):
            review(story)
        assert story.member().tier_key == tier
    assert told(story)[-1] == "You went back to Insider: $0.00 this year."


def due(story: Story) -> datetime | None:
    return story.member().tier_review_at


def review(story: Story) -> None:

    with story.house.database.transaction(story.shop) as session:
        published = programs.load(session, [story.shop])
        record(session, operations.review(session, [(story.shop, member_id(story))], published, clock.now()))


def test_a_late_order_settles_later_ones_and_the_tier_of_the_year(story: Story) -> None:
    story.publish(-1, laddered(period="calendar_year"))
    story.buy(10, 100)
    story.buy(5, 600)  # heard of late: the order of day 10 was an Advocate's
    assert story.member().tier_key == "advocate"
    assert sum(points for kind, points in story.ledger() if kind == "earn") == 600 + 125


# By hand.


def test_a_tier_by_hand_holds_at_once_and_ends_by_itself(story: Story) -> None:
    story.publish(-1, with_gifts())
    story.buy(0, 10)
    give(story, 1, "ambassador", until=T0 + timedelta(days=30))
    assert (story.member().tier_key, story.member().tier_review_at) == (
        "ambassador", T0 + timedelta(days=30, microseconds=1)
    )  # fmt: skip
    assert kinds(story)[-4:] == ["tier.overridden", "tier.changed", "points.posted", "points.posted"]
    story.buy(2, 100)
    assert story.ledger()[-1] == ("earn", 100)  # the multiplier of these tiers is 1
    story.refund(3, story.buy(2.5, 50), pieces=1)
    assert story.member().tier_key == "ambassador"
    story.review_tier(31)
    assert story.member().tier_key == "insider"
    assert told(story)[0] == "You were given Ambassador."


def test_orders_earn_by_the_tier_given_by_hand(story: Story) -> None:
    story.enrol(0, NOOR)
    give(story, 1, "ambassador")
    story.buy(2, 100)
    assert story.ledger()[-1] == ("earn", 150)
    late: list[Delivery] = []
    with story.kept_back(late):
        story.buy(0.5, 100)
    story.send(2.5, late)  # placed before it was given
    assert story.ledger()[-1] == ("earn", 100)
    take_back(story, 3)
    story.buy(4, 100)
    assert story.ledger()[-1] == ("earn", 100)
    assert told(story)[-1] == "The tier you were given has ended, and you are Insider: $200.00 in 365 days."


def test_a_second_word_replaces_the_first(story: Story) -> None:
    story.enrol(0, NOOR)
    give(story, 1, "ambassador")
    give(story, 2, "advocate")
    assert story.member().tier_key == "advocate"
    take_back(story, 3)
    assert story.member().tier_key == "insider"


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        ({"tier": "platinum"}, InvalidInput, "unknown_tier"),
        ({"tier": "advocate", "until": T0 + timedelta(days=1)}, InvalidInput, "bad_until"),
        ({"tier": "advocate", "reason": "  "}, InvalidInput, "no_reason"),
    ],
)
def test_what_cannot_be_given(story: Story, change: dict[str, Any], error: type[Exception], code: str) -> None:
    story.enrol(0, NOOR)
    with pytest.raises(error) as refused:
        give(story, 1, **change)
    assert refused.value.code == code  # type: ignore[attr-defined]


def test_nothing_is_given_to_nobody(story: Story) -> None:
    other = same_person(NOOR, 79)
    story.enrol(0, NOOR)
    story.enrol(0, other)
    with pytest.raises(NotFound, match="not given by hand"):
        take_back(story, 1)
    gone = story.member(other).id
    story.merge(1, NOOR, other)
    with story.at(2), story.house.database.transaction(story.shop) as session:
        with pytest.raises(Conflict):
            override(session, story.shop, gone, "advocate", reason="x", until=None, actor="test")
        with pytest.raises(NotFound):
            override(session, story.shop, 10**9, "advocate", reason="x", until=None, actor="test")


# Standings.


def test_until_when_a_tier_is_held_and_what_keeps_it(story: Story) -> None:
    story.buy(0, 400)
    story.buy(100, 300)
    now = T0 + timedelta(days=200)
    with story.at(200), story.house.database.transaction(story.shop) as session:
        version = programs.load(session, [story.shop]).in_force(story.shop, now)
        (standing,) = standings(session, [session.scalars(sa.select(Member)).one()], version, now).values()
    assert (standing.value, standing.next and standing.next.remaining) == (700_00, 800_00)
    assert standing.until is not None
    assert (standing.until - T0).days == 365
    assert standing.missing == 200_00


def test_the_job_reviews_whoever_is_due(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "database", lambda: story.house.database)
    story.buy(0, 600)
    with story.at(364):
        jobs.review_lapsed()
    assert story.member().tier_key == "advocate"
    with story.at(366):
        jobs.review_lapsed()
        jobs.review_lapsed()
    assert story.moves() == [("advocate", 0), ("insider", 366)]
