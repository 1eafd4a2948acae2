"""Members as accounts: locked in one order, changed in memory, written back by the set."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core.db import rows_by, update_rows
from loyalty.models import Member
from loyalty.rules import Balance


@dataclass(slots=True)
class Account:
    """A locked member: balance and tier as they change within the transaction.

    `changed_at` lists the moments at which qualifying spend changed; `shrank` tells that some of it went away,
    `ordered` that `last_order_at` moved on.
    """

    shop_id: int
    member_id: int
    last_order_at: datetime | None
    tier_key: str
    tier_since: datetime
    tier_review_at: datetime | None
    merged_into: int | None
    last_active_at: datetime | None
    expiry_look_at: datetime | None
    blocked_at: datetime | None
    balance: Balance
    opening: Balance
    changed_at: list[datetime] = field(default_factory=list)
    shrank: bool = False
    ordered: bool = False

    @property
    def key(self) -> tuple[int, int]:
        return self.shop_id, self.member_id

    def note_activity(self, at: datetime | None, look_at: datetime | None) -> None:
        """The member earned, spent or ordered `at`. `look_at` is when points may first expire or need a reminder."""
        if at is not None and (self.last_active_at is None or at > self.last_active_at):
            self.last_active_at = at
        if look_at is not None and (self.expiry_look_at is None or look_at < self.expiry_look_at):
            self.expiry_look_at = look_at

    @property
    def dirty(self) -> bool:
        return bool(self.changed_at) or self.ordered or self.balance != self.opening


def lock_accounts(session: Session, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Account]:
    """Lock the members of these (shop, id), always in that order, so that no two transactions deadlock."""
    rows = rows_by(
        session,
        "SELECT m.shop_id, m.id, m.last_order_at, m.tier_key, m.tier_since, m.tier_review_at, m.merged_into, "
        "m.last_active_at, m.expiry_look_at, m.blocked_at, m.available, m.pending, m.lifetime "
        "FROM members m JOIN {keys} AS k(shop_id, id) ON m.shop_id = k.shop_id AND m.id = k.id "
        "ORDER BY m.shop_id, m.id FOR UPDATE OF m",
        ("bigint", "bigint"),
        sorted(keys),
    )
    return {(row[0], row[1]): _account(*row) for row in rows}


def _account(
    shop_id: int,
    member_id: int,
    last_order_at: datetime | None,
    tier_key: str,
    tier_since: datetime,
    tier_review_at: datetime | None,
    merged_into: int | None,
    last_active_at: datetime | None,
    expiry_look_at: datetime | None,
    blocked_at: datetime | None,
    *balance: int,
) -> Account:
    opening = Balance(*balance)
    held = (
        last_order_at,
        tier_key,
        tier_since,
        tier_review_at,
        merged_into,
        last_active_at,
        expiry_look_at,
        blocked_at,
    )
    return Account(shop_id, member_id, *held, opening, opening)


_COLUMNS = (
    "available",
    "pending",
    "lifetime",
    "last_order_at",
    "tier_key",
    "tier_since",
    "tier_review_at",
    "last_active_at",
    "expiry_look_at",
)


def write_accounts(session: Session, accounts: Iterable[Account]) -> None:
    """Write back balances and tiers of locked accounts."""
    table: Any = Member.__table__
    rows = [
        (
            *account.key,
            account.balance.available,
            account.balance.pending,
            account.balance.lifetime,
            account.last_order_at,
            account.tier_key,
            account.tier_since,
            account.tier_review_at,
            account.last_active_at,
            account.expiry_look_at,
        )
        for account in accounts
    ]
    update_rows(session, table, ("shop_id", "id"), _COLUMNS, rows)
