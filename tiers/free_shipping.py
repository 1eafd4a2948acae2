"""Free shipping as a perk: for each tier that has it, an automatic discount for the segment of the tier's customers.

Shopify's create calls are not idempotent: we look before we create, so that a call that timed out is found.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from core import clock
from core.db import Database
from core.effects import PermanentFailure
from loyalty import programs
from shops import segments
from shops.admin import AccessDenied, Admin, AdminRefused
from tiers.ladders import ladder_of
from tiers.models import TierPerk
from tiers.perks import TIER
from tiers.rules import Rung

PERK = "free-shipping"
_TABLE: Any = TierPerk.__table__


def arrange(database: Database, shop_id: int, _: str = "") -> None:
    """Make the shop's segments and discounts equal to its program. An effect: harmless to repeat.

    Raises PermanentFailure when Shopify refuses (a scope is missing, too many discounts).
    """
    with database.transaction(shop_id) as session:
        rungs = ladder_of(programs.load(session, [shop_id]).in_force(shop_id, clock.now())).rungs
        held = {row.tier_key: row for row in session.scalars(sa.select(TierPerk).where(TierPerk.shop_id == shop_id))}
    wanted = {rung.key: rung for rung in rungs if PERK in rung.perks}
    if not wanted and not held:
        return
    with Admin.of(database, shop_id) as admin:
        try:
            for key in sorted(held.keys() - wanted.keys()):
                _remove(admin, held[key])
                _forget(database, shop_id, key)
            for rung in wanted.values():
                _stand_up(admin, database, shop_id, rung, held.get(rung.key))
        except AdminRefused as error:
            raise PermanentFailure(error.detail) from None


def _stand_up(admin: Admin, database: Database, shop_id: int, rung: Rung, held: TierPerk | None) -> None:
    """Each id is remembered as soon as it is known."""
    segment = _segment(admin, rung, held.segment_id if held else None)
    _remember(database, shop_id, rung.key, segment_id=segment)
    discount = _discount(admin, rung, segment, held.discount_id if held else None)
    _remember(database, shop_id, rung.key, discount_id=discount)


# The segment of a tier's customers.


def _segment(admin: Admin, rung: Rung, known: str | None) -> str:
    query = f"customer_tags CONTAINS '{TIER}{rung.key}'"
    return segments.ensure(admin, f"Tier {rung.key} (Rapport)", query, known)


# The discount for the segment.


def _discount(admin: Admin, rung: Rung, segment: str, known: str | None) -> str:
    title = f"Free shipping for {rung.name}"
    node = admin.call("automatic_discount", id=known)["discountNode"] if known else None
    node = node or _find(admin, title)
    wish: dict[str, Any] = {
        "title": title,
        "destination": {"all": True},
        "combinesWith": {"orderDiscounts": True, "productDiscounts": True, "shippingDiscounts": False},
    }
    if node is None:
        wish |= {"startsAt": clock.now().isoformat(), "context": {"customerSegments": {"add": [segment]}}}
        made = admin.call("automatic_free_shipping_create", discount=wish)["discountAutomaticFreeShippingCreate"]
        return str(made["automaticDiscountNode"]["id"])
    discount = node["discount"]
    others = _segments(discount) - {segment}
    if discount["title"] != title or others or segment not in _segments(discount):
        wish["context"] = {"customerSegments": {"add": [segment], "remove": sorted(others)}}
        admin.call("automatic_free_shipping_update", id=node["id"], discount=wish)
    if discount["status"] != "ACTIVE":
        admin.call("automatic_discount_activate", id=node["id"])
    return str(node["id"])


def _find(admin: Admin, title: str) -> dict[str, Any] | None:
    quoted = title.replace("\\", "\\\\").replace("'", "\\'")
    found = admin.call("automatic_discounts_find", query=f"method:automatic title:'{quoted}'")["discountNodes"]["nodes"]
    node = next((node for node in found if (node["discount"] or {}).get("title") == title), None)
    # A list names discounts of any kind; what changes one wants it named as an automatic one.
    return node and {**node, "id": node["id"].replace("/DiscountNode/", "/DiscountAutomaticNode/")}


def _segments(discount: Mapping[str, Any]) -> set[str]:
    return {segment["id"] for segment in (discount.get("context") or {}).get("segments", ())}


def _remove(admin: Admin, held: TierPerk) -> None:
    """The discount first, for it uses the segment. What is gone already is gone."""
    for document, gid in (("automatic_discount_delete", held.discount_id), ("segment_delete", held.segment_id)):
        try:
            if gid:
                admin.call(document, id=gid)
        except AccessDenied:
            raise
        except AdminRefused:
            continue


# What we remember of them.


def _remember(database: Database, shop_id: int, tier_key: str, **ids: str) -> None:
    now = clock.now()
    row = postgresql.insert(_TABLE).values(shop_id=shop_id, tier_key=tier_key, updated_at=now, **ids)
    with database.transaction(shop_id) as session:
        session.execute(
            row.on_conflict_do_update(index_elements=["shop_id", "tier_key"], set_={**ids, "updated_at": now})
        )


def _forget(database: Database, shop_id: int, tier_key: str) -> None:
    with database.transaction(shop_id) as session:
        session.execute(sa.delete(_TABLE).where(_TABLE.c.shop_id == shop_id, _TABLE.c.tier_key == tier_key))
