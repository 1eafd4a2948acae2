"""Plans: chosen on Shopify's page, read from there; everything is in all of them unless the operator says otherwise."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core import config, effects
from core.events import Event
from sandbox.catalogue import SECOND
from sandbox.faults import Fault
from sandbox.testing import Running
from shops import admin, operations, plans
from shops.models import Shop
from tests.webhooks.rig import House, delivery
from tests.webhooks.unheard import unheard_store

PLANS = (
    '{"free": {"name": "Free", "members": 500, "without": ["flow"]}, "growth": {"name": "Growth", "members": 20000}}'
)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with unheard_store(tmp_path, monkeypatch) as running:
        monkeypatch.setattr(admin, "STUMBLE", 0.0)
        monkeypatch.setattr(effects, "_wired", {})
        effects.wire(plans.EFFECT, plans.read)
        monkeypatch.setattr(operations, "welcome", [plans.request])
        yield running


@pytest.fixture
def shop(store: Running, house: House) -> Shop:
    opened = operations.open_shop(house.database, store.sandbox.app.session_token(SECOND))
    effects.carry_out_due(house.database)
    return opened.shop


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    house = House(database_url)
    yield house
    house.database.dispose()


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANS", PLANS)
    chosen = config.Settings(_env_file=None)  # type: ignore[call-arg]
    monkeypatch.setattr(plans, "settings", lambda: chosen)


def choose(store: Running, **plan: Any) -> None:
    httpx.post(f"{store.url}/sandbox/{SECOND.domain}/subscription", json=plan).raise_for_status()


def told(house: House, shop: Shop) -> Shop:
    """Shopify's webhook of a changed plan arrives, and what follows is carried out."""
    body = {"app_subscription": {"status": "whatever it says"}}
    house.settle(shop.id, [delivery("app_subscriptions/update", body, domain=SECOND.domain)])
    effects.carry_out_due(house.database)
    with house.database.transaction(shop.id) as session:
        return session.get_one(Shop, shop.id)


def test_every_plan_brings_everything_unless_somebody_says_otherwise(shop: Shop) -> None:
    standing = plans.standing(shop, 1_000_000)
    assert (standing.plan.handle, standing.everything, standing.members_limit, standing.sentence) == (
        "free", True, None, None,
    )  # fmt: skip
    plans.require(shop, "flow", "Shopify Flow")
    assert standing.choose_url == "https://admin.shopify.com/store/second-demo/charges/rapport/pricing_plans"


def test_a_chosen_plan_is_read_from_shopify_whatever_the_webhook_says(
    store: Running, house: House, shop: Shop, limited: None
) -> None:
    choose(store, name="Growth", handle="growth", price=2900, trial_days=14)
    shop = told(house, shop)
    plan = plans.plan_of(shop)
    assert (plan.handle, plan.name, plan.trial_days) == ("growth", "Growth", 14)
    assert plan.ends_at
    assert plans.includes(shop, "flow")
    choose(store, name="Growth", handle="growth", status="CANCELLED")
    assert plans.plan_of(told(house, shop)).handle == "free"
    with house.database.transaction(shop.id) as session:
        kinds = session.query(Event.data).filter(Event.kind == "shop.plan_changed").order_by(Event.id).all()
    assert [row[0] for row in kinds] == [{"from": "free", "to": "growth"}, {"from": "growth", "to": "free"}]


def test_who_has_grown_past_a_plan_is_told_and_goes_on(shop: Shop, limited: None) -> None:
    assert plans.standing(shop, 500).sentence is None
    assert plans.standing(shop, 512).sentence == (
        "Your program has grown to 512 members, past the 500 that the Free plan is meant for. Everything keeps working "
        "for all of them; please choose a larger plan when it suits you."
    )


def test_what_a_plan_leaves_out_says_where_it_is(shop: Shop, limited: None) -> None:
    with pytest.raises(plans.NotInPlan) as refused:
        plans.require(shop, "flow", "Shopify Flow")
    assert refused.value.detail == "Shopify Flow is not part of the Free plan. It comes with Growth."
    assert refused.value.extra["choose_url"] == plans.choose_url(shop)
    plans.require(shop, "wallet", "Wallet passes")


def test_a_plan_that_can_not_be_read_stays_what_it_was(store: Running, house: House, shop: Shop) -> None:
    choose(store, name="Growth", handle="growth")
    told(house, shop)
    store.sandbox.faults.plan(Fault("502", field="currentAppInstallation", times=admin.TRIES))
    choose(store, name="Growth", handle="growth", status="CANCELLED")
    assert plans.plan_of(told(house, shop)).handle == "growth"


@pytest.mark.parametrize("wrong", ["[]", '{"free": {}}', '{"free": {"name": "Free", "members": 0}}', "{"])
def test_plans_that_make_no_sense_stop_the_start(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("PLANS", wrong)
    with pytest.raises(SystemExit):
        config.load(_env_file=None)
