"""What orders tell of rewards: a code that was used, and what becomes of it when the order is undone.

Convergent, as settlement is: from what an order says now follows what the reward should be, and only the difference
is written. So a repeat changes nothing, and it makes no difference which order comes first.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy.orm import Session

from core.db import rows_by, update_rows
from core.events import Happened
from loyalty.operations import Entry
from loyalty.rewards import rules
from loyalty.rewards.models import MemberReward
from loyalty.rewards.operations import RULE, count_taken, explanation, happened
from loyalty.rewards.rules import Use
from loyalty.rules import Move

ACTOR = "shopify"
# Whether the points of a reward come back when the order it was used on is undone: (shop id, when it was placed).
PointsReturn = Callable[[int, datetime], bool]


class Held(NamedTuple):
    """A code seen on an order that is a reward's, and the member whose reward it is."""

    shop_id: int
    code: str
    reward_id: int
    member_id: int


class CodeSeen(NamedTuple):
    """A discount code on an order placed `at`. `undone`: cancelled, voided or refunded in full. `order` is its name."""

    shop_id: int
    code: str
    order_id: int
    at: datetime
    undone: bool
    order: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """A reward's row as this room reads it; the names are those of `MemberReward`."""

    shop_id: int
    id: int
    code: str
    member_id: int
    reward_key: str
    program_version: int
    terms: dict[str, Any]
    points: int
    status: str
    order_id: int | None
    requested_at: datetime
    issued_at: datetime | None
    used_at: datetime | None
    ended_at: datetime | None
    posted_count: int

    @property
    def key(self) -> tuple[int, str]:
        return self.shop_id, self.code


def normal(code: str) -> str:
    """Shopify compares codes without regard to case; ours are upper case."""
    return code.strip().upper()


def held(session: Session, codes: Sequence[tuple[int, str]]) -> list[Held]:
    """The rewards behind these (shop, code), and whose they are: lock those members before `settle_uses`."""
    rows = rows_by(
        session,
        "SELECT r.shop_id, r.code, r.id, r.member_id FROM {keys} AS k(shop_id, code) "
        "JOIN member_rewards r ON r.shop_id = k.shop_id AND r.code = k.code",
        ("bigint", "text"),
        _keys(codes),
    )
    return [Held(*row) for row in rows]


def settle_uses(
    session: Session, seen: Sequence[CodeSeen], points_return: PointsReturn, now: datetime
) -> tuple[list[Entry], list[Happened]]:
    """Mark rewards used, or undone, as their orders say. Returns what must be posted for it, and the events.

    Points come back when an order that used a reward is undone and the program returns them, and are taken again when
    it stands after all. The caller has locked the members that `held` named, and posts the entries to them.
    """
    known = _read(session, seen)
    changed: dict[tuple[int, str], _Known] = {}
    entries, events, taken = [], [], []
    for one in seen:
        key = one.shop_id, normal(one.code)
        before = changed.get(key) or known.get(key)
        if before is None:
            continue
        after = _after(before, one, points_return(one.shop_id, one.at), now)
        if after == before:
            continue
        if entry := _entry(before, after, one, now):
            after = replace(after, posted_count=after.posted_count + 1)
            entries.append(entry)
            taken.append((after, 1 if after.status in rules.PAID else -1))
        if after.status != before.status:
            kind = "reward.used" if after.status == "used" else "reward.returned"
            events.append(happened(after, kind, ACTOR, one.at if kind == "reward.used" else now))
        changed[key] = after
    _write(session, changed.values())
    count_taken(session, taken)
    return entries, events


def _keys(codes: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    return sorted({(shop_id, normal(code)) for shop_id, code in codes})


def _read(session: Session, seen: Sequence[CodeSeen]) -> dict[tuple[int, str], _Known]:
    rows = rows_by(
        session,
        "SELECT r.shop_id, r.id, r.code, r.member_id, r.reward_key, r.program_version, r.terms::text, r.points, "
        "r.status, r.order_id, r.requested_at, r.issued_at, r.used_at, r.ended_at, r.posted_count "
        "FROM {keys} AS k(shop_id, code) JOIN member_rewards r ON r.shop_id = k.shop_id AND r.code = k.code "
        "ORDER BY r.shop_id, r.id FOR UPDATE OF r",
        ("bigint", "text"),
        _keys((one.shop_id, one.code) for one in seen),
    )
    found = [_known(*row) for row in rows]
    return {one.key: one for one in found}


def _known(*row: Any) -> _Known:
    values = dict(zip(_Known.__slots__, row, strict=True))
    return _Known(**values | {"terms": msgspec.json.decode(values["terms"])})


def _after(before: _Known, seen: CodeSeen, points_return: bool, now: datetime) -> _Known:
    use = rules.after_order(
        # What cost no points stays used: there is nothing to return.
        Use(before.status, before.order_id),
        seen.order_id,
        undone=seen.undone,
        points_return=points_return and before.points > 0,
    )
    if use == Use(before.status, before.order_id):
        return before
    return replace(
        before,
        status=use.status,
        order_id=use.order_id,
        # An order may tell of a code before we knew that Shopify had made it.
        issued_at=before.issued_at or before.requested_at,
        used_at=seen.at if use.order_id == seen.order_id else before.used_at,
        ended_at=None if use.status == "used" else now,
    )


def _entry(before: _Known, after: _Known, seen: CodeSeen, now: datetime) -> Entry | None:
    """The points that follow the reward's status, if they have to move."""
    paid, pays = before.status in rules.PAID, after.status in rules.PAID
    if paid == pays or not after.points:
        return None
    number = before.posted_count + 1
    reason = "order_used_reward" if pays else "order_undone"
    move = ("redeem", "available", "redeemed") if pays else ("reimbursement", "redeemed", "available")
    told: Any = after
    return Entry(
        after.shop_id, after.member_id, Move(*move, after.points),
        f"{'redeem' if pays else 'reimburse'}:{after.id}:{number}", RULE,
        explanation(told, reason, order=seen.order), ACTOR, now, after.program_version,
    )  # fmt: skip


_KEYS = ("shop_id", "id")
_COLUMNS = ("status", "order_id", "issued_at", "used_at", "ended_at", "posted_count")


def _write(session: Session, changed: Iterable[_Known]) -> None:
    table: Any = MemberReward.__table__
    rows = [(one.shop_id, one.id, *(getattr(one, column) for column in _COLUMNS)) for one in changed]
    update_rows(session, table, _KEYS, _COLUMNS, rows)
