"""A shop's numbers: points by the day, members by tier, and how many come back to buy. Read by sets, never by the row.

Points are added up from the ledger once and kept by the day (`catch_up`); what was posted since is added when asked, so
that the numbers are always those of this moment. What takes a look at every member is kept for some minutes.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from msgspec import Struct, convert, to_builtins
from sqlalchemy.orm import Session

from core.db import Database
from loyalty.models import ShopCount

# A posting's id is given before its commit: what is younger than the longest transaction may not be all there yet.
SETTLES = timedelta(minutes=10)
# How long a look at every member is good for.
KEPT = timedelta(minutes=10)
CHUNK = 200_000
# Who bought more than once within so long came back.
REPEAT = timedelta(days=365)
# With fewer members than this a look is quick, and taken whenever somebody asks.
SMALL = 5_000
# So many days ago, too, is kept who had come back by then.
SPANS = (7, 30, 90, 365)

_FLOWS = """
    coalesce(sum(points) FILTER (WHERE source = 'issued'), 0)
        - coalesce(sum(points) FILTER (WHERE target = 'issued'), 0),
    coalesce(sum(points) FILTER (WHERE target = 'redeemed'), 0)
        - coalesce(sum(points) FILTER (WHERE source = 'redeemed'), 0),
    coalesce(sum(points) FILTER (WHERE target = 'expired'), 0)
        - coalesce(sum(points) FILTER (WHERE source = 'expired'), 0),
    coalesce(sum(points) FILTER (WHERE source = 'adjusted'), 0)
        - coalesce(sum(points) FILTER (WHERE target = 'adjusted'), 0)"""
_BY_DAY = f"""
    SELECT (occurred_at AT TIME ZONE :zone)::date, {_FLOWS} FROM postings
    WHERE shop_id = :shop_id AND id > :above AND id <= :upto GROUP BY 1"""
_KEEP = sa.text(f"""
    INSERT INTO shop_days (shop_id, day, issued, redeemed, expired, adjusted)
    SELECT :shop_id, f.* FROM ({_BY_DAY}) AS f
    ON CONFLICT (shop_id, day) DO UPDATE SET issued = shop_days.issued + excluded.issued,
        redeemed = shop_days.redeemed + excluded.redeemed, expired = shop_days.expired + excluded.expired,
        adjusted = shop_days.adjusted + excluded.adjusted""")
_READ = sa.text(f"""
    SELECT day, sum(issued)::bigint, sum(redeemed)::bigint, sum(expired)::bigint, sum(adjusted)::bigint FROM (
        SELECT day, issued, redeemed, expired, adjusted FROM shop_days WHERE shop_id = :shop_id
        UNION ALL SELECT f.* FROM ({_BY_DAY}) AS f(day, issued, redeemed, expired, adjusted)
    ) AS all_days WHERE day >= :first AND day <= :last GROUP BY day ORDER BY day""")
_JOINED = sa.text("""
    SELECT (joined_at AT TIME ZONE :zone)::date, count(*) FROM members
    WHERE shop_id = :shop_id AND joined_at >= :since AND joined_at < :until GROUP BY 1""")
_STANDING = sa.text("""
    SELECT tier_key, count(*), sum(available)::bigint, sum(pending)::bigint FROM members
    WHERE shop_id = :shop_id AND merged_into IS NULL AND erased_at IS NULL GROUP BY tier_key""")
# Buyers, and who of them bought again, by now and by each moment before: one read of two years. Orders that stand: a
# cancelled one counts -1 beside its 1. Guests are told apart by their addresses.
_AGES = (0, *SPANS)
_BACK = ", ".join(f"count(*) FILTER (WHERE n{age} > 0), count(*) FILTER (WHERE n{age} > 1)" for age in _AGES)


def _within(counted: str, at: str) -> str:
    """A buyer's orders by each moment, as columns."""
    return ", ".join(
        f"coalesce({counted} FILTER (WHERE {at} >= :until - make_interval(days => {days} + :repeat) "
        f"AND {at} < :until - make_interval(days => {days})), 0) AS n{days}"
        for days in _AGES
    )


_SINCE = f":until - make_interval(days => :repeat + {max(_AGES)})"
_MEMBERS_BACK = sa.text(f"""
    SELECT {_BACK} FROM (SELECT {_within("sum(orders)", "at")} FROM spend_facts
        WHERE shop_id = :shop_id AND at >= {_SINCE} AND at < :until GROUP BY member_id) AS buyers""")
_GUESTS_BACK = sa.text(f"""
    SELECT {_BACK} FROM (SELECT {_within("count(*)", "processed_at")} FROM orders
        WHERE shop_id = :shop_id AND guest_email IS NOT NULL AND processed_at >= {_SINCE} AND processed_at < :until
        GROUP BY guest_email) AS buyers""")


# Filled by app.py when the parts are wired together: what else a look tells, each called with (session, shop id, the
# moments of now and of each of SPANS days ago) for as many rows of numbers.
besides: dict[str, Callable[[Session, int, Sequence[datetime]], list[list[int]]]] = {}


class Day(NamedTuple):
    """Points of one day, and who joined on it."""

    day: date
    issued: int = 0
    redeemed: int = 0
    expired: int = 0
    adjusted: int = 0
    joined: int = 0


class Back(Struct, frozen=True):
    """How many bought, and how many of them more than once."""

    buyers: int = 0
    again: int = 0

    @property
    def rate(self) -> float | None:
        return self.again / self.buyers if self.buyers else None


class Standing(Struct, frozen=True):
    """What a look at every member says: how many are in each tier, what they hold, and who came back to buy."""

    tiers: dict[str, int] = {}
    available: int = 0
    pending: int = 0
    members_back: Back = Back()
    others_back: Back = Back()
    # How many joined on each day of the last two years, up to the day of the look.
    joined: dict[date, int] = {}
    # What other rooms tell of now and of each of SPANS days ago, by name: see `besides`.
    told: dict[str, list[list[int]]] = {}
    # The same so many days ago, as text since it is kept as JSON: of members, and of others.
    earlier: dict[str, tuple[Back, Back]] = {}

    @property
    def members(self) -> int:
        return sum(self.tiers.values())

    def at(self, name: str, days: int, unknown: Sequence[int]) -> Sequence[int]:
        """What another room told of now (0) or of so many days ago."""
        found = self.told.get(name, [])
        return found[_AGES.index(days)] if len(found) == len(_AGES) else unknown

    def back(self, days: int) -> tuple[Back, Back]:
        """Members and others who had come back so many days ago, one of SPANS."""
        return self.earlier.get(str(days), (Back(), Back()))


def catch_up(session: Session, shop_id: int, zone: ZoneInfo, now: datetime) -> bool:
    """Add the postings that have settled to their days. False when there was nothing to add, or another is at it."""
    row = _locked(session, shop_id)
    if row is None:
        return False
    upto = session.scalar(
        sa.text(
            "SELECT max(id) FROM (SELECT id, recorded_at FROM postings WHERE shop_id = :shop_id AND id > :above "
            "ORDER BY id LIMIT :chunk) AS next WHERE recorded_at < :settled"
        ),
        {"shop_id": shop_id, "above": row.posting_id, "chunk": CHUNK, "settled": now - SETTLES},
    )
    if upto is not None:
        bound = {"shop_id": shop_id, "zone": zone.key, "above": row.posting_id, "upto": upto}
        session.execute(_KEEP, bound)
        row.posting_id = upto
    return upto is not None


def _locked(session: Session, shop_id: int) -> ShopCount | None:
    session.execute(
        sa.text("INSERT INTO shop_counts (shop_id, posting_id) VALUES (:shop_id, 0) ON CONFLICT DO NOTHING"),
        {"shop_id": shop_id},
    )
    return session.scalar(sa.select(ShopCount).where(ShopCount.shop_id == shop_id).with_for_update(skip_locked=True))


def look(session: Session, shop_id: int, zone: ZoneInfo, now: datetime) -> None:
    """Keep what a look at every member says."""
    row = _locked(session, shop_id)
    if row is not None:
        row.standing, row.counted_at = to_builtins(_standing(session, shop_id, zone, now)), now


def count(database: Database, shop_id: int, zone: ZoneInfo, now: datetime) -> None:
    """Bring a shop's days up to date, a chunk of the ledger at a time, and what is kept of it."""
    more = True
    while more:
        with database.transaction(shop_id) as session:
            more = catch_up(session, shop_id, zone, now)
    with database.transaction(shop_id) as session:
        row = session.get(ShopCount, shop_id)
        if row is None or row.counted_at is None or row.counted_at <= now - KEPT:
            look(session, shop_id, zone, now)


def standing(
    session: Session, shop_id: int, zone: ZoneInfo, now: datetime, *, kept: timedelta | None = None
) -> Standing:
    """What was last kept, or a look now where that was nothing or is quick; older than `kept`, a look that is kept."""
    row = session.get(ShopCount, shop_id)
    if kept is not None and (row is None or row.counted_at is None or row.counted_at <= now - kept):
        look(session, shop_id, zone, now)
        row = session.get(ShopCount, shop_id)
    return _kept(row) or _standing(session, shop_id, zone, now)


def _kept(row: ShopCount | None) -> Standing | None:
    """What was kept, where a look takes its time."""
    if row is None or row.counted_at is None:
        return None
    held = convert(row.standing, Standing, strict=False)
    return held if held.members >= SMALL else None


def _standing(session: Session, shop_id: int, zone: ZoneInfo, now: datetime) -> Standing:
    rows = session.execute(_STANDING, {"shop_id": shop_id}).all()
    back = _back(session, shop_id, now)
    earlier = {str(age): both for age, both in back.items() if age}
    tiers = {row[0]: row[1] for row in rows}
    today, moments = now.astimezone(zone).date(), [now - timedelta(age) for age in _AGES]
    joined = _joined(session, shop_id, today - timedelta(2 * max(SPANS)), today, zone)
    told = {name: ask(session, shop_id, moments) for name, ask in besides.items()}
    held = sum(row[2] for row in rows), sum(row[3] for row in rows)
    return Standing(tiers, *held, *back[0], joined, told, earlier)


def _back(session: Session, shop_id: int, until: datetime) -> dict[int, tuple[Back, Back]]:
    """Members and others who came back, by now (0) and by each of SPANS days ago."""
    bound: dict[str, Any] = {"shop_id": shop_id, "until": until, "repeat": REPEAT.days}
    members, others = (session.execute(asked, bound).one() for asked in (_MEMBERS_BACK, _GUESTS_BACK))
    return {age: (Back(*members[2 * n : 2 * n + 2]), Back(*others[2 * n : 2 * n + 2])) for n, age in enumerate(_AGES)}


def days(session: Session, shop_id: int, first: date, last: date, zone: ZoneInfo) -> list[Day]:
    """Every day from the first to the last, in order, those without anything among them."""
    row = session.get(ShopCount, shop_id)
    counted = row.posting_id if row else 0
    bound = {"shop_id": shop_id, "zone": zone.key, "above": counted, "upto": 2**63 - 1, "first": first, "last": last}
    flows = {row[0]: Day(*row) for row in session.execute(_READ, bound)}
    joined, since = {}, first
    if row and row.counted_at and (kept := _kept(row)):
        joined, since = kept.joined, max(first, row.counted_at.astimezone(zone).date())
    joined = joined | _joined(session, shop_id, since, last, zone)
    every = [first + timedelta(n) for n in range((last - first).days + 1)]
    return [flows.get(day, Day(day))._replace(joined=joined.get(day, 0)) for day in every]


def _joined(session: Session, shop_id: int, first: date, last: date, zone: ZoneInfo) -> dict[date, int]:
    span = {"since": _midnight(first, zone), "until": _midnight(last + timedelta(1), zone)}
    return {row[0]: row[1] for row in session.execute(_JOINED, {"shop_id": shop_id, "zone": zone.key, **span})}


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)
