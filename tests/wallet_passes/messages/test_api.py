"""Messages over the API: drafts, schedules, changes that collide, and what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core import clock
from core.db import database
from core.events import Event
from shops.models import Shop
from tests.wallet_passes.messages.composer import compose, delete, drafted, member, put, read, told_to_send, written
from tests.web.stores import Store
from wallet_passes.messages import jobs

NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def events(store: Store, kind: str) -> list[tuple[Any, str]]:
    with database().transaction(store.shop_id) as session:
        found = session.execute(sa.select(Event.data, Event.actor).where(Event.kind == kind).order_by(Event.id))
        return [(row.data, row.actor) for row in found]


def test_a_message_from_draft_to_sent(store: Store) -> None:
    noor = member(store, 1)
    draft = drafted(store, {"tiers": ["insider"]}, link="https://roastery.example/tasting")
    number = draft["id"]
    assert (draft["state"], draft["edits"], draft["send_at"]) == ("draft", 1, None)
    assert draft["audience"]["tiers"] == ["insider"]
    scheduled = store.post(f"/wallet/messages/{number}/send", {"edits": 1}).json
    assert scheduled["state"] == "scheduled"
    jobs.send_messages()
    told = read(store, number)
    assert (told["state"], told["total"], told["shown"], told["limited"], told["left"]) == ("sent", 1, 1, 0, 0)
    (item,) = store.get(f"/wallet/messages/{number}/recipients").json["items"]
    assert (item["member_id"], item["outcome"], item["told_at"]) == (noor, "shown", None)
    assert [kind[1].split(":")[0] for kind in events(store, "wallet.message_scheduled")] == ["api"]
    assert events(store, "wallet.message_sent") == [
        ({"message": int(number), "shown": 1, "limited": 0, "left": 0}, "system")
    ]


def test_one_that_is_scheduled_waits_for_its_moment(store: Store) -> None:
    member(store, 1)
    send_at = clock.now() + HOUR
    number = told_to_send(store, send_at=written(send_at))
    jobs.send_messages()
    assert read(store, number)["state"] == "scheduled"
    with clock.fixed_at(send_at):
        jobs.send_messages()
    assert read(store, number)["state"] == "sent"


def test_moments_are_read_on_the_shop_s_clock(store: Store) -> None:
    with database().transaction(store.shop_id) as session:
        session.get_one(Shop, store.shop_id).timezone = "Europe/Berlin"
    with clock.fixed_at(NOW):
        plain = drafted(store, send_at="2026-03-21T09:00:00", ends_at="2026-03-21T20:00:00+00:00")
        # The clock jumps from two to three that night, and comes twice through half past two in October.
        skipped = drafted(store, send_at="2026-03-29T02:30:00")
        twice = drafted(store, {"joined_after": "2026-03-01T00:00:00"}, send_at="2026-10-25T02:30:00")
    assert (plain["send_at"], plain["ends_at"]) == ("2026-03-21T08:00:00Z", "2026-03-21T20:00:00Z")
    assert skipped["send_at"] == "2026-03-29T01:30:00Z"
    assert twice["send_at"] == "2026-10-25T00:30:00Z"
    assert twice["audience"]["joined_after"] == "2026-02-28T23:00:00Z"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"title": "x" * 41}, "invalid_input"),
    ({"body": "x" * 10_000}, "invalid_input"),
    ({"title": "<script>alert(1)</script>"}, "invalid_input"),
    ({"title": "\u202e"}, "invalid_input"),
    ({"link": "javascript:alert(1)"}, "invalid_input"),
    ({"quiet": "yes"}, "invalid_input"),
    ({"colour": "red"}, "invalid_input"),
    ({"audience": {}}, "invalid_input"),
    ({"audience": {"all": False}}, "invalid_input"),
    ({"audience": {"all": True, "tiers": ["insider"]}}, "invalid_input"),
    ({"audience": {"members": []}}, "invalid_input"),
    ({"audience": {"members": ["1"] * 1001}}, "invalid_input"),
    ({"audience": {"members": ["0"]}}, "invalid_input"),
    ({"audience": {"members": ["9999999999999999999"]}}, "unknown_members"),
    ({"audience": {"tiers": ["platinum"]}}, "unknown_tiers"),
    ({"audience": {"points_at_least": 5, "points_at_most": 4}}, "invalid_input"),
    ({"audience": {"quiet_days": 0}}, "invalid_input"),
    ({"audience": {"wallet": "samsung"}}, "invalid_input"),
    ({"send_at": "2026-03-20T11:59:59Z"}, "bad_time"),
    ({"send_at": "2027-03-29T12:00:00Z"}, "bad_time"),
    ({"ends_at": "2026-03-20T12:00:00Z"}, "bad_time"),
    ({"send_at": "0001-01-01T00:00:00+14:00"}, "invalid_input"),
    ({"send_at": 1793000000}, "invalid_input"),
    ({"send_at": "soon"}, "invalid_input"),
]


def test_what_is_refused(store: Store) -> None:
    for changes, code in REFUSED:
        with clock.fixed_at(NOW):
            answer = store.post("/wallet/messages", compose(**changes))
            tried = store.post("/wallet/messages/preview", compose(**changes))
        assert (answer.status_code, answer.json["code"]) == (422, code), changes
        assert tried.status_code == (200 if code == "bad_time" else 422), changes
    assert store.get("/wallet/messages").json["items"] == []


def test_a_tier_that_does_not_exist_is_named(store: Store) -> None:
    refused = store.post("/wallet/messages", compose({"tiers": ["insider", "platinum"]})).json
    assert refused["detail"] == "the ladder has no tier platinum"


def test_a_tier_that_went_after_it_was_written_is_named_when_it_is_sent(store: Store) -> None:
    from loyalty import programs
    from loyalty.program import demo_program

    number = drafted(store, {"tiers": ["insider"]})["id"]
    with database().transaction(store.shop_id) as session:
        program = demo_program().model_dump(mode="json")
        program["ladder"]["tiers"][0]["key"] = "starter"
        renamed = type(demo_program()).model_validate(program)
        programs.publish(session, store.shop_id, renamed, effective_from=clock.now(), actor="test")
    refused = store.post(f"/wallet/messages/{number}/send", {})
    assert (refused.status_code, refused.json["code"]) == (422, "unknown_tiers")


def test_nobody_would_get_it(store: Store) -> None:
    member(store, 1, card=False)
    number = drafted(store)["id"]
    assert store.post("/wallet/messages/preview", compose()).json["members"] == 0
    refused = store.post(f"/wallet/messages/{number}/send", {})
    assert (refused.status_code, refused.json["code"]) == (409, "nobody")
    # By its moment somebody may be there.
    later = told_to_send(store, send_at=written(clock.now() + HOUR))
    with clock.fixed_at(clock.now() + HOUR):
        jobs.send_messages()
    assert (read(store, later)["state"], read(store, later)["total"]) == ("sent", 0)


def test_no_change_is_lost(store: Store) -> None:
    number = drafted(store)["id"]
    changed = put(store, f"/wallet/messages/{number}", compose(title="Monday tasting", edits=1))
    assert (changed.status_code, changed.json["title"], changed.json["edits"]) == (200, "Monday tasting", 2)
    late = put(store, f"/wallet/messages/{number}", compose(title="Tuesday tasting", edits=1))
    assert (late.status_code, late.json["code"], late.json["edits"]) == (409, "message_changed", 2)
    stale = store.post(f"/wallet/messages/{number}/send", {"edits": 1})
    assert (stale.status_code, stale.json["code"]) == (409, "message_changed")
    assert read(store, number)["title"] == "Monday tasting"


def test_a_scheduled_one_can_be_changed_and_stays_scheduled(store: Store) -> None:
    first, second = clock.now() + HOUR, clock.now() + 2 * HOUR
    number = told_to_send(store, send_at=written(first))
    changed = put(store, f"/wallet/messages/{number}", compose(edits=1, send_at=written(second))).json
    assert (changed["state"], changed["edits"]) == ("scheduled", 2)
    with clock.fixed_at(first):
        jobs.send_messages()
    assert read(store, number)["state"] == "scheduled"
    assert [told["edits"] for told, _ in events(store, "wallet.message_scheduled")] == [1, 2]


def test_what_was_sent_stays_as_it_was(store: Store) -> None:
    member(store, 1)
    number = told_to_send(store)
    jobs.send_messages()
    for answer in (
        put(store, f"/wallet/messages/{number}", compose(edits=1)),
        store.post(f"/wallet/messages/{number}/send", {}),
        delete(store, f"/wallet/messages/{number}"),
    ):
        assert (answer.status_code, answer.json["code"], answer.json["state"]) == (409, "message_state", "sent")


def test_cancelling_and_deleting(store: Store) -> None:
    draft = drafted(store)["id"]
    refused = store.post(f"/wallet/messages/{draft}/cancel", None)
    assert (refused.status_code, refused.json["code"]) == (409, "message_state")
    assert delete(store, f"/wallet/messages/{draft}").json == {"deleted": True}
    assert store.get(f"/wallet/messages/{draft}").status_code == 404
    number = told_to_send(store, send_at=written(clock.now() + HOUR))
    assert delete(store, f"/wallet/messages/{number}").status_code == 409
    for _ in range(2):
        assert store.post(f"/wallet/messages/{number}/cancel", None).json["state"] == "cancelled"
    assert [told for told, _ in events(store, "wallet.message_cancelled")] == [{"message": int(number), "shown": 0}]
    assert delete(store, f"/wallet/messages/{number}").status_code == 200


def test_a_message_that_was_forgotten_for_days_is_not_sent(store: Store) -> None:
    member(store, 1)
    number = told_to_send(store, send_at=written(clock.now() + HOUR))
    with clock.fixed_at(clock.now() + 26 * HOUR):
        jobs.send_messages()
    assert read(store, number)["state"] == "cancelled"
    assert events(store, "wallet.message_cancelled") == [
        ({"message": int(number), "shown": 0, "reason": "too_late"}, "system")
    ]


def test_pages_and_filters(store: Store) -> None:
    numbers = [drafted(store, title=f"Number {count}")["id"] for count in range(3)]
    scheduled = told_to_send(store, send_at=written(clock.now() + HOUR))
    first = store.get("/wallet/messages", limit=2).json
    rest = store.get("/wallet/messages", limit=2, cursor=first["next"]).json
    assert [item["id"] for item in first["items"] + rest["items"]] == [scheduled, *reversed(numbers)]
    assert [item["id"] for item in store.get("/wallet/messages", state="scheduled").json["items"]] == [scheduled]


def test_a_neighbour_sees_nothing(store: Store, neighbour: Store) -> None:
    number = drafted(store)["id"]
    assert neighbour.get("/wallet/messages").json["items"] == []
    assert neighbour.get(f"/wallet/messages/{number}").status_code == 404
    assert neighbour.post(f"/wallet/messages/{number}/cancel", None).status_code == 404


def test_the_limit_is_the_shop_s(store: Store) -> None:
    assert store.get("/wallet/message-limit").json == {"messages": 2, "days": 7}
    assert put(store, "/wallet/message-limit", {"messages": 1, "days": 30}).json == {"messages": 1, "days": 30}
    assert store.get("/wallet/message-limit").json == {"messages": 1, "days": 30}
    assert put(store, "/wallet/message-limit", {"messages": 0, "days": 30}).status_code == 422
    ((told, actor),) = events(store, "wallet.message_limit_changed")
    assert (told, actor.split(":")[0]) == ({"messages": 1, "days": 30}, "api")
