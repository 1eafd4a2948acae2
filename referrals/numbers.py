"""What referrals bring a shop and cost it, by the day: the numbers that docs/referrals.md defines.

What became of an order counts on the day it was placed, whenever it was paid, rewarded or undone: so the cost of a day
belongs to the customers of that day. Days are those of the program's time zone. Money is minor units of the shop's
currency; rewards in points are told in points.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple, Self
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy.orm import Session

TOP = 10


class Figures(Struct, frozen=True):
    """What came of some days. Of referrals, `conversions` and what follows it count those whose order stands."""

    shares: int = 0
    clicks: int = 0
    visitors: int = 0
    claims: int = 0
    waiting: int = 0
    review: int = 0
    refused: int = 0
    undone: int = 0
    conversions: int = 0
    customers: int = 0
    revenue: int = 0
    discounts: int = 0
    rewards: int = 0
    commission: int = 0
    points: int = 0

    def __add__(self, other: Self) -> Self:
        mine, theirs = asdict(self), asdict(other)
        return type(self)(**{name: mine[name] + theirs[name] for name in mine})

    @property
    def cost(self) -> int:
        """Minor units; points are not in it."""
        return self.discounts + self.rewards + self.commission

    @property
    def cost_per_customer(self) -> int | None:
        """Minor units, half up; None without a customer."""
        return _ratio(self.cost, self.customers, "1") if self.customers else None  # type: ignore[return-value]

    @property
    def conversion_rate(self) -> Decimal | None:
        """Conversions for each visitor, to four decimals; None without a visitor."""
        return _ratio(self.conversions, self.visitors, "1.0000") if self.visitors else None


class Period(NamedTuple):
    """Days of a shop, both of them in it."""

    first: date
    last: date
    zone: ZoneInfo

    @classmethod
    def until(cls, last: date | None, days: int, now: datetime, zone: ZoneInfo) -> Self:
        """So many days up to and with the last, which is today where none is named."""
        last = last or now.astimezone(zone).date()
        return cls(last - timedelta(days - 1), last, zone)

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Self:
        """As many days, just before."""
        return self._replace(first=self.first - timedelta(self.days), last=self.first - timedelta(1))

    @property
    def moments(self) -> tuple[datetime, datetime]:
        """From when to when, the latter no longer in it."""
        edges = (self.first, self.last + timedelta(1))
        begins, ends = (datetime.combine(day, time(), self.zone) for day in edges)
        return begins, ends


class Bucket(NamedTuple):
    """A day, or those of a calendar week or month that are in the period."""

    first: date
    last: date
    figures: Figures


class Referrer(NamedTuple):
    """Somebody who brought friends: one of the ids is None."""

    member_id: int | None
    partner_id: int | None
    conversions: int
    revenue: int
    cost: int


def by_day(session: Session, shop_id: int, asked: Period) -> dict[date, Figures]:
    """The figures of each day on which anything happened."""
    begins, ends = asked.moments
    given = {
        "shop": shop_id, "zone": asked.zone.key, "begins": begins, "ends": ends, "first": asked.first,
        "last": asked.last,
    }  # fmt: skip
    found: dict[date, Figures] = {}
    for query in (_LOOKS, _CLAIMS, _ORDERS, _REPEATED, _REWARDS):
        for row in session.execute(query, given).mappings():
            told = {name: int(value) for name, value in row.items() if name != "day"}
            found[row["day"]] = found.get(row["day"], Figures()) + Figures(**told)
    return found


def total(days: Iterable[Figures]) -> Figures:
    """All of them together."""
    return sum(days, Figures())


def within(found: Mapping[date, Figures], asked: Period) -> Figures:
    """What the days of a period come to."""
    return total(figures for day, figures in found.items() if asked.first <= day <= asked.last)


def buckets(found: Mapping[date, Figures], asked: Period, by: str) -> list[Bucket]:
    """The figures by `day`, `week` (from Monday) or `month`, those without any included, oldest first."""
    begins: dict[date, list[date]] = {}
    for number in range(asked.days):
        day = asked.first + timedelta(number)
        begins.setdefault(_beginning(day, by), []).append(day)
    empty = Figures()
    return [Bucket(days[0], days[-1], total(found.get(day, empty) for day in days)) for days in begins.values()]


def _beginning(day: date, by: str) -> date:
    if by == "month":
        return day.replace(day=1)
    return day - timedelta(day.weekday()) if by == "week" else day


def top(session: Session, shop_id: int, asked: Period, limit: int = TOP) -> list[Referrer]:
    """Who brought most friends whose orders stand, then most revenue."""
    begins, ends = asked.moments
    given = {"shop": shop_id, "begins": begins, "ends": ends, "limit": limit}
    return [Referrer(*row) for row in session.execute(_TOP, given)]


def _ratio(part: int, whole: int, places: str) -> Any:
    exact = (Decimal(part) / whole).quantize(Decimal(places), ROUND_HALF_UP)
    return int(exact) if places == "1" else exact


# A rewarded order that was undone and whose reward the program leaves is worth nothing: it counts, at 0.
_STANDS = "r.state IN ('holding', 'rewarded')"
_ORDERS = sa.text(f"""
    SELECT (r.at AT TIME ZONE :zone)::date AS day,
           count(*) FILTER (WHERE r.state = 'waiting') AS waiting,
           count(*) FILTER (WHERE r.state = 'review') AS review,
           count(*) FILTER (WHERE r.state = 'blocked') AS refused,
           count(*) FILTER (WHERE r.state IN ('void', 'reversed')) AS undone,
           count(*) FILTER (WHERE {_STANDS}) AS conversions,
           count(*) FILTER (WHERE {_STANDS}) AS customers,
           coalesce(sum(r.amount) FILTER (WHERE {_STANDS}), 0) AS revenue,
           coalesce(sum(r.discount) FILTER (WHERE {_STANDS}), 0) AS discounts
    FROM referrals r WHERE r.shop_id = :shop AND r.at >= :begins AND r.at < :ends GROUP BY 1""")
# Each friend is one customer, also where every order with a partner's code counts: then `friend` holds a colon.
_REPEATED = sa.text(f"""
    SELECT (r.at AT TIME ZONE :zone)::date AS day, -count(*) AS customers
    FROM referrals r
    WHERE r.shop_id = :shop AND r.at >= :begins AND r.at < :ends AND {_STANDS} AND strpos(r.friend, ':') > 0
      AND EXISTS (SELECT FROM referrals e
                  WHERE e.shop_id = r.shop_id AND e.friend_member_id = r.friend_member_id
                    AND e.state IN ('holding', 'rewarded') AND (e.at, e.id) < (r.at, r.id))
    GROUP BY 1""")
# What was taken back cost nothing; what was used before it could be did, whatever became of the order.
_REWARDS = sa.text("""
    SELECT (r.at AT TIME ZONE :zone)::date AS day,
           coalesce(sum(w.amount) FILTER (WHERE w.benefit ->> 'kind' <> 'commission'), 0) AS rewards,
           coalesce(sum(w.amount) FILTER (WHERE w.benefit ->> 'kind' = 'commission'), 0) AS commission,
           coalesce(sum(w.points), 0) AS points
    FROM referrals r JOIN referral_rewards w ON w.shop_id = r.shop_id AND w.referral_id = r.id
    WHERE r.shop_id = :shop AND r.at >= :begins AND r.at < :ends AND w.state IN ('given', 'kept') GROUP BY 1""")
_CLAIMS = sa.text("""
    SELECT (c.at AT TIME ZONE :zone)::date AS day, count(*) AS claims
    FROM referral_claims c WHERE c.shop_id = :shop AND c.at >= :begins AND c.at < :ends GROUP BY 1""")
_LOOKS = sa.text("""
    SELECT c.day, sum(c.shares) AS shares, sum(c.clicks) AS clicks, sum(c.visitors) AS visitors
    FROM referral_counts c WHERE c.shop_id = :shop AND c.day BETWEEN :first AND :last GROUP BY 1""")
_TOP = sa.text(f"""
    WITH best AS (
        SELECT r.referrer_member_id AS member_id, r.partner_id, count(*) AS conversions, sum(r.amount) AS revenue,
               sum(r.discount) AS discounts
        FROM referrals r
        WHERE r.shop_id = :shop AND r.at >= :begins AND r.at < :ends AND {_STANDS}
        GROUP BY 1, 2 ORDER BY conversions DESC, revenue DESC, 1, 2 LIMIT :limit)
    SELECT best.member_id, best.partner_id, best.conversions, best.revenue::bigint,
           (best.discounts + coalesce((
               SELECT sum(w.amount) FROM referrals r
               JOIN referral_rewards w ON w.shop_id = r.shop_id AND w.referral_id = r.id
               WHERE r.shop_id = :shop AND r.at >= :begins AND r.at < :ends AND w.state IN ('given', 'kept')
                 AND (r.referrer_member_id = best.member_id OR r.partner_id = best.partner_id)), 0))::bigint
    FROM best ORDER BY best.conversions DESC, best.revenue DESC, 1, 2""")
