"""Jobs of the ladder."""

import sqlalchemy as sa

from core import clock
from core.db import database, open_shops
from core.events import record
from loyalty import programs
from loyalty.models import Member
from shops.queries import all_shop_ids
from tiers.operations import review

BATCH = 200


def review_lapsed() -> None:
    """Look again at every member whose tier may have lapsed by now."""
    due = sa.select(Member.shop_id, Member.id).where(Member.tier_review_at <= clock.now()).limit(BATCH)
    shops = all_shop_ids(database())
    while True:
        with database().transaction(*shops) as session:
            keys = [(row.shop_id, row.id) for row in session.execute(due)]
            touched = {shop_id for shop_id, _ in keys}
            open_shops(session, touched)
            record(session, review(session, keys, programs.load(session, touched), clock.now()))
        if len(keys) < BATCH:
            return
