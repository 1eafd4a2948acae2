"""A shop that pays commission, the people it pays, and Stripe."""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from core import clock, effects
from core.db import database
from referrals.payouts import operations, paying, proof, queries, upkeep
from referrals.payouts import stripe as client
from referrals.payouts.models import CommissionEntry, Payee, Statement
from referrals.payouts.paying import metadata
from sandbox.stripe.world import Stripe
from shops.models import Shop
from tests.web.stores import Store

OCTOBER = datetime(2026, 10, 15, 12, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 2, 12, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 2, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Payouts:
    """`store` is a shop of the app that answers at `url`."""

    store: Store
    url: str
    stripe: Stripe
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def shop_id(self) -> int:
        return self.store.shop_id

    def earn(self, partner: int, amount: int, *, at: datetime = OCTOBER, currency: str = "USD", **more: Any) -> bool:
        """Commission of a partner, recorded at that moment. By default each is a fact of its own."""
        number = next(self.numbers)
        told = {"referral_id": number, "key": f"referral:{number}", "explanation": {}} | more
        with clock.fixed_at(at), database().transaction(self.shop_id) as session:
            return operations.earn(
                session, self.shop_id, partner_id=partner, amount=amount, currency=currency, at=at, **told
            )  # fmt: skip

    def take_back(self, partner: int, amount: int, *, at: datetime = NOVEMBER, currency: str = "USD") -> bool:
        number = next(self.numbers)
        told: dict[str, Any] = {"referral_id": number, "key": f"referral:{number}:back", "explanation": {}}
        with clock.fixed_at(at), database().transaction(self.shop_id) as session:
            return operations.reverse(
                session, self.shop_id, partner_id=partner, amount=amount, currency=currency, at=at, **told
            )  # fmt: skip

    def balance(self, partner: int, currency: str = "USD") -> int:
        with database().transaction(self.shop_id) as session:
            return queries.balance(session, operations.payee_of(session, self.shop_id, partner_id=partner), currency)

    def entries(self, partner: int) -> list[tuple[str, int]]:
        """Oldest first: kind and amount."""
        payee = self.payee(partner)
        with database().transaction(self.shop_id) as session:
            found: list[CommissionEntry] = list(
                queries.entries(session, self.shop_id, payee.id, before=None, limit=200)
            )
        return [(entry.kind, entry.amount) for entry in reversed(found)]

    def payee(self, partner: int) -> Payee:
        with database().transaction(self.shop_id) as session:
            return operations.payee_of(session, self.shop_id, partner_id=partner)

    def with_account(self, partner: int, country: str | None = None) -> str:
        """Give a partner an account at Stripe that can be paid; its id."""
        payee = self.payee(partner)
        with database().transaction(self.shop_id) as session:
            named = metadata(session.get_one(Shop, self.shop_id), payee.id)
        made = client.client().open_account(f"account:{payee.id}", country, named)
        account = str(made["id"])
        self.stripe.books.finish(account)
        self.stripe.news.settle()
        assert self.payee(partner).state == "active"
        return account

    def close(self, now: datetime = NOVEMBER) -> list[Statement]:
        with clock.fixed_at(now):
            upkeep.close_months(database())
        return self.statements()

    def statements(self) -> list[Statement]:
        """By id."""
        with database().transaction(self.shop_id) as session:
            found = queries.statements(session, self.shop_id, state=None, before=None, limit=200)
        return list(reversed(found))

    def statement(self, id_: int) -> Statement:
        with database().transaction(self.shop_id) as session:
            return session.get_one(Statement, (self.shop_id, id_))

    def approve(self, *ids: int) -> list[Statement]:
        with database().transaction(self.shop_id) as session:
            return operations.approve(session, self.shop_id, ids, actor="test")

    def work(self) -> int:
        """Carry out the effects that are due, and wait until Stripe has told what followed."""
        tried = effects.carry_out_due(database())
        self.stripe.news.settle()
        return tried

    def pay(self, id_: int) -> None:
        paying.pay(database(), self.shop_id, str(id_))

    def owing(self, partner: int, amount: int, currency: str = "USD", country: str | None = None) -> Statement:
        """A closed statement of somebody who can be paid."""
        self.earn(partner, amount, currency=currency)
        self.with_account(partner, country)
        return next(row for row in self.close() if row.payee_id == self.payee(partner).id)

    def differences(self) -> list[proof.Difference]:
        self.stripe.news.settle()
        transfers = client.client().transfers()
        with database().transaction(self.shop_id) as session:
            return proof.differences(session, self.shop_id, transfers)

    def paid(self) -> dict[str, int]:
        with database().transaction(self.shop_id) as session:
            return dict(proof.totals(session, self.shop_id))
