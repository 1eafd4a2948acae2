"""All members of a range measured against a ladder at once, in SQL: what `tiers.rules` says of one, said of many.

A test holds the two equal. Thresholds are looked up by `width_bucket`, which tells how many of a sorted list a value
reaches; years are walked by a recursive query, a year a step, whose beginnings come from the rules' own calendar.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from tiers.rules import ENDLESS, INSTANT, Ladder, Standing, Years
from tiers.spend import COLUMNS

_MEMBERS = """
    SELECT id, tier_key, {month} AS month, {day} AS day FROM members
    WHERE shop_id = :shop AND merged_into IS NULL AND erased_at IS NULL AND id > :after
    ORDER BY id LIMIT :size {lock}"""

_IN_WINDOW = """
    , counted AS (
        SELECT f.member_id AS id, sum(f.{column}) FILTER (WHERE f.at < :moment) AS value,
            min(f.at) FILTER (WHERE f.at < :moment) AS oldest, min(f.at) FILTER (WHERE f.at >= :moment) AS ahead
        FROM spend_facts f WHERE f.shop_id = :shop AND f.at >= :since
            AND f.member_id BETWEEN (SELECT min(id) FROM m) AND (SELECT max(id) FROM m)
        GROUP BY f.member_id
    ), stood AS (
        SELECT m.id, m.tier_key, coalesce(c.value, 0) AS value, 0 AS carried, CAST(:since AS timestamptz) AS began,
            c.oldest + CAST(:window AS interval) + {instant} AS falls, c.ahead + {instant} AS ahead
        FROM m LEFT JOIN counted c USING (id)
    )"""

_BY_YEARS = """
    , y AS (
        SELECT * FROM unnest(CAST(:months AS int[]), CAST(:days AS int[]), CAST(:numbers AS int[]),
            CAST(:began AS timestamptz[]), CAST(:ended AS timestamptz[]), CAST(:decided AS timestamptz[]))
            AS y(month, day, n, began, ended, decided)
    ), sums AS (
        SELECT m.id, y.n, coalesce(sum(f.{column}) FILTER (WHERE f.at < y.ended), 0) AS in_year,
            sum(f.{column}) AS by_decision
        FROM m JOIN y USING (month, day) JOIN spend_facts f ON f.shop_id = :shop AND f.member_id = m.id
            AND f.at >= y.began AND f.at < greatest(y.ended, y.decided) AND f.at < :moment
        GROUP BY m.id, y.n
    ), spans AS (
        SELECT m.id, m.month, m.day, t.n AS this, t.began,
            coalesce((SELECT min(s.n) FROM sums s WHERE s.id = m.id), t.n) AS first
        FROM m JOIN y t USING (month, day) WHERE t.began <= :moment AND :moment < t.ended
    ), walk AS (
        SELECT id, first AS n, 0 AS carried FROM spans
        UNION ALL
        SELECT w.id, w.n + 1, CASE WHEN y.decided > :moment THEN h.held ELSE greatest(
                least(h.held, width_bucket(coalesce(s.by_decision, 0)::numeric, CAST(:keeps AS numeric[])) - 1),
                CASE WHEN :one_step THEN h.held - 1 END, 0) END
        FROM walk w JOIN spans p USING (id) JOIN y ON (y.month, y.day, y.n) = (p.month, p.day, w.n)
            LEFT JOIN sums s ON (s.id, s.n) = (w.id, w.n) CROSS JOIN LATERAL (
                SELECT greatest(w.carried,
                    width_bucket(coalesce(s.in_year, 0)::numeric, CAST(:thresholds AS numeric[])) - 1) AS held) h
        WHERE w.n < p.this
    ), stood AS (
        SELECT m.id, m.tier_key, coalesce(s.in_year, 0) AS value, w.carried, p.began,
            (SELECT min(y.decided) FROM y WHERE y.month = m.month AND y.day = m.day AND y.decided >= :moment) AS falls,
            (SELECT min(f.at) + {instant} FROM spend_facts f
                WHERE f.shop_id = :shop AND f.member_id = m.id AND f.at >= :moment) AS ahead
        FROM m JOIN spans p USING (id) JOIN walk w ON w.id = m.id AND w.n = p.this
            LEFT JOIN sums s ON s.id = m.id AND s.n = p.this
    )"""

_MEASURED = """
    , given AS (
        SELECT DISTINCT ON (o.member_id) o.member_id AS id, o.tier_key, o.until FROM tier_overrides o
        WHERE o.shop_id = :shop AND o.member_id IN (SELECT id FROM m) AND o.since < :moment
            AND (o.until IS NULL OR o.until >= :moment) AND o.tier_key = ANY(CAST(:keys AS text[]))
        ORDER BY o.member_id, o.id DESC
    ), placed AS (
        SELECT s.*, g.tier_key AS by_hand, g.until + {instant} AS until,
            greatest(s.carried, width_bucket(s.value::numeric, CAST(:thresholds AS numeric[])) - 1, 0) AS place
        FROM stood s LEFT JOIN given g USING (id)
    ), measured AS (
        SELECT id, tier_key AS before, coalesce(by_hand, (CAST(:keys AS text[]))[place + 1]) AS after, value,
            by_hand IS NOT NULL AS by_hand, began,
            CASE WHEN by_hand IS NOT NULL THEN until ELSE
                least(CASE WHEN place > 0 AND :falls THEN falls END, ahead) END AS look
        FROM placed
    )"""

# A look that comes early only finds that nothing has changed yet.
_STAY = """
    , stayed AS (
        UPDATE members t SET tier_review_at = d.look FROM measured d WHERE t.shop_id = :shop AND t.id = d.id
            AND d.before = d.after AND t.tier_review_at IS DISTINCT FROM d.look
    )"""


class Moved(NamedTuple):
    """A member whom the ladder puts elsewhere, where they stand there, and when to look at them again."""

    member_id: int
    before: str
    standing: Standing
    look_at: datetime | None


class Range(NamedTuple):
    """What became of one range: its last member, how many it held, and those who move."""

    last: int
    members: int
    moved: list[Moved]


class Counted(NamedTuple):
    """Members of a range by the tier they have and the one the ladder gives them, with the ids of the first few."""

    before: str
    after: str
    members: int
    sample: list[int]
    last: int


def move_range(session: Session, shop_id: int, ladder: Ladder, now: datetime, after: int, size: int) -> Range | None:
    """Lock the next members with ids above `after`, note when those who stay are to be looked at, tell who moves.

    None when there are no more members.
    """
    sql = (
        _query(ladder, "FOR UPDATE")
        + _STAY
        + (
            " SELECT (SELECT max(id) FROM m), (SELECT count(*) FROM m), d.id, d.before, d.after, d.value, d.by_hand, "
            "d.began, d.look FROM (SELECT) one LEFT JOIN measured d ON d.before <> d.after ORDER BY d.id"
        )
    )
    rows = session.execute(sa.text(sql), _parameters(session, shop_id, ladder, now, after, size)).all()
    last, members = rows[0][:2]
    return Range(last, members, [_moved(ladder, *row[2:]) for row in rows if row[2]]) if members else None


def _moved(
    ladder: Ladder, member: int, before: str, after: str, value: Any, by_hand: bool, began: datetime, look: Any
) -> Moved:
    return Moved(member, before, Standing(ladder.rung(after), int(value), by_hand, began), look)


def count_moves(session: Session, shop_id: int, ladder: Ladder, now: datetime, size: int) -> Iterator[Counted]:
    """How many members have which tier and would have which, range by range."""
    sql = _query(ladder, "") + (
        " SELECT before, after, count(*), (array_agg(id ORDER BY id))[1:5], (SELECT max(id) FROM m) FROM measured "
        "GROUP BY before, after"
    )
    after: int | None = 0
    while after is not None:
        rows = session.execute(sa.text(sql), _parameters(session, shop_id, ladder, now, after, size)).all()
        yield from (Counted(*row) for row in rows)
        after = rows[0][4] if rows else None


def _query(ladder: Ladder, lock: str) -> str:
    month, day = "1", "1"
    if ladder.measure.period == "membership_year":
        month, day = (f"extract({part} FROM joined_at AT TIME ZONE :zone)::int" for part in ("month", "day"))
    members = _MEMBERS.format(month=month, day=day, lock=lock)
    stood = _BY_YEARS if ladder.measure.by_years else _IN_WINDOW
    rest = (stood + _MEASURED).format(column=COLUMNS[ladder.measure.metric], instant="interval '1 microsecond'")
    return f"WITH RECURSIVE m AS MATERIALIZED ({members}){rest}"


def _parameters(session: Session, shop_id: int, ladder: Ladder, now: datetime, after: int, size: int) -> dict[str, Any]:
    moment = now + INSTANT
    given = {
        "shop": shop_id,
        "after": after,
        "size": size,
        "moment": moment,
        "keys": [rung.key for rung in ladder.rungs],
        "thresholds": [rung.threshold for rung in ladder.rungs],
    }
    if ladder.measure.by_years:
        first = session.scalar(_FIRST, {"shop": shop_id, "after": after, "size": size})
        keeps = [rung.to_keep for rung in ladder.rungs]
        return given | _calendar(ladder, first or now, now) | {
            "keeps": keeps, "one_step": ladder.one_step, "falls": True, "zone": ladder.measure.zone
        }  # fmt: skip
    # Subtracting an endless window from a date is fine, adding it is not.
    ends = ladder.window < ENDLESS
    window = ladder.window if ends else INSTANT
    return given | {"since": moment - ladder.window, "window": window, "falls": ends}


_FIRST = sa.text("""
    SELECT min(f.at) FROM spend_facts f WHERE f.shop_id = :shop AND f.member_id > :after AND f.member_id <= (
        SELECT max(id) FROM (SELECT id FROM members WHERE shop_id = :shop AND merged_into IS NULL
            AND erased_at IS NULL AND id > :after ORDER BY id LIMIT :size) m)""")


def _calendar(ladder: Ladder, first: datetime, now: datetime) -> dict[str, list[Any]]:
    """Every year from the first moment's to the one after now, for each day on which members' years may begin."""
    zone, grace = ladder.measure.zone, ladder.measure.grace
    days = [(1, 1)] if ladder.measure.period == "calendar_year" else _DAYS
    rows = []
    for month, day in days:
        years = Years(zone, month, day)
        for n in range(min(first, now).year - 1, now.year + 2):
            began, ended = years.start(n), years.start(n + 1)
            rows.append((month, day, n, began, ended, ended + grace))
    names = ("months", "days", "numbers", "began", "ended", "decided")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


# Every day of a leap year.
_DAYS = [
    (month, day)
    for month, length in enumerate((31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), 1)
    for day in range(1, length + 1)
]
