"""Faults that were found by trying to break the core path; each test is the way it broke."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock, effects
from core.effects import Wanted
from loyalty import merging, privacy, programs
from loyalty.models import Member, Order, Posting
from loyalty.operations import adjust
from loyalty.program import OrderRule, demo_program
from shops.models import Shop
from tests.webhooks.rig import LONG_AGO, House, delivery
from webhooks import drain, upkeep

T = datetime(2026, 6, 1, 12, tzinfo=UTC)
ENROLLED = "2020-01-01T00:00:00Z"


def order(id: int, dollars: float, *, at: datetime = T, customer: int | None = None, status: str = "paid",
          updated: datetime | None = None, **more: Any) -> dict[str, Any]:  # fmt: skip
    return {
        "id": id,
        "name": f"#{id}",
        "processed_at": at.isoformat(),
        "updated_at": (updated or at).isoformat(),
        "financial_status": status,
        "currency": "USD",
        "customer": customer and {"id": customer, "created_at": ENROLLED},
        "line_items": [{"id": 1, "quantity": 1, "price": str(dollars), "product_id": 5}],
    } | more


def merged(kept: int, deleted: int) -> dict[str, str]:
    gid = "gid://shopify/Customer/{}".format
    return {
        "admin_graphql_api_customer_kept_id": gid(kept),
        "admin_graphql_api_customer_deleted_id": gid(deleted),
    }


def test_an_order_that_waits_for_a_merge_goes_to_the_member_who_stays(house: House, shop: int) -> None:
    kept, gone = 1001, 1002
    house.settle(shop, [delivery("customers/create", {"id": id, "created_at": ENROLLED}) for id in (kept, gone)])
    house.put(shop, [delivery("orders/paid", order(7, 100, customer=gone))])
    other = House(house.url)
    drains = threading.Thread(target=other.drain)
    with house.database.transaction(shop) as session:  # a merge that is not committed yet
        merging.merge_members(session, shop, kept, gone, at=T, resettle=lambda ids, gone, owner: None)
        drains.start()
        time.sleep(1)  # the drain has chosen the order's member and waits for the lock
    drains.join()
    with clock.fixed_at(datetime.now(UTC) + timedelta(minutes=1)):
        house.drain()
    with house.database.transaction(shop) as session:
        available = {m.customer_id: m.available for m in session.scalars(sa.select(Member))}
        owner = session.scalar(sa.select(Member.customer_id).join(Order, Order.member_id == Member.id))
    assert (available, owner) == ({kept: 200, gone: 0}, kept)
    assert house.differences(shop) == []
    other.database.dispose()


def test_a_stale_delivery_does_not_give_an_order_back_to_its_former_customer(house: House, shop: int) -> None:
    old = delivery("orders/create", order(7, 100, customer=1001))
    new = delivery("orders/updated", order(7, 100, customer=1002, updated=T + timedelta(hours=1)))
    house.settle(shop, [old], [new])
    other = house.open_shop("b-shop.myshopify.com")
    house.settle(other, [new], [old])
    assert house.ledger(shop) == house.ledger(other)


def test_late_facts_reach_orders_that_earned_nothing_yet(house: House, shop: int) -> None:
    small = delivery("orders/create", order(8, 0.90, at=T + timedelta(days=1), customer=1, status="pending"))
    big = delivery("orders/paid", order(7, 600, customer=1))
    house.settle(shop, [small], [big])
    other = house.open_shop("b-shop.myshopify.com")
    house.settle(other, [big], [small])
    assert house.ledger(shop) == house.ledger(other)


def test_a_late_uninstall_spares_a_shop_that_is_back(house: House, shop: int) -> None:
    with house.database.transaction(shop) as session:
        session.execute(sa.update(Shop).values(installed_at=datetime.now(UTC)))
    house.put(shop, [delivery("app/uninstalled", {"id": 1, "domain": None})])
    with house.owner() as owner:
        owner.execute("UPDATE inbox SET triggered_at = now() - interval '1 hour'")
    house.drain()
    with house.database.transaction(shop) as session:
        assert session.scalar(sa.select(Shop.uninstalled_at).where(Shop.id == shop)) is None


def test_a_repeated_shop_redact_spares_a_shop_that_is_back(house: House, shop: int) -> None:
    redact = delivery("shop/redact", {"shop_id": 1}, webhook_id="the same")
    house.settle(shop, [delivery("app/uninstalled", {"id": 1})], [redact])
    with house.database.transaction(shop) as session:  # as shops.operations.install does
        session.execute(sa.update(Shop).values(uninstalled_at=None, redacted_at=None, returned=True))
        programs.publish(session, shop, demo_program(), effective_from=LONG_AGO, actor="test")
    house.settle(shop, [delivery("orders/paid", order(7, 100, customer=1))], [redact])
    assert len(house.ledger(shop).members) == 1


def test_a_new_shop_starts_with_a_program_that_leaves_its_past_alone(house: House) -> None:
    with house.database.transaction() as session:
        shop = Shop(domain="c.myshopify.com", name="C", currency="USD", timezone="UTC", installed_at=LONG_AGO)
        session.add(shop)
        session.flush()
        id = shop.id
    with house.database.transaction(id) as session:
        programs.publish_first(session, id)
        programs.publish_first(session, id)
    soon = datetime.now(UTC) + timedelta(seconds=1)
    house.settle(id, [delivery("orders/paid", order(7, 100, customer=1)),
                      delivery("orders/paid", order(8, 100, customer=1, at=soon))])  # fmt: skip
    assert house.ledger(id).members[1].available == 50 + 100


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("orders/paid", order(7, 1, customer=1, line_items=[{"id": 1, "quantity": 10**6, "price": "9999999999999"}])),
        ("customers/merge", merged(1, 2) | {"admin_graphql_api_customer_kept_id": "gid://shopify/Customer/²"}),
        ("customers/merge", merged(1, 2) | {"admin_graphql_api_customer_kept_id": "gid://x/" + "9" * 5000}),
        ("customers/merge", merged(0, 2)),
        ("customers/redact", {"customer": {"id": 2**63}, "orders_to_redact": []}),
        ("customers/redact", {"customer": {"id": 5, "email": "a\x00b@x.example"}, "orders_to_redact": [2**70]}),
        ("customers/data_request", {"customer": {"id": 5}, "data_request": {"id": "x"}}),
        ("app/scopes_update", {"current": ["a\x00b"]}),
        ("bulk_operations/finish", {"admin_graphql_api_id": "a\x00b", "status": "x"}),
    ],
)
def test_what_can_never_work_is_not_tried_again(house: House, shop: int, topic: str, body: dict[str, Any]) -> None:
    house.settle(shop, [delivery(topic, body)])
    [row] = house.inbox(shop)
    assert row.state in ("failed", "done"), row.error


def test_no_two_workers_carry_out_one_effect_at_once(house: House, shop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, target, running, most, slow = [1], [0], [0], [0], threading.Event()

    def handler(*_: object) -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        value = truth[0]
        if value == 1:
            slow.set()
            time.sleep(1)
        target[0] = value
        running[0] -= 1

    def ask() -> None:
        with house.database.transaction(shop) as session:
            effects.request(session, [Wanted(shop, "test", "9")])

    monkeypatch.setattr(effects, "_wired", {})
    effects.wire("test", handler)
    ask()
    first = threading.Thread(target=effects.carry_out_due, args=(house.database,))
    first.start()
    slow.wait()
    truth[0] = 2
    ask()
    effects.carry_out_due(house.database)
    first.join()
    effects.carry_out_due(house.database)
    assert (target[0], most[0]) == (2, 1)


def test_only_a_verified_address_claims_a_guests_points(house: House, shop: int) -> None:
    house.settle(shop, [delivery("orders/paid", order(7, 500, email="rosa@example.com"))])
    for verified in (None, False):
        body = {"id": 66, "email": "rosa@example.com", "created_at": ENROLLED, "verified_email": verified}
        house.settle(shop, [delivery("customers/create", body)])
        assert house.ledger(shop).orders[7][0] is None


def test_a_version_dated_back_over_settled_orders_harms_nothing(house: House) -> None:
    shop = house.open_shop(program=demo_program().model_copy(update={"orders": OrderRule(include_shipping=True)}))
    shipped = {"shipping_lines": [{"price": "5.00"}]}
    card = [{"id": 1, "quantity": 1, "price": "100", "gift_card": True}]
    house.settle(shop, [delivery("orders/paid", order(7, 100, customer=1, line_items=card, **shipped))])
    with house.database.transaction(shop) as session:
        programs.publish(session, shop, demo_program(), effective_from=LONG_AGO, actor="test")
    later = order(7, 100, customer=1, updated=T + timedelta(days=1), **shipped)
    house.settle(shop, [delivery("orders/updated", later)])
    assert house.states(shop) == {"done": 2}
    assert house.differences(shop) == []


def test_a_merge_gives_no_spent_points_again(house: House) -> None:
    shop = house.open_shop(program=demo_program().model_copy(update={"clawback": "clamp"}))
    house.settle(shop, [delivery("orders/paid", order(7, 100, customer=2)),
                        delivery("customers/create", {"id": 1, "created_at": ENROLLED})])  # fmt: skip
    with house.database.transaction(shop) as session:
        member = session.scalars(sa.select(Member).where(Member.customer_id == 2)).one()
        adjust(session, shop, member.id, -150, "all spent", actor="test", key="spent")
    before = sum(points.available for points in house.ledger(shop).members.values())
    house.settle(shop, [delivery("customers/merge", merged(1, 2))])
    assert sum(points.available for points in house.ledger(shop).members.values()) == before
    assert house.differences(shop) == []


def test_one_order_that_cannot_be_read_stops_no_release(house: House) -> None:
    waiting = demo_program().model_copy(update={"orders": OrderRule(waiting_days=1)})
    shops = house.open_shop(program=waiting), house.open_shop(program=waiting)
    now = datetime.now(UTC)
    for shop in shops:
        house.settle(shop, [delivery("orders/paid", order(7, 100, at=now, customer=1))])
    with house.owner() as owner:
        owner.execute("UPDATE orders SET state = state - 'digits' WHERE shop_id = %s", [shops[0]])
    with clock.fixed_at(now + timedelta(days=2)):
        upkeep.release_points(house.database)
    assert house.ledger(shops[1]).members[1].available == 150


def test_a_release_is_dated_by_the_day_the_points_were_free(house: House) -> None:
    shop = house.open_shop(program=demo_program().model_copy(update={"orders": OrderRule(waiting_days=10)}))
    now = datetime.now(UTC).replace(microsecond=0)
    house.settle(shop, [delivery("orders/paid", order(7, 100, at=now, customer=1))])
    with clock.fixed_at(now + timedelta(days=11)):
        upkeep.release_points(house.database)
    with house.database.transaction(shop) as session:
        released = session.scalars(sa.select(Posting).where(Posting.kind == "release")).one()
    assert released.occurred_at == now + timedelta(days=10)


def test_an_order_dated_far_ahead_demotes_nobody(house: House, shop: int) -> None:
    recently = datetime.now(UTC) - timedelta(days=3)
    house.settle(shop, [delivery("orders/paid", order(7, 2000, at=recently, customer=1))])
    ahead = datetime(2199, 1, 1, tzinfo=UTC)
    house.settle(shop, [delivery("orders/paid", order(8, 10, customer=1, at=ahead))])
    assert house.ledger(shop).members[1].tier == "ambassador"


def test_erasing_a_shop_takes_what_a_drain_is_just_posting(house: House, shop: int) -> None:
    house.put(shop, [delivery("orders/paid", order(7, 100, customer=1))])
    other = House(house.url)

    def erase() -> None:
        with other.database.transaction(shop) as session:
            privacy.erase_shop(session, shop)

    erasing = threading.Thread(target=erase)
    with house.database.transaction() as session:
        drain._work(session, drain._claim(session))
        erasing.start()
        time.sleep(1)
    erasing.join()
    with house.owner() as owner:
        left = {t: owner.execute(f"SELECT count(*) FROM {t}").fetchone() for t in ("postings", "events", "members")}
    assert set(left.values()) == {(0,)}
    other.database.dispose()
