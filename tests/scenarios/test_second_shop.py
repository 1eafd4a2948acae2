"""A second shop installs the app from nothing and has it for a while: its past comes in, every webhook and every lost
one, a week of hourly work, its plan, the day it leaves and the day it is forgotten. Over HTTP, as Shopify speaks.
"""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.serving import make_server

from core import clock, effects
from core.errors import NotAuthenticated
from loyalty import programs
from loyalty.models import Member, Order, Posting
from sandbox import billing, oracle, payloads
from sandbox.catalogue import SECOND, SECOND_PRODUCTS
from sandbox.orders import Basket
from sandbox.outbox import Weather
from sandbox.server import Quiet
from sandbox.testing import API_SECRET, Running, in_process
from sandbox.traffic import Mix, stories
from shops import operations, plans, tokens
from shops.admin import Admin
from shops.models import Shop, ShopToken
from shops.queries import all_shop_ids
from tests.webhooks.rig import LONG_AGO, House
from tests.webhooks.unheard import answer_from
from webhooks import backfill, proof, reconcile

PAST = 150
# The first program's ladder counts in the smallest unit of the shop's currency, which here is the yen itself.
IN_YEN = oracle.Program(ladder=(("insider", 0, 1, 1), ("advocate", 50_000, 5, 4), ("ambassador", 150_000, 3, 2)))
NOW = datetime.now(UTC)


@pytest.fixture
def store(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A sandbox store that speaks to a real door, and is spoken to by the app."""
    door = make_server("127.0.0.1", 0, house.door((API_SECRET,)), threaded=True, request_handler=Quiet)
    threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    with in_process(tmp_path, f"http://127.0.0.1:{door.port}", weather=Weather(retry_factor=0.01)) as running:
        answer_from(running, monkeypatch)
        monkeypatch.setattr(backfill, "POLL", timedelta())
        monkeypatch.setattr(operations, "welcome", [programs.publish_first, backfill.begin, plans.request])
        monkeypatch.setattr(effects, "_wired", {})
        effects.wire(backfill.EFFECT, backfill.advance)
        effects.wire(backfill.AWARD, backfill.award)
        effects.wire(plans.EFFECT, plans.read)
        yield running
    door.shutdown()
    door.server_close()


class Town:
    """The shop as its merchant, its shoppers and Shopify see it, and the app beside it."""

    def __init__(self, store: Running, house: House) -> None:
        self.store, self.house, self.world = store, house, store.sandbox.world
        self.shop = 0

    def open_app(self) -> operations.Opened:
        opened = operations.open_shop(self.house.database, self.store.sandbox.app.session_token(SECOND))
        self.shop = opened.shop.id
        return opened

    def work(self) -> None:
        """What workers do until nothing waits."""
        for _ in range(200):
            assert self.store.sandbox.outbox.wait_until_settled()
            if not self.house.drain() + effects.carry_out_due(self.house.database):
                return
        raise AssertionError("the work never ends")

    def reconcile(self) -> proof.Standing:
        reconcile.reconcile(self.house.database, self.shop, LONG_AGO)
        self.house.drain()
        with self.house.database.transaction(self.shop) as session:
            return proof.standing(session, self.shop)

    def progress(self) -> backfill.Progress:
        with self.house.database.transaction(self.shop) as session:
            found = backfill.progress(session, self.shop)
        assert found is not None
        return found

    def orders(self) -> list[Any]:
        return [self.world.order_payload(SECOND.domain, order) for order in self.world.orders(SECOND.domain)]

    def books(self) -> dict[int | None, tuple[int, int]]:
        people = [payloads.customer_payload(SECOND, one) for one in self.world.customers(SECOND.domain)]
        members = oracle.books(self.orders(), people, program=IN_YEN).members.values()
        return {m.customer_id: (m.available, m.pending) for m in members}

    def points(self) -> dict[int | None, tuple[int, int]]:
        return {id: (p.available, p.pending) for id, p in self.house.ledger(self.shop).members.items()}

    def count(self, table: Any) -> int:
        with self.house.database.transaction(self.shop) as session:
            return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


@pytest.fixture
def town(store: Running, house: House) -> Town:
    town = Town(store, house)
    mix = Mix(
        orders=PAST, shop=SECOND, catalogue=SECOND_PRODUCTS, members=40, refunds=0.1, gift_cards=0, discounts=0,
        foreign=0, now=int((NOW - timedelta(days=1)).timestamp()), days=300,
    )  # fmt: skip
    told = list(stories(mix))
    people = {story.customer.id: story.customer for story in told if story.customer}
    town.world.take_in(SECOND.domain, list(people.values()), [story.order for story in told])
    return town


def test_a_shop_from_nothing_to_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    arrives_with_its_past(town)
    earns_from_now_on_and_for_its_past(town)
    loses_webhooks_and_has_them_repaired(town)
    takes_a_plan(town)
    is_served_for_a_week(town, monkeypatch)
    leaves_and_is_forgotten(town)


def arrives_with_its_past(town: Town) -> None:
    assert town.open_app().new
    assert not town.open_app().new
    town.work()
    found, known = town.progress(), len(town.orders())
    assert (found.state, found.share, found.orders) == ("done", 1.0, known)
    assert found.customers == len(town.world.customers(SECOND.domain))
    assert known > PAST
    assert town.count(Order) == known
    standing = town.reconcile()
    assert (standing.checked, standing.missing, standing.repaired, standing.genuine) == (known, 0, 0, True)


def earns_from_now_on_and_for_its_past(town: Town) -> None:
    customer = town.world.customers(SECOND.domain)[0]
    with town.house.database.transaction(town.shop) as session:
        backfill.award_since(session, town.shop, LONG_AGO, actor="merchant")
    town.world.place(SECOND.domain, Basket([(town.world.products(SECOND.domain)[0], 2)]), customer=customer)
    town.work()
    assert town.points() == town.books()
    assert town.house.differences(town.shop) == []


def loses_webhooks_and_has_them_repaired(town: Town) -> None:
    town.store.sandbox.outbox.weather = Weather(withhold=0.5)
    item = town.world.products(SECOND.domain)[1]
    for customer in town.world.customers(SECOND.domain)[:12]:
        order = town.world.place(SECOND.domain, Basket([(item, 1)]), customer=customer, status="pending")
        town.world.pay(SECOND.domain, order.id)
    town.work()
    town.store.sandbox.outbox.weather = Weather()
    town.reconcile()
    standing = town.reconcile()
    assert (standing.missing, standing.genuine) == (0, True)
    assert town.points() == town.books()
    assert town.house.states(town.shop).keys() <= {"done", "ignored"}


def takes_a_plan(town: Town) -> None:
    billing.choose(town.world, SECOND.domain, billing.Subscription("Growth", "growth", 2900))
    town.work()
    with town.house.database.transaction(town.shop) as session:
        assert plans.plan_of(session.get_one(Shop, town.shop)).handle == "growth"


def is_served_for_a_week(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    used = set()
    with monkeypatch.context() as passing:
        for hour in range(0, 24 * 7 + 1, 8):
            moment = datetime.now(UTC) + timedelta(hours=hour)
            passing.setattr(town.world, "clock", moment.timestamp)
            with clock.fixed_at(moment), Admin.of(town.house.database, town.shop) as client:
                client.call("shop")
                used.add(client._token)
    assert len(used) == 22


def leaves_and_is_forgotten(town: Town) -> None:
    with town.house.database.transaction(town.shop) as session:
        effects.request(session, [effects.Wanted(town.shop, plans.EFFECT, "")])
    town.world.uninstall(SECOND.domain)
    assert town.store.sandbox.outbox.wait_until_settled()
    town.house.drain()
    assert (town.count(effects.Effect), town.count(ShopToken)) == (0, 0)
    assert town.count(Member) > 0
    with pytest.raises(effects.PermanentFailure):
        Admin.of(town.house.database, town.shop)
    town.world.redact_shop(SECOND.domain)
    assert town.store.sandbox.outbox.wait_until_settled()
    town.house.drain()
    assert [town.count(table) for table in (Member, Order, Posting)] == [0, 0, 0]
    assert town.shop not in all_shop_ids(town.house.database)
    with pytest.raises(NotAuthenticated):
        tokens.working(town.house.database, town.shop, SECOND.domain)
