"""A person's decision on a referral: kept, explained, undone, and never two at once."""

import threading
from typing import Any

import pytest
import sqlalchemy as sa

from core.effects import Effect
from core.errors import Conflict, InvalidInput, NotFound, RapportError
from core.events import Event
from referrals import reviews
from referrals.fraud.rules import Evidence
from referrals.models import Referral, ReferralDecision
from tests.referrals.fraud.rig import NOW, Stage
from tests.referrals.stories import NOOR, Story, somebody


@pytest.fixture
def referral_id(stage: Stage) -> int:
    """A referral that waits for a person."""
    return stage.keep(stage.play(Story("one in review", "genuine", NOOR)), "review", Evidence(same_phone=True))


def decide(stage: Stage, referral_id: int, decision: str, note: str = "", actor: str = "api:1") -> Referral:
    with stage.house.database.transaction(stage.shop) as session:
        return reviews.decide(session, stage.shop, referral_id, decision, note, actor=actor)


def undo(stage: Stage, referral_id: int) -> Referral:
    with stage.house.database.transaction(stage.shop) as session:
        return reviews.undo(session, stage.shop, referral_id, actor="api:2")


def waiting(stage: Stage, **more: Any) -> list[int]:
    with stage.house.database.transaction(stage.shop) as session:
        return [row.id for row in reviews.waiting(session, stage.shop, limit=10, **more)]


def told(stage: Stage, referral_id: int) -> list[str]:
    found = (event for event in stage.rows(Event) if event.kind == "referral.decided")
    return [event.data["decision"] for event in found if event.data["referral_id"] == referral_id]


def asked(stage: Stage, order_id: int) -> list[str]:
    mine = sa.select(Effect.target).where(Effect.kind == "referral.order", Effect.target == str(order_id))
    with stage.house.database.transaction(stage.shop) as session:
        return list(session.scalars(mine))


def steps(stage: Stage, referral_id: int) -> list[tuple[str, str, str]]:
    rows = (row for row in stage.rows(ReferralDecision) if row.referral_id == referral_id)
    return [(row.reasons[0]["text"], row.note, row.actor) for row in sorted(rows, key=lambda row: row.id)]


def test_the_queue_is_oldest_first_and_ends_with_a_decision(stage: Stage, referral_id: int) -> None:
    other = stage.bring(somebody(1), NOW, "review")
    second = next(row.id for row in stage.rows(Referral) if row.order_id == other.order_id)
    assert waiting(stage) == [referral_id, second]
    assert waiting(stage, after=referral_id) == [second]
    decide(stage, referral_id, "approve")
    assert waiting(stage) == [second]


def test_a_decision_stands_and_asks_for_what_follows(stage: Stage, referral_id: int) -> None:
    row = decide(stage, referral_id, "approve", "They are sisters.")
    assert (row.decision, row.decided_by, row.state) == ("approve", "api:1", "review")
    assert row.decided_at is not None
    assert steps(stage, referral_id) == [("Approved by hand.", "They are sisters.", "api:1")]
    assert told(stage, referral_id) == ["approved"]
    assert asked(stage, row.order_id) == [str(row.order_id)]


def test_the_same_decision_again_changes_nothing(stage: Stage, referral_id: int) -> None:
    first = decide(stage, referral_id, "refuse", "Twice the same phone.")
    again = decide(stage, referral_id, "refuse", "Again.", actor="api:9")
    assert (again.decided_by, again.decided_at) == ("api:1", first.decided_at)
    assert len(steps(stage, referral_id)) == len(told(stage, referral_id)) == 1


def test_the_other_decision_needs_an_undo_first(stage: Stage, referral_id: int) -> None:
    decide(stage, referral_id, "refuse")
    with pytest.raises(Conflict, match="refused already") as refused:
        decide(stage, referral_id, "approve")
    assert refused.value.code == "already_decided"
    row = undo(stage, referral_id)
    assert (row.decision, row.decided_by, row.decided_at) == (None, None, None)
    assert waiting(stage) == [referral_id]
    decide(stage, referral_id, "approve")
    assert [text for text, _, _ in steps(stage, referral_id)] == [
        "Refused by hand.", "The decision was taken back.", "Approved by hand.",
    ]  # fmt: skip
    assert told(stage, referral_id) == ["refused", "undecided", "approved"]


def test_undoing_nothing_changes_nothing(stage: Stage, referral_id: int) -> None:
    undo(stage, referral_id)
    assert steps(stage, referral_id) == []


@pytest.mark.parametrize(
    ("decision", "note", "code"), [("maybe", "", "bad_decision"), ("approve", "x" * 501, "bad_note")]
)
def test_what_makes_no_sense_is_refused(stage: Stage, referral_id: int, decision: str, note: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        decide(stage, referral_id, decision, note)
    assert refused.value.code == code


def test_what_is_not_there(stage: Stage, referral_id: int) -> None:
    for act in (lambda: decide(stage, referral_id + 10**6, "approve"), lambda: undo(stage, referral_id + 10**6)):
        with pytest.raises(NotFound):
            act()


def test_of_two_people_at_once_one_decides(stage: Stage, referral_id: int) -> None:
    start, outcomes = threading.Barrier(8), []

    def act(decision: str) -> None:
        start.wait()
        try:
            decide(stage, referral_id, decision)
            outcomes.append(decision)
        except RapportError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=act, args=(("approve", "refuse")[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (row,) = [row for row in stage.rows(Referral) if row.id == referral_id]
    assert sorted(outcomes) == sorted([row.decision] * 4 + ["already_decided"] * 4)
    assert len(steps(stage, referral_id)) == 1


def test_both_sides_are_read_and_not_kept(stage: Stage, referral_id: int) -> None:
    with stage.house.database.transaction(stage.shop) as session:
        case = reviews.case_of(session, stage.shop, referral_id)
    sides = reviews.sides(stage.house.database, case)
    assert (sides.friend.name, sides.referrer.name) == (("Noor", "Haddad"), ("Anna", "Berg"))
    assert str(sides.referrer.addresses[0]) == "Hauptstraße 5, 10115 Berlin, DE"
    assert sides.friend.phones == ("+49408090100",)
    assert (sides.friend.orders, sides.referrer.orders, sides.told) == (1, 1, True)


def test_sides_that_may_not_be_seen_are_empty(stage: Stage, referral_id: int) -> None:
    with stage.house.database.transaction(stage.shop) as session:
        case = reviews.case_of(session, stage.shop, referral_id)
    stage.fault("access_denied", "order")
    sides = reviews.sides(stage.house.database, case)
    assert (sides.told, sides.friend.name, sides.referrer.name) == (False, ("", ""), ("Anna", "Berg"))
