"""Drafts and publishing on a real database: whose change counts, and which version is in force when."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock
from core.db import Database
from core.errors import Conflict, InvalidInput, NotFound, RapportError
from core.events import Event
from loyalty import programs
from loyalty.models import ProgramDraft, ProgramVersion
from loyalty.publishing import operations, queries
from loyalty.publishing.faults import InvalidProgram
from loyalty.publishing.preview import preview
from shops.models import Shop
from tests.loyalty.test_program import DEMO, changed
from tests.webhooks.rig import House, at_once

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
RAISED = changed("ladder.tiers.1.threshold", 600_00)


class Office:
    """A shop whose programs are published at moments counted in days from T0."""

    def __init__(self, database: Database, shop_id: int) -> None:
        self.database, self.shop_id = database, shop_id

    def publish(self, document: Any = DEMO, day: float = 0, **how: Any) -> int:
        with clock.fixed_at(T0 + timedelta(days=day)), self.database.transaction(self.shop_id) as session:
            return operations.publish(session, self.shop_id, document, actor="Noor", **how).version

    def at(self, day: float, work: Any, *given: Any, **how: Any) -> Any:
        with clock.fixed_at(T0 + timedelta(days=day)), self.database.transaction(self.shop_id) as session:
            return work(session, self.shop_id, *given, **how)

    def in_force(self, moment: datetime) -> int:
        with self.database.transaction(self.shop_id) as session:
            return programs.load(session, [self.shop_id]).in_force(self.shop_id, moment).number

    def events(self, kind: str) -> list[Any]:
        with self.database.transaction(self.shop_id) as session:
            return list(session.scalars(sa.select(Event).where(Event.kind == kind).order_by(Event.id)))

    def states(self, day: float) -> list[tuple[int, str]]:
        return [(row.version, state) for row, state, _ in self.at(day, queries.versions)]


@pytest.fixture
def office(database_url: str) -> Iterator[Office]:
    house = House(database_url)
    with house.database.transaction() as session:
        shop = Shop(
            domain="roastery.myshopify.com", name="Roastery", currency="USD", timezone="Europe/Berlin", installed_at=T0
        )
        session.add(shop)
        session.flush()
    yield Office(house.database, shop.id)
    house.database.dispose()


# Publishing.


def test_a_version_is_in_force_from_the_moment_it_was_published(office: Office) -> None:
    assert (office.publish(), office.publish(RAISED, 10, note="After the sale")) == (1, 2)
    assert [office.in_force(T0 + timedelta(days=day)) for day in (-5, 0, 9.99, 10, 400)] == [1, 1, 1, 2, 2]
    row = office.at(10, queries.in_force).row
    assert (row.actor, row.note, row.document["ladder"]["tiers"][1]["threshold"]) == ("Noor", "After the sale", 60_000)


def test_a_scheduled_version_takes_force_at_its_second(office: Office) -> None:
    office.publish()
    office.publish(RAISED, 1, at=T0 + 30 * DAY)
    assert office.in_force(T0 + 30 * DAY - SECOND) == 1
    assert office.in_force(T0 + 30 * DAY) == 2
    assert office.states(29) == [(1, "in_force"), (2, "scheduled")]
    assert office.states(30) == [(1, "past"), (2, "in_force")]


def test_a_start_without_an_offset_is_on_the_shops_clock(office: Office) -> None:
    document = {name: value for name, value in DEMO.items() if name != "timezone"}
    office.publish(document)
    office.publish(document, 1, at=datetime.fromisoformat("2026-04-01"))  # midnight in Berlin, where summer has begun
    assert office.at(1, queries.version, 2).row.effective_from == datetime(2026, 3, 31, 22, tzinfo=UTC)


def test_a_program_without_a_time_zone_takes_the_shops(office: Office) -> None:
    document = {name: value for name, value in DEMO.items() if name != "timezone"}
    office.publish(document)
    office.publish(DEMO, 1)
    zones = [office.at(2, queries.version, number).row.document["timezone"] for number in (1, 2)]
    assert zones == ["Europe/Berlin", "UTC"]


@pytest.mark.parametrize("at", [T0, T0 - SECOND, *map(datetime.fromisoformat, ("2026-01-01", "9999-01-01"))])
def test_nothing_is_back_dated_nor_put_off_for_ever(office: Office, at: datetime) -> None:
    office.publish()
    with pytest.raises(InvalidInput):
        office.publish(RAISED, 0, at=at)
    assert office.states(0) == [(1, "in_force")]


def test_an_invalid_program_is_not_published(office: Office) -> None:
    with pytest.raises(InvalidProgram, match="rewards › 5-off › cost must be at least 1"):
        office.publish(changed("rewards.0.cost", 0))
    assert office.states(0) == []
    with pytest.raises(NotFound):
        office.at(0, queries.in_force)


def test_publishing_is_told(office: Office) -> None:
    office.publish()
    office.publish(changed("expiry.days", 90), 5, at=T0 + 10 * DAY)
    told = office.events("program.published")
    assert [(event.data["version"], event.program_version, event.actor) for event in told] == [
        (1, 1, "Noor"),
        (2, 2, "Noor"),
    ]
    assert told[1].data["effective_from"] == "2026-03-11T12:00:00Z"
    # The first one had nobody's points to begin with, but says when they will expire.
    assert [event.actor for event in office.events("expiry.policy_changed")] == ["Noor", "Noor"]


def test_many_publishers_at_once_get_a_number_each_and_none_is_lost(office: Office) -> None:
    office.publish()
    names = [f"Program {number}" for number in range(8)]

    def publisher(name: str) -> Any:
        def publish() -> None:
            with office.database.transaction(office.shop_id) as session:
                operations.publish(session, office.shop_id, DEMO | {"name": name}, actor=name)

        return publish

    assert at_once(*map(publisher, names)) == []
    with office.database.transaction(office.shop_id) as session:
        rows = session.scalars(sa.select(ProgramVersion).order_by(ProgramVersion.version)).all()
    assert [row.version for row in rows] == list(range(1, 10))
    assert {row.document["name"] for row in rows[1:]} == set(names)
    # Whoever came later is in force later, too.
    assert [row.version for row in sorted(rows, key=lambda row: row.effective_from)] == list(range(1, 10))


def test_of_two_who_changed_the_same_version_one_wins(office: Office) -> None:
    office.publish()

    def publish() -> None:
        with office.database.transaction(office.shop_id) as session:
            operations.publish(session, office.shop_id, RAISED, actor="twin", based_on=1)

    (lost,) = at_once(publish, publish)
    assert isinstance(lost, Conflict)
    assert (lost.code, lost.extra) == ("program_changed", {"version": 2})


# Taking back and going back.


def test_a_scheduled_version_can_be_withdrawn_until_it_begins(office: Office) -> None:
    office.publish()
    office.publish(RAISED, 1, at=T0 + 10 * DAY)
    office.at(9, operations.withdraw, 2, actor="Theo")
    assert office.states(11) == [(1, "in_force")]
    assert [(event.data, event.actor) for event in office.events("program.withdrawn")] == [({"version": 2}, "Theo")]


@pytest.mark.parametrize("day", [10, 20])
def test_what_was_in_force_stays(office: Office, day: float) -> None:
    office.publish()
    office.publish(RAISED, 1, at=T0 + 10 * DAY)
    for number in (1, 2):
        with pytest.raises(Conflict, match="has come into force"):
            office.at(day, operations.withdraw, number, actor="Theo")
    assert office.states(day) == [(1, "past"), (2, "in_force")]


def test_a_shop_keeps_its_only_version_even_before_that_begins(office: Office) -> None:
    office.publish(at=T0 + 10 * DAY)
    with pytest.raises(Conflict):
        office.at(5, operations.withdraw, 1, actor="Theo")


def test_rolling_back_publishes_the_old_document_as_a_new_version(office: Office) -> None:
    office.publish()
    office.publish(RAISED, 5)
    published = office.at(6, operations.roll_back, 1, actor="Theo")
    assert published == (3, T0 + 6 * DAY)
    rows = {row.version: row for row, _, _ in office.at(7, queries.versions)}
    assert rows[3].document == rows[1].document != rows[2].document
    assert (rows[3].note, rows[3].actor) == ("Version 1 again", "Theo")
    assert [office.in_force(T0 + timedelta(days=day)) for day in (4, 5.5, 6)] == [1, 2, 3]


def test_there_is_no_rolling_back_to_what_never_was(office: Office) -> None:
    office.publish()
    with pytest.raises(NotFound):
        office.at(1, operations.roll_back, 7, actor="Theo")


# Drafts.


def save(office: Office, document: Any, seen: datetime | None = None, day: float = 0, **how: Any) -> ProgramDraft:
    draft: ProgramDraft = office.at(day, operations.save_draft, document, seen=seen, actor="Noor", **how)
    return draft


def test_a_draft_is_kept_even_when_it_is_no_program_yet(office: Office) -> None:
    office.publish()
    half = {"name": "Beans", "rewards": [{"key": "?"}]}
    saved = save(office, half)
    kept = office.at(0, queries.draft)
    assert (kept.document, kept.based_on, kept.updated_at) == (half, 1, saved.updated_at)
    assert office.in_force(T0) == 1


def test_nobodys_change_of_the_draft_is_lost(office: Office) -> None:
    first = save(office, {"name": "a"})
    second = save(office, {"name": "b"}, first.updated_at)
    for seen in (None, first.updated_at):
        with pytest.raises(Conflict) as refused:
            save(office, {"name": "c"}, seen)
        assert refused.value.code == "draft_changed"
        assert refused.value.extra == {"updated_at": second.updated_at.isoformat()}
    assert office.at(0, queries.draft).document == {"name": "b"}


def test_of_two_who_change_the_draft_at_once_one_is_told(office: Office) -> None:
    seen = save(office, {"name": "a"}).updated_at

    def change() -> None:
        with office.database.transaction(office.shop_id) as session:
            operations.save_draft(session, office.shop_id, {"name": "b"}, seen=seen, actor="twin")

    (lost,) = at_once(change, change)
    assert isinstance(lost, Conflict)


def test_publishing_the_draft_ends_it(office: Office) -> None:
    office.publish()
    save(office, RAISED, day=1)
    assert office.at(2, operations.publish_draft, actor="Noor").version == 2
    assert office.at(2, queries.draft) is None
    assert office.at(2, queries.in_force).row.document["ladder"]["tiers"][1]["threshold"] == 60_000


def test_a_draft_that_is_no_program_stays_a_draft(office: Office) -> None:
    office.publish()
    save(office, {"name": "Beans"})
    with pytest.raises(InvalidProgram, match="ladder is missing"):
        office.at(1, operations.publish_draft, actor="Noor")
    assert office.at(1, queries.draft).document == {"name": "Beans"}


def test_a_draft_of_an_older_version_does_not_undo_the_newer(office: Office) -> None:
    office.publish()
    seen = save(office, RAISED).updated_at
    office.publish(changed("joining.points", 10), 1)
    with pytest.raises(Conflict, match="version 2 was published meanwhile"):
        office.at(2, operations.publish_draft, actor="Noor")
    save(office, RAISED, seen, day=2, based_on=2)
    assert office.at(2, operations.publish_draft, actor="Noor").version == 3


def test_a_draft_changed_since_it_was_read_is_not_published(office: Office) -> None:
    seen = save(office, DEMO).updated_at
    save(office, RAISED, seen)
    with pytest.raises(Conflict):
        office.at(1, operations.publish_draft, actor="Noor", seen=seen)


def test_a_draft_can_be_discarded(office: Office) -> None:
    save(office, DEMO)
    assert [office.at(1, operations.discard_draft) for _ in range(2)] == [True, False]
    with pytest.raises(NotFound):
        office.at(1, operations.publish_draft, actor="Noor")


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", float("nan"), float("inf")])
def test_what_no_database_can_keep_is_refused(office: Office, value: Any) -> None:
    for document in ({"name": value}, {"name": {"deep": [value]}}):
        with pytest.raises(RapportError):
            save(office, document)
        with pytest.raises(RapportError):
            office.publish(document)


def test_a_backslash_is_no_strange_character(office: Office) -> None:
    assert save(office, {"name": "\\u0000"}).document == {"name": "\\u0000"}


# What a change would do.


def test_a_preview_compares_with_what_is_in_force_then(office: Office) -> None:
    office.publish()
    office.publish(RAISED, 1, at=T0 + 10 * DAY)
    now = office.at(2, preview, DEMO)
    assert (now.against, now.changes) == (1, ())
    assert [(warning.field, warning.reason) for warning in now.warnings] == [
        ("the program", "will be replaced by version 2 on 11 March 2026, 12:00")
    ]
    then = office.at(2, preview, DEMO, T0 + 20 * DAY)
    assert (then.against, then.warnings) == (2, ())
    assert [change.text for change in then.changes] == ["Advocate now starts at $500.00 instead of $600.00."]


def test_a_preview_of_what_is_no_program_says_why(office: Office) -> None:
    office.publish()
    seen = office.at(0, preview, changed("rewards.0.cost", 0))
    assert seen.program is None
    assert [(fault.field, fault.reason) for fault in seen.errors] == [("rewards › 5-off › cost", "must be at least 1")]


def test_a_first_program_is_compared_with_nothing(office: Office) -> None:
    seen = office.at(0, preview, DEMO)
    assert (seen.against, seen.changes, seen.errors) == (None, (), ())


def test_shops_see_nothing_of_each_other(office: Office, database_url: str) -> None:
    office.publish()
    save(office, RAISED)
    other = House(database_url).open_shop("bakery.myshopify.com")
    with office.database.transaction(other) as session:
        assert queries.draft(session, office.shop_id) is None
        assert queries.versions(session, office.shop_id) == []
        assert operations.discard_draft(session, office.shop_id) is False
    assert office.at(0, queries.draft) is not None
