"""Perks in a real store: tags, metafields, segments and free shipping follow the tiers, and come back when undone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from core import clock, effects
from core.effects import Effect, PermanentFailure
from loyalty import operations as members
from loyalty import programs
from loyalty.models import Member
from loyalty.program import demo_program
from sandbox.catalogue import DEMO
from sandbox.testing import Running
from shops import operations
from shops.admin import Admin
from tests.tiers.members import laddered
from tests.webhooks.rig import LONG_AGO, House
from tests.webhooks.unheard import unheard_store
from tiers import free_shipping, perks, perks_drift
from tiers.models import TierPerk


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with unheard_store(tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture
def shop(store: Running, house: House) -> int:
    house.open_shop(DEMO.domain)
    token = httpx.post(f"{store.url}/sandbox/{DEMO.domain}/session-token").json()["session_token"]
    return operations.install(house.database, token, programs.publish_first)


@pytest.fixture
def customer(store: Running) -> int:
    orders = httpx.get(f"{store.url}/sandbox/{DEMO.domain}/orders").json()["orders"]
    return next(order["customer"]["id"] for order in orders if order["customer"])  # type: ignore[no-any-return]


@pytest.fixture
def member(house: House, shop: int, customer: int) -> int:
    with house.database.transaction(shop) as session:
        known = programs.load(session, [shop])
        noor = members.Customer(shop, customer, None, False, None, LONG_AGO)
        return members.enrol(session, [noor], known).members[shop, customer]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the documents sent to the store, which still gets them all."""
    sent: list[str] = []
    call = Admin.call

    def noted(self: Admin, name: str, /, **variables: Any) -> dict[str, Any]:
        sent.append(name)
        return call(self, name, **variables)

    monkeypatch.setattr(Admin, "call", noted)
    return sent


def set_tier(house: House, shop: int, member: int, tier: str) -> None:
    with house.database.transaction(shop) as session:
        session.execute(sa.update(Member).where(Member.shop_id == shop, Member.id == member).values(tier_key=tier))


def equip(house: House, shop: int, member: int) -> None:
    perks.equip(house.database, shop, str(member))


def ask(house: House, shop: int, document: str, /, **variables: Any) -> Any:
    with Admin.of(house.database, shop) as called:
        return called.call(document, **variables)


def held(house: House, shop: int, customer: int) -> tuple[set[str], dict[str, str]]:
    """A customer's tags and metafields in the store."""
    found = ask(house, shop, "customer_perks", id=f"gid://shopify/Customer/{customer}")["customer"]
    return set(found["tags"]), {node["key"]: node["value"] for node in found["metafields"]["nodes"]}


def test_tags_and_metafields_follow_the_tier(house: House, shop: int, member: int, customer: int) -> None:
    ask(house, shop, "tags_add", id=f"gid://shopify/Customer/{customer}", tags=["vip", "tier:theirs"])
    set_tier(house, shop, member, "ambassador")
    equip(house, shop, member)
    tags, metafields = held(house, shop, customer)
    assert {"vip", "tier:theirs", "tier:ambassador", "perk:free-shipping", "perk:early-access"} <= tags
    assert metafields == {"tier": "ambassador", "points": "50", "perks": '["free-shipping","early-access"]'} or (
        metafields["perks"].replace(" ", "") == '["free-shipping","early-access"]'
    )
    set_tier(house, shop, member, "insider")  # what a demotion ends is gone, and what is not ours stays
    equip(house, shop, member)
    tags, metafields = held(house, shop, customer)
    assert {tag for tag in tags if ":" in tag} == {"tier:theirs", "tier:insider", "perk:free-shipping"}
    assert "vip" in tags
    assert metafields["tier"] == "insider"


def test_what_is_right_is_not_written_again(house: House, shop: int, member: int, calls: list[str]) -> None:
    equip(house, shop, member)
    calls.clear()
    equip(house, shop, member)
    assert calls == ["customer_perks"]


def test_a_customer_who_is_gone_is_left_alone(house: House, shop: int, member: int, calls: list[str]) -> None:
    with house.database.transaction(shop) as session:
        session.execute(sa.update(Member).values(closed_at=clock.now()))
    calls.clear()
    equip(house, shop, member)
    equip(house, shop, 10**9)
    assert calls == []


def test_somebody_elses_write_in_between_is_tried_again(
    house: House, shop: int, member: int, customer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    equip(house, shop, member)
    make_equal = perks.make_equal

    def meddled(called: Admin, found: Any, wanted: perks.Fields) -> None:
        field = {"ownerId": found["id"], "namespace": "$app", "key": "tier", "type": perks.TEXT, "value": "meddled"}
        called.call("metafields_set", metafields=[field])
        make_equal(called, found, wanted)

    set_tier(house, shop, member, "advocate")
    monkeypatch.setattr(perks, "make_equal", meddled)
    with pytest.raises(Exception, match="updated since") as refused:
        equip(house, shop, member)
    assert not isinstance(refused.value, PermanentFailure)
    monkeypatch.setattr(perks, "make_equal", make_equal)
    equip(house, shop, member)
    assert held(house, shop, customer)[1]["tier"] == "advocate"


# Segments and free shipping.


def discounts(house: House, shop: int) -> dict[str, tuple[str, set[str]]]:
    """Automatic discounts by title: their status and segments."""
    found = ask(house, shop, "automatic_discounts_find", query="method:automatic")["discountNodes"]["nodes"]
    told = [node["discount"] for node in found]
    return {d["title"]: (d["status"], {s["id"] for s in d["context"]["segments"]}) for d in told if d.get("title")}


def segments(house: House, shop: int) -> dict[str, str]:
    found = ask(house, shop, "segments_find", query="Rapport")["segments"]["nodes"]
    return {node["name"]: node["query"] for node in found}


def publish(house: House, shop: int, *with_free_shipping: str) -> None:
    demo = demo_program()
    steps = tuple(
        tier.model_copy(update={"perks": ("free-shipping",) if tier.key in with_free_shipping else ()})
        for tier in demo.ladder.tiers
    )
    with house.database.transaction(shop) as session:
        programs.publish(session, shop, laddered(tiers=steps), effective_from=clock.now(), actor="test")


def test_each_tier_with_free_shipping_has_its_segment_and_discount(house: House, shop: int, calls: list[str]) -> None:
    free_shipping.arrange(house.database, shop)
    assert segments(house, shop) == {
        f"Tier {key} (Rapport)": f"customer_tags CONTAINS 'tier:{key}'" for key in ("insider", "advocate", "ambassador")
    }
    found = discounts(house, shop)
    assert set(found) == {f"Free shipping for {name}" for name in ("Insider", "Advocate", "Ambassador")}
    assert {status for status, _ in found.values()} == {"ACTIVE"}
    assert [len(limited) for _, limited in found.values()] == [1, 1, 1]
    calls.clear()
    free_shipping.arrange(house.database, shop)
    assert {name for name in calls if not name.startswith(("segments_find", "automatic_discount"))} == set()
    assert not any(name.endswith(("create", "update", "activate")) for name in calls)


def test_what_the_program_drops_is_gone_from_the_store(house: House, shop: int) -> None:
    free_shipping.arrange(house.database, shop)
    publish(house, shop, "ambassador")
    free_shipping.arrange(house.database, shop)
    assert set(discounts(house, shop)) == {"Free shipping for Ambassador"}
    assert set(segments(house, shop)) == {"Tier ambassador (Rapport)"}
    with house.database.transaction(shop) as session:
        assert [row.tier_key for row in session.scalars(sa.select(TierPerk))] == ["ambassador"]


def test_what_a_timed_out_call_made_is_found_and_not_made_twice(house: House, shop: int) -> None:
    publish(house, shop, "advocate")
    free_shipping.arrange(house.database, shop)
    before = discounts(house, shop)
    with house.database.transaction(shop) as session:  # we never heard of them
        session.execute(sa.delete(TierPerk))
    free_shipping.arrange(house.database, shop)
    assert discounts(house, shop) == before
    assert len(segments(house, shop)) == 1


def test_what_the_merchant_deleted_or_changed_is_put_right(house: House, shop: int) -> None:
    publish(house, shop, "advocate", "ambassador")
    free_shipping.arrange(house.database, shop)
    right = discounts(house, shop)
    with house.database.transaction(shop) as session:
        rows = {row.tier_key: row for row in session.scalars(sa.select(TierPerk))}
    ask(house, shop, "automatic_discount_delete", id=rows["advocate"].discount_id)
    ask(house, shop, "automatic_discount_deactivate", id=rows["ambassador"].discount_id)
    ask(
        house, shop, "segment_update", id=rows["ambassador"].segment_id, name="Mine", query="customer_tags CONTAINS 'x'"
    )
    assert {status for status, _ in discounts(house, shop).values()} == {"EXPIRED"}
    free_shipping.arrange(house.database, shop)
    assert discounts(house, shop) == right
    assert segments(house, shop)["Tier ambassador (Rapport)"] == "customer_tags CONTAINS 'tier:ambassador'"


# Drift.


def test_drift_is_found_and_put_right(
    house: House, shop: int, member: int, customer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perks_drift, "PAGE", 3)
    equip(house, shop, member)
    assert perks_drift.reconcile(house.database, shop) == 0
    gid = f"gid://shopify/Customer/{customer}"
    ask(house, shop, "tags_remove", id=gid, tags=["tier:insider"])
    ask(house, shop, "metafields_delete", metafields=[{"ownerId": gid, "namespace": "$app", "key": "points"}])
    assert perks_drift.reconcile(house.database, shop) == 1
    with house.database.transaction(shop) as session:
        wanted = {(row.kind, row.target) for row in session.scalars(sa.select(Effect))}
    assert wanted >= {(perks.MEMBER_EFFECT, str(member)), (perks.SHOP_EFFECT, "shop")}
    effects.wire(perks.MEMBER_EFFECT, perks.equip)
    effects.wire(perks.SHOP_EFFECT, free_shipping.arrange)
    effects.carry_out_due(house.database)
    tags, metafields = held(house, shop, customer)
    assert "tier:insider" in tags
    assert metafields["points"] == "50"
    assert perks_drift.reconcile(house.database, shop) == 0
