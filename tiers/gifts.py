"""Points for entering a tier for the first time, and their way back when a refund undoes the promotion."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core.db import insert_rows, rows_by
from core.events import Happened
from loyalty.operations import Entry
from loyalty.program import instant
from loyalty.programs import Programs, Version
from loyalty.rules import Move
from tiers.ladders import ladder_of
from tiers.models import TierGift
from tiers.rules import Ladder, Rung

RULE = "entry-gift"

_TABLE: Any = TierGift.__table__
_KEYS = ("shop_id", "member_id", "tier_key")
GiftKey = tuple[int, int, str]


@dataclass(slots=True)
class Gift:
    """What a member holds of one tier's gift; `given_at` is None for one given in this transaction."""

    points: int = 0
    count: int = 0
    given_at: datetime | None = None
    touched: bool = False


def gifts(session: Session, moved: Sequence[Happened], programs: Programs, now: datetime) -> list[Entry]:
    """The points that follow from `tier.changed` events of locked members, for the caller to post.

    A tier's gift is given once, when it is first entered or passed. A promotion that a refund undoes in the same
    period takes it back, and earning the tier again gives it again. Tiers reached by orders from before the program
    began to give points bring none.
    """
    ladders = [(event, programs.numbered(event.shop_id, event.program_version or 0)) for event in moved]
    ladders = [(event, version) for event, version in ladders if _gives(version)]
    asked = {(e.shop_id, e.member_id or 0, rung.key) for e, v in ladders for rung in _concerned(ladder_of(v), e)}
    held = _read(session, sorted(asked))
    entries = [entry for event, version in ladders for entry in _follow(event, version, held)]
    _write(session, held)
    return entries


def _gives(version: Version) -> bool:
    return any(rung.entry_gift for rung in ladder_of(version).rungs)


def _concerned(ladder: Ladder, event: Happened) -> Sequence[Rung]:
    """The rungs between the tier before and the tier after, without the lower of the two."""
    before, after = ladder.place(event.data["before"]), ladder.place(event.data["tier"])
    return ladder.rungs[min(before, after) + 1 : max(before, after) + 1]


def _follow(event: Happened, version: Version, held: dict[GiftKey, Gift]) -> Iterator[Entry]:
    for rung in _concerned(ladder_of(version), event):
        gift = held.setdefault((event.shop_id, event.member_id or 0, rung.key), Gift())
        if event.data["rose"] and rung.entry_gift and not gift.points and _counts(event, version):
            gift.points, gift.given_at = rung.entry_gift, None
            yield _entry(event, rung, gift, Move("bonus", "issued", "available", gift.points))
        elif _takes_back(event, gift):
            points, gift.points = gift.points, 0
            yield _entry(event, rung, gift, Move("reversal", "available", "issued", points))


def _counts(event: Happened, version: Version) -> bool:
    """What was bought before a shop came to us is no reason for a gift today."""
    starts_at = instant(version.program.orders.starts_at, version.program.zone)
    return starts_at is None or event.occurred_at >= starts_at


def _takes_back(event: Happened, gift: Gift) -> bool:
    """Whether this fall undoes what gave the gift: a tier that was held before the period keeps its gift."""
    same_period = gift.given_at is None or gift.given_at >= event.data["counted_from"]
    return event.data["why"] == "undone" and gift.points > 0 and same_period


def _entry(event: Happened, rung: Rung, gift: Gift, move: Move) -> Entry:
    gift.count, gift.touched = gift.count + 1, True
    key = f"{RULE}:{event.member_id}:{rung.key}:{gift.count}"
    reason = "entered_tier" if move.kind == "bonus" else "promotion_undone"
    explanation = {"rule": RULE, "points": move.points, "reason": reason, "tier": rung.key, "tier_name": rung.name}
    return Entry(
        event.shop_id, event.member_id or 0, move, key, RULE, explanation, event.actor, event.occurred_at,
        event.program_version,
    )  # fmt: skip


def _read(session: Session, keys: Sequence[GiftKey]) -> dict[GiftKey, Gift]:
    """What is held of these gifts, and when each was last given."""
    rows = rows_by(
        session,
        "SELECT g.shop_id, g.member_id, g.tier_key, g.points, g.count, p.occurred_at "
        "FROM {keys} AS k(shop_id, member_id, tier_key) JOIN tier_gifts g USING (shop_id, member_id, tier_key) "
        "LEFT JOIN postings p ON p.shop_id = g.shop_id "
        f"AND p.key = '{RULE}:' || g.member_id || ':' || g.tier_key || ':' || g.count",
        ("bigint", "bigint", "text"),
        keys,
    )
    return {(row[0], row[1], row[2]): Gift(row[3], row[4], row[5]) for row in rows}


def _write(session: Session, held: dict[GiftKey, Gift]) -> None:
    rows = [(*key, gift.points, gift.count) for key, gift in sorted(held.items()) if gift.touched]
    insert_rows(
        session,
        _TABLE,
        (*_KEYS, "points", "count"),
        rows,
        suffix=f"ON CONFLICT ({', '.join(_KEYS)}) DO UPDATE SET points = EXCLUDED.points, count = EXCLUDED.count",
    )
