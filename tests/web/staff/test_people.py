"""PINs, invitations, locks and waits of the people at the counter."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from core import clock
from core.db import database
from core.errors import Conflict, InvalidInput, NotFound, TooMany
from shops.staff import operations, queries, rules
from shops.staff.models import Staff
from shops.staff.operations import InvitationOver, WrongPin
from tests.web.stores import NOW, Store

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with clock.fixed_at(NOW):
        yield


def invited(store: Store, name: str = "Sam") -> Staff:
    with database().transaction(store.shop_id) as session:
        return operations.invite(session, store.shop_id, name, actor="merchant:1")


def joined(store: Store, name: str = "Sam") -> operations.Joined:
    person = invited(store, name)
    with database().transaction(store.shop_id) as session:
        return operations.join(session, store.shop_id, person.id, person.generation)


def sign_in(store: Store, pin: str) -> str:
    with database().transaction(store.shop_id) as session:
        return operations.sign_in(session, store.shop_id, pin).name


@pytest.mark.parametrize("pin", ["123456", "987654", "890123", "111111", "121212", "000000"])
def test_what_people_would_guess_is_no_pin(pin: str) -> None:
    assert rules.is_easy(pin)


@pytest.mark.parametrize("pin", ["483920", "112358", "900417"])
def test_others_are(pin: str) -> None:
    assert not rules.is_easy(pin)


def test_waits_grow_and_end() -> None:
    waits = [rules.wait_until(failed, NOW) for failed in range(4, 11)]
    assert waits[0] is None
    assert [wait - NOW for wait in waits[1:] if wait] == [
        timedelta(seconds=30), 2 * MINUTE, 10 * MINUTE, 60 * MINUTE, 60 * MINUTE, 60 * MINUTE,
    ]  # fmt: skip
    assert rules.wait_until(40, NOW, 40) is None
    assert rules.wait_until(41, NOW, 40) == NOW + timedelta(seconds=30)


def test_whoever_is_invited_joins_once_and_signs_in_by_pin(store: Store) -> None:
    person = invited(store)
    sent = operations.invited(operations.invitation(person).rpartition("/")[2])
    assert sent == (store.shop_id, person.id, 0)
    with database().transaction(store.shop_id) as session:
        made = operations.join(session, *sent)
    assert len(made.pin) == 6
    assert sign_in(store, f"{made.pin[:3]} {made.pin[3:]}") == "Sam"
    with database().transaction(store.shop_id) as session, pytest.raises(InvitationOver):
        operations.join(session, *sent)


def test_a_pin_is_one_shop_s(store: Store, other_store: Store) -> None:
    pin = joined(store).pin
    with pytest.raises(WrongPin):
        sign_in(other_store, pin)


def test_a_lock_holds_until_it_is_taken_off_and_a_revoked_person_never_comes_back(store: Store) -> None:
    made = joined(store)
    for locked in (True, False):
        with database().transaction(store.shop_id) as session:
            operations.lock(session, store.shop_id, made.staff.id, locked, actor="merchant:1")
        if locked:
            with pytest.raises(WrongPin):
                sign_in(store, made.pin)
    assert sign_in(store, made.pin) == "Sam"
    with database().transaction(store.shop_id) as session:
        operations.revoke(session, store.shop_id, made.staff.id, actor="merchant:1")
    with pytest.raises(WrongPin):
        sign_in(store, made.pin)
    with database().transaction(store.shop_id) as session, pytest.raises(NotFound):
        operations.invite_again(session, store.shop_id, made.staff.id, actor="merchant:1")


def test_another_invitation_ends_the_pin_and_the_links_before(store: Store) -> None:
    made = joined(store)
    with database().transaction(store.shop_id) as session:
        again = operations.invite_again(session, store.shop_id, made.staff.id, actor="merchant:1")
    with pytest.raises(WrongPin):
        sign_in(store, made.pin)
    with database().transaction(store.shop_id) as session, pytest.raises(InvitationOver):
        operations.join(session, store.shop_id, made.staff.id, again.generation - 1)
    with database().transaction(store.shop_id) as session:
        assert operations.join(session, store.shop_id, made.staff.id, again.generation).pin != made.pin


def test_an_invitation_that_was_changed_or_is_a_week_old_is_over(store: Store) -> None:
    signed = operations.invitation(invited(store)).rpartition("/")[2]
    for broken in ("", "x", signed[:-2], signed.replace(".", ".x", 1)):
        with pytest.raises(InvitationOver):
            operations.invited(broken)


def test_wrong_pins_make_one_wait_and_a_right_one_forgets_them(store: Store) -> None:
    subjects = ["network:x", operations.WHOLE_SHOP]
    for _ in range(5):
        with database().transaction(store.shop_id) as session:
            operations.count_try(session, store.shop_id, subjects)
    with database().transaction(store.shop_id) as session, pytest.raises(TooMany) as waits:
        operations.count_try(session, store.shop_id, subjects)
    assert waits.value.retry_after == 31
    with database().transaction(store.shop_id) as session:
        # A device of the counter's own is counted apart.
        operations.count_try(session, store.shop_id, ["device:y"])
    with clock.fixed_at(NOW + MINUTE), database().transaction(store.shop_id) as session:
        operations.count_try(session, store.shop_id, subjects)
        operations.succeeded(session, store.shop_id, subjects)
        operations.count_try(session, store.shop_id, ["network:x"])


def test_a_right_pin_between_them_does_not_hide_wrong_ones(store: Store) -> None:
    subjects = ["device:y", f"{operations.DEVICES}2026-12-01"]

    def guesses() -> int:
        with database().transaction(store.shop_id) as session:
            for guess in range(1000):
                try:
                    operations.count_try(session, store.shop_id, subjects)
                except TooMany:
                    return guess
                if guess % 4 == 3:
                    operations.succeeded(session, store.shop_id, subjects)
        return 1000

    # Three of four were wrong.
    assert 200 < guesses() < 300


def test_guesses_made_at_once_are_counted_one_after_another(store: Store) -> None:
    def guess(_: int) -> bool:
        try:
            with database().transaction(store.shop_id) as session:
                operations.count_try(session, store.shop_id, ["device:z"])
        except TooMany:
            return False
        return True

    assert guess(0)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(guess, range(16))) == 4


def test_locations_have_names_of_their_own(store: Store) -> None:
    with database().transaction(store.shop_id) as session:
        place = operations.add_location(session, store.shop_id, "  Harbour   Street ", actor="merchant:1")
        assert place.name == "Harbour Street"
        with pytest.raises(Conflict):
            operations.add_location(session, store.shop_id, "harbour street", actor="merchant:1")
        for bad in ("", " ", "x" * 61):
            with pytest.raises(InvalidInput):
                operations.add_location(session, store.shop_id, bad, actor="merchant:1")
        operations.retire_location(session, store.shop_id, place.id, actor="merchant:1")
        assert not queries.locations(session, store.shop_id)
        operations.add_location(session, store.shop_id, "Harbour Street", actor="merchant:1")


def test_actors_are_people_at_places(store: Store, other_store: Store) -> None:
    made = joined(store)
    with database().transaction(store.shop_id) as session:
        place = operations.add_location(session, store.shop_id, "Market", actor="merchant:1")
    actors = [f"staff:{made.staff.id}@{place.id}", f"staff:{made.staff.id}", "staff:9@9", "api:1", "staff:x@y"]
    with database().transaction(store.shop_id) as session:
        assert list(map(queries.names(session, store.shop_id), actors)) == ["Sam at Market", "Sam", None, None, None]
    with database().transaction(other_store.shop_id) as session:
        assert not any(map(queries.names(session, other_store.shop_id), actors))
