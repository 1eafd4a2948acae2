"""Finds what was changed by hand in a shop (a tag taken off, a metafield or discount deleted) and has it put right."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from core import effects, logs
from core.db import Database
from core.effects import Wanted
from core.errors import RapportError, one_line
from loyalty import programs
from loyalty.models import Member
from shops.admin import Admin
from shops.buckets import BOOKS
from tiers import early_access, perks

PAGE = 100  # customers; with their metafields it keeps a query's cost below Shopify's limit

log = logs.logger(__name__)


def reconcile(database: Database, shop_id: int) -> int:
    """Compare every customer of a shop with their member and request what is wrong. Returns how many were."""
    with database.transaction(shop_id) as session:
        if not programs.load(session, [shop_id]).of(shop_id):
            return 0
        effects.request(session, [perks.of_shop(shop_id), early_access.of_shop(shop_id)])
    with Admin.of(database, shop_id, spared=BOOKS) as admin:
        return sum(_request(database, shop_id, customers) for customers in _pages(admin))


def reconcile_all(database: Database, shop_ids: Sequence[int]) -> None:
    """The same for several shops; one that does not answer holds up no other."""
    for shop_id in shop_ids:
        try:
            reconcile(database, shop_id)
        except RapportError as error:
            log.warning("perks not compared", shop_id=shop_id, error=one_line(error))


def _pages(admin: Admin) -> Iterator[list[dict[str, Any]]]:
    after = None
    while True:
        page = admin.call("customers_perks", first=PAGE, after=after)["customers"]
        yield page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]


def _request(database: Database, shop_id: int, customers: Sequence[Mapping[str, Any]]) -> int:
    by_id = {int(customer["id"].rpartition("/")[2]): customer for customer in customers}
    with database.transaction(shop_id) as session:
        published = programs.load(session, [shop_id])
        found = session.scalars(sa.select(Member).where(Member.shop_id == shop_id, Member.customer_id.in_(by_id)))
        wrong: list[Wanted] = [
            perks.of_member(shop_id, member.id)
            for member in found
            if perks.present(member) and _differs(by_id[member.customer_id or 0], perks.fields_of(member, published))
        ]
        effects.request(session, wrong)
    return len(wrong)


def _differs(customer: Mapping[str, Any], wanted: perks.Fields) -> bool:
    return any(look(customer, wanted) for look in (perks.missing_tags, perks.surplus_tags, perks.wrong_metafields))
