"""What concerns every card of a shop reaches every card of it, a few at a time, and those it does not change hear
nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock, effects
from core.config import settings
from core.db import database
from core.effects import Effect
from loyalty import programs
from loyalty.program import Program, demo_program
from shops import operations as shops
from shops.models import Shop
from tests.wallet_passes.rig import Wallet
from tests.wallet_passes.test_many import carded, issued
from wallet_passes import rollouts, scanning
from wallet_passes.apple.operations import EFFECT
from wallet_passes.designs.models import WalletRollout

SOON = timedelta(days=40)


@pytest.fixture
def carried(wallet: Wallet) -> dict[int, str]:
    """Three members with a card on a phone each, all that concerned them done."""
    serials = carded(wallet, 1, 2, 3)
    rolled_out(wallet)
    return serials


def rolled_out(wallet: Wallet) -> None:
    rollouts.work(database())
    wallet.work()


def change(wallet: Wallet, **values: Any) -> None:
    with database().transaction(wallet.store.shop_id) as session:
        session.execute(sa.update(Shop).where(Shop.id == wallet.store.shop_id).values(**values))


def publish(wallet: Wallet, program: Program, at: datetime) -> None:
    with database().transaction(wallet.store.shop_id) as session:
        programs.publish(session, wallet.store.shop_id, program, effective_from=at, actor="test")


def renamed() -> Program:
    """The demo program whose first tier has another name."""
    program = demo_program()
    first, *others = program.ladder.tiers
    tiers = (first.model_copy(update={"name": "Friend"}), *others)
    return program.model_copy(update={"ladder": program.ladder.model_copy(update={"tiers": tiers})})


def every(wallet: Wallet, carried: dict[int, str], name: str) -> set[Any]:
    """What the cards on all phones say of one thing."""
    return {wallet.told(serial, str(number)).get(name) for number, serial in carried.items()}


def tiers(wallet: Wallet, carried: dict[int, str]) -> set[Any]:
    return {wallet.shows(serial, "tier", str(number)) for number, serial in carried.items()}


def found(wallet: Wallet) -> list[WalletRollout]:
    with database().transaction(wallet.store.shop_id) as session:
        return list(session.scalars(sa.select(WalletRollout).order_by(WalletRollout.id)))


def asked(wallet: Wallet) -> int:
    with database().transaction(wallet.store.shop_id) as session:
        return session.scalar(sa.select(sa.func.count()).where(Effect.kind == EFFECT)) or 0


def at_rate(cards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many cards at each step."""
    monkeypatch.setattr(rollouts, "EVERY", 1)
    monkeypatch.setenv("WALLET_ROLLOUT_RATE", str(cards))
    settings.cache_clear()


def test_another_name_of_the_shop_reaches_every_phone(wallet: Wallet, carried: dict[int, str]) -> None:
    change(wallet, name="Corner Roastery")
    rolled_out(wallet)
    wallet.wait(lambda: every(wallet, carried, "organizationName") == {"Corner Roastery"})
    assert (found(wallet)[-1].cause, found(wallet)[-1].done) == ("shop", 3)


def test_what_changes_no_card_sends_nothing(wallet: Wallet, carried: dict[int, str]) -> None:
    taken = wallet.apple.pushes.taken
    with database().transaction(wallet.store.shop_id) as session:
        rollouts.begin(session, wallet.store.shop_id, "design:1")
    rollouts.work(database())
    assert asked(wallet) == 3
    wallet.work()
    assert (asked(wallet), wallet.apple.pushes.taken) == (0, taken)


def test_nothing_new_asks_for_nothing(wallet: Wallet, carried: dict[int, str]) -> None:
    before = len(found(wallet))
    change(wallet, settings={"something": "that no card shows"})
    for _ in range(3):
        rollouts.work(database())
    assert (len(found(wallet)), asked(wallet)) == (before, 0)


def test_a_program_reaches_cards_when_it_comes_into_force(wallet: Wallet, carried: dict[int, str]) -> None:
    later = datetime.now(UTC) + SOON
    publish(wallet, renamed(), later)
    rolled_out(wallet)
    assert tiers(wallet, carried) == {"Insider"}
    with clock.fixed_at(later + timedelta(seconds=1)):
        rolled_out(wallet)
        wallet.wait(lambda: tiers(wallet, carried) == {"Friend"})
    assert found(wallet)[-1].cause == "program:2"


def test_cards_end_with_the_app_and_come_back_with_it(wallet: Wallet, carried: dict[int, str]) -> None:
    shop_id, serial = wallet.store.shop_id, carried[1]
    code = wallet.told(serial, "1")["barcodes"][0]["message"]
    with database().transaction(shop_id) as session:
        assert shops.uninstall(session, shop_id, datetime.now(UTC))
    rolled_out(wallet)
    wallet.wait(lambda: every(wallet, carried, "voided") == {True})
    change(wallet, uninstalled_at=None, installed_at=datetime.now(UTC))
    rolled_out(wallet)
    with database().transaction(shop_id) as session:
        assert scanning.scan(session, shop_id, code, actor="test").validity == "current"
    again = wallet.card(wallet.member(wallet.store.customer(1)), "1")
    assert (again, wallet.told(again, "1").get("voided")) == (serial, None)


def test_it_goes_on_where_it_stopped(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    issued(wallet.store, 1, 2, 3, 4, 5)
    at_rate(2, monkeypatch)
    rollouts.work(database())
    (row,) = found(wallet)
    assert (row.total, row.done, row.finished_at, asked(wallet)) == (5, 2, None, 2)
    with database().transaction(wallet.store.shop_id) as session:
        rollouts.advance(session, wallet.store.shop_id)
        session.rollback()  # killed before it was done
    assert (found(wallet)[0].done, asked(wallet)) == (2, 2)
    rollouts.work(database())
    rollouts.work(database())
    (row,) = found(wallet)
    assert (row.done, asked(wallet)) == (5, 5)
    assert row.finished_at is not None


def test_another_change_starts_anew(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    issued(wallet.store, 1, 2, 3)
    at_rate(2, monkeypatch)
    rollouts.work(database())
    assert found(wallet)[0].cause == "program:1"
    change(wallet, name="Corner Roastery")
    rollouts.work(database())
    (row,) = found(wallet)
    assert (row.cause, row.done) == ("shop", 2)
    with database().transaction(wallet.store.shop_id) as session:
        rollouts.begin(session, wallet.store.shop_id, "design:1")
    assert [(row.cause, row.done, row.cursor) for row in found(wallet)] == [("design:1", 0, 0)]


def test_every_card_is_looked_at_once_a_day(wallet: Wallet, carried: dict[int, str]) -> None:
    """Spend that no longer counts takes the next tier away without a word."""
    progress = wallet.shows(carried[1], "progress", "1")
    with clock.fixed_at(datetime.now(UTC) + timedelta(days=366)):
        rolled_out(wallet)
        wallet.wait(lambda: wallet.shows(carried[1], "progress", "1") != progress)
    assert found(wallet)[-1].cause == "day"


def test_a_new_day_does_not_start_anew_what_is_under_way(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    issued(wallet.store, 1, 2, 3)
    at_rate(1, monkeypatch)
    rollouts.work(database())
    with clock.fixed_at(datetime.now(UTC) + timedelta(days=1)):
        rollouts.work(database())
    (row,) = found(wallet)
    assert (row.cause, row.done) == ("program:1", 2)


def test_two_jobs_at_once_do_not_take_the_same_step(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    shop_id = wallet.store.shop_id
    issued(wallet.store, 1, 2, 3)
    at_rate(1, monkeypatch)
    rollouts.work(database())
    with database().transaction(shop_id) as session, database().transaction(shop_id) as other:
        assert rollouts.advance(session, shop_id) is not None
        assert rollouts.advance(other, shop_id) is None
    assert found(wallet)[0].done == 2


def test_a_change_of_points_goes_before_a_rollout(wallet: Wallet, carried: dict[int, str]) -> None:
    change(wallet, name="Corner Roastery")
    rollouts.work(database())
    wallet.store.settle(wallet.store.order(600, wallet.store.customer(3), 10_00))
    (first, *_) = effects._claim(database(), "apple")
    assert first.target == wallet.member(wallet.store.customer(3))
