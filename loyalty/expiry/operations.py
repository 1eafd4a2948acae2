"""Points expire, members are reminded, and changes of the policy are made known. Nothing here commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.db import Row, update_rows
from core.events import Happened, record
from loyalty import operations, programs
from loyalty.accounts import Account, lock_accounts, write_accounts
from loyalty.activities.models import Round
from loyalty.expiry import queries
from loyalty.expiry.queries import Ahead, Holder, Key
from loyalty.expiry.rules import Due, expired_in_vain, next_look, policy_in_force, reminders, same
from loyalty.models import Member
from loyalty.operations import Entry, NewPosting
from loyalty.program import Expiry
from loyalty.programs import Version
from loyalty.rules import Move

RULE = "expiry"
ACTOR = "system"


def policy_changed(
    session: Session, shop_id: int, before: Expiry | None, after: Expiry | None, at: datetime, *, actor: str = ACTOR
) -> bool:
    """Make known that a version published now changes, from `at` on, when points expire. Returns whether it does.

    No points expire under it before its notice is over; members are looked at anew when it comes into force.
    """
    if same(before, after):
        return False
    policy = policy_in_force([(at, after)], at)
    told = {"before": _told(before), "after": _told(after), "from": at, "expires_from": policy and policy.floor}
    record(session, [Happened(shop_id, "expiry.policy_changed", told, at, actor=actor)])
    return True


def _told(expiry: Expiry | None) -> dict[str, Any] | None:
    return None if expiry is None else expiry.model_dump(include={"kind", "months", "days"}, exclude_none=True)


def look_at(session: Session, keys: Sequence[Key], now: datetime) -> None:
    """Expire what is due of these members, remind them, and note when to look again. Repeating it changes nothing."""
    if keys:
        Look(session, keys, now).run()


def begin(session: Session, shop_id: int, numbers: Sequence[int], now: datetime, limit: int) -> bool:
    """Have members looked at because versions came into force, `limit` of them at a time. False once all are.

    Versions that leave expiry as it was are only noted.
    """
    published = programs.load(session, [shop_id]).of(shop_id)
    before = {version.number: earlier for earlier, version in zip([None, *published], published, strict=False)}
    changes = [n for n in numbers if (b := before[n]) is None or not same(b.program.expiry, _expiry(published, n))]
    if changes and _look_sooner(session, shop_id, now, limit):
        return True
    rounds = [{"shop_id": shop_id, "kind": f"{queries.ROUND}{number}", "day": now.date()} for number in numbers]
    session.execute(insert(Round).on_conflict_do_nothing(), rounds)
    return False


def _expiry(published: Sequence[Version], number: int) -> Expiry | None:
    return next(version.program.expiry for version in published if version.number == number)


def _look_sooner(session: Session, shop_id: int, now: datetime, limit: int) -> int:
    """Locked in the order in which everybody locks members."""
    later = Member.expiry_look_at.is_(None) | (Member.expiry_look_at > now)
    picked = (
        sa.select(Member.id)
        .where(Member.shop_id == shop_id, Member.available > 0, later)
        .order_by(Member.id)
        .limit(limit)
        .with_for_update()
        .cte("picked")
    )
    table: Any = Member.__table__
    update = sa.update(table).where(table.c.shop_id == shop_id, table.c.id == picked.c.id).values(expiry_look_at=now)
    return session.execute(update).rowcount  # type: ignore[attr-defined, no-any-return]


class Look:
    """One batch of members: read and lock, think, write."""

    def __init__(self, session: Session, keys: Sequence[Key], now: datetime) -> None:
        self.session = session
        self.now = now
        self.accounts = lock_accounts(session, keys)
        self.programs = programs.load(session, {shop_id for shop_id, _ in keys})
        self.versions = {shop_id: self.programs.in_force(shop_id, now) for shop_id, _ in keys}
        self.policies = {shop_id: queries.policy(self.programs, shop_id, now) for shop_id, _ in keys}
        self.pasts = queries.pasts(session, keys)
        self.told = queries.told_so_far(session, keys)
        self.postings: list[NewPosting] = []
        self.happened: list[Happened] = []
        self.reminded: list[Row] = []

    def run(self) -> None:
        alive = [account for account in self.accounts.values() if account.merged_into is None]
        for account in alive:
            self._give_back(account)
        found = queries.near(self.session, [self._holder(account) for account in alive], self.policies, self.now)
        for account in self.accounts.values():
            self._work_off(account, found.get(account.key, Ahead([])))
        operations.write_postings(self.session, self.postings)
        write_accounts(self.session, self.accounts.values())
        table: Any = Member.__table__
        update_rows(
            self.session, table, ("shop_id", "id"), ("expiry_reminded_of", "expiry_reminded_days"), self.reminded
        )
        record(self.session, self.happened)

    def _holder(self, account: Account) -> Holder:
        return Holder(
            account.key, account.balance.available, account.last_active_at or self.told[account.key].joined_at
        )

    def _give_back(self, account: Account) -> None:
        """Points that had expired when a refund took them back, or although there had been an order, come back."""
        past = self.pasts[account.key]
        points = expired_in_vain(past.steps) - past.given_back
        if points > 0:
            explanation = {"rule": RULE, "reason": "expiry_undone", "points": points}
            self._enter(account, Move("expiry", "expired", "available", points), explanation, self.now)

    def _work_off(self, account: Account, ahead: Ahead) -> None:
        for due in ahead.near:
            if due.at <= self.now:
                self._expire(account, due)
        coming = [due for due in ahead.near if due.at > self.now]
        self._remind(account, coming)
        looks = (next_look(coming, self.now), ahead.look_at)
        account.expiry_look_at = min((look for look in looks if look), default=None)

    def _expire(self, account: Account, due: Due) -> None:
        policy = self.policies[account.shop_id]
        assert policy is not None
        explanation = {
            "rule": RULE,
            "reason": "points_expired",
            "points": -due.points,
            **(_told(policy.expiry) or {}),
            "since": due.since,
            "until": due.until,
            "timezone": self.versions[account.shop_id].program.timezone,
        }
        self._enter(account, Move("expiry", "available", "expired", due.points), explanation, due.at)

    def _enter(self, account: Account, move: Move, explanation: dict[str, Any], at: datetime) -> None:
        """The how manieth expiry of the member it is makes its key: under the member's lock, two can't be the same."""
        past, version = self.pasts[account.key], self.versions[account.shop_id]
        key = f"expiry:{account.member_id}:{past.postings}"
        self.pasts[account.key] = past._replace(postings=past.postings + 1)
        entry = Entry(*account.key, move, key, RULE, explanation, ACTOR, at, version.number)
        self.postings.append(operations.enter(account, entry, self.now))
        self.happened.append(operations.entered(account, entry))

    def _remind(self, account: Account, coming: list[Due]) -> None:
        version = self.versions[account.shop_id]
        given = reminders(coming, self.told[account.key].until, self.now)
        for reminder in given:
            told = {"points": reminder.due.points, "expires_at": reminder.due.at, "days": reminder.days}
            self.happened.append(
                Happened(
                    account.shop_id, "points.expiring", told, self.now, account.member_id, None,
                    version.number,
                )
            )  # fmt: skip
        if given:
            self.reminded.append((*account.key, given[-1].due.at, given[-1].days))
