"""The proof that statements, the commission ledger and Stripe's transfers agree."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from referrals.payouts import rules
from referrals.payouts.models import CommissionEntry, Statement
from referrals.payouts.paying import group_of
from referrals.payouts.rules import Transfer
from shops.models import Shop


class Difference(NamedTuple):
    """Where two books differ: what is spoken of, and what each says, in minor units."""

    shop_id: int
    what: str
    ledger: int
    other: int


def totals(session: Session, shop_id: int) -> Counter[str]:
    """What was paid out and did not come back, by currency, in minor units."""
    moved = (CommissionEntry.shop_id == shop_id, CommissionEntry.kind.in_(("paid", "returned")))
    sums = sa.select(CommissionEntry.currency, sa.func.sum(CommissionEntry.amount)).where(*moved)
    found = session.execute(sums.group_by(CommissionEntry.currency))
    return Counter({currency: -int(amount) for currency, amount in found})


def differences(session: Session, shop_id: int, transfers: Iterable[Transfer]) -> list[Difference]:
    """What does not agree, of a shop. `transfers` are all of the platform's account; those of others are left out."""
    shop = session.get_one(Shop, shop_id)
    ours = {one.id: one for one in transfers if one.group.startswith(group_of(shop, ""))}
    booked = _booked(session, shop_id)
    return [*_with_stripe(shop_id, booked, ours), *_with_statements(session, shop_id, booked)]


def _booked(session: Session, shop_id: int) -> dict[str, int]:
    """By transfer, what was paid and did not come back."""
    booked: dict[str, int] = defaultdict(int)
    moved = (CommissionEntry.shop_id == shop_id, CommissionEntry.kind.in_(("paid", "returned")))
    for entry in session.scalars(sa.select(CommissionEntry).where(*moved)):
        booked[entry.explanation["transfer"]] -= entry.amount
    return booked


def _with_stripe(shop_id: int, booked: dict[str, int], ours: dict[str, Transfer]) -> list[Difference]:
    there = {id_: rules.in_minor(one.amount - one.returned, one.currency) for id_, one in ours.items()}
    named = sorted(booked.keys() | there.keys())
    told = ((id_, booked.get(id_, 0), there.get(id_, 0)) for id_ in named)
    return [
        Difference(shop_id, f"transfer {id_} at Stripe", ledger, other)
        for id_, ledger, other in told
        if ledger != other
    ]


def _with_statements(session: Session, shop_id: int, booked: dict[str, int]) -> list[Difference]:
    """A paid statement is paid by its transfer, of which a part may have come back; any other is not."""
    entry = CommissionEntry
    paid = sa.select(entry.statement_id, -sa.func.sum(entry.amount)).where(
        entry.shop_id == shop_id, entry.kind.in_(("paid", "returned"))
    )
    sums = {id_: int(amount) for id_, amount in session.execute(paid.group_by(entry.statement_id))}
    found = []
    for row in session.scalars(sa.select(Statement).where(Statement.shop_id == shop_id).order_by(Statement.id)):
        says = booked.get(row.transfer or "", 0) if row.state == "paid" else 0
        if sums.get(row.id, 0) != says or (row.state == "paid" and says == 0):
            found.append(Difference(shop_id, f"statement {row.id}", sums.get(row.id, 0), says))
    return found
