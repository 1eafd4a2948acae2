"""Jobs of the ladder."""

import sqlalchemy as sa

from core import clock, logs
from core.db import database
from core.errors import one_line
from core.events import record
from loyalty import programs
from loyalty.models import Member
from shops.queries import all_shop_ids
from tiers.operations import review

BATCH = 200

log = logs.logger(__name__)


def review_lapsed() -> None:
    """Look again at every member whose tier may have changed by itself; one that fails delays no other."""
    due = sa.select(Member.shop_id, Member.id).where(Member.tier_review_at <= clock.now())
    shops, failed = all_shop_ids(database()), set[tuple[int, int]]()
    while True:
        with database().transaction(*shops) as session:
            rows = session.execute(due.limit(BATCH + len(failed))).all()
        keys = [(row.shop_id, row.id) for row in rows if (row.shop_id, row.id) not in failed]
        if not keys:
            return
        failed |= _review(keys)


def _review(keys: list[tuple[int, int]]) -> set[tuple[int, int]]:
    """Review these members together, or one by one when that fails. Returns those that failed alone, too."""
    touched = {shop_id for shop_id, _ in keys}
    try:
        with database().transaction(*touched) as session:
            record(session, review(session, keys, programs.load(session, touched), clock.now()))
        return set()
    except Exception as error:
        log.warning("tiers not reviewed", members=[member for _, member in keys], error=one_line(error))
    return set(keys) if len(keys) == 1 else {key for one in keys for key in _review([one])}
