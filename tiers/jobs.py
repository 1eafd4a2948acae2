"""Jobs of the ladder."""

from collections.abc import Sequence

import sqlalchemy as sa

from core import batches, clock
from core.db import database
from core.events import record
from loyalty import programs
from loyalty.models import Member
from shops.queries import all_shop_ids, installed_shop_ids
from tiers import ending, perks_drift, recalculation
from tiers.operations import review
from tiers.spend import Key

BATCH = 200


def review_lapsed() -> None:
    """Look again at every member whose tier may have changed by itself."""
    shops = all_shop_ids(database())

    def due(limit: int) -> list[Key]:
        lapsed = sa.select(Member.shop_id, Member.id).where(Member.tier_review_at <= clock.now()).limit(limit)
        with database().transaction(*shops) as session:
            return [(row.shop_id, row.id) for row in session.execute(lapsed)]

    batches.all_due(due, _review, size=BATCH, what="tiers not reviewed")


def _review(keys: Sequence[Key]) -> None:
    touched = {shop_id for shop_id, _ in keys}
    with database().transaction(*touched) as session:
        record(session, review(session, keys, programs.load(session, touched), clock.now()))


def recalculate() -> None:
    """Move members to where a ladder that came into force puts them."""
    for shop_id in recalculation.due(database(), clock.now()):
        recalculation.run(database(), shop_id)


def reconcile_perks() -> None:
    """Put right what was changed by hand in the shops."""
    perks_drift.reconcile_all(database(), installed_shop_ids(database()))


def find_ending() -> None:
    """Note whose tier is about to end."""
    ending.find(database())
