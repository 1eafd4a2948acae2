"""Looks at codes' pages and shares of their links: counted by the day, each look kept for a while.

A look is a person's: robots, previews and prefetching are kept out before they come here. The same visitor looking
again soon is no other look.
"""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from referrals.models import ReferralCount, ReferralVisit

KEPT = timedelta(days=90)
AGAIN = timedelta(minutes=30)
# Of one network and code in an hour: an office may look, a flood is not worth its rows.
MOST_AN_HOUR = 60
# Of one code in a day.
MOST_SHARES = 100
# What `via` says of the referrer's own look: it counts for nothing, and tells the checks whose browser it is.
OWN = "own"


class Look(NamedTuple):
    """`visitor` and `network` are keyed hashes, `via` is one of `sharing.WAYS` or OWN, `zone` the shop's."""

    code_key: str
    visitor: str
    network: str
    via: str
    at: datetime
    zone: ZoneInfo

    @property
    def day(self) -> date:
        return self.at.astimezone(self.zone).date()

    @property
    def midnight(self) -> datetime:
        return datetime.combine(self.day, time.min, self.zone)


class Counts(NamedTuple):
    """How often some codes were shared and looked at; `visitors` are those of each day, added up."""

    shares: int
    clicks: int
    visitors: int


def look(session: Session, shop_id: int, seen: Look) -> bool:
    """Note a look, and count it unless it is the referrer's own. False when it is no new one, or one too many."""
    again, today, lately = _before(session, shop_id, seen)
    if again or lately >= MOST_AN_HOUR:
        return False
    session.add(
        ReferralVisit(
            shop_id=shop_id, code_key=seen.code_key, visitor=seen.visitor, network=seen.network, via=seen.via,
            at=seen.at,
        )
    )  # fmt: skip
    if seen.via != OWN:
        _count(session, shop_id, seen.code_key, seen.day, clicks=1, visitors=0 if today else 1)
    return True


def shared(session: Session, shop_id: int, code_key: str, day: date) -> None:
    """Count a share of a code's link, as many as somebody may make in a day."""
    today = sa.select(ReferralCount.shares).where(
        ReferralCount.shop_id == shop_id, ReferralCount.code_key == code_key, ReferralCount.day == day
    )
    if (session.scalar(today) or 0) < MOST_SHARES:
        _count(session, shop_id, code_key, day, shares=1)


def counts(session: Session, shop_id: int, code_keys: Collection[str]) -> Counts:
    """All days of these codes together."""
    table = ReferralCount
    sums = (sa.func.coalesce(sa.func.sum(column), 0) for column in (table.shares, table.clicks, table.visitors))
    mine = sa.select(*sums).where(table.shop_id == shop_id, table.code_key.in_(code_keys))
    return Counts(*map(int, session.execute(mine).one()))


def is_own(session: Session, shop_id: int, code_key: str, visitor: str) -> bool:
    """Whether a code's own page was opened in this visitor's browser."""
    mine = sa.select(ReferralVisit.id).where(
        ReferralVisit.shop_id == shop_id, ReferralVisit.visitor == visitor,
        ReferralVisit.code_key == code_key, ReferralVisit.via == OWN,
    )  # fmt: skip
    return bool(session.scalar(sa.select(mine.exists())))


def prune(session: Session, now: datetime) -> int:
    """Forget looks of long ago in the open shops; their counts stay. Returns how many."""
    gone = session.execute(sa.delete(ReferralVisit).where(ReferralVisit.at < now - KEPT))
    return int(gone.rowcount)  # type: ignore[attr-defined]


def _before(session: Session, shop_id: int, seen: Look) -> tuple[bool, bool, int]:
    """Whether this visitor looked just now, and today; and how often their network did within the hour."""
    table = ReferralVisit
    own = table.via == OWN if seen.via == OWN else table.via != OWN
    looks = sa.select(table.id).where(table.shop_id == shop_id, table.code_key == seen.code_key, own)
    mine = looks.where(table.visitor == seen.visitor)
    theirs = looks.where(table.network == seen.network, table.at > seen.at - timedelta(hours=1)).limit(MOST_AN_HOUR)
    lately = sa.select(sa.func.count()).select_from(theirs.subquery()).scalar_subquery()
    asked = mine.where(table.at > seen.at - AGAIN).exists(), mine.where(table.at >= seen.midnight).exists(), lately
    again, today, often = session.execute(sa.select(*asked)).one()
    return again, today, often


def _count(session: Session, shop_id: int, code_key: str, day: date, **more: int) -> None:
    table = ReferralCount
    row = insert(table).values(shop_id=shop_id, code_key=code_key, day=day, **more)
    added = {name: getattr(table, name) + getattr(row.excluded, name) for name in more}
    session.execute(row.on_conflict_do_update(index_elements=["shop_id", "code_key", "day"], set_=added))
