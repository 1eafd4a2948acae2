"""Backfill: a shop's customers and past orders, brought in when it installs the app.

Shopify writes all of them to a file in a bulk operation; the file is read as a stream, and what it holds goes through
the same inbox as every delivery. How far that has come is written down with each batch, so a worker that dies loses
nothing and nothing is held in memory. It goes only as fast as the inbox is worked off, so that what happens now is not
kept waiting by what happened long ago.
Source: https://shopify.dev/docs/api/usage/bulk-operations/queries
"""

import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import httpx
import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, effects, logs
from core.db import Database
from core.effects import NotYet, Wanted
from core.errors import Conflict, RapportError, Unavailable, one_line
from core.events import Happened, record
from loyalty import programs
from loyalty.models import Order
from shops import files
from shops.admin import AccessDenied, Admin, AdminRefused, Throttled, document
from shops.buckets import BOOKS
from shops.pauses import ShopPaused
from webhooks import snapshots
from webhooks.models import Backfill, Delivery
from webhooks.payloads import gid_number
from webhooks.upkeep import settle_all_again

EFFECT = "shopify.backfill"
AWARD = "shopify.award"
BATCH = 200
# Deliveries of a shop that may wait in the inbox before more of its past is brought in.
AHEAD = 2000
SLICE = 60.0  # seconds; other shops' pasts want their turn
POLL = timedelta(seconds=3)
REST = timedelta(minutes=1)  # when Shopify does not answer
# A file that breaks off is asked for anew so many times before the merchant is told.
TRIES = 5
LONGEST_LINE = 4 * 1024 * 1024

STAGES = ("customers", "orders")
_TERMINAL = ("COMPLETED", "FAILED", "CANCELED", "EXPIRED")

log = logs.logger(__name__)


class BrokenFile(RapportError):
    """The file ends in the middle, or holds what is no JSON: another one is needed."""

    code = "broken_file"


class Progress(NamedTuple):
    """How far a shop's past has come, for a progress bar. `share` is between 0 and 1.

    `state` is `running`, `settling` (all is here, the last of it is being counted), `done` or `failed` with `error`.
    """

    state: str
    stage: str
    share: float
    customers: int
    orders: int
    error: str | None
    started_at: datetime
    finished_at: datetime | None


# What merchants and the install ask for.


def begin(session: Session, shop_id: int) -> None:
    """Have a shop's past brought in, from the beginning. What is known already settles to the same."""
    row = session.get(Backfill, shop_id, with_for_update=True) or Backfill(shop_id=shop_id)
    row.state, row.stage, row.requested_at = "running", STAGES[0], clock.now()
    row.finished_at, row.customers, row.orders, row.tries, row.error = None, 0, 0, 0, None
    _ask_anew(row)
    session.add(row)
    session.flush()
    effects.request(session, [Wanted(shop_id, EFFECT, "")])


def resume(session: Session, shop_id: int, *, actor: str) -> None:
    """Try again what failed, from where it came to. Raises Conflict when nothing has failed."""
    row = session.get(Backfill, shop_id, with_for_update=True)
    if row is None or row.state != "failed":
        raise Conflict("the shop's past is not waiting to be tried again", code="no_failed_backfill")
    row.state, row.tries, row.error = "running", 0, None
    session.flush()
    record(session, [Happened(shop_id, "backfill.retried", {"stage": row.stage}, clock.now(), actor=actor)])
    effects.request(session, [Wanted(shop_id, EFFECT, "")])


def award_since(session: Session, shop_id: int, moment: datetime, *, actor: str) -> int:
    """Let orders placed since a moment in the past earn what the shop's first program gives; returns its new version.

    What was settled already is settled again. Raises Conflict where that moment lies in what earns already.
    """
    first = _first_program(session, shop_id)
    starts = _starts(first)
    if starts is None or moment >= starts:
        raise Conflict("orders since then earn points already", code="earns_already")
    orders = first.program.orders.model_copy(update={"starts_at": moment})
    program = first.program.model_copy(update={"orders": orders})
    since = min(moment, first.effective_from - timedelta(seconds=1))
    version = programs.publish(session, shop_id, program, effective_from=since, actor=actor, note="past orders earn")
    told = {"since": moment.isoformat()}
    record(session, [Happened(shop_id, "backfill.awarded", told, clock.now(), program_version=version, actor=actor)])
    effects.request(session, [Wanted(shop_id, AWARD, moment.isoformat())])
    return version


def earns_since(session: Session, shop_id: int) -> datetime | None:
    """Since when orders earn; None when all of them do. Raises NotFound for a shop without a program."""
    return _starts(_first_program(session, shop_id))


def _first_program(session: Session, shop_id: int) -> programs.Version:
    return programs.load(session, [shop_id]).in_force(shop_id, datetime.min.replace(tzinfo=clock.now().tzinfo))


def _starts(first: programs.Version) -> datetime | None:
    begins = first.program.orders.starts_at
    return begins and (begins if begins.tzinfo else begins.replace(tzinfo=first.program.zone))


def award(database: Database, shop_id: int, since: str) -> None:
    """Settle again what was placed since a moment. An effect: may be repeated."""
    settle_all_again(database, shop_id, Order.processed_at >= datetime.fromisoformat(since))


def progress(session: Session, shop_id: int) -> Progress | None:
    """How far the shop's past has come; None when nobody ever asked for it."""
    row = session.get(Backfill, shop_id, populate_existing=True)
    if row is None:
        return None
    state = row.state
    if state == "done" and _waiting(session, shop_id, 1):
        state = "settling"
    return Progress(
        state, row.stage, _share(row), row.customers, row.orders, row.error, row.requested_at, row.finished_at
    )


def _share(row: Backfill) -> float:
    """Each stage is half of the work, and of that the reading of its file nearly all."""
    if row.state == "done":
        return 1.0
    read = row.read_bytes / row.file_size if row.file_size else 0.0
    within = 0.1 + 0.9 * min(1.0, read) if row.url else 0.0
    return round((STAGES.index(row.stage) + within) / len(STAGES), 3)


def finished(session: Session, shop_id: int, operation: str) -> None:
    """Shopify tells that an operation has ended: if it is ours, look at once."""
    row = session.get(Backfill, shop_id)
    if row is not None and row.operation == operation:
        effects.request(session, [Wanted(shop_id, EFFECT, "")])


# Carrying it on.


def advance(database: Database, shop_id: int, _: str) -> None:
    """Carry a shop's backfill on for a while. An effect: a repeat goes on from what was written down.

    Raises NotYet while more is to be done, and what `Admin.of` raises.
    """
    end = time.monotonic() + SLICE
    with Admin.of(database, shop_id, spared=BOOKS) as admin:
        while (row := _row(database, shop_id)) and row.state == "running":
            _try_step(database, admin, row, end)
            if time.monotonic() > end:
                raise NotYet(clock.now())


def _row(database: Database, shop_id: int) -> Backfill | None:
    with database.transaction(shop_id) as session:
        return session.get(Backfill, shop_id)


def _try_step(database: Database, admin: Admin, row: Backfill, end: float) -> None:
    try:
        _step(database, admin, row, end)
    except (BrokenFile, AdminRefused) as error:
        _try_anew(database, row, error)
    except (ShopPaused, Throttled):
        raise  # each says itself how long to wait
    except Unavailable as error:
        log.warning("backfill waits", shop_id=row.shop_id, stage=row.stage, error=one_line(error))
        raise NotYet(clock.now() + REST) from None


def _step(database: Database, admin: Admin, row: Backfill, end: float) -> None:
    if row.operation is None:
        _start(database, admin, row)
    elif row.url is None:
        _poll(database, admin, row)
    else:
        _read(database, admin, row, end)


def _change(database: Database, row: Backfill, **values: Any) -> None:
    """Write down how far it is, unless somebody has begun anew meanwhile."""
    same = (Backfill.shop_id == row.shop_id, Backfill.stage == row.stage, Backfill.requested_at == row.requested_at)
    with database.transaction(row.shop_id) as session:
        session.execute(sa.update(Backfill).where(*same).values(**values))


def _ask_anew(row: Backfill) -> None:
    row.operation, row.url, row.file_size, row.read_bytes = None, None, None, 0


_NO_FILE = {"operation": None, "url": None, "file_size": None, "read_bytes": 0}


def _start(database: Database, admin: Admin, row: Backfill) -> None:
    try:
        told = admin.call("bulk_run", query=document(f"backfill_{row.stage}"))
    except AdminRefused as refused:
        if refused.codes & {"OPERATION_IN_PROGRESS", "LIMIT_REACHED"}:
            raise NotYet(clock.now() + timedelta(seconds=30)) from None
        raise
    operation = told["bulkOperationRunQuery"]["bulkOperation"]["id"]
    _change(database, row, operation=operation)


def _poll(database: Database, admin: Admin, row: Backfill) -> None:
    told = admin.call("bulk_poll", id=row.operation)["bulkOperation"]
    if told is None:
        raise BrokenFile("Shopify has lost the bulk operation")
    if told["status"] not in _TERMINAL:
        raise NotYet(clock.now() + POLL)
    if told["status"] != "COMPLETED":
        code = told["errorCode"] or told["status"]
        failed = AccessDenied if code == "ACCESS_DENIED" else BrokenFile
        raise failed(f"Shopify could not gather the shop's {row.stage} ({code})")
    if told["url"] is None:
        _finish_stage(database, row)
    else:
        _change(database, row, url=told["url"], file_size=int(told["fileSize"] or 0), read_bytes=0)


def _try_anew(database: Database, row: Backfill, error: RapportError) -> None:
    """Have Shopify write another file; after some tries, and where the shop forbids it, tell the merchant."""
    tries = row.tries + 1
    log.warning("backfill broke off", shop_id=row.shop_id, stage=row.stage, tries=tries, error=one_line(error))
    gave_up = tries >= TRIES or isinstance(error, AdminRefused)
    state = "failed" if gave_up else "running"
    _change(database, row, **_NO_FILE, tries=tries, state=state, error=one_line(error))
    if not gave_up:
        raise NotYet(clock.now() + timedelta(seconds=5 * 4**row.tries))


def _finish_stage(database: Database, row: Backfill) -> None:
    following = STAGES[STAGES.index(row.stage) + 1 :]
    if following:
        _change(database, row, **_NO_FILE, stage=following[0], tries=0, error=None)
        return
    _change(database, row, **_NO_FILE, state="done", error=None, finished_at=clock.now())
    told = {"customers": row.customers, "orders": row.orders}
    with database.transaction(row.shop_id) as session:
        record(session, [Happened(row.shop_id, "backfill.done", told, clock.now())])


# Reading the file.


Body = tuple[str, str, dict[str, Any]]


class Group(NamedTuple):
    """An object with the lines of its inner connections, and where in the file the next one begins."""

    node: dict[str, Any]
    children: list[dict[str, Any]]
    end: int


def _read(database: Database, admin: Admin, row: Backfill, end: float) -> None:
    held: list[Group] = []
    try:
        for group in groups(files.stream(row.url or "", row.read_bytes), row.read_bytes, row.file_size):
            held.append(group)
            if len(held) == BATCH:
                _bring(database, admin, row, held)
                held = []
                if time.monotonic() > end:
                    raise NotYet(clock.now())
    except files.Gone:
        raise BrokenFile("Shopify keeps the file no longer") from None
    except httpx.HTTPError:
        raise Unavailable("the connection to Shopify's file broke; it is read on from there") from None
    _bring(database, admin, row, held)
    _finish_stage(database, row)


def groups(chunks: Iterable[bytes], start: int, size: int | None) -> Iterator[Group]:
    """The objects of a file of JSON lines, as they come. Raises BrokenFile for what is no JSON or ends too early.

    Only one object is held at a time. `start` is where in the file the chunks begin, `size` what it should have.
    """
    group: Group | None = None
    at = start
    for line in _lines(chunks):
        at += len(line)
        if not line.strip():
            continue
        node = _parsed(line)
        if group is not None and "__parentId" in node:
            group.children.append(node)
            group = group._replace(end=at)
            continue
        if group is not None:
            yield group
        group = Group(node, [], at)
    if size and at < size:
        raise BrokenFile("the file with the shop's past ends too early")
    if group is not None:
        yield group


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for chunk in chunks:
        *whole, held = (held + chunk).split(b"\n")
        yield from (line + b"\n" for line in whole)
        if len(held) > LONGEST_LINE:
            raise BrokenFile("a line of the file is longer than any order")
    if held:
        yield held


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        node = msgspec.json.decode(line)
    except msgspec.DecodeError:
        raise BrokenFile("the file with the shop's past holds half a line") from None
    if not isinstance(node, dict) or not isinstance(node.get("id"), str):
        raise BrokenFile("the file with the shop's past holds what is no object")
    return node


def _bring(database: Database, admin: Admin, row: Backfill, held: list[Group]) -> None:
    """Put a batch into the inbox, and write down in the same transaction that it is there."""
    if not held:
        return
    bodies, broke_off = _bodies(admin, row, held)
    held = held[: len(bodies)]
    if broke_off and not held:
        raise broke_off
    count = getattr(Backfill, row.stage)
    same = (Backfill.shop_id == row.shop_id, Backfill.operation == row.operation)
    values: dict[Any, Any] = {"read_bytes": held[-1].end, count: count + len(held)}
    with database.transaction(row.shop_id) as session:
        if not session.scalar(sa.update(Backfill).where(*same).values(values).returning(Backfill.shop_id)):
            raise NotYet(clock.now())  # somebody has begun anew
        snapshots.store(session, row.shop_id, [body for body in bodies if body])
        full = _waiting(session, row.shop_id, AHEAD) >= AHEAD
    if broke_off:
        raise broke_off
    if full:
        raise NotYet(clock.now() + timedelta(seconds=1))


def _bodies(admin: Admin, row: Backfill, held: list[Group]) -> tuple[list[Body | None], Unavailable | None]:
    """What the groups are as webhooks; and why only the first of them, where Shopify did not tell more just now."""
    bodies: list[Body | None] = []
    for group in held:
        try:
            bodies.append(_customer(group) if row.stage == "customers" else _order(admin, group))
        except Unavailable as broke_off:
            return bodies, broke_off
    return bodies, None


def _waiting(session: Session, shop_id: int, most: int) -> int:
    """Deliveries of the shop that wait in the inbox, counted up to `most`."""
    pending = sa.select(Delivery.id).where(Delivery.shop_id == shop_id, Delivery.state == "pending").limit(most)
    return session.scalar(sa.select(sa.func.count()).select_from(pending.subquery())) or 0


def _customer(group: Group) -> Body:
    body = snapshots.customer_as_webhook(group.node)
    return f"backfill:customer:{body['id']}:{body['updated_at']}", snapshots.CUSTOMER, body


def _order(admin: Admin, group: Group) -> Body | None:
    order: dict[str, Any] | None = group.node
    if group.node["refunds"]:
        order = snapshots.whole(admin, gid_number(group.node["id"]))
    else:
        kinds: dict[str, list[Any]] = {"LineItem": [], "ShippingLine": []}
        for child in group.children:
            kinds[child["__typename"]].append(child)
        group.node["lineItems"] = {"nodes": kinds["LineItem"]}
        group.node["shippingLines"] = {"nodes": kinds["ShippingLine"]}
    if order is None:
        return None
    body = snapshots.as_webhook(order)
    return f"backfill:{body['id']}:{body['updated_at']}", snapshots.ORDER, body
