"""What Stripe tells us: each message once, and none that is not of one of our shops' payees.

A message names its shop in the metadata that we gave the object; it is believed only where the object is the payee's.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import clock
from core.db import Database
from referrals.payouts import accounts, paying, rules
from referrals.payouts.models import Payee, StripeEvent
from referrals.payouts.rules import Standing
from shops.models import Shop
from shops.queries import all_shop_ids

Body = Mapping[str, Any]
TAKEN, KNOWN, IGNORED = "taken", "known", "ignored"
MAX_ID = 2**63 - 1
KEPT = timedelta(days=30)


def take(database: Database, event: Body) -> str:
    """Take a verified message: `taken`, `known` when it was before, `ignored` when it is not for us.

    Raises KeyError, TypeError or ValueError for what is no event of Stripe's.
    """
    kind = event["type"]
    if not isinstance(kind, str):
        raise TypeError("the kind of an event is a text")
    handler = _HANDLERS.get(kind)
    shop_id = _shop(database, event, event["data"]["object"]) if handler else None
    if handler is None or shop_id is None:
        return IGNORED
    at = datetime.fromtimestamp(int(event["created"]), UTC)
    with database.transaction(shop_id) as session:
        row = {"shop_id": shop_id, "id": str(event["id"]), "kind": kind, "at": at}
        added = insert(StripeEvent).values(row).on_conflict_do_nothing().returning(StripeEvent.id)
        if session.scalar(added) is None:
            return KNOWN
        handler(session, shop_id, event, at)
    return TAKEN


def prune(session: Session) -> None:
    """Forget messages that Stripe will not send again: it tries for three days, and we refuse what is older."""
    session.execute(sa.delete(StripeEvent).where(StripeEvent.at < clock.now() - KEPT))


def _shop(database: Database, event: Body, told: Body) -> int | None:
    """The shop that a message is for, and that is open to us."""
    named = told.get("metadata") or {}
    shop_id = _number(named.get("shop_id"))
    if shop_id is None:
        return _shop_of_account(database, event.get("account"))
    with database.transaction() as session:
        shop = session.get(Shop, shop_id)
    return shop.id if shop and named.get("shop", shop.domain) == shop.domain else None


def _shop_of_account(database: Database, account: Any) -> int | None:
    """What happens at a payee's own bank carries nothing of ours but the account."""
    if not account:
        return None
    with database.transaction(*all_shop_ids(database)) as session:
        return session.scalar(sa.select(Payee.shop_id).where(Payee.account == str(account)))


def _account_updated(session: Session, shop_id: int, event: Body, at: datetime) -> None:
    account = event["data"]["object"]
    named = account.get("metadata") or {}
    payee = _payee(session, shop_id, Payee.id == (_number(named.get("payee_id")) or 0))
    if payee and payee.account is None:
        accounts.keep_account(payee, account)  # its making was heard of before Stripe's answer was kept
    if payee and payee.account == account["id"]:
        accounts.hear(session, payee, account, at)


def _transfer_changed(session: Session, shop_id: int, event: Body, at: datetime) -> None:
    paying.note(session, shop_id, rules.transfer_of(event["data"]["object"]))


def _bank_refused(session: Session, shop_id: int, event: Body, at: datetime) -> None:
    """The money is at Stripe, in the payee's name: they are owed nothing, but need another bank account."""
    payee = _payee(session, shop_id, Payee.account == str(event.get("account")))
    if payee:
        needs = tuple(dict.fromkeys([*payee.needs, "bank_refused"]))
        accounts.become(session, payee, Standing(payee.state, needs), at)
        accounts.ask(session, payee)


def _bank_took(session: Session, shop_id: int, event: Body, at: datetime) -> None:
    payee = _payee(session, shop_id, Payee.account == str(event.get("account")))
    if payee:
        needs = tuple(need for need in payee.needs if need != "bank_refused")
        accounts.become(session, payee, Standing(payee.state, needs), at)


def _payee(session: Session, shop_id: int, which: sa.ColumnElement[bool]) -> Payee | None:
    return session.scalar(sa.select(Payee).where(Payee.shop_id == shop_id, which).with_for_update())


def _number(text: Any) -> int | None:
    """An id as metadata has it: what can be no id names nobody."""
    known = isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 20
    return int(text) if known and 0 < int(text) <= MAX_ID else None


# By Stripe's names: https://docs.stripe.com/api/events/types
_HANDLERS: dict[str, Callable[[Session, int, Body, datetime], None]] = {
    "account.updated": _account_updated,
    "transfer.created": _transfer_changed,
    "transfer.updated": _transfer_changed,
    "transfer.reversed": _transfer_changed,
    "payout.failed": _bank_refused,
    "payout.paid": _bank_took,
}
