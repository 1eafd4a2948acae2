"""Moves members up and down the ladder and remembers when to look again."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from core.db import Row, insert_rows
from core.events import Happened
from loyalty.accounts import Account, lock_accounts, write_accounts
from loyalty.programs import Programs, Version
from tiers.ladders import ladder_of
from tiers.models import TierPeriod
from tiers.rules import INSTANT, SpendHistory, next_look
from tiers.spend import histories

_TABLE: Any = TierPeriod.__table__
_COLUMNS = ("shop_id", "member_id", "tier_key", "since", "reason", "program_version", "recorded_at")


def climb(
    periods: list[Row], account: Account, spend: int, version: Version, *, since: datetime, now: datetime
) -> Happened | None:
    """Give a locked account the tier its spend (minor units) reaches; the event when that is another than before.

    The period that begins is added to `periods`, for `write_periods`.
    """
    ladder = ladder_of(version)
    rung, before = ladder.reached(spend), account.tier_key
    if rung.key == before:
        return None
    rose = rung.threshold > ladder.rung(before).threshold
    reason = {"before": before, "spend": spend, "threshold": rung.threshold, "rose": rose}
    account.tier_key, account.tier_since, account.tier_review_at = rung.key, since, None
    periods.append((*account.key, rung.key, since, msgspec.json.encode(reason).decode(), version.number, now))
    change = {"tier": rung.key, **reason}
    return Happened(account.shop_id, "tier.changed", change, since, account.member_id, None, version.number)


def write_periods(session: Session, periods: Sequence[Row]) -> None:
    """Append what `climb` collected, in one statement."""
    insert_rows(session, _TABLE, _COLUMNS, periods)


def set_reviews(session: Session, accounts: Iterable[Account], programs: Programs, now: datetime) -> None:
    """Note for each account when its tier may next change by itself. Facts must be written already."""
    for account, history, version in _full_histories(session, list(accounts), programs, now):
        account.tier_review_at = next_look(history, ladder_of(version), account.tier_key, now)


def review(session: Session, keys: Iterable[tuple[int, int]], programs: Programs, now: datetime) -> list[Happened]:
    """Look again at members whose tier may have lapsed. Returns the events of those that moved."""
    accounts = lock_accounts(session, list(keys))
    periods: list[Row] = []
    moved = []
    for account, history, version in _full_histories(session, list(accounts.values()), programs, now):
        spend = history.before(now + INSTANT, ladder_of(version).window)
        moved.append(climb(periods, account, spend, version, since=now, now=now))
    write_periods(session, periods)
    set_reviews(session, accounts.values(), programs, now)
    write_accounts(session, accounts.values())
    return [event for event in moved if event]


def _full_histories(
    session: Session, accounts: list[Account], programs: Programs, now: datetime
) -> list[tuple[Account, SpendHistory, Version]]:
    """Each account with all of its spend in the window before now."""
    if not accounts:
        return []
    versions = {account.shop_id: programs.in_force(account.shop_id, now) for account in accounts}
    windows = {shop_id: ladder_of(version).window for shop_id, version in versions.items()}
    since = {(*a.key, windows[a.shop_id]): now - windows[a.shop_id] for a in accounts}
    loaded = histories(session, since, now + INSTANT)
    return [(a, loaded[*a.key, windows[a.shop_id]], versions[a.shop_id]) for a in accounts]
