"""Payouts on the command line."""

import sys
from collections import Counter

import click
from flask.cli import AppGroup

from core.db import database
from core.errors import RapportError
from core.money import money_text
from referrals.payouts import proof, stripe
from shops.queries import all_shop_ids

payouts = AppGroup("payouts", help="Commission that is paid out in money.")


@payouts.command("verify")
def verify() -> None:
    """Prove that statements, the commission ledger and Stripe's transfers agree. Exits 1 and names what differs."""
    try:
        transfers = stripe.client().transfers()
    except RapportError as error:
        raise click.ClickException(error.detail) from None
    found, paid = [], Counter[str]()
    for shop_id in all_shop_ids(database()):
        with database().transaction(shop_id) as session:
            found += proof.differences(session, shop_id, transfers)
            paid += proof.totals(session, shop_id)
    for one in found:
        click.echo(f"shop {one.shop_id} {one.what}: ledger {one.ledger}, other {one.other}")
    sums = ", ".join(money_text(amount, currency) for currency, amount in sorted(paid.items())) or "nothing"
    click.echo(f"{sums} paid out; transfers at Stripe {len(transfers)}, differences {len(found)}")
    sys.exit(bool(found))
