"""Perks made real in Shopify: the customer carries the tag of their tier, so discounts, themes and Flow can use it."""

from core.db import Database
from core.effects import PermanentFailure
from loyalty import programs
from loyalty.models import Member
from shops.admin import Admin, AdminRefused
from tiers.ladders import ladder_of

PREFIX = "tier:"


def tag_customer(database: Database, shop_id: int, member_id: str) -> None:
    """Make the customer's tier tags equal to the member's tier. An effect: harmless to repeat.

    Raises PermanentFailure when Shopify refuses (the customer is gone, a scope is missing).
    """
    with database.transaction(shop_id) as session:
        member = session.get(Member, (shop_id, int(member_id)))
        keys = {
            rung.key for version in programs.load(session, [shop_id]).of(shop_id) for rung in ladder_of(version).rungs
        }
    if member is None or member.customer_id is None:
        return
    gid = f"gid://shopify/Customer/{member.customer_id}"
    with Admin.of(database, shop_id) as admin:
        try:
            admin.call("tags_add", id=gid, tags=[PREFIX + member.tier_key])
            admin.call("tags_remove", id=gid, tags=sorted(PREFIX + key for key in keys - {member.tier_key}))
        except AdminRefused as error:
            raise PermanentFailure(error.detail) from None
