"""What members do earns once, within its limits, whoever asks how often and at the same time."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import Conflict, InvalidInput, NotFound
from core.events import Event
from loyalty import programs
from loyalty.activities import operations as activities
from loyalty.activities import queries
from loyalty.activities.models import Consent
from loyalty.activities.operations import NotEarned
from loyalty.activities.points import note_all
from loyalty.models import Member, Posting
from loyalty.privacy import erase_person, find_person
from tests.loyalty.activities.rig import ACTIVITIES, LONG_AGO, T0, World, program

DAY = timedelta(days=1)


def refused(world: World, member_id: int, rule: str, fact: str = "once", at: datetime = T0) -> NotEarned:
    with pytest.raises(NotEarned) as caught:
        world.award(member_id, rule, fact, at)
    return caught.value


def test_an_activity_is_posted_with_its_why(world: World) -> None:
    ann = world.join()
    assert world.award(ann, "insta") == 10
    assert world.told(ann) == ["10 points for following us on Instagram."]
    member = world.member(ann)
    assert (member.available, member.lifetime, member.last_active_at) == (60, 60, T0)
    with world.open() as session:
        posting = session.scalars(sa.select(Posting).where(Posting.rule == "insta")).one()
        assert (posting.kind, posting.source, posting.target) == ("bonus", "issued", "available")
        assert (posting.key, posting.program_version) == (f"activity:insta:{ann}:once", 1)
        event = session.scalars(sa.select(Event).where(Event.kind == "points.posted")).one()
        assert (event.member_id, event.data["points"]) == (ann, 10)
    assert world.proven()


def test_the_same_fact_earns_once_and_says_what_it_earned(world: World) -> None:
    ann, bob = world.join(), world.join()
    world.award(ann, "insta")
    error = refused(world, ann, "insta", at=T0 + 400 * DAY)
    assert (error.code, error.extra["earned"]) == ("already_done", {"points": 10, "at": T0.isoformat()})
    assert world.award(bob, "insta") == 10
    assert world.earned(ann) == [("insta", "once", 10)]


def test_limits_by_day_and_for_ever(world: World) -> None:
    ann = world.join()
    assert [world.award(ann, "cups", fact) for fact in "ab"] == [5, 5]
    error = refused(world, ann, "cups", "c")
    assert (error.code, error.extra["again_on"]) == ("limit_reached", "2026-03-02")
    assert world.award(ann, "cups", "c", T0 + DAY) == 5
    assert world.award(ann, "cups", "d", T0 + DAY) == 3
    error = refused(world, ann, "cups", "e", T0 + 2 * DAY)
    assert (error.code, error.extra) == ("limit_reached", {})
    assert world.told(ann)[-1] == "3 points: Brought your own cup. That's all there is to earn here."


def test_points_are_cut_to_the_days_room(world: World) -> None:
    ann = world.join()
    assert world.award(ann, "review", "product:1", photos=2) == 50
    assert world.award(ann, "review", "product:2", photos=1) == 20
    assert refused(world, ann, "review", "product:3").code == "limit_reached"
    assert world.told(ann) == [
        "30 points for your review, and 20 more for its photos. Thank you!",
        "20 points for your review. Thank you! That's the most for one day.",
    ]


@pytest.mark.parametrize(
    ("zone", "last_of_today", "first_of_tomorrow"),
    [
        ("Pacific/Auckland", "2026-03-01T10:59:59Z", "2026-03-01T11:00:00Z"),
        # The day that ends daylight saving there has 25 hours.
        ("Pacific/Auckland", "2026-04-05T11:59:59Z", "2026-04-05T12:00:00Z"),
        ("America/New_York", "2026-03-02T04:59:59Z", "2026-03-02T05:00:00Z"),
        ("UTC", "2026-03-01T23:59:59Z", "2026-03-02T00:00:00Z"),
    ],
)
def test_a_days_limit_ends_with_the_shops_day(
    world: World, zone: str, last_of_today: str, first_of_tomorrow: str
) -> None:
    world.publish(program(timezone=zone), LONG_AGO + DAY)
    ann, last = world.join(), datetime.fromisoformat(last_of_today)
    for fact in "ab":
        world.award(ann, "cups", fact, last - timedelta(minutes=1))
    assert refused(world, ann, "cups", "c", last).code == "limit_reached"
    assert world.award(ann, "cups", "c", datetime.fromisoformat(first_of_tomorrow)) == 5


def test_tiers_spans_and_unknown_rules(world: World) -> None:
    insider, advocate = world.join(), world.join(tier="advocate")
    assert refused(world, insider, "tasting").code == "not_your_tier"
    assert world.award(advocate, "tasting") == 40
    with pytest.raises(NotFound) as caught:
        world.award(insider, "nothing-of-ours")
    assert caught.value.code == "no_rule"
    changed = [{**a, "starts_at": "2026-03-02T00:00", "ends_at": "2026-03-03T00:00"} for a in ACTIVITIES]
    world.publish(program(changed), T0)
    assert refused(world, insider, "insta").code == "not_open"
    assert refused(world, insider, "insta", at=T0 + 2 * DAY).code == "over"
    assert world.award(insider, "insta", at=T0 + DAY) == 10


@pytest.mark.parametrize("same_fact", [True, False])
def test_of_many_at_once_the_limit_lets_through_what_it_may(world: World, same_fact: bool) -> None:
    ann, barrier, ends = world.join(), threading.Barrier(8), []

    def award(number: int) -> None:
        barrier.wait()
        try:
            ends.append(world.award_live(ann, "cups", "same" if same_fact else f"fact {number}"))
        except NotEarned as error:
            ends.append(error.code)

    threads = [threading.Thread(target=award, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if same_fact:
        assert sorted(map(str, ends)) == ["5"] + ["already_done"] * 7
    else:
        assert sorted(map(str, ends)) == ["5", "5"] + ["limit_reached"] * 6
    assert world.member(ann).available == 50 + (5 if same_fact else 10)
    assert world.proven()


def test_merged_and_erased_members_earn_nothing(world: World) -> None:
    kept, gone = world.join(), world.join()
    with world.open() as session:
        session.execute(sa.update(Member).where(Member.id == gone).values(merged_into=kept))
    with pytest.raises(Conflict) as caught:
        world.award(gone, "insta")
    assert (caught.value.code, caught.value.extra) == ("member_merged", {"member_id": str(kept)})
    with world.open() as session:
        erase_person(session, world.shop_id, find_person(session, world.shop_id, customer_id=1001))
    with pytest.raises(NotFound):
        world.award(kept, "insta")


def act(world: World, member_id: int, rule: str, fact: str | None = None, **data: Any) -> int:
    with world.open() as session:
        return activities.act(
            session, world.shop_id, member_id, rule, fact=fact, data=data, at=T0, actor="api:1"
        ).points


def test_custom_facts_never_reach_the_ledger_as_they_are(world: World) -> None:
    ann = world.join()
    assert act(world, ann, "cups", "cup of ann@example.com") == 5
    with pytest.raises(NotEarned):
        act(world, ann, "cups", "cup of ann@example.com")
    with world.open() as session:
        told = session.scalars(
            sa.select(sa.func.to_jsonb(sa.text("p")).cast(sa.Text)).select_from(sa.text("postings p"))
        )
        assert not any("example.com" in row for row in told)


@pytest.mark.parametrize(
    ("rule", "fact", "data", "code"),
    [
        ("birthday", None, {}, "not_reported"),
        ("anniversary", None, {}, "not_reported"),
        ("coffee", None, {}, "not_reported"),
        ("news", None, {}, "not_reported"),
        ("nps", None, {}, "not_reported"),
        ("cups", None, {}, "no_fact"),
        ("cups", "x" * 256, {}, "no_fact"),
        ("cups", "x", {"note": "y" * 5000}, "bad_data"),
        ("cups", "x", {"note": "a\x00b"}, "bad_data"),
        ("review", None, {"rating": 5}, "bad_data"),
    ],
)
def test_what_cannot_be_reported_is_refused(
    world: World, rule: str, fact: str | None, data: dict[str, Any], code: str
) -> None:
    ann = world.join()
    with pytest.raises(InvalidInput) as caught:
        act(world, ann, rule, fact, **data)
    assert caught.value.code == code
    assert world.earned(ann) == []


def test_a_product_is_reviewed_once(world: World) -> None:
    ann = world.join()
    assert act(world, ann, "review", product_id=7, review_id="a") == 30
    with pytest.raises(NotEarned):
        act(world, ann, "review", product_id=7, review_id="b")
    assert act(world, ann, "review", product_id=8, review_id="c") == 30


@pytest.mark.parametrize(
    ("photos", "points"), [(0, 30), (1, 50), (True, 50), (False, 30), ("0", 30), (None, 30), (-1, 30)]
)
def test_only_photos_bring_their_points(world: World, photos: Any, points: int) -> None:
    assert act(world, world.join(), "review", product_id=7, photos=photos) == points


def test_answers_are_kept_and_earn_once(world: World) -> None:
    ann = world.join()
    for text, points in (("Coffee", 20), (" Tea ", None)):
        with world.open() as session:
            kept = activities.answer(session, world.shop_id, ann, "coffee", text, at=T0, actor="api:1")
            assert (kept.earned and kept.earned.points) == points
    with world.open() as session:
        assert queries.answers(session, world.shop_id, ann) == {"coffee": "Tea"}
    assert world.told(ann) == ["20 points for answering “Coffee or tea?”."]


@pytest.mark.parametrize("text", ["", "  ", "Water", "coffee", "x" * 501, "a\x00b"])
def test_an_answer_that_is_none_is_refused(world: World, text: str) -> None:
    ann = world.join()
    with pytest.raises(InvalidInput), world.open() as session:
        activities.answer(session, world.shop_id, ann, "coffee", text, at=T0, actor="api:1")
    assert world.earned(ann) == []


def consent(world: World, member_id: int, given: bool, at: datetime = T0, channel: str = "newsletter") -> Any:
    with world.open(at) as session:
        return activities.consent(
            session, world.shop_id, member_id, channel, given=given, source="portal", at=at, actor="api:1"
        )


def test_consent_is_kept_with_its_time_and_earns_once(world: World) -> None:
    ann = world.join()
    assert consent(world, ann, True).earned.points == 50
    assert consent(world, ann, True, T0 + DAY).what.at == T0
    withdrawn = consent(world, ann, False, T0 + 2 * DAY).what
    assert (withdrawn.given, withdrawn.at, world.member(ann).available) == (False, T0 + 2 * DAY, 100)
    again = consent(world, ann, True, T0 + 3 * DAY)
    assert (again.earned, again.not_earned, again.what.at) == (None, "already_done", T0 + 3 * DAY)
    assert consent(world, ann, True, channel="sms").earned.points == 60
    with world.open() as session:
        kinds = session.scalars(
            sa.select(Event.kind).where(Event.kind.like("consent.%")).order_by(Event.occurred_at, Event.id)
        ).all()
    assert kinds == ["consent.given", "consent.given", "consent.withdrawn", "consent.given"]


def test_consent_is_kept_where_nothing_is_paid_for_it(world: World) -> None:
    world.publish(program([]), T0)
    ann = world.join()
    kept = consent(world, ann, True, T0 + DAY)
    assert (kept.what.given, kept.earned, kept.not_earned) == (True, None, None)
    with world.open() as session:
        assert session.scalars(sa.select(Consent.source)).all() == ["portal"]


def nps(world: World, member_id: int, score: int, at: datetime = T0) -> int:
    with world.open(at) as session:
        return activities.nps(session, world.shop_id, member_id, score, "fine", at=at, actor="api:1").points


def test_every_score_earns_the_same_and_rests_for_90_days(world: World) -> None:
    ann, bob = world.join(), world.join()
    assert nps(world, ann, 0) == nps(world, bob, 10) == 15
    with pytest.raises(NotEarned) as caught:
        nps(world, ann, 9, T0 + 89 * DAY)
    assert (caught.value.code, caught.value.extra["again_on"]) == ("too_soon", "2026-05-30")
    assert nps(world, ann, 9, T0 + 90 * DAY) == 15
    for score in (-1, 11):
        with pytest.raises(InvalidInput):
            nps(world, bob, score, T0 + 400 * DAY)


def test_a_birthday_may_be_mended_at_once_and_then_changed_once_a_year(world: World) -> None:
    ann = world.join()
    world.birthday(ann, 7, 14)
    world.birthday(ann, 7, 15, at=T0 + timedelta(hours=2))
    set_at = T0 + timedelta(hours=2)
    with pytest.raises(Conflict) as caught:
        world.birthday(ann, 7, 16, at=T0 + 10 * DAY)
    assert (caught.value.code, caught.value.extra["again_at"]) == (
        "birthday_fixed",
        (set_at + 365 * DAY).isoformat(),
    )
    # Telling the year as well, or the same date again, is no change.
    world.birthday(ann, 7, 15, at=T0 + 10 * DAY, year=1990)
    with world.open() as session:
        row = queries.birthday(session, world.shop_id, ann)
        assert row
        assert (row.month, row.day, row.year, row.set_at) == (7, 15, 1990, set_at)
    world.birthday(ann, 8, 1, at=set_at + 365 * DAY)


@pytest.mark.parametrize(
    ("month", "day", "year"), [(2, 30, None), (0, 1, None), (13, 1, None), (2, 29, 1999), (1, 1, 1899), (1, 1, 2027)]
)
def test_a_birthday_that_cannot_be_is_refused(world: World, month: int, day: int, year: int | None) -> None:
    ann = world.join()
    with pytest.raises(InvalidInput):
        world.birthday(ann, month, day, year=year)


def test_joining_earns_while_its_rule_runs(world: World) -> None:
    changed = program(joining={"points": 50, "starts_at": "2026-03-01T00:00", "ends_at": "2026-03-08T00:00"})
    world.publish(changed, LONG_AGO)
    early, inside, late = (world.join(at=T0 + n * DAY) for n in (-1, 0, 7))
    assert [world.member(m).available for m in (early, inside, late)] == [0, 50, 0]
    assert world.proven()


def test_points_count_for_a_ladder_that_goes_by_points(world: World) -> None:
    ann = world.join()
    world.award(ann, "insta")
    assert world.facts() == []
    ladder = program().ladder.model_dump(mode="json") | {"metric": "points"}
    world.publish(program(ladder=ladder), T0)
    bob = world.join(at=T0)
    world.award(ann, "club")
    assert world.facts() == [(ann, f"activity:club:{ann}:once", 25), (bob, f"joined:{bob}", 50)]
    assert world.member(ann).tier_review_at is not None
    with world.open() as session:
        note_all(session, world.shop_id)
    assert [points for _, _, points in world.facts()] == [25, 10, 50, 50]
    assert world.proven()


def test_ways_tell_what_is_open_done_and_when(world: World) -> None:
    ann = world.join(at=datetime(2025, 6, 1, tzinfo=UTC))
    world.award(ann, "insta")
    world.award(ann, "cups", "a")
    world.award(ann, "cups", "b")
    nps(world, ann, 9)
    world.birthday(ann, 3, 20)
    with world.open() as session:
        member = session.get_one(Member, (world.shop_id, ann))
        version = programs.load(session, [world.shop_id]).in_force(world.shop_id, T0)
        found = {way.rule.key: way for way in queries.ways(session, member, version, T0)}
    shown = {key: (way.status, way.points, way.next_on and way.next_on.isoformat()) for key, way in found.items()}
    assert shown == {
        "birthday": ("waiting", 101, "2027-03-20"),
        "anniversary": ("waiting", 80, "2026-06-01"),
        "coffee": ("open", 20, None),
        "news": ("open", 50, None),
        "texts": ("open", 60, None),
        "insta": ("done", 0, None),
        "review": ("open", 30, None),
        "club": ("open", 25, None),
        "nps": ("waiting", 15, "2026-05-30"),
        "cups": ("limit_reached", 0, "2026-03-02"),
        "tasting": ("not_your_tier", 0, None),
    }
    assert (found["cups"].left_ever, found["review"].left_today, found["cups"].done and found["cups"].done.times) == (
        8,
        70,
        2,
    )
