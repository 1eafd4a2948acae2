"""Reconcile, the proof: ask the shop which orders changed, compare each with what was settled, bring in what differs.

Two walks go on by themselves. The *recent* one follows the present every few minutes, each time from a little before
where it last came to; the *sweep* goes through the last sixty days once a day, for what was lost in ways nobody thought
of. Each writes down what it found, signed, so that the merchant can read it and nobody can write it up.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, effects
from core.db import Database
from core.effects import NotYet, PermanentFailure, Wanted
from loyalty.models import Order
from loyalty.rules import STATUS_RANK
from shops.admin import AccessDenied, Admin
from shops.buckets import BOOKS, PEOPLE
from shops.models import Shop
from shops.queries import installed_shop_ids
from webhooks import proof, snapshots
from webhooks.models import Reconciliation
from webhooks.payloads import gid_number

RECENT, SWEEP = "recent", "sweep"
EFFECT = "shopify.reconcile"
PAGE = 100
# How far a walk goes back behind where the one before came to: what Shopify's search shows late is not missed.
OVERLAP = timedelta(minutes=15)
# What changed just now is left to its own webhook.
GRACE = timedelta(minutes=2)
# Without a merchant's special consent Shopify shows an app no older orders.
REACH = timedelta(days=60)
SWEEP_EVERY = timedelta(hours=23)
# How long a walk may go on at a time. Where it stops, the next one begins.
SLICE = 240.0  # seconds
_SECOND = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(slots=True)
class Summary:
    """What a walk found of the orders updated from `since` until `until`.

    `settled` were known as the shop tells them, `differences` were missing or older, and `repaired` of those have gone
    into the inbox. `overlapped` of those seen the walk before had seen, too.
    """

    since: datetime
    until: datetime
    seen: int = 0
    settled: int = 0
    differences: int = 0
    repaired: int = 0
    overlapped: int = 0


def reconcile(database: Database, shop_id: int, since: datetime, until: datetime | None = None) -> Summary:
    """Compare the shop's orders updated since a moment with ours, and bring in what differs. Writes its summary down.

    Raises what `shops.admin.Admin` raises.
    """
    summary = Summary(since, until or clock.now())
    _walk(database, shop_id, summary, scope="by_hand")
    return summary


def walk(database: Database, shop_id: int, scope: str) -> None:
    """Carry a walk of the clock's on, from where it last came to. An effect: a repeat compares once more.

    Raises NotYet where more is to be done than a slice holds, PermanentFailure where the shop lets us see no orders.
    """
    with database.transaction(shop_id) as session:
        summary, mark = _next(session, shop_id, scope)
    if summary is None:
        return
    try:
        done = _walk(database, shop_id, summary, scope=scope, mark=mark, end=time.monotonic() + SLICE)
    except AccessDenied:
        raise PermanentFailure("the shop does not let the app read orders") from None
    if not done:
        raise NotYet(clock.now())


def request(database: Database, scope: str) -> None:
    """Have every installed shop's orders compared."""
    for shop_id in installed_shop_ids(database):
        with database.transaction(shop_id) as session:
            effects.request(session, [Wanted(shop_id, EFFECT, scope)])


def _next(session: Session, shop_id: int, scope: str) -> tuple[Summary | None, datetime | None]:
    """Where the next walk goes, None when it has nothing to do; and where the one before came to."""
    now = clock.now()
    last = proof.last(session, shop_id, scope)
    mark = last.until_at if last else None
    if scope == RECENT:
        installed_at = session.scalars(sa.select(Shop.installed_at).where(Shop.id == shop_id)).one()
        summary = Summary((mark or installed_at) - OVERLAP, now - GRACE)
        return (summary if summary.since < summary.until else None), mark
    if last and not last.done:
        return Summary(last.until_at, now - GRACE), mark
    if last and last.finished_at > now - SWEEP_EVERY:
        return None, None
    return Summary(now - REACH, now - GRACE), None


def _walk(
    database: Database,
    shop_id: int,
    summary: Summary,
    *,
    scope: str,
    mark: datetime | None = None,
    end: float = float("inf"),
) -> bool:
    """Compare page by page, and write down what was found. False when `end` came first."""
    began, done = clock.now(), True
    with Admin.of(database, shop_id, spared=PEOPLE if scope == "by_hand" else BOOKS) as admin:
        for page, more in _pages(admin, summary):
            summary.seen += len(page)
            summary.overlapped += sum(mark is not None and snapshots.updated_at(node) <= mark for node in page)
            differing = _differing(database, shop_id, page)
            summary.settled += len(page) - len(differing)
            summary.differences += len(differing)
            summary.repaired += sum(_send_for(database, admin, shop_id, order_id) for order_id in differing)
            if more and time.monotonic() > end:
                done, summary.until = False, snapshots.updated_at(page[-1])
                break
    with database.transaction(shop_id) as session:
        proof.write(session, shop_id, scope, summary, began, done=done)
    return done


def _pages(admin: Admin, summary: Summary) -> Iterator[tuple[list[dict[str, Any]], bool]]:
    """The orders of the window, least recently updated first, and whether more follow."""
    query = f"updated_at:>='{summary.since:{_SECOND}}' AND updated_at:<='{summary.until:{_SECOND}}'"
    after = None
    while True:
        orders = admin.call("orders_page", first=PAGE, after=after, query=query)["orders"]
        more = orders["pageInfo"]["hasNextPage"] and orders["nodes"]
        yield orders["nodes"], bool(more)
        after = orders["pageInfo"]["endCursor"]
        if not more:
            return


def _differing(database: Database, shop_id: int, page: Sequence[dict[str, Any]]) -> list[int]:
    """The orders of a page that we lack, or know in a state that came before."""
    named = {gid_number(node["id"]): _progress(node) for node in page}
    state = Order.state
    columns = (state["updated_at"].astext, state["cancelled_at"].astext, state["status"].astext)
    with database.transaction(shop_id) as session:
        rows = session.execute(
            sa.select(Order.order_id, *columns).where(
                Order.shop_id == shop_id, Order.order_id.in_(named), state.is_not(None)
            )
        )
        known = {row[0]: _known(*row[1:]) for row in rows}
    return [order_id for order_id, told in named.items() if order_id not in known or known[order_id] < told]


def _progress(node: dict[str, Any]) -> tuple[datetime, bool, int]:
    """Which of two states is the later: as `loyalty.rules.newer` has it, as far as a page tells."""
    status = (node["displayFinancialStatus"] or "").lower()
    return snapshots.updated_at(node), node["cancelledAt"] is not None, STATUS_RANK.get(status, -1)


def _known(updated_at: str, cancelled_at: str | None, status: str) -> tuple[datetime, bool, int]:
    return datetime.fromisoformat(updated_at), cancelled_at is not None, STATUS_RANK.get(status, -1)


def _send_for(database: Database, admin: Admin, shop_id: int, order_id: int) -> int:
    """Put the order as the shop has it now into the inbox. 0 when it is there already, or the shop has it no more."""
    order = snapshots.whole(admin, order_id)
    if order is None:
        return 0
    # Named by the state it brings: reconciling again before it is worked off stores nothing new.
    name = f"reconcile:{order_id}:{order['updatedAt']}"
    with database.transaction(shop_id) as session:
        return snapshots.store(session, shop_id, [(name, snapshots.ORDER, snapshots.as_webhook(order))])


def forget_old(session: Session) -> None:
    """Delete what walks of more than a year ago found, in the opened shops."""
    session.execute(sa.delete(Reconciliation).where(Reconciliation.finished_at < clock.now() - timedelta(days=366)))
