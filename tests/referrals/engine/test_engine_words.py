"""What an order's own words are taken for, and that shops where nobody brings friends are asked for nothing."""

from typing import Any

import pytest
import sqlalchemy as sa

from core.effects import Effect
from sandbox.catalogue import DEMO
from shops.admin import Admin
from tests.referrals.engine.rig import Town, off
from tests.webhooks.rig import delivery
from webhooks.payloads import OrderPayload, order_state, parse
from webhooks.snapshots import as_webhook

ORDER = {"id": 1, "currency": "USD", "processed_at": "2026-01-05T10:00:00Z"}


def told(**words: Any) -> str | None:
    body = delivery("orders/create", ORDER | words).body
    return order_state(parse(body, OrderPayload), "USD").referral


def noted(value: Any, name: str = "rapport_ref") -> dict[str, Any]:
    return {"note_attributes": [{"name": "gift", "value": "yes"}, {"name": name, "value": value}]}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({}, None),
        (noted("ANNA7K"), "ANNA7K"),
        (noted("  ANNA7K "), "ANNA7K"),
        (noted("ANNA7K", name="Rapport_Ref"), None),
        (noted(""), None),
        (noted(None), None),
        (noted(7), None),
        (noted(["ANNA7K"]), None),
        (noted("A\x00B"), "AB"),
        (noted("x" * 500), "x" * 64),
        ({"note_attributes": None}, None),
        ({"note_attributes": {"rapport_ref": "ANNA7K"}}, None),
        ({"note_attributes": "rapport_ref"}, None),
        ({"note_attributes": 3}, None),
        ({"note_attributes": [None, 3, "rapport_ref", {"value": "ANNA7K"}]}, None),
        ({"landing_site": "/collections/all?a=b&rapport_ref=ANNA7K"}, "ANNA7K"),
        ({"landing_site": "https://shop.example/?rapport_ref=ANNA%2D7K#top"}, "ANNA-7K"),
        ({"landing_site": "/rapport_ref=ANNA7K"}, None),
        ({"landing_site": "https://[rapport_ref=ANNA7K"}, None),
        ({"landing_site": 5}, None),
        (noted("BEN") | {"landing_site": "/?rapport_ref=ANNA7K"}, "BEN"),
    ],
    ids=str,
)
def test_the_code_that_the_storefront_noted(words: dict[str, Any], code: str | None) -> None:
    assert told(**words) == code


def test_reconciling_tells_it_as_well(town: Town) -> None:
    """The store's own answer, through the document that reconciling asks with."""
    world, guest = town.running.sandbox.world, town.person(real=True)
    order = town.buy(0, 50, guest, ref="ANNA7K", send=False)
    world.save(DEMO.domain, order, (), town.second(0))
    with Admin.of(town.house.database, town.shop) as admin:
        answer = admin.call("order_full", id=f"gid://shopify/Order/{order.id}", linesAfter=None)["order"]
    assert told(**as_webhook(answer)) == "ANNA7K"


def test_a_shop_without_codes_is_asked_for_nothing(town: Town) -> None:
    town.buy(0, 50, town.person(), ref="ANNA7K", codes=[off("FRIEND-1")])
    assert town.waiting() == []


def test_news_of_a_friend_asks_for_the_referral_of_their_first_order(town: Town) -> None:
    _, code = town.referrer()
    ben = town.person()
    first = town.buy(0, 50, ben, ref=code)
    town.work()
    town.buy(1, 20, ben)
    assert town.waiting() == [str(first.id)]
    with town.house.database.transaction(town.shop) as session:
        session.execute(sa.delete(Effect))
    town.buy(1, 20, town.person())
    assert town.waiting() == []
