"""What a long history costs a member: pages of it, and points that expire, with 10,000 postings and with 10."""

import itertools
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from bench.measure import Effort, Goal, Result, alternate, medians, ratios
from bench.world import Shop, World
from core import clock
from loyalty import programs, queries
from loyalty.expiry import upkeep
from loyalty.models import Member
from loyalty.program import Expiry, demo_program

LIMIT = 1.5
PAGE = Goal("a page of a member's postings: 10,000 of them ÷ 10", LIMIT, False)
BY_LOT = Goal("a lot expires: 10,000 postings, most of them spent ÷ 10", LIMIT, False)
# Six lots a day that nobody spends: the month of them that needs reminders is read, and that may cost something.
UNSPENT = Goal("a lot expires: 10,000 postings, six a day, nothing ever spent ÷ 10", 5, False)
BY_INACTIVITY = Goal("a member's points expire by inactivity: 10,000 postings ÷ 10", LIMIT, False)
FEW, MANY = 10, 10_000
MEMBERS = 20
LIFE = timedelta(days=365)
EVERY = timedelta(hours=4)  # six postings a day, for years
UNSPENT_LOTS = LIFE // EVERY
LOT = Expiry(kind="lot", days=365)
IDLE = Expiry(days=365)
START = datetime.fromisoformat("2020-01-01T00:00:00+00:00")


def measure(world: World, effort: Effort) -> list[Result]:
    return [
        page(world, effort),
        expiring(world, effort, IDLE, BY_INACTIVITY),
        expiring(world, effort, LOT, BY_LOT),
        expiring(world, effort, LOT, UNSPENT, left=UNSPENT_LOTS),
    ]


def page(world: World, effort: Effort) -> Result:
    with world.shop("pages") as shop:
        few, many = (fill(shop, postings, FEW) for postings in (FEW, MANY))
        measured = alternate(effort.rounds, few=partial(pages, shop, few), many=partial(pages, shop, many))
    return Result(PAGE, ratios(measured["many"], measured["few"]), medians(measured))


def pages(shop: Shop, members: Sequence[int]) -> float:
    """Milliseconds for ten postings from the newest on, and from the middle of the history on."""
    began = time.perf_counter()
    with shop.database.transaction(shop.id) as session:
        for member in members:
            newest = queries.postings(session, shop.id, member, limit=FEW)
            queries.postings(session, shop.id, member, before=newest[FEW // 2].id, limit=FEW)
    return 1000 * (time.perf_counter() - began) / len(members) / 2


def expiring(world: World, effort: Effort, expiry: Expiry, goal: Goal, *, left: int = FEW) -> Result:
    """Both kinds of members are in one shop, and take turns in coming due. Many postings leave so many points."""
    with world.shop("expiry") as shop:
        publish(shop, expiry)
        few, many = Due(shop, FEW, FEW), Due(shop, MANY, left)
        measured = alternate(effort.rounds, few=few.expire, many=many.expire)
    return Result(goal, ratios(measured["many"], measured["few"]), medians(measured))


def publish(shop: Shop, expiry: Expiry) -> None:
    with shop.database.transaction(shop.id) as session:
        program = demo_program().model_copy(update={"expiry": expiry})
        programs.publish(session, shop.id, program, effective_from=START - timedelta(days=365), actor="bench")
    upkeep.expire(shop.database)


class Due:
    """Members with a history and some points left; each turn, another of their lots expires, or all they have."""

    def __init__(self, shop: Shop, postings: int, left: int) -> None:
        self.shop, self.left, self.turns = shop, left, itertools.count()
        self.members = fill(shop, postings, left)
        self.mine = sa.update(Member).where(Member.shop_id == shop.id, Member.id.in_(self.members))

    def expire(self) -> float:
        """Milliseconds for each member."""
        turn = next(self.turns)
        moment = START + LIFE + (MANY - self.left + 1 + turn) * EVERY
        active = moment - LIFE
        self._set(expiry_look_at=moment, last_active_at=active, available=self.left - turn)
        began = time.perf_counter()
        with clock.fixed_at(moment):
            looked = upkeep.expire(self.shop.database)
        took = time.perf_counter() - began
        if looked != len(self.members):
            raise SystemExit(f"{looked} members were looked at instead of {len(self.members)}")
        self._set(expiry_look_at=None)
        return 1000 * took / looked

    def _set(self, **values: Any) -> None:
        with self.shop.database.transaction(self.shop.id) as session:
            session.execute(self.mine.values(values))


def fill(shop: Shop, postings: int, left: int) -> list[int]:
    """Members who earned a point at a time, so many in all, and lost all but the last ones that are left."""
    values = {"shop": shop.id, "start": START, "members": MEMBERS, "postings": postings, "many": MANY, "left": left}
    with shop.database.transaction(shop.id) as session:
        members = list(session.scalars(sa.text(_MEMBERS), values))
        for sql in (_EARNED, _SPENT):
            session.execute(sa.text(sql), values | {"ids": members})
    with shop.owner() as connection:
        connection.execute("VACUUM (ANALYZE) members, postings")
    return members


_MEMBERS = """
    INSERT INTO members (shop_id, joined_at, available, lifetime, tier_key, tier_since, last_active_at)
    SELECT :shop, :start, :left, :postings, 'insider', :start, :start
    FROM generate_series(1, :members) RETURNING id"""
_POSTING = """
    INSERT INTO postings (shop_id, member_id, kind, source, target, points, key, rule, explanation, actor,
        occurred_at, recorded_at, available_after, pending_after)"""
_EARNED = f"""{_POSTING}
    SELECT :shop, m, 'bonus', 'issued', 'available', 1, 'bench:' || m || ':' || n, 'bench', '{{}}', 'bench',
        :start + (:many - :postings + n) * interval '4 hours', :start, n, 0
    FROM generate_series(1, :postings) n, unnest(CAST(:ids AS bigint[])) m ORDER BY n"""
_SPENT = f"""{_POSTING}
    SELECT :shop, m, 'redeem', 'available', 'redeemed', CAST(:postings AS bigint) - :left, 'bench:' || m, 'redeem',
        '{{}}', 'bench', :start + :many * interval '4 hours', :start, :left, 0
    FROM unnest(CAST(:ids AS bigint[])) m WHERE :postings > CAST(:left AS bigint)"""
