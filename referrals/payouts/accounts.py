"""Payees' accounts at Stripe: opened at a payee's own wish, and known by what Stripe tells of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core import clock, effects
from core.db import Database
from core.errors import Conflict
from core.i18n import _
from referrals.payouts import queries, rules, stripe
from referrals.payouts.models import Payee
from referrals.payouts.operations import ACCOUNT, happened, locked_payee
from referrals.payouts.paying import metadata, pay_approved_of
from shops.models import Shop


def onboarding(database: Database, shop_id: int, payee_id: int, *, country: str | None, again: str, back: str) -> str:
    """Where a payee tells Stripe who they are, good once for some minutes. The account is opened at first asking.

    `country` (ISO 3166 code) matters then only; None is the platform's own. No transaction is open while Stripe is
    asked. Raises NotFound (`no_payee`), Conflict (`account_closed`), and what the client raises.
    """
    client = stripe.client()
    with database.transaction(shop_id) as session:
        payee, shop = queries.payee(session, shop_id, payee_id), session.get_one(Shop, shop_id)
    if payee.state == "rejected":
        raise Conflict(_("Stripe has closed this account; it can't be opened again from here"), code="account_closed")
    account = payee.account
    if account is None:
        key = f"rapport:{shop.domain}:account:{payee_id}:{country or ''}"
        made = client.open_account(key, country, metadata(shop, payee_id))
        with database.transaction(shop_id) as session:
            account = keep_account(locked_payee(session, shop_id, payee_id), made)
    return client.link(account, again=again, back=back)


def keep_account(payee: Payee, made: Mapping[str, Any]) -> str:
    """The account of a locked payee: the first that was made stays theirs."""
    if payee.account is None:
        payee.account, payee.country = str(made["id"]), made.get("country")
        payee.state = "onboarding"
    return payee.account


def refresh(database: Database, shop_id: int, target: str) -> None:
    """Ask Stripe how an account stands. An effect: harmless to repeat."""
    with database.transaction(shop_id) as session:
        payee = session.get(Payee, (shop_id, int(target)))
    if payee is None or payee.account is None:
        return
    known, account = payee.told_at, stripe.client().account(payee.account)
    with database.transaction(shop_id) as session:
        payee = locked_payee(session, shop_id, int(target))
        if payee.told_at == known:
            learn(session, payee, account, clock.now())
        else:  # Stripe told something while we asked: which is newer, only another answer knows.
            ask(session, payee)


def ask(session: Session, payee: Payee) -> None:
    """Have Stripe asked soon."""
    effects.request(session, [effects.Wanted(payee.shop_id, ACCOUNT, str(payee.id))])


def hear(session: Session, payee: Payee, account: Mapping[str, Any], told_at: datetime) -> None:
    """What Stripe told of a locked payee's account, `told_at` by its clock, which counts whole seconds."""
    if payee.told_at and told_at < payee.told_at:
        return
    if payee.told_at == told_at:
        ask(session, payee)
        return
    payee.told_at = told_at
    learn(session, payee, account, told_at)


def learn(session: Session, payee: Payee, account: Mapping[str, Any], at: datetime) -> None:
    """Take over how an account stands; what waited for it is paid."""
    standing = rules.standing(account, payee.needs)
    payee.country = account.get("country") or payee.country
    become(session, payee, standing, at)


def become(session: Session, payee: Payee, standing: rules.Standing, at: datetime) -> None:
    """Change a locked payee's state and needs, and say so if they are others."""
    if (payee.state, tuple(payee.needs)) == standing:
        return
    better = standing.state == "active" and payee.state != "active"
    payee.state, payee.needs = standing.state, list(standing.needs)
    told = {"payee": payee.id, "state": payee.state, "needs": payee.needs}
    happened(session, payee, "payout.account", told, at)
    if better:
        pay_approved_of(session, payee)
