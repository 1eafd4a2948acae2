"""Reads of commission: balances, entries, statements, and what waits."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.effects import Effect
from core.errors import NotFound
from core.i18n import _
from referrals.payouts.models import CommissionEntry, Payee, Statement
from referrals.payouts.rules import Month

# Statements whose money is spoken for, but not paid yet.
UNPAID = ("open", "approved", "paying")


class Owed(NamedTuple):
    """What a month's statement would be for, in minor units, and the last entry it looks at."""

    payee_id: int
    currency: str
    amount: int
    last_entry: int


class Balance(NamedTuple):
    """What a payee is owed in a currency, in minor units; below 0 where more was taken back than is owed."""

    payee_id: int
    currency: str
    amount: int


def balance(session: Session, payee: Payee, currency: str) -> int:
    """The sum of a payee's entries in a currency, in minor units."""
    mine = _entries(payee.shop_id, [payee.id]).where(CommissionEntry.currency == currency)
    return int(session.scalar(mine.with_only_columns(sa.func.coalesce(sa.func.sum(CommissionEntry.amount), 0))) or 0)


def balances(session: Session, shop_id: int, payee_ids: Sequence[int]) -> Sequence[Balance]:
    """Of each payee in each currency, by payee and currency."""
    one = (CommissionEntry.payee_id, CommissionEntry.currency)
    sums = _entries(shop_id, payee_ids).with_only_columns(*one, sa.func.sum(CommissionEntry.amount))
    return [
        Balance(who, currency, int(sum_)) for who, currency, sum_ in session.execute(sums.group_by(*one).order_by(*one))
    ]


def under_way(session: Session, row: Statement) -> int:
    """What is being paid at this moment for other statements of the same payee and currency."""
    others = (
        Statement.shop_id == row.shop_id, Statement.payee_id == row.payee_id, Statement.currency == row.currency,
        Statement.state == "paying", Statement.id != row.id,
    )  # fmt: skip
    return int(session.scalar(sa.select(sa.func.coalesce(sa.func.sum(Statement.sent), 0)).where(*others)) or 0)


def earner(session: Session, shop_id: int, referral_id: int, currency: str) -> int | None:
    """The payee who earned something for a referral, whoever the member has become since."""
    mine = (CommissionEntry.shop_id == shop_id, CommissionEntry.referral_id == referral_id)
    earned = (CommissionEntry.kind == "earned", CommissionEntry.currency == currency)
    return session.scalar(
        sa.select(CommissionEntry.payee_id).where(*mine, *earned).order_by(CommissionEntry.id).limit(1)
    )


def returned(session: Session, row: Statement, transfer: str) -> int:
    """What is known to have come back of a transfer, in minor units."""
    mine = _entries(row.shop_id, [row.payee_id]).where(
        CommissionEntry.statement_id == row.id,
        CommissionEntry.kind == "returned",
        CommissionEntry.explanation["transfer"].astext == transfer,
    )
    return int(session.scalar(mine.with_only_columns(sa.func.coalesce(sa.func.sum(CommissionEntry.amount), 0))) or 0)


# Closing a month.


def unclosed(session: Session, shop_id: int, month: Month, *, after: int, limit: int) -> list[int]:
    """Payees with ids above `after` who are owed something in a currency that has no statement for the month."""
    entry = CommissionEntry
    closed = sa.select(Statement.id).where(
        Statement.shop_id == shop_id, Statement.month == month.first,
        Statement.payee_id == entry.payee_id, Statement.currency == entry.currency,
    )  # fmt: skip
    owing = (
        sa.select(entry.payee_id)
        .where(entry.shop_id == shop_id, entry.payee_id > after, ~closed.exists())
        .group_by(entry.payee_id, entry.currency)
        .having(sa.func.sum(entry.amount) > 0)
    )
    return list(session.scalars(sa.select(owing.distinct().subquery().c.payee_id).order_by(sa.text("1")).limit(limit)))


def owed(session: Session, shop_id: int, month: Month, payee_ids: Sequence[int]) -> list[Owed]:
    """What these payees, who are locked, are owed for all that was earned by the end of the month.

    What was taken back or paid since is off; so is what earlier statements are for that are not paid yet.
    """
    entry = CommissionEntry
    later = (entry.kind == "earned") & (entry.recorded_at >= month.ends_at)
    last = sa.func.max(entry.id).filter(entry.recorded_at < month.ends_at)
    one = (entry.payee_id, entry.currency)
    sums = _entries(shop_id, payee_ids).with_only_columns(*one, sa.func.sum(entry.amount).filter(~later), last)
    claimed = _claimed(session, shop_id, payee_ids)
    return [
        Owed(payee, currency, int(amount or 0) - claimed.get((payee, currency), 0), last_entry)
        for payee, currency, amount, last_entry in session.execute(sums.group_by(*one).order_by(*one))
        if last_entry is not None
    ]


def _claimed(session: Session, shop_id: int, payee_ids: Sequence[int]) -> dict[tuple[int, str], int]:
    one = (Statement.payee_id, Statement.currency)
    amount = sa.func.sum(sa.func.coalesce(Statement.sent, Statement.amount))
    mine = (Statement.shop_id == shop_id, Statement.payee_id.in_(payee_ids), Statement.state.in_(UNPAID))
    found = session.execute(sa.select(*one, amount).where(*mine).group_by(*one))
    return {(payee, currency): int(sum_) for payee, currency, sum_ in found}


def unattended(session: Session, shop_id: int, kind: str) -> list[int]:
    """Approved statements that no effect works on, of payees who can be paid; and those whose payment was begun."""
    effect = sa.select(Effect.target).where(
        Effect.shop_id == shop_id, Effect.kind == kind, Effect.state == "waiting",
        Effect.target == sa.cast(Statement.id, sa.Text),
    )  # fmt: skip
    ready = (Statement.state == "paying") | ((Statement.state == "approved") & (Payee.state == "active"))
    return list(
        session.scalars(
            sa.select(Statement.id)
            .join(Payee, (Payee.shop_id == Statement.shop_id) & (Payee.id == Statement.payee_id))
            .where(Statement.shop_id == shop_id, ready, ~effect.exists())
            .order_by(Statement.id)
        )
    )


# For the API.


def payee(session: Session, shop_id: int, payee_id: int) -> Payee:
    """Raises NotFound."""
    found = session.get(Payee, (shop_id, payee_id))
    if found is None:
        raise NotFound(_("there is nobody with this id to be paid"), code="no_payee")
    return found


def payees(session: Session, shop_id: int, *, state: str | None, after: int, limit: int) -> Sequence[Payee]:
    """By id, from those above `after`."""
    mine = sa.select(Payee).where(Payee.shop_id == shop_id, Payee.id > after, *_in(Payee.state, state))
    return session.scalars(mine.order_by(Payee.id).limit(limit)).all()


def statements(
    session: Session, shop_id: int, *, state: str | None, before: int | None, limit: int
) -> Sequence[Statement]:
    """Newest first, from those with ids below `before`."""
    mine = sa.select(Statement).where(Statement.shop_id == shop_id, *_in(Statement.state, state))
    older = [Statement.id < before] if before is not None else []
    return session.scalars(mine.where(*older).order_by(Statement.id.desc()).limit(limit)).all()


def entries(
    session: Session, shop_id: int, payee_id: int, *, before: int | None, limit: int
) -> Sequence[CommissionEntry]:
    """Newest first, from those with ids below `before`."""
    mine = _entries(shop_id, [payee_id]).order_by(CommissionEntry.id.desc())
    older = [CommissionEntry.id < before] if before is not None else []
    return session.scalars(mine.where(*older).limit(limit)).all()


def _entries(shop_id: int, payee_ids: Iterable[int]) -> sa.Select[CommissionEntry]:
    return sa.select(CommissionEntry).where(
        CommissionEntry.shop_id == shop_id, CommissionEntry.payee_id.in_(list(payee_ids))
    )


def _in(column: sa.orm.InstrumentedAttribute[str], state: str | None) -> list[sa.ColumnElement[bool]]:
    return [] if state is None else [column == state]
