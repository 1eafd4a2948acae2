"""Moves members up and down the ladder, by what counts or by hand, and remembers when to look again."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.db import Row, insert_rows
from core.errors import Conflict, InvalidInput, NotFound
from core.events import Happened, record
from core.i18n import _
from loyalty import programs as published
from loyalty.accounts import Account, lock_accounts, write_accounts
from loyalty.models import Member
from loyalty.operations import enter, entered, write_postings
from loyalty.programs import Programs, Version
from tiers import courses
from tiers.courses import Standing, look_back
from tiers.gifts import gifts
from tiers.ladders import ladder_of
from tiers.measuring import Moved
from tiers.models import TierOverride, TierPeriod
from tiers.rules import INSTANT
from tiers.spend import Key

__all__ = ["climb", "end_override", "gifts", "look_again", "override", "review", "set_reviews", "write_periods"]

_TABLE: Any = TierPeriod.__table__
_COLUMNS = ("shop_id", "member_id", "tier_key", "since", "reason", "program_version", "recorded_at")
_OVERRIDE: Any = TierOverride.__table__


def climb(
    periods: list[Row],
    account: Account,
    standing: Standing,
    version: Version,
    *,
    since: datetime,
    now: datetime,
    why: str | None = None,
    actor: str = "system",
) -> Happened | None:
    """Give a locked account the tier where it stands; the event when that is another than before.

    The period that begins is added to `periods`, for `write_periods`. Its reason holds what counted, in the ladder's
    unit, and why it begins: `reached`, `undone` (a refund took back what had reached a tier in the same period),
    `lapsed`, `by_hand`, or the `why` that is given.
    """
    ladder, rung, before = ladder_of(version), standing.rung, account.tier_key
    if rung.key == before:
        return None
    rose = rung.threshold > ladder.rung(before).threshold
    undone = account.shrank and account.tier_since >= standing.counted_from
    reason = {
        "before": before,
        "metric": ladder.measure.metric,
        "value": standing.value,
        "threshold": rung.threshold,
        "rose": rose,
        "why": why or ("by_hand" if standing.by_hand else "reached" if rose else "undone" if undone else "lapsed"),
        "counted_from": standing.counted_from,
    }
    account.tier_key, account.tier_since, account.tier_review_at = rung.key, since, None
    periods.append((*account.key, rung.key, since, msgspec.json.encode(reason).decode(), version.number, now))
    change = {"tier": rung.key, **reason}
    return Happened(account.shop_id, "tier.changed", change, since, account.member_id, None, version.number, actor)


def write_periods(session: Session, periods: Sequence[Row]) -> None:
    """Append what `climb` collected, in one statement."""
    insert_rows(session, _TABLE, _COLUMNS, periods)


def set_reviews(session: Session, accounts: Iterable[Account], programs: Programs, now: datetime) -> None:
    """Note for each account when its tier may next change by itself. Facts must be written already."""
    accounts = list(accounts)
    current = _current(programs, accounts, now)
    since = {a.key: _from(a, current.of(a.shop_id)[0], now) for a in accounts}
    course = courses.load(session, current, since, now + INSTANT)
    for account in accounts:
        account.tier_review_at = course.next_look(account.key, account.tier_key, now, current.of(account.shop_id)[0])


def _from(account: Account, version: Version, now: datetime) -> datetime:
    """Who is on the lowest rung can't fall, so their past need not be told change by change."""
    return look_back(version, now) if ladder_of(version).place(account.tier_key) else now


def _current(programs: Programs, accounts: Iterable[Account], now: datetime) -> Programs:
    """Of each account's shop only the version in force."""
    return Programs({shop_id: [programs.in_force(shop_id, now)] for shop_id in {a.shop_id for a in accounts}})


def review(session: Session, keys: Iterable[Key], programs: Programs, now: datetime) -> list[Happened]:
    """Look again at members whose tier may have changed by itself. Returns what happened to those that moved."""
    return look_again(session, lock_accounts(session, list(keys)).values(), programs, now)


def look_again(
    session: Session,
    accounts: Iterable[Account],
    programs: Programs,
    now: datetime,
    *,
    why: str | None = None,
    actor: str = "system",
) -> list[Happened]:
    """Give locked accounts the tiers that are theirs now, with the gifts that go with it, and write what changed.

    Returns the events of those that moved, for the caller to record.
    """
    held = {account.key: (account, account.tier_key, account.tier_review_at) for account in accounts}
    living = [account for account, *_rest in held.values() if account.merged_into is None]
    current = _current(programs, living, now)
    course = courses.load(session, current, {account.key: now for account in living}, now + INSTANT)
    periods: list[Row] = []
    moved = []
    for account in living:
        version = current.of(account.shop_id)[0]
        standing = course.at(account.key, now + INSTANT, version)
        moved.append(climb(periods, account, standing, version, since=now, now=now, why=why, actor=actor))
    write_periods(session, periods)
    set_reviews(session, living, programs, now)
    happened = _with_gifts(session, {account.key: account for account in living}, filter(None, moved), programs, now)
    for account, *_rest in held.values():
        if account.merged_into is not None:
            account.tier_review_at = None
    changed = [a for a, *before in held.values() if a.dirty or [a.tier_key, a.tier_review_at] != before]
    write_accounts(session, changed)
    return happened


def move(
    session: Session, shop_id: int, measured: Sequence[Moved], programs: Programs, now: datetime
) -> list[Happened]:
    """Move members to where a ladder that came into force has been found to put them, by the set.

    Returns the events, for the caller to record.
    """
    version = programs.in_force(shop_id, now)
    accounts = lock_accounts(session, [(shop_id, moved.member_id) for moved in measured])
    periods: list[Row] = []
    happened = []
    for moved in measured:
        account = accounts[shop_id, moved.member_id]
        happened.append(climb(periods, account, moved.standing, version, since=now, now=now, why="ladder"))
        account.tier_review_at = moved.look_at
    write_periods(session, periods)
    told = _with_gifts(session, accounts, filter(None, happened), programs, now)
    write_accounts(session, accounts.values())
    return told


def _with_gifts(
    session: Session, accounts: dict[Key, Account], moved: Iterable[Happened], programs: Programs, now: datetime
) -> list[Happened]:
    """These events, and those of the entry gifts that follow from them, which are posted here."""
    happened = list(moved)
    entries = gifts(session, happened, programs, now)
    write_postings(session, [enter(accounts[e.shop_id, e.member_id], e, now) for e in entries])
    return happened + [entered(accounts[e.shop_id, e.member_id], e) for e in entries]


def override(
    session: Session,
    shop_id: int,
    member_id: int,
    tier_key: str,
    *,
    reason: str,
    until: datetime | None,
    actor: str,
) -> None:
    """Give a member a tier by hand, from now until a moment or until it is ended; in place of one given before.

    It takes effect at once. Raises NotFound, Conflict (a merged member), InvalidInput (unknown tier, an end that has
    passed, no reason).
    """
    now, known = clock.now(), published.load(session, [shop_id])
    ladder = ladder_of(known.in_force(shop_id, now))
    if not ladder.has(tier_key):
        names = ", ".join(rung.key for rung in ladder.rungs)
        raise InvalidInput(f"there is no tier {tier_key!r}; the ladder has {names}", code="unknown_tier")
    if until is not None and until <= now:
        raise InvalidInput(_("until must be in the future"), code="bad_until")
    if not reason.strip():
        raise InvalidInput(_("say why the tier is given"), code="no_reason")

    def change() -> None:
        _end(session, shop_id, member_id, now)
        session.add(
            TierOverride(
                shop_id=shop_id, member_id=member_id, tier_key=tier_key, since=now, until=until,
                reason=reason.strip(), actor=actor, recorded_at=now,
            )
        )  # fmt: skip
        session.flush()

    told = {"tier": tier_key, "until": until}
    _by_hand(session, (shop_id, member_id), known, change, "tier.overridden", told, actor, None)


def bring_tier(session: Session, shop_id: int, member_id: int, tier_key: str, until: datetime, actor: str) -> None:
    """Let a member keep the tier they had in an earlier program, for a while. Raises as `override` does."""
    override(session, shop_id, member_id, tier_key, reason="Brought from an earlier program.", until=until, actor=actor)


def end_override(session: Session, shop_id: int, member_id: int, *, actor: str) -> None:
    """End a tier given by hand: the member goes to where the facts put them, at once.

    Raises NotFound (no such member, no tier by hand), Conflict (a merged member).
    """
    now, known = clock.now(), published.load(session, [shop_id])

    def change() -> None:
        if not _end(session, shop_id, member_id, now):
            raise NotFound(_("this member's tier was not given by hand"), code="no_override")

    _by_hand(session, (shop_id, member_id), known, change, "tier.override_ended", {}, actor, "hand_ended")


def _end(session: Session, shop_id: int, member_id: int, now: datetime) -> bool:
    """End what holds by hand; whether anything did. What was given and ended in one instant never held."""
    of_member = (_OVERRIDE.c.shop_id == shop_id, _OVERRIDE.c.member_id == member_id)
    holds = _OVERRIDE.c.until.is_(None) | (_OVERRIDE.c.until > now)
    ended = session.execute(sa.update(_OVERRIDE).where(*of_member, holds).values(until=now).returning(_OVERRIDE.c.id))
    return bool(ended.fetchall())


def _by_hand(
    session: Session,
    key: Key,
    programs: Programs,
    change: Callable[[], None],
    kind: str,
    told: dict[str, Any],
    actor: str,
    why: str | None,
) -> None:
    now, (shop_id, member_id) = clock.now(), key
    account = _living_account(session, key)
    change()
    happened = [Happened(shop_id, kind, told, now, member_id, actor=actor)]
    record(session, happened + look_again(session, [account], programs, now, why=why, actor=actor))


def _living_account(session: Session, key: Key) -> Account:
    account = lock_accounts(session, [key]).get(key)
    erased = sa.select(Member.erased_at).where(Member.shop_id == key[0], Member.id == key[1])
    if account is None or session.scalar(erased) is not None:
        raise NotFound(_("there is no such member"), code="no_member")
    if account.merged_into is not None:
        into = str(account.merged_into)
        raise Conflict(_("this member was merged into another"), code="member_merged", member_id=into)
    return account
