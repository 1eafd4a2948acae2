"""The pages of a shop that arrives: its past, points for old orders, coming back, resting."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core import clock
from core.db import database
from core.effects import Effect
from core.events import Event
from loyalty import programs
from shops.models import Shop
from tests.web.merchant.conftest import Office
from webhooks.models import Backfill


def of_shop(office: Office, **values: Any) -> None:
    """Make the shop so."""
    with database().transaction(office.store.shop_id) as session:
        shop = session.get_one(Shop, office.store.shop_id)
        for name, value in values.items():
            setattr(shop, name, value)


def past(office: Office, **values: Any) -> None:
    given = {"state": "running", "stage": "orders", "customers": 40, "orders": 1200, "tries": 0, "read_bytes": 0}
    with database().transaction(office.store.shop_id) as session:
        session.merge(Backfill(shop_id=office.store.shop_id, requested_at=clock.now(), **given | values))


def effects_of(office: Office) -> set[str]:
    with database().transaction(office.store.shop_id) as session:
        return set(session.scalars(sa.select(Effect.kind).where(Effect.shop_id == office.store.shop_id)))


def test_the_past_is_followed_while_it_comes_and_told_for_a_day(office: Office, other_office: Office) -> None:
    assert 'id="past"' not in office.text("")
    past(office, url="http://x", file_size=1000, read_bytes=500)
    for path in ("", "/settings/past", "/settings/past/progress"):
        page = office.text(path)
        assert "Your orders are coming in" in page, path
        assert 'hx-trigger="load delay:2s"' in page, path
        assert "40 customers · 1,200 orders" in page
        assert 'aria-label="77 percent"' in page
    assert "coming in" not in other_office.text("/settings/past")
    past(office, state="done", finished_at=clock.now())
    assert "hx-trigger" not in office.text("/settings/past/progress")
    assert "past is here" in office.text("")
    past(office, state="done", finished_at=clock.now() - timedelta(days=2))
    assert "past is here" not in office.text("")


def test_what_failed_is_tried_again_by_its_own_merchant(office: Office, other_office: Office) -> None:
    assert office.post("/settings/past/retry").status_code == 409
    past(office, state="failed", error="Access <denied>")
    page = office.text("/settings/past")
    assert "Access &lt;denied&gt;" in page
    assert other_office.post("/settings/past/retry").status_code == 409
    assert office.post("/settings/past/retry").status_code == 303
    assert "Your orders are coming in" in office.text("/settings/past/progress")
    assert "shopify.backfill" in effects_of(office)
    with database().transaction(office.store.shop_id) as session:
        tried = session.scalars(sa.select(Event).where(Event.kind == "backfill.retried")).one()
        assert (tried.actor, tried.data) == ("merchant:41", {"stage": "orders"})


def begins(office: Office, moment: datetime) -> None:
    """Have orders earn since then, as where the app was installed then."""
    with database().transaction(office.store.shop_id) as session:
        held = programs.load(session, [office.store.shop_id]).in_force(office.store.shop_id, clock.now()).program
        orders = held.orders.model_copy(update={"starts_at": moment})
        first = held.model_copy(update={"orders": orders})
        at = datetime(2001, 1, 1, tzinfo=UTC)
        programs.publish(session, office.store.shop_id, first, effective_from=at, actor="install")


def test_old_orders_earn_from_a_day_on(office: Office) -> None:
    assert "All orders earn points" in office.text("/settings/past")
    begins(office, clock.now())
    assert "Orders placed since " in office.text("/settings/past")
    for wrong in ("", "soon", "0001-01-01", "2026-02-30", "9" * 400):
        assert office.post("/settings/past/award", since=wrong).status_code == 422, wrong
    assert office.post("/settings/past/award", since="9999-12-31").status_code == 409
    assert office.post("/settings/past/award", since="2020-03-01").status_code == 303
    assert "Orders placed since 1 March 2020" in office.text("/settings/past")
    assert "shopify.award" in effects_of(office)
    assert office.post("/settings/past/award", since="2021-01-01").status_code == 409


def test_a_shop_that_came_back_is_asked_at_home(office: Office) -> None:
    assert "Welcome back" not in office.text("")
    of_shop(office, settings={"returning": True})
    assert "Welcome back" in office.text("")


def test_every_page_says_when_the_shop_rests(office: Office) -> None:
    said = "Shopify has frozen this shop until its bill is paid"
    assert said not in office.text("/members")
    of_shop(office, paused_status=402, paused_at=clock.now(), paused_until=clock.now() + timedelta(hours=1))
    for path in ("", "/members", "/settings/past", "/deliveries"):
        assert said in office.text(path), path
