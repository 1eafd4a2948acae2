"""What expires when, read for the job, for pages and for the API."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.db import rows_by
from loyalty.activities.models import Round
from loyalty.expiry.rules import AHEAD, NEAR, Due, Expired, Lot, Policy, TakenBack, dues, horizon, policy_in_force
from loyalty.models import Member, ProgramVersion
from loyalty.programs import Programs

Key = tuple[int, int]
EVER = datetime(9999, 1, 1, tzinfo=UTC)
# How many earnings are read of each member at first, and of those whom they don't cover, at a time.
READ = (64, 256, 1024, 4096, 16384, None)
# The kind of the round that a version's coming into force makes, before its number.
ROUND = "expiry:"


class Holder(NamedTuple):
    """A member (shop, id) as far as expiry cares."""

    key: Key
    available: int
    active_at: datetime


def policy(programs: Programs, shop_id: int, now: datetime) -> Policy | None:
    """The expiry in force in a shop at a moment. None: points never expire."""
    published = [(version.effective_from, version.program.expiry) for version in programs.of(shop_id)]
    return policy_in_force(published, now)


def expiring(session: Session, members: Iterable[Member], programs: Programs, now: datetime) -> dict[Key, list[Due]]:
    """What expires when, soonest first, of each of these members by (shop, id)."""
    found = {}
    by_lot = []
    for member in members:
        holder = Holder((member.shop_id, member.id), member.available, member.last_active_at or member.joined_at)
        in_force = policy(programs, member.shop_id, now)
        if _by_lot(in_force, holder):
            by_lot.append((holder, in_force))
        else:
            found[holder.key] = dues(in_force, holder.available, holder.active_at)
    lots = newest_lots(session, {holder.key: (EVER, holder.available) for holder, _ in by_lot})
    return found | {h.key: dues(in_force, h.available, h.active_at, lots[h.key]) for h, in_force in by_lot}


class Ahead(NamedTuple):
    """What of a member's points expires before long, soonest first; and when to look for what expires later."""

    near: list[Due]
    look_at: datetime | None = None


def near(
    session: Session, holders: Iterable[Holder], policies: Mapping[int, Policy | None], now: datetime
) -> dict[Key, Ahead]:
    """What expires within `rules.NEAR` of now, under these policies by shop.

    What was earned too lately for that is only added up, so that many points that nobody spent cost little.
    """
    found, by_lot = {}, {}
    for holder in holders:
        in_force = policies[holder.key[0]]
        if in_force is None or not _by_lot(in_force, holder):
            found[holder.key] = Ahead(dues(in_force, holder.available, holder.active_at))
        elif in_force.floor > now + NEAR:
            found[holder.key] = Ahead([], in_force.floor - AHEAD[0])
        else:
            by_lot[holder] = in_force
    return found | _near_by_lot(session, by_lot, now)


def _near_by_lot(session: Session, holders: Mapping[Holder, Policy], now: datetime) -> dict[Key, Ahead]:
    horizons = {holder: horizon(in_force.expiry, now) for holder, in_force in holders.items()}
    later = _later(session, [(*holder.key, after) for holder, after in horizons.items()])
    left = {holder: holder.available - later[holder.key].points for holder in holders}
    lots = newest_lots(session, {h.key: (horizons[h], points) for h, points in left.items() if points > 0})
    return {
        holder.key: Ahead(
            dues(in_force, left[holder], holder.active_at, lots.get(holder.key, ())),
            in_force.ends(first) - AHEAD[0] if (first := later[holder.key].first) else None,
        )
        for holder, in_force in holders.items()
    }


def _by_lot(in_force: Policy | None, holder: Holder) -> bool:
    return in_force is not None and in_force.expiry.kind == "lot" and holder.available > 0


# What an order has earned and kept counts as of its date; everything else that came from outside counts as of its own.
_BY_ORDERS = """SELECT o.processed_at AS at, o.posted_available AS points FROM orders o
            WHERE o.shop_id = k.shop_id AND o.member_id = k.member_id AND o.posted_available > 0"""
_OTHERWISE = """SELECT p.occurred_at AS at, p.points FROM postings p
            WHERE p.shop_id = k.shop_id AND p.member_id = k.member_id AND p.order_id IS NULL
                AND p.target = 'available' AND p.source IN ('issued', 'adjusted')"""
_LOTS = f"""
    SELECT k.shop_id, k.member_id, c.at, c.points
    FROM {{keys}} AS k(shop_id, member_id, until) CROSS JOIN LATERAL (
        ({_BY_ORDERS} AND o.processed_at <= k.until ORDER BY o.processed_at DESC LIMIT %s)
        UNION ALL
        ({_OTHERWISE} AND p.occurred_at <= k.until ORDER BY p.occurred_at DESC LIMIT %s)
        ORDER BY at DESC LIMIT %s
    ) c ORDER BY k.shop_id, k.member_id, c.at DESC"""
_LATER = f"""
    SELECT k.shop_id, k.member_id, c.points, c.first
    FROM {{keys}} AS k(shop_id, member_id, after) CROSS JOIN LATERAL (
        SELECT coalesce(sum(e.points), 0)::bigint AS points, min(e.at) AS first FROM (
            {_BY_ORDERS} AND o.processed_at > k.after
            UNION ALL
            {_OTHERWISE} AND p.occurred_at > k.after
        ) e
    ) c"""
_MEMBER_AND_MOMENT = ("bigint", "bigint", "timestamptz")


class Later(NamedTuple):
    """What was earned after a moment: how much, and when first."""

    points: int
    first: datetime | None


def _later(session: Session, asked: Sequence[tuple[int, int, datetime]]) -> dict[Key, Later]:
    rows = rows_by(session, _LATER, _MEMBER_AND_MOMENT, asked)
    return {(row[0], row[1]): Later(row[2], row[3]) for row in rows}


def newest_lots(session: Session, wanted: Mapping[Key, tuple[datetime, int]]) -> dict[Key, list[Lot]]:
    """Each member's earnings up to a moment, newest first, until they add up to so many points.

    A long history is not read: only as far back as there are points left, in ever larger reads.
    """
    found: dict[Key, list[Lot]] = {}
    missing = sorted(wanted)
    for limit in READ:
        if not missing:
            break
        found |= _read_lots(session, [(*key, wanted[key][0]) for key in missing], limit)
        missing = [key for key in missing if len(found[key]) == limit and _short(found[key], wanted[key][1])]
    return found


def _read_lots(session: Session, asked: Sequence[tuple[int, int, datetime]], limit: int | None) -> dict[Key, list[Lot]]:
    found: dict[Key, list[Lot]] = {(shop_id, member_id): [] for shop_id, member_id, _ in asked}
    for shop_id, member_id, at, points in rows_by(session, _LOTS, _MEMBER_AND_MOMENT, asked, limit, limit, limit):
        found[shop_id, member_id].append(Lot(at, points))
    return found


def _short(lots: Iterable[Lot], available: int) -> bool:
    return sum(lot.points for lot in lots) < available


class Past(NamedTuple):
    """What expired of a member so far and what their orders lost, in order; how much was given back; how often."""

    steps: list[Expired | TakenBack]
    given_back: int
    postings: int


# What one settlement of an order took out of the available points, less what it forgave, is one step. The condition on
# the kinds is the index's own. An order that was heard of late may show that an expiry by inactivity was an error.
_PAST = """
    SELECT k.shop_id, k.member_id, bool_and(p.kind = 'expiry') AS expiry, max(p.source) AS source,
        min(coalesce((p.explanation ->> 'until')::timestamptz, o.processed_at, p.occurred_at)) AS at,
        sum(CASE p.source WHEN 'available' THEN p.points ELSE -p.points END)::bigint AS points,
        bool_or(p.kind = 'expiry' AND p.explanation ->> 'kind' = 'inactivity' AND EXISTS (
            SELECT FROM orders a WHERE a.shop_id = p.shop_id AND a.member_id = p.member_id AND a.tier_key IS NOT NULL
                AND a.processed_at > (p.explanation ->> 'until')::timestamptz AND a.processed_at <= p.occurred_at
        )) AS in_error
    FROM {keys} AS k(shop_id, member_id)
    JOIN postings p ON p.shop_id = k.shop_id AND p.member_id = k.member_id
    LEFT JOIN orders o ON o.shop_id = p.shop_id AND o.order_id = p.order_id
    WHERE (p.kind = 'expiry' OR (p.order_id IS NOT NULL AND p.kind IN ('reversal', 'adjustment')))
        AND (p.source = 'available' OR p.target = 'available')
    GROUP BY k.shop_id, k.member_id, p.order_id, p.recorded_at, CASE p.kind WHEN 'expiry' THEN p.id END
    ORDER BY k.shop_id, k.member_id, min(p.id)"""


def pasts(session: Session, keys: Sequence[Key]) -> dict[Key, Past]:
    """The past of these members as far as it says which expired points should come back."""
    found = {key: Past([], 0, 0) for key in keys}
    for row in rows_by(session, _PAST, ("bigint", "bigint"), sorted(keys)):
        found[row.shop_id, row.member_id] = _with(found[row.shop_id, row.member_id], row)
    return found


def _with(past: Past, row: Any) -> Past:
    if not row.expiry:
        past.steps.append(TakenBack(row.at, row.points))
        return past
    if row.source == "expired":
        return past._replace(given_back=past.given_back - row.points, postings=past.postings + 1)
    past.steps.append(Expired(row.at, row.points, row.in_error))
    return past._replace(postings=past.postings + 1)


class Told(NamedTuple):
    """When a member joined, and when the last reminder that was given had fallen due."""

    joined_at: datetime
    until: datetime | None


def told_so_far(session: Session, keys: Sequence[Key]) -> dict[Key, Told]:
    """What these members have been reminded of."""
    rows = rows_by(
        session,
        "SELECT m.shop_id, m.id, m.joined_at, m.expiry_reminded_of, m.expiry_reminded_days "
        "FROM {keys} AS k(shop_id, id) JOIN members m ON m.shop_id = k.shop_id AND m.id = k.id",
        ("bigint", "bigint"),
        sorted(keys),
    )
    return {(row[0], row[1]): Told(row[2], row[3] and row[3] - timedelta(days=row[4])) for row in rows}


def due(session: Session, now: datetime, limit: int) -> list[Key]:
    """Members of the opened shops whose points may expire or need a reminder by now, longest due first."""
    looks = sa.select(Member.shop_id, Member.id).where(Member.expiry_look_at <= now)
    return [(row.shop_id, row.id) for row in session.execute(looks.order_by(Member.expiry_look_at).limit(limit))]


def begun(session: Session, now: datetime) -> dict[int, list[int]]:
    """By shop, the versions that are in force and that `operations.begin` has not seen yet."""
    seen = sa.select(Round.shop_id).where(
        Round.shop_id == ProgramVersion.shop_id, Round.kind == sa.func.concat(ROUND, ProgramVersion.version)
    )
    new = sa.select(ProgramVersion.shop_id, ProgramVersion.version).where(
        ProgramVersion.effective_from <= now, ~seen.exists()
    )
    found: dict[int, list[int]] = {}
    for shop_id, number in session.execute(new.order_by(ProgramVersion.shop_id, ProgramVersion.version)):
        found.setdefault(shop_id, []).append(number)
    return found
