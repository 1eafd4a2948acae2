"""Batches that stop and go on, workers that race, limits that hold, and what followed."""

import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock, effects
from core.db import database
from core.effects import Effect, Wanted
from core.events import Event
from loyalty.merging import merge_members
from loyalty.privacy import erase_person, erase_shop, export_person, find_person
from tests.wallet_passes.messages.composer import drafted, member, outcomes, put, read, sent, told_to_send, written
from tests.web.stores import Store
from wallet_passes.messages import jobs, operations, queries, sending
from wallet_passes.messages.models import MessageRecipient
from wallet_passes.messages.operations import merge_messages

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "BATCH", 2)


def members(store: Store, count: int) -> list[str]:
    return [member(store, number) for number in range(1, count + 1)]


def told(store: Store) -> list[tuple[str, bool]]:
    """Whose card an Apple device is to be told of, and whether that may wait."""
    with database().transaction(store.shop_id) as session:
        found = session.execute(
            sa.select(Effect.target, Effect.patient).where(Effect.kind == "wallet.apple").order_by(Effect.target)
        )
        return [(row.target, row.patient) for row in found]


def forget_effects(store: Store) -> None:
    with database().transaction(store.shop_id) as session:
        session.execute(sa.delete(Effect))


def batch(store: Store, number: str, *, dies: bool = False) -> bool:
    with database().transaction(store.shop_id) as session:
        done = sending.send_batch(session, store.shop_id, int(number), clock.now())
        return done if not dies else bool(1 / 0)


def latest(store: Store, found: str) -> str | None:
    key = (store.shop_id, int(found))
    with database().transaction(store.shop_id) as session:
        shown = queries.latest_message(session, [key], clock.now()).get(key)
    return shown.title if shown else None


def test_it_goes_on_where_it_stopped(store: Store, small_batches: None) -> None:
    everyone = members(store, 5)
    number = told_to_send(store)
    forget_effects(store)
    assert batch(store, number)
    assert outcomes(store, number) == dict.fromkeys(everyone[:2], "shown")
    # A worker that dies in the middle of a batch leaves nothing of it.
    with pytest.raises(ZeroDivisionError):
        batch(store, number, dies=True)
    assert read(store, number)["shown"] == 2
    jobs.send_messages()
    assert outcomes(store, number) == dict.fromkeys(everyone, "shown")
    assert (read(store, number)["state"], read(store, number)["shown"]) == ("sent", 5)
    # A change of points goes before it.
    assert told(store) == [(one, True) for one in everyone]


def test_two_workers_send_to_each_once(store: Store, small_batches: None) -> None:
    everyone = members(store, 9)
    number = told_to_send(store)
    workers = [threading.Thread(target=jobs.send_messages) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    jobs.send_messages()
    assert outcomes(store, number) == dict.fromkeys(everyone, "shown")
    assert read(store, number)["shown"] == 9
    with database().transaction(store.shop_id) as session:
        sent_events = session.scalars(sa.select(Event.data).where(Event.kind == "wallet.message_sent")).all()
    assert [event["shown"] for event in sent_events] == [9]


def test_cancelling_half_way_stops_it_and_takes_it_off(store: Store, small_batches: None) -> None:
    everyone = members(store, 5)
    number = told_to_send(store)
    batch(store, number)
    assert latest(store, everyone[0]) == "Sunday tasting"
    assert store.post(f"/wallet/messages/{number}/cancel", None).json["shown"] == 2
    forget_effects(store)
    jobs.send_messages()
    assert outcomes(store, number) == dict.fromkeys(everyone[:2], "shown")
    assert latest(store, everyone[0]) is None
    jobs.end_messages()
    assert [target for target, _ in told(store)] == everyone[:2]
    forget_effects(store)
    jobs.end_messages()
    assert told(store) == []


def test_one_that_ended_half_way_and_was_cancelled_leaves_every_card(store: Store, small_batches: None) -> None:
    everyone = members(store, 5)
    ends_at = clock.now() + HOUR
    number = told_to_send(store, ends_at=written(ends_at))
    batch(store, number)
    forget_effects(store)
    with clock.fixed_at(ends_at):
        store.post(f"/wallet/messages/{number}/cancel", None)
        jobs.end_messages()
    assert [target for target, _ in told(store)] == everyone[:2]


def test_it_waits_while_wallets_have_enough_to_do(
    store: Store, small_batches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "BACKLOG", 3)
    everyone = members(store, 5)
    number = told_to_send(store)
    forget_effects(store)
    jobs.send_messages()
    assert len(told(store)) == 4
    jobs.send_messages()
    assert (len(told(store)), read(store, number)["state"]) == (4, "sending")
    forget_effects(store)
    jobs.send_messages()
    assert read(store, number)["state"] == "sent"
    assert outcomes(store, number) == dict.fromkeys(everyone, "shown")


def test_an_end_is_told_in_batches_to_those_who_were_shown_it(store: Store, small_batches: None) -> None:
    everyone = members(store, 5)
    ends_at = clock.now() + HOUR
    sent(store, ends_at=written(ends_at))
    forget_effects(store)
    with clock.fixed_at(ends_at):
        jobs.end_messages()
        assert [target for target, _ in told(store)] == everyone
        assert latest(store, everyone[0]) is None
        forget_effects(store)
        jobs.end_messages()
    assert told(store) == []


def test_no_member_gets_more_than_the_limit(store: Store) -> None:
    noor, twin = member(store, 1), member(store, 2)
    first = sent(store, {"members": [noor]})
    second = sent(store)
    third = drafted(store)["id"]
    assert store.post(f"/wallet/messages/{third}/preview", None).json["limited"] == 1
    store.post(f"/wallet/messages/{third}/send", {})
    jobs.send_messages()
    assert outcomes(store, first) == {noor: "shown"}
    assert outcomes(store, second) == {noor: "shown", twin: "shown"}
    assert outcomes(store, third) == {noor: "limited", twin: "shown"}
    assert (read(store, third)["shown"], read(store, third)["limited"]) == (1, 1)
    assert store.get(f"/wallet/messages/{third}/recipients", outcome="limited").json["items"][0]["member_id"] == noor
    # A week later they may have the next one, and the preview of one for then knows.
    later = clock.now() + 7 * DAY + HOUR
    fourth = told_to_send(store, send_at=written(later))
    assert store.post(f"/wallet/messages/{fourth}/preview", None).json["limited"] == 0
    with clock.fixed_at(later):
        jobs.send_messages()
    assert outcomes(store, fourth) == {noor: "shown", twin: "shown"}


def test_two_messages_at_once_keep_the_limit(store: Store) -> None:
    put(store, "/wallet/message-limit", {"messages": 1, "days": 7})
    everyone = members(store, 6)
    numbers = [told_to_send(store), told_to_send(store)]
    workers = [threading.Thread(target=sending.send, args=(database(), store.shop_id, int(n))) for n in numbers]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    became = [outcomes(store, number) for number in numbers]
    assert [sorted(each[one] for each in became) for one in everyone] == [["limited", "shown"]] * 6


def test_what_a_card_shows_is_asked_of_many_at_once(store: Store, neighbour: Store) -> None:
    noor, twin, there = member(store, 1), member(store, 2), member(neighbour, 1)
    sent(store, {"members": [noor]})
    sent(neighbour, title="Fresh rolls")
    shops = {store.shop_id: (noor, twin), neighbour.shop_id: (there,)}
    keys = [(shop, int(one)) for shop, those in shops.items() for one in those]
    with database().transaction(*shops) as session:
        found = queries.latest_message(session, keys, clock.now())
        assert queries.latest_message(session, [], clock.now()) == {}
    titles = {key: shown.title for key, shown in found.items()}
    assert titles == {(store.shop_id, int(noor)): "Sunday tasting", (neighbour.shop_id, int(there)): "Fresh rolls"}


# Members who are merged, erased, and ask for what is kept.


def test_a_merged_member_s_messages_follow(store: Store) -> None:
    put(store, "/wallet/message-limit", {"messages": 1, "days": 7})
    goes, stays = member(store, 1), member(store, 2)
    sent(store, {"members": [goes]}, title="For the one")
    both = sent(store, title="For the other")
    assert outcomes(store, both) == {goes: "limited", stays: "shown"}
    with database().transaction(store.shop_id) as session:
        for _ in range(2):
            merge_messages(session, store.shop_id, int(goes), int(stays))
        merge_members(session, store.shop_id, 2, 1, at=clock.now(), resettle=lambda *_: None)
    assert outcomes(store, both) == {stays: "shown"}
    assert latest(store, stays) == "For the other"
    sent(store, title="Too much")
    assert latest(store, stays) == "For the other"


def test_an_export_tells_of_messages_and_an_erasure_forgets_their_words(store: Store) -> None:
    noor, twin = member(store, 1), member(store, 2)
    own = sent(store, {"members": [noor]}, title="Happy birthday Noor", link="https://roastery.example/noor")
    everyone = sent(store)
    shop = store.shop_id
    with database().transaction(shop) as session:
        person = find_person(session, shop, customer_id=1)
        document = export_person(session, shop, person, request_id="1")
        kept = [(row["message_id"], row["outcome"]) for row in document["wallet_message_recipients"]]
        assert kept == [(int(own), "shown"), (int(everyone), "shown")]
        erase_person(session, shop, person)
    told = read(store, own)
    assert (told["title"], told["body"], told["link"], told["texts"]["apple"]) == ("", "", None, "")
    assert read(store, everyone)["title"] == "Sunday tasting"
    assert outcomes(store, sent(store, title="Next")) == {noor: "left", twin: "shown"}
    with database().transaction(shop) as session:
        erase_shop(session, shop)
        assert session.scalar(sa.select(sa.func.count()).select_from(MessageRecipient)) == 0


# What followed.


def note(store: Store, *whom: str, seen: timedelta = timedelta()) -> None:
    with database().transaction(store.shop_id) as session:
        now = clock.now()
        operations.note_told(session, [(store.shop_id, int(one)) for one in whom], now + seen, now)


def results(store: Store, number: str) -> Any:
    return read(store, number)["results"]


def test_told_counts_the_newest_message_and_only_what_wallets_have_seen(store: Store) -> None:
    noor, twin = members(store, 2)
    first, second = sent(store), sent(store, {"members": [noor]})
    note(store, noor, twin, seen=-HOUR)
    assert [results(store, number)["told"] for number in (first, second)] == [0, 0]
    note(store, noor, twin)
    assert [results(store, number)["told"] for number in (first, second)] == [1, 1]
    (item,) = store.get(f"/wallet/messages/{second}/recipients").json["items"]
    note(store, noor)
    assert store.get(f"/wallet/messages/{second}/recipients").json["items"] == [item]


def test_orders_of_those_who_were_told_beside_those_held_back(store: Store) -> None:
    put(store, "/wallet/message-limit", {"messages": 1, "days": 7})
    buys, late, returns, held, untold = members(store, 5)
    sent(store, {"members": [held]})
    number = sent(store)
    note(store, buys, late, returns)
    at = clock.now() + timedelta(minutes=1)
    cancelled = {"at": at, "cancelled_at": at + HOUR}
    orders = [(1, {"at": at}), (1, {"at": at + HOUR}), (2, {"at": at + 8 * DAY}), (3, cancelled), (4, {"at": at}),
              (5, {"at": at})]  # fmt: skip
    for count, (customer, changes) in enumerate(orders):
        store.settle(store.order(100 + count, store.customer(customer), **changes))
    found = results(store, number)
    assert found["after_told"] == {"members": 3, "ordered": 1}
    assert found["after_limited"] == {"members": 1, "ordered": 1}
    assert (found["told"], found["fetched"]) == (3, 0)
    assert found["until"] is not None
    assert outcomes(store, number) == dict.fromkeys((buys, late, returns, untold), "shown") | {held: "limited"}


def test_effects_of_a_message_wait_behind_changes_of_points(store: Store) -> None:
    noor = member(store, 1)
    forget_effects(store)
    sent(store)
    assert told(store) == [(noor, True)]
    with database().transaction(store.shop_id) as session:
        effects.request(session, [Wanted(store.shop_id, "wallet.apple", noor)])
    assert told(store) == [(noor, False)]
