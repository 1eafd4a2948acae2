"""What people told us: handed over when they ask, gone when they are forgotten, joined when two become one."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from loyalty.activities import celebrations, giving, queries
from loyalty.activities import operations as activities
from loyalty.activities.models import ActivityDone, Answer, Birthday, Consent, Gift
from loyalty.activities.operations import NotEarned, merge_activities
from loyalty.models import Member, Posting
from loyalty.privacy import erase_person, erase_shop, export_person, find_person
from tests.loyalty.activities.rig import T0, World, program

DAY = timedelta(days=1)


def tell_all(world: World, member_id: int, at: Any = T0) -> None:
    """A birthday, an answer, a consent, a score with a comment, a custom action with details."""
    shop = world.shop_id
    world.birthday(member_id, 7, 14, at=at, year=1990)
    with world.open(at) as session:
        activities.answer(session, shop, member_id, "coffee", "Coffee", at=at, actor="api:1")
        activities.consent(
            session, shop, member_id, "newsletter", given=True, source="a note of ann", at=at, actor="api:1"
        )
        activities.nps(session, shop, member_id, 9, "the comment of ann", at=at, actor="api:1")
        activities.act(
            session, shop, member_id, "cups", fact="cup of ann", data={"note": "of ann"}, at=at, actor="api:1"
        )


def give(world: World, *members: int, key: str = "k") -> None:
    with world.open() as session:
        made = giving.gift(session, world.shop_id, points=5, reason="for ann", actor="api:1", key=key, members=members)
        giving.give_batch(session, world.shop_id, made.id, T0)


def test_an_export_holds_what_they_told_and_did(world: World) -> None:
    ann = world.join()
    tell_all(world, ann)
    with world.open() as session:
        person = find_person(session, world.shop_id, customer_id=1001)
        told = export_person(session, world.shop_id, person, request_id="7")
    assert [row["answer"] for row in told["answers"]] == ["Coffee"]
    assert [(row["month"], row["day"], row["year"]) for row in told["birthdays"]] == [(7, 14, 1990)]
    assert [row["source"] for row in told["consents"]] == ["a note of ann"]
    assert {row["kind"] for row in told["activities"]} == {"question", "newsletter", "nps", "custom"}
    assert "the comment of ann" in str(told["activities"])


def test_a_forgotten_person_leaves_numbers_only(world: World) -> None:
    ann, bob = world.join(), world.join()
    for member in (ann, bob):
        tell_all(world, member)
    give(world, ann)
    give(world, ann, bob, key="both")
    before = world.member(ann).available
    with world.open() as session:
        erase_person(session, world.shop_id, find_person(session, world.shop_id, customer_id=1001))
    with world.open() as session:
        for table in (Answer, Birthday, Consent):
            assert session.scalars(sa.select(table.member_id)).all() == [bob]
        assert session.scalars(sa.select(ActivityDone.data).where(ActivityDone.member_id == ann)).all() == [{}] * 4
        assert session.scalars(sa.select(Gift.reason).order_by(Gift.id)).all() == ["", "for ann"]
        told = session.scalars(sa.select(Posting.explanation).where(Posting.member_id == ann))
        assert not any("for ann" in str(row) for row in told)
    assert world.member(ann).available == before
    assert world.proven()


def test_of_a_forgotten_shop_no_row_is_left(world: World) -> None:
    """Those tables that no act here fills get a row made up for them."""
    ann = world.join()
    tell_all(world, ann)
    give(world, ann)
    with world.open() as session:
        celebrations._complete(session, world.shop_id, "birthday", T0.date(), T0.date())
    names = fill_tables(world)
    with world.open() as session:
        erase_shop(session, world.shop_id)
        left = {name: session.scalar(sa.text(f"SELECT count(*) FROM {name}")) for name in names}
    assert len(left) >= 16
    assert not any(left.values()), left


def fill_tables(world: World) -> list[str]:
    """Put a row into each table of this shop that has none; the names of all that now have one."""
    with world.open() as session:
        names = [
            "activities", "answers", "birthdays", "consents", "gifts", "member_rewards", "order_uses", "products",
            "program_drafts", "recalculations", "reward_calls", "reward_stock", "rounds", "tier_gifts",
            "tier_overrides", "tier_perks",
        ]  # fmt: skip
        for name in names:
            if not session.scalar(sa.text(f"SELECT count(*) FROM {name}")):
                _add_row(session, name, world.shop_id)
            assert session.scalar(sa.text(f"SELECT count(*) FROM {name}")), name
    return names


_MADE_UP = {
    "bigint": "1", "integer": "1", "smallint": "1", "text": "'issued'", "jsonb": "'{}'", "date": "'2026-01-01'",
    "timestamp with time zone": "now()", "boolean": "false",
}  # fmt: skip


def _add_row(session: Any, name: str, shop_id: int) -> None:
    columns = session.execute(
        sa.text(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = :name "
            "AND is_nullable = 'NO' AND is_identity = 'NO' AND column_default IS NULL AND column_name <> 'shop_id'"
        ),
        {"name": name},
    ).all()
    listed = ", ".join(["shop_id", *(column for column, _ in columns)])
    values = ", ".join([str(shop_id), *(_MADE_UP[kind] for _, kind in columns)])
    session.execute(sa.text(f"INSERT INTO {name} ({listed}) VALUES ({values})"))


# Two members become one.


def merge(world: World, deleted: int, kept: int) -> None:
    with world.open() as session:
        session.execute(sa.update(Member).where(Member.id == deleted).values(merged_into=kept))
        merge_activities(session, world.shop_id, deleted, kept)


def test_nothing_is_earned_twice_after_a_merge(world: World) -> None:
    kept, deleted = world.join(), world.join()
    for member in (kept, deleted):
        world.award(member, "insta")
    world.award(deleted, "club")
    world.award(deleted, "cups", "a")
    tell_all(world, deleted)
    merge(world, deleted, kept)
    for rule in ("insta", "club"):
        with pytest.raises(NotEarned):
            world.award(kept, rule)
    with pytest.raises(NotEarned), world.open() as session:
        activities.nps(session, world.shop_id, kept, 9, None, at=T0 + DAY, actor="api:1")
    # Of the two cups a day, both are drunk.
    with pytest.raises(NotEarned):
        world.award(kept, "cups", "b")
    with world.open() as session:
        answered = activities.answer(session, world.shop_id, kept, "coffee", "Tea", at=T0, actor="api:1")
        assert answered.not_earned == "already_done"


def test_what_was_said_last_holds(world: World) -> None:
    kept, deleted = world.join(), world.join()
    with world.open() as session:
        # The kept member's second answer is as late as the deleted one's: it stays.
        for member, channel, given, at, text in (
            (kept, "newsletter", True, T0, "Tea"),
            (deleted, "newsletter", False, T0 + DAY, "Coffee"),
            (kept, "sms", False, T0 + DAY, "Tea"),
            (deleted, "sms", True, T0, "Coffee"),
        ):
            activities.consent(
                session, world.shop_id, member, channel, given=given, source="portal", at=at, actor="api:1"
            )
            activities.answer(session, world.shop_id, member, "coffee", text, at=at, actor="api:1")
    world.birthday(deleted, 7, 14)
    merge(world, deleted, kept)
    merge(world, deleted, kept)
    with world.open() as session:
        assert [(c.channel, c.given) for c in queries.consents(session, world.shop_id, kept)] == [
            ("newsletter", False),
            ("sms", False),
        ]
        assert queries.answers(session, world.shop_id, kept) == {"coffee": "Tea"}
        found = queries.birthday(session, world.shop_id, kept)
        assert found
        assert (found.month, found.day) == (7, 14)
        for table in (Answer, Birthday, Consent):
            assert set(session.scalars(sa.select(table.member_id))) == {kept}


def test_the_kept_members_birthday_stays(world: World) -> None:
    kept, deleted = world.join(), world.join()
    world.birthday(kept, 1, 2)
    world.birthday(deleted, 7, 14)
    merge(world, deleted, kept)
    with world.open() as session:
        found = queries.birthday(session, world.shop_id, kept)
        assert found
        assert (found.month, found.day) == (1, 2)


def test_points_for_the_ladder_move_along(world: World) -> None:
    ladder = program().ladder.model_dump(mode="json") | {"metric": "points"}
    world.publish(program(ladder=ladder), T0 - DAY)
    kept, deleted = world.join(at=T0), world.join(at=T0)
    world.award(deleted, "club")
    merge(world, deleted, kept)
    assert [member for member, _, _ in world.facts()] == [kept] * 3
