"""Shops arrive by opening the app, rest, move, leave and come back; each with the session token Shopify makes."""

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import sqlalchemy as sa

from core import clock, crypto, effects
from core.errors import Conflict, NotAuthenticated, Unavailable
from core.events import Event
from loyalty import privacy, programs
from loyalty.models import Member, Posting
from sandbox.catalogue import DEMO, SECOND
from sandbox.faults import Fault
from sandbox.testing import API_KEY, API_SECRET, Running
from shops import admin, operations, pauses, tokens, upkeep
from shops.admin import Admin
from shops.models import Shop, ShopToken
from tests.webhooks.rig import House, at_once, delivery, knock
from tests.webhooks.unheard import unheard_store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with unheard_store(tmp_path, monkeypatch) as running:
        monkeypatch.setattr(admin, "STUMBLE", 0.01)
        monkeypatch.setattr(operations, "welcome", [programs.publish_first])
        yield running


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    house = House(database_url)
    yield house
    house.database.dispose()


@pytest.fixture
def visit(store: Running, house: House) -> Callable[..., operations.Opened]:
    """A merchant opens the app in their admin."""

    def visit(shop: Any = SECOND) -> operations.Opened:
        return operations.open_shop(house.database, store.sandbox.app.session_token(shop, user=77))

    return visit


def one(house: House, shop_id: int, table: Any) -> Any:
    with house.database.transaction(shop_id) as session:
        return session.scalars(sa.select(table)).one()


def exchanges(store: Running, shop: Any = SECOND) -> int:
    """How many refresh tokens the store has handed out and not taken back."""
    return len(store.sandbox.world.install(shop.domain).refresh)


# Arriving.


def test_opening_the_app_installs_it_and_opening_it_again_asks_for_nothing(
    visit: Any, store: Running, house: House
) -> None:
    opened = visit()
    assert (opened.new, opened.user) == (True, "77")
    shop = opened.shop
    told = (shop.domain, shop.name, shop.currency, shop.timezone, shop.shopify_id)
    assert told == (SECOND.domain, SECOND.name, "JPY", "Asia/Tokyo", SECOND.id)
    again = visit()
    assert (again.new, again.shop.id) == (False, shop.id)
    assert exchanges(store) == 1
    with house.database.transaction(shop.id) as session:
        assert programs.load(session, [shop.id]).of(shop.id)
        assert session.scalars(sa.select(Event.kind)).all() == ["shop.installed"]


def test_a_page_that_asks_many_things_at_once_installs_once(visit: Any, store: Running, house: House) -> None:
    assert at_once(*[visit] * 6) == []
    assert exchanges(store) == 1
    with house.database.transaction() as session:
        assert len(session.scalars(sa.select(Shop)).all()) == 1


def claims(**changes: Any) -> dict[str, Any]:
    now = int(datetime.now(UTC).timestamp())
    made = {
        "iss": f"https://{SECOND.domain}/admin", "dest": f"https://{SECOND.domain}", "aud": API_KEY, "sub": "1",
        "exp": now + 60, "nbf": now - 1, "iat": now, "jti": secrets.token_hex(8), "sid": secrets.token_hex(8),
    }  # fmt: skip
    return made | changes


BAD = {
    "expired": {"exp": 1_700_000_000},
    "not yet": {"nbf": 4_000_000_000},
    "another app": {"aud": "another-app"},
    "two shops": {"iss": f"https://{DEMO.domain}/admin"},
    "no shop": {"dest": "https://evil.example", "iss": "https://evil.example/admin"},
    "a shop and more": {"dest": f"https://{SECOND.domain}@evil.example"},
    "no end": {"exp": None},
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_session_token_opens_and_installs_nothing(name: str, store: Running, house: House) -> None:
    made = {key: value for key, value in claims(**BAD[name]).items() if value is not None}
    with pytest.raises(NotAuthenticated):
        operations.open_shop(house.database, jwt.encode(made, API_SECRET, algorithm="HS256"))
    assert exchanges(store) == 0


@pytest.mark.parametrize("made", ["", "é.é.é", "a.b.c", jwt.encode(claims(), None, algorithm="none")])
def test_what_this_app_never_signed_opens_nothing(made: str, store: Running, house: House) -> None:
    forged = jwt.encode(claims(), "another secret that is long enough", algorithm="HS256")
    for token in (made, forged):
        with pytest.raises(NotAuthenticated):
            operations.open_shop(house.database, token)


@pytest.mark.parametrize("kind", ["html", "500", "502"])
def test_a_shop_that_does_not_answer_is_not_half_installed(visit: Any, store: Running, house: House, kind: str) -> None:
    store.sandbox.faults.plan(Fault(kind, times=9))
    with pytest.raises(Unavailable):
        visit()
    with house.database.transaction() as session:
        assert session.scalars(sa.select(Shop)).all() == []
    store.sandbox.faults.clear()
    assert visit().new


# Tokens.


@pytest.fixture
def later(store: Running, monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], Any]:
    """Both clocks go on together: ours and the store's."""
    began = datetime.now(UTC)

    def later(passed: timedelta) -> Any:
        monkeypatch.setattr(store.sandbox.world, "clock", lambda: (began + passed).timestamp())
        return clock.fixed_at(began + passed)

    return later


def test_a_week_of_hourly_work_never_lacks_a_token(visit: Any, store: Running, house: House, later: Any) -> None:
    shop_id = visit().shop.id
    used = set()
    for hour in range(0, 24 * 7, 3):
        with later(timedelta(hours=hour)), Admin.of(house.database, shop_id) as client:
            assert client.call("shop")["shop"]["name"] == SECOND.name
            used.add(client._token)
    assert len(used) == 56
    assert exchanges(store) == 1  # every refresh token was spent on the next


def test_many_jobs_refresh_once(visit: Any, store: Running, house: House, later: Any) -> None:
    shop_id = visit().shop.id
    before = set(store.sandbox.world.install(SECOND.domain).refresh)
    with later(timedelta(hours=2)):
        seen: list[str] = []

        def work() -> None:
            seen.append(tokens.working(house.database, shop_id, SECOND.domain))

        assert at_once(*[work] * 6) == []
    assert len(set(seen)) == 1
    assert len(set(store.sandbox.world.install(SECOND.domain).refresh) - before) == 1


def test_a_token_that_ends_in_the_middle_of_a_job_is_replaced(
    visit: Any, store: Running, house: House, later: Any
) -> None:
    with Admin.of(house.database, visit().shop.id) as client:
        client.call("shop")
        with later(timedelta(minutes=61)):
            assert client.call("shop")["shop"]["name"] == SECOND.name


def test_a_quiet_shop_is_kept_warm(visit: Any, store: Running, house: House, later: Any) -> None:
    """Nobody uses the shop for two hundred days; a refresh token lives ninety."""
    shop_id = visit().shop.id
    for day in range(0, 200, 10):
        with later(timedelta(days=day)):
            upkeep.warm_tokens(house.database)
    with later(timedelta(days=200)), Admin.of(house.database, shop_id) as client:
        assert client.call("shop")["shop"]["name"] == SECOND.name


def test_a_dead_token_waits_for_the_merchant_and_their_visit_mends_it(
    visit: Any, store: Running, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop_id = visit().shop.id
    carried_out = []
    monkeypatch.setattr(effects, "_wired", {})
    effects.wire("test.ask", lambda database, shop, target: carried_out.append(Admin.of(database, shop).call("shop")))
    with house.database.transaction(shop_id) as session:
        session.execute(sa.update(ShopToken).values(access_expires_at=clock.now()))
        effects.request(session, [effects.Wanted(shop_id, "test.ask", "1")])
    store.sandbox.world.store.put(SECOND.domain, "install", "app", type(store.sandbox.world.install(SECOND.domain))())
    effects.carry_out_due(house.database)
    waiting = one(house, shop_id, effects.Effect)
    assert (waiting.state, waiting.attempts, waiting.due_at > clock.now()) == ("waiting", 0, True)
    assert one(house, shop_id, ShopToken).refused_at is not None
    opened = visit()
    assert (opened.shop.id, opened.new) == (shop_id, False)
    effects.carry_out_due(house.database)
    assert len(carried_out) == 1


def test_a_wrong_app_secret_costs_no_shop_its_tokens(
    visit: Any, store: Running, house: House, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop_id = visit().shop.id
    with later(timedelta(hours=2)):
        with monkeypatch.context() as wrong:
            wrong.setattr(store.sandbox.app, "api_secret", "another one")
            with pytest.raises(NotAuthenticated):
                tokens.working(house.database, shop_id, SECOND.domain)
        assert one(house, shop_id, ShopToken).refused_at is None
        assert tokens.working(house.database, shop_id, SECOND.domain)


def test_tokens_are_never_kept_in_clear(visit: Any, store: Running, house: House) -> None:
    row = one(house, visit().shop.id, ShopToken)
    (access,) = store.sandbox.world.install(SECOND.domain).access
    assert crypto.decrypt(row.access_token) == access
    assert access.encode() not in row.access_token


# Resting.


def test_a_frozen_shop_is_left_alone_ever_longer_and_wakes(
    visit: Any, store: Running, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop_id = visit().shop.id
    monkeypatch.setattr(effects, "_wired", {})
    carried_out = []
    effects.wire("test.ask", lambda database, shop, target: carried_out.append(Admin.of(database, shop).call("shop")))
    with house.database.transaction(shop_id) as session:
        effects.request(session, [effects.Wanted(shop_id, "test.ask", "1")])
    began = datetime.now(UTC)
    store.sandbox.faults.plan(Fault("402", field="shop", times=3))
    rests = []
    for minutes in (0, 11, 30):
        with clock.fixed_at(began + timedelta(minutes=minutes)):
            effects.carry_out_due(house.database)
            shop = one(house, shop_id, Shop)
            rests.append(round((shop.paused_until - clock.now()).total_seconds() / 60))
            effect = one(house, shop_id, effects.Effect)
            assert (effect.state, effect.attempts) == ("waiting", 0)
            with pytest.raises(pauses.ShopPaused, match="until its bill is paid"):
                Admin.of(house.database, shop_id)
    assert rests == [10, 11, 30]
    with clock.fixed_at(began + timedelta(hours=2)):
        effects.carry_out_due(house.database)
    assert len(carried_out) == 1
    assert one(house, shop_id, Shop).paused_at is None


# Moving.


def moved(number: int, domain: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "myshopify_domain": domain, "name": "Kawabe & Sons", "iana_timezone": "Asia/Tokyo", **more}


def test_a_shop_that_moves_keeps_everything(visit: Any, house: House) -> None:
    shop_id, door = visit().shop.id, house.door()
    new = "kawabe-and-sons.myshopify.com"
    told = delivery("shop/update", moved(SECOND.id, new), domain=new)
    assert knock(door, told.headers, told.body).status == 200
    house.drain()
    shop = one(house, shop_id, Shop)
    assert (shop.domain, shop.name) == (new, "Kawabe & Sons")
    order = delivery("orders/create", {"id": 1}, domain=new)
    assert knock(door, order.headers, order.body).status == 200
    with house.database.transaction(shop_id) as session:
        assert "shop.moved" in session.scalars(sa.select(Event.kind)).all()


def test_news_from_an_unknown_domain_moves_no_shop(visit: Any, house: House) -> None:
    """The header is not signed: the body must name the same domain, and a number we know."""
    shop_id, door = visit().shop.id, house.door()
    for body in (moved(SECOND.id, SECOND.domain), moved(1, "x.myshopify.com"), {"id": SECOND.id}, {"id": "many"}):
        told = delivery("shop/update", body, domain="x.myshopify.com")
        assert knock(door, told.headers, told.body).status == 401
    told = delivery("orders/create", moved(SECOND.id, "x.myshopify.com"), domain="x.myshopify.com")
    assert knock(door, told.headers, told.body).status == 401
    assert one(house, shop_id, Shop).domain == SECOND.domain


def test_news_of_another_shop_or_no_domain_is_refused(visit: Any, house: House) -> None:
    shop_id = visit().shop.id
    house.settle(shop_id, [
        delivery("shop/update", moved(1, "x.myshopify.com"), domain=SECOND.domain),
        delivery("shop/update", moved(SECOND.id, "evil.example"), domain=SECOND.domain),
    ])  # fmt: skip
    assert house.states(shop_id) == {"failed": 2}
    assert one(house, shop_id, Shop).domain == SECOND.domain


# Leaving and coming back.


def leave(house: House, shop_id: int) -> None:
    with house.database.transaction(shop_id) as session:
        assert operations.uninstall(session, shop_id, clock.now())


def with_a_past(house: House, shop_id: int) -> None:
    house.settle(shop_id, [delivery("customers/create", {"id": 7, "email": "a@example.com"}, domain=SECOND.domain)])


def test_a_shop_that_comes_back_is_asked_and_goes_on_meanwhile(visit: Any, house: House) -> None:
    first = visit().shop
    assert not operations.returning(first)
    with_a_past(house, first.id)
    leave(house, first.id)
    with pytest.raises(effects.PermanentFailure):
        Admin.of(house.database, first.id)
    back = visit()
    assert (back.new, back.shop.id, operations.returning(back.shop)) == (True, first.id, True)
    assert one(house, first.id, Member).customer_id == 7
    with house.database.transaction(first.id) as session:
        operations.keep_past(session, first.id, actor="merchant")
    assert not operations.returning(visit().shop)
    with house.database.transaction(first.id) as session, pytest.raises(Conflict):
        operations.keep_past(session, first.id, actor="merchant")


def test_a_merchant_may_start_afresh(visit: Any, house: House) -> None:
    shop_id = visit().shop.id
    with_a_past(house, shop_id)
    leave(house, shop_id)
    visit()
    with house.database.transaction(shop_id) as session:
        privacy.start_afresh(session, shop_id, actor="merchant")
    with house.database.transaction(shop_id) as session:
        assert session.scalars(sa.select(Member)).all() == []
        assert session.scalars(sa.select(Posting)).all() == []
        assert len(programs.load(session, [shop_id]).of(shop_id)) == 1
    with Admin.of(house.database, shop_id) as client:
        assert client.call("shop")
    # Shopify's shop/redact of the time before comes late, and must not take the new members along.
    with_a_past(house, shop_id)
    house.settle(shop_id, [delivery("shop/redact", {"shop_id": SECOND.id}, domain=SECOND.domain)])
    assert one(house, shop_id, Member).customer_id == 7
    with house.database.transaction(shop_id) as session, pytest.raises(Conflict):
        privacy.start_afresh(session, shop_id, actor="merchant")


def test_a_session_token_from_before_the_uninstall_brings_nothing_back(
    visit: Any, store: Running, house: House
) -> None:
    """Its minute is not over, but Shopify exchanges it no more."""
    shop_id, old = visit().shop.id, store.sandbox.app.session_token(SECOND)
    leave(house, shop_id)
    store.sandbox.faults.plan(Fault("401"))
    with pytest.raises(NotAuthenticated):
        operations.open_shop(house.database, old)
    assert one(house, shop_id, Shop).uninstalled_at is not None


def test_uninstalling_ends_what_was_waiting(visit: Any, house: House) -> None:
    shop_id = visit().shop.id
    with house.database.transaction(shop_id) as session:
        effects.request(session, [effects.Wanted(shop_id, "test.ask", "1")])
    leave(house, shop_id)
    with house.database.transaction(shop_id) as session:
        assert session.scalars(sa.select(effects.Effect)).all() == []
        assert session.scalars(sa.select(ShopToken)).all() == []


def test_new_scopes_set_waiting_work_going(visit: Any, house: House) -> None:
    shop_id = visit().shop.id
    with house.database.transaction(shop_id) as session:
        effects.request(session, [effects.Wanted(shop_id, "test.ask", "1")])
        session.execute(sa.update(effects.Effect).values(due_at=clock.now() + timedelta(hours=1)))
    told = {"previous": [], "current": ["write_gift_cards", "read_orders"]}
    house.settle(shop_id, [delivery("app/scopes_update", told, domain=SECOND.domain)])
    assert one(house, shop_id, Shop).scopes == "read_orders,write_gift_cards"
    assert one(house, shop_id, effects.Effect).due_at <= clock.now()
