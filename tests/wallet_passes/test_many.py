"""Many cards at once: the same cards as one by one, in a handful of statements, whoever else is at them."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock, effects
from core.db import database
from core.effects import Effect, NotYet, Wanted
from loyalty.merging import merge_members
from loyalty.privacy import erase_person, find_person
from tests.wallet_passes.rig import Wallet
from tests.web.stores import Store
from wallet_passes import operations
from wallet_passes.apple import telling
from wallet_passes.apple.certificate import Certificate
from wallet_passes.apple.operations import EFFECT
from wallet_passes.google.models import GoogleObject
from wallet_passes.models import AppleRegistration, Pass
from wallet_passes.operations import Current

Key = tuple[int, int]


def issued(store: Store, *numbers: int, amount: int = 80_00) -> list[Key]:
    """Members with an order and a card each, by (shop, member)."""
    customers = [store.customer(number) for number in numbers]
    store.settle(*(store.order(c.customer_id, c, amount) for c in customers))
    members = [int(store.member_of(customer)["id"]) for customer in customers]
    for member in members:
        with database().transaction(store.shop_id) as session:
            operations.issue(session, store.shop_id, member)
    return [(store.shop_id, member) for member in members]


def buy_again(store: Store, *numbers: int, amount: int = 10_00) -> None:
    customers = [store.customer(number) for number in numbers]
    store.settle(*(store.order(500 + c.customer_id, c, amount) for c in customers))


def refreshed(keys: Sequence[Key]) -> dict[Key, Current]:
    with database().transaction(*{shop_id for shop_id, _ in keys}) as session:
        return operations.refresh_many(session, keys)


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements that the database is asked meanwhile."""
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    sa.event.listen(database().engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(database().engine, "before_cursor_execute", note)


def test_together_they_are_as_one_by_one(wallet: Wallet, other_store: Store) -> None:
    store, shop = wallet.store, wallet.store.shop_id
    ours, theirs = issued(store, 7, 8, 9, 10, 11, amount=400_00), issued(other_store, 7)
    assert store.post(f"/members/{ours[0][1]}/rewards", {"reward": "free-shipping"}).status_code == 201
    store.settle(store.order(900, store.customer(20)))
    with database().transaction(shop) as session:
        erase_person(session, shop, find_person(session, shop, customer_id=8))
        merge_members(session, shop, 11, 10, at=datetime.now(UTC), resettle=lambda *_: None)
    wallet.merge(store.customer(20), store.customer(9))
    merged, taken = int(store.member_of(store.customer(20))["id"]), int(store.member_of(store.customer(11))["id"])
    # The card of one goes on as the other's; where the other has one already, theirs ends.
    ours[2] = (shop, merged)
    together = refreshed([*theirs, *reversed(ours), (shop, 10**6)])
    assert set(together) == {*theirs, *ours}
    for key, current in together.items():
        alone = refreshed([key])[key]
        assert (alone.row.version, alone.card) == (current.row.version, current.card), key
    assert (taken, together[ours[3]].card.ended, together[ours[4]].card.ended) == (ours[4][1], True, False)
    assert together[ours[1]].card.ended
    assert together[ours[0]].row.generation == 1
    assert together[theirs[0]].card.points == 130


def test_the_number_of_statements_does_not_grow(wallet: Wallet) -> None:
    keys = issued(wallet.store, *range(1, 25))
    buy_again(wallet.store, *range(1, 25))
    with statements() as few:
        refreshed(keys[:2])
    with statements() as many:
        refreshed(keys[2:])
    assert len(many) == len(few) < 25


def test_versions_dates_and_tags_only_ever_grow(wallet: Wallet) -> None:
    keys = issued(wallet.store, 1, 2, 3)
    with clock.fixed_at(datetime(2030, 1, 1, 12, 0, 0, 500_000, UTC)):
        seen = [refreshed(keys)]
        for number in (1, 2, 3):
            wallet.store.settle(
                *(wallet.store.order(100 * number + c, wallet.store.customer(c), 10_00) for c in (1, 2, 3))
            )
            seen.append(refreshed(keys))
    rows = [[(c.row.version, c.row.modified_at, c.row.tag) for c in found.values()] for found in seen]
    for before, after in itertools.pairwise(rows):
        for old, new in zip(before, after, strict=True):
            assert new[0] == old[0] + 1
            assert new[1] >= old[1] + timedelta(seconds=1)
            assert new[1].microsecond == 0
        assert min(tag for *_, tag in after) > max(tag for *_, tag in before)


def test_batches_that_overlap_wait_for_each_other_and_lose_nothing(wallet: Wallet) -> None:
    keys = issued(wallet.store, *range(1, 9))
    failed: list[BaseException] = []

    def work(some: Sequence[Key]) -> None:
        try:
            for _ in range(6):
                refreshed(some)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(some,)) for some in (keys, keys[::-1], keys[3:], keys[:5])]
    for thread in threads:
        thread.start()
    for number in (1, 2, 3, 4):
        wallet.store.settle(
            *(wallet.store.order(100 * number + c, wallet.store.customer(c), 10_00) for c in range(1, 9))
        )
    for thread in threads:
        thread.join()
    assert failed == []
    assert {current.card.points for current in refreshed(keys).values()} == {170}


# Telling phones.


def ask(keys: Sequence[Key]) -> list[Wanted]:
    wanted = [Wanted(shop_id, EFFECT, str(member)) for shop_id, member in keys]
    with database().transaction(*{shop_id for shop_id, _ in keys}) as session:
        effects.request(session, wanted)
    return wanted


def carded(wallet: Wallet, *numbers: int) -> dict[int, str]:
    """Customers with a card each, on a phone each of the same name: their serials."""
    found = {}
    for number in numbers:
        customer = wallet.store.customer(number)
        wallet.buy(number, customer)
        found[number] = wallet.card(wallet.member(customer), str(number))
    wallet.work()
    return found


def test_a_phone_that_is_gone_holds_up_no_other(wallet: Wallet) -> None:
    serials = carded(wallet, 1, 2, 3)
    wallet.phones.erase("2")
    buy_again(wallet.store, 1, 2, 3)
    wallet.wait(lambda: all(wallet.shows(serials[n], "points", str(n)) == "140" for n in (1, 3)))
    with database().transaction(wallet.store.shop_id) as session:
        gone = session.scalars(sa.select(AppleRegistration.serial).where(AppleRegistration.removed_at.is_not(None)))
        assert gone.all() == [serials[2]]
        assert session.scalars(sa.select(Effect.target).where(Effect.kind == EFFECT)).all() == []


def test_one_that_gathers_holds_up_no_other(wallet: Wallet) -> None:
    serials = carded(wallet, 1, 2)
    buy_again(wallet.store, 1)
    wallet.wait(lambda: wallet.shows(serials[1], "points", "1") == "140")
    keys = {n: (wallet.store.shop_id, int(wallet.member(wallet.store.customer(n)))) for n in (1, 2)}
    wallet.store.settle(*(wallet.store.order(700 + n, wallet.store.customer(n), 10_00) for n in (1, 2)))
    wanted = [Wanted(shop_id, EFFECT, str(member)) for shop_id, member in keys.values()]
    with clock.fixed_at(datetime.now(UTC)), database().transaction(wallet.store.shop_id) as session:
        told_at = clock.now() - timedelta(seconds=1)
        session.execute(sa.update(Pass).where(Pass.serial == serials[1]).values(told_at=told_at))
        session.commit()
        left = telling.tell_many(database(), wanted)
    (waits,) = left.items()
    assert waits[0] == wanted[0]
    assert waits[1].until == told_at + telling.GATHERING  # type: ignore[attr-defined]
    wallet.wait(lambda: wallet.shows(serials[2], "points", "2") == "140")
    wallet.wait(lambda: wallet.shows(serials[1], "points", "1") == "150")


@pytest.mark.parametrize("kind", ["wallet.apple", "wallet.google"])
def test_a_clock_that_was_set_back_delays_nothing(wallet: Wallet, kind: str) -> None:
    serials = carded(wallet, 1)
    assert wallet.store.get(f"/members/{wallet.member(wallet.store.customer(1))}/google_wallet").status_code == 200
    wallet.work()
    ahead = datetime.now(UTC) + timedelta(hours=1)
    with database().transaction(wallet.store.shop_id) as session:
        session.execute(sa.update(Pass).where(Pass.serial == serials[1]).values(told_at=ahead))
        session.execute(sa.update(GoogleObject).values(told_at=ahead))
    buy_again(wallet.store, 1)
    effects.carry_out_due(database(), kind.removeprefix("wallet."))
    with database().transaction(wallet.store.shop_id) as session:
        assert session.scalars(sa.select(Effect.target).where(Effect.kind == kind)).all() == []


def test_a_turn_ends_before_its_lease(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each certificate's exchange may wait: those for which no time is left are no failures."""
    serials = carded(wallet, 1)
    buy_again(wallet.store, 1)
    with monkeypatch.context() as patched:
        patched.setattr(telling, "TURN", 0)
        left = telling.tell_many(
            database(), ask([(wallet.store.shop_id, int(wallet.member(wallet.store.customer(1))))])
        )
    assert [type(error) for error in left.values()] == [NotYet]
    wallet.wait(lambda: wallet.shows(serials[1], "points", "1") == "140")


def test_a_worker_that_died_after_it_told_tells_nobody_again(wallet: Wallet) -> None:
    serials = carded(wallet, 1, 2)
    buy_again(wallet.store, 1, 2)
    batch = effects._claim(database(), "apple")
    telling.tell_many(database(), [one.wanted for one in batch])  # and then it is gone
    taken = wallet.apple.pushes.taken
    assert (len(batch), taken) == (2, 2)
    with clock.fixed_at(datetime.now(UTC) + telling.LEASE + timedelta(seconds=1)):
        assert effects.carry_out_due(database(), "apple") == 2
    assert wallet.apple.pushes.taken == taken
    wallet.wait(lambda: all(wallet.shows(serials[n], "points", str(n)) == "140" for n in (1, 2)))


def test_one_that_died_before_it_told_is_made_up_for(wallet: Wallet) -> None:
    serials = carded(wallet, 1, 2)
    buy_again(wallet.store, 1, 2)
    batch = effects._claim(database(), "apple")
    refreshed([(one.shop_id, int(one.target)) for one in batch])  # and then it is gone
    with clock.fixed_at(datetime.now(UTC) + telling.LEASE + timedelta(seconds=1)):
        assert effects.carry_out_due(database(), "apple") == 2
    wallet.wait(lambda: all(wallet.shows(serials[n], "points", str(n)) == "140" for n in (1, 2)))


# Fetching.


def fetch(wallet: Wallet, serial: str, since: str | None) -> Any:
    told = wallet.told(serial)
    headers = {"Authorization": f"ApplePass {told['authenticationToken']}"} | (
        {"If-Modified-Since": since} if since else {}
    )
    path = f"/wallet/apple/v1/passes/{told['passTypeIdentifier']}/{serial}"
    return wallet.store.client.get(path, headers=headers)


def test_what_has_not_changed_costs_no_signature_and_few_statements(
    wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    serial = wallet.card(wallet.member(noor))
    wallet.work()

    def sign(*_: object) -> bytes:
        raise AssertionError("signed")

    monkeypatch.setattr(Certificate, "sign", sign)
    held = wallet.phones.phone("iphone").passes[serial]
    with statements() as asked:
        assert fetch(wallet, serial, held.modified).status_code == 304
    assert len(asked) <= 6
    # Google may refuse us for weeks: what it was not told has long been worked out.
    member = int(wallet.member(noor))
    with database().transaction(wallet.store.shop_id) as session:
        session.add(Effect(shop_id=wallet.store.shop_id, kind="wallet.google", target=str(member), state="failed"))
    with statements() as asked:
        assert fetch(wallet, serial, held.modified).status_code == 304
    assert len(asked) <= 6
    # The file of this version was signed before.
    assert fetch(wallet, serial, None).data == held.file


def test_what_has_changed_and_was_not_told_yet_is_fetched(wallet: Wallet) -> None:
    noor = wallet.store.customer(7)
    wallet.buy(1, noor)
    serial = wallet.card(wallet.member(noor))
    wallet.work()
    wallet.buy(2, noor, 10_00)
    answer = fetch(wallet, serial, wallet.phones.phone("iphone").passes[serial].modified)
    assert answer.status_code == 200
