"""Perks made real in Shopify: tags and metafields of customers. What a whole tier has is in `tiers.free_shipping`.

A customer carries the tag of their tier and of each of its perks, so that discounts, themes and Flow can use them, and
the same in metafields that only the app may write. Both are made equal to what we know, never added to: what a
demotion ends is gone, and what somebody changed by hand comes back. What is equal already is not written again.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from core import clock
from core.db import Database
from core.effects import PermanentFailure, Wanted
from core.errors import Unavailable
from loyalty import programs
from loyalty.models import Member
from loyalty.programs import Programs
from shops.admin import Admin, AdminRefused
from shops.buckets import TRIMMINGS
from tiers.ladders import ladder_of

TIER, PERK = "tier:", "perk:"
NAMESPACE = "$app"
STALE = "STALE_OBJECT"
TEXT, NUMBER, LIST = "single_line_text_field", "number_integer", "list.single_line_text_field"
# One handler for both: points change far more often than tiers, which must not wait behind them.
MEMBER_EFFECT, POINTS_EFFECT = "shopify.tier_tag", "shopify.points"
POINTS_DELAY = timedelta(seconds=5)
SHOP_EFFECT = "shopify.tier_perks"


class Fields(NamedTuple):
    """What stands for a member in Shopify: tags, and metafields as (type, value) by key.

    `ours` are all tags that any of the shop's programs ever gave meaning to: we take away no others.
    """

    tags: frozenset[str]
    ours: frozenset[str]
    metafields: Mapping[str, tuple[str, str]]


def of_member(shop_id: int, member_id: int) -> Wanted:
    """The effect that makes a member's tags and metafields right."""
    return Wanted(shop_id, MEMBER_EFFECT, str(member_id))


def of_shop(shop_id: int) -> Wanted:
    """The effect that makes a shop's segments and discounts right."""
    return Wanted(shop_id, SHOP_EFFECT, "shop")


def equip(database: Database, shop_id: int, member_id: str) -> None:
    """Make a customer's tags and metafields equal to what their member has. An effect: harmless to repeat.

    Raises PermanentFailure when Shopify refuses (a scope is missing).
    """
    with database.transaction(shop_id) as session:
        member = session.get(Member, (shop_id, int(member_id)))
        if member is None or not present(member):
            return
        wanted = fields_of(member, programs.load(session, [shop_id]))
    gid = f"gid://shopify/Customer/{member.customer_id}"
    with Admin.of(database, shop_id, spared=TRIMMINGS) as admin:
        try:
            customer = admin.call("customer_perks", id=gid)["customer"]
            if customer:
                make_equal(admin, customer, wanted)
        except AdminRefused as error:
            if STALE in error.codes:  # somebody wrote it between our read and our write
                raise Unavailable(error.detail) from None
            raise PermanentFailure(error.detail) from None


def present(member: Member) -> bool:
    """Whether a member is a customer whom the shop still knows."""
    return member.customer_id is not None and not (member.merged_into or member.closed_at or member.erased_at)


def fields_of(member: Member, published: Programs) -> Fields:
    """What should stand for a member, under the program in force now."""
    rung = ladder_of(published.in_force(member.shop_id, clock.now())).rung(member.tier_key)
    ladders = [ladder_of(version) for version in published.of(member.shop_id)]
    known = [(held.key, held.perks) for ladder in ladders for held in ladder.rungs]
    metafields = {
        "tier": (TEXT, rung.key),
        "points": (NUMBER, str(member.available)),
        "perks": (LIST, json.dumps(list(rung.perks))),
    }
    ours = frozenset(tag for key, perks in known for tag in _tags(key, perks))
    return Fields(frozenset(_tags(rung.key, rung.perks)), ours, metafields)


def _tags(tier: str, perks: Iterable[str]) -> list[str]:
    return [TIER + tier, *(PERK + perk for perk in perks)]


def missing_tags(customer: Mapping[str, Any], wanted: Fields) -> list[str]:
    """Tags in Shopify keep the case they were first written in, and are equal without regard to it."""
    return sorted(wanted.tags - {tag.lower() for tag in customer["tags"]})


def surplus_tags(customer: Mapping[str, Any], wanted: Fields) -> list[str]:
    return sorted(tag for tag in customer["tags"] if tag.lower() in wanted.ours - wanted.tags)


def wrong_metafields(customer: Mapping[str, Any], wanted: Fields) -> list[dict[str, Any]]:
    """The metafields to write, each bound to what was read so that a newer value is not overwritten."""
    found = {node["key"]: node for node in customer["metafields"]["nodes"]}
    return [
        {
            "ownerId": customer["id"],
            "namespace": NAMESPACE,
            "key": key,
            "type": kind,
            "value": value,
            "compareDigest": found[key]["compareDigest"] if key in found else None,
        }
        for key, (kind, value) in wanted.metafields.items()
        if key not in found or not _equal(found[key]["value"], value)
    ]


def _equal(stored: str, value: str) -> bool:
    """Shopify writes lists in its own spacing."""
    try:
        return bool(json.loads(stored) == json.loads(value))
    except ValueError:
        return stored == value


def make_equal(admin: Admin, customer: Mapping[str, Any], wanted: Fields) -> None:
    """Write what differs, and nothing else. Raises AdminRefused."""
    if tags := missing_tags(customer, wanted):
        admin.call("tags_add", id=customer["id"], tags=tags)
    if tags := surplus_tags(customer, wanted):
        admin.call("tags_remove", id=customer["id"], tags=tags)
    if metafields := wrong_metafields(customer, wanted):
        admin.call("metafields_set", metafields=metafields)
