"""Changes that concern every card of a shop: a new design, a program that comes into force, another name, its leaving.

Nobody tells us of most of them, and some come by the clock: so a job compares what a shop's cards are made of (its
marks) with what they were made of at the last rollout. A rollout asks for the cards to be looked at, so many at a
time, behind whatever members wait for; a card that shows the same as before sends nothing. The row in `wallet_rollouts`
says how far it has come, so that it goes on where it stopped.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import batches, clock, effects
from core.config import settings
from core.db import Database
from core.effects import Wanted
from shops.queries import all_shop_ids
from wallet_passes.designs.models import WalletRollout
from wallet_passes.models import Pass
from wallet_passes.operations import TELLING

# Seconds between two looks of the job.
EVERY = 2

Marks = Mapping[str, Any]

# A day is a mark as well: spend that no longer counts and rewards that begin or end change cards without an event.
_MARKS = sa.text("""
    SELECT s.id AS shop_id, r.marks AS before, r.finished_at IS NULL AND r.marks IS NOT NULL AS open,
        jsonb_build_object('program', p.version, 'design', d.version, 'shop', md5(concat_ws(E'\\x1f', s.name,
            s.currency, s.timezone, coalesce(s.public_url, ''), s.settings->>'wallet_colour',
            s.uninstalled_at IS NULL)), 'day', CAST(:now AS date)) AS now
    FROM shops s
    LEFT JOIN LATERAL (SELECT version FROM program_versions WHERE shop_id = s.id AND effective_from <= :now
        ORDER BY effective_from DESC, version DESC LIMIT 1) p ON true
    LEFT JOIN LATERAL (SELECT max(version) AS version FROM wallet_designs WHERE shop_id = s.id) d ON true
    LEFT JOIN LATERAL (SELECT marks, finished_at FROM wallet_rollouts WHERE shop_id = s.id
        ORDER BY id DESC LIMIT 1) r ON true
    WHERE s.id = ANY(:shops) AND EXISTS (SELECT FROM passes WHERE shop_id = s.id)""")


def begin(session: Session, shop_id: int, cause: str) -> None:
    """Have all cards of a shop looked at again, because of a `cause` (`design:3`). What was under way starts anew."""
    row = _read(session, [shop_id], clock.now()).get(shop_id)
    if row is not None:
        _begin(session, shop_id, cause, row.now)


def _begin(session: Session, shop_id: int, cause: str, marks: Marks) -> None:
    total = session.scalar(sa.select(sa.func.count()).where(Pass.shop_id == shop_id))
    anew = {"cause": cause, "marks": marks, "total": total, "done": 0, "cursor": 0, "started_at": clock.now()}
    statement = insert(WalletRollout).values(shop_id=shop_id, **anew)
    under_way = sa.text("finished_at IS NULL")
    session.execute(statement.on_conflict_do_update(index_elements=["shop_id"], index_where=under_way, set_=anew))


def _read(session: Session, shop_ids: Sequence[int], now: datetime) -> dict[int, Any]:
    """By shop with cards: its marks `now` and `before`, and whether a rollout is `open`."""
    rows = session.execute(_MARKS, {"shops": list(shop_ids), "now": now})
    return {row.shop_id: row for row in rows}


def work(database: Database) -> None:
    """Begin what has become due, and bring every rollout under way one step further."""
    shops = all_shop_ids(database)
    _begin_due(database, shops)
    with database.transaction(*shops) as session:
        under_way = session.scalars(sa.select(WalletRollout.shop_id).where(WalletRollout.finished_at.is_(None))).all()

    def step(some: Sequence[int]) -> None:
        for shop_id in some:
            with database.transaction(shop_id) as session:
                advance(session, shop_id)

    batches.apart(under_way, step, what="cards not looked at")


def _begin_due(database: Database, shops: Sequence[int]) -> None:
    with database.transaction(*shops) as session:
        for shop_id, row in _read(session, shops, clock.now()).items():
            cause = _cause(row.before or {}, row.now)
            # A new day alone is no reason to start anew what is under way.
            if cause and not (row.open and cause == "day"):
                _begin(session, shop_id, cause, row.now)


def _cause(before: Marks, now: Marks) -> str | None:
    """What has changed, the most telling first."""
    changed = [mark for mark in ("design", "program", "shop", "day") if before.get(mark) != now[mark]]
    if not changed:
        return None
    return f"{changed[0]}:{now[changed[0]]}" if changed[0] in ("design", "program") else changed[0]


def advance(session: Session, shop_id: int) -> WalletRollout | None:
    """Ask for the next cards of a shop to be looked at; None when there is nothing to do, or another is at it."""
    this = sa.select(WalletRollout).where(WalletRollout.shop_id == shop_id, WalletRollout.finished_at.is_(None))
    row = session.scalar(this.with_for_update(skip_locked=True).execution_options(populate_existing=True))
    if row is None:
        return None
    size = settings().wallet_rollout_rate * EVERY
    following = sa.select(Pass.member_id).where(Pass.shop_id == shop_id, Pass.member_id > row.cursor)
    members = session.scalars(following.order_by(Pass.member_id).limit(size)).all()
    wanted = [Wanted(shop_id, kind, str(member)) for member in members for kind in TELLING if effects.wired(kind)]
    effects.request(session, wanted, patient=True)
    row.done, row.cursor = row.done + len(members), max([row.cursor, *members])
    if len(members) < size:
        row.finished_at = clock.now()
    return row
