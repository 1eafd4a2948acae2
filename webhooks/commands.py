"""Reconcile and backfill on the command line."""

from datetime import UTC, datetime, timedelta

import click

from core import clock
from core.db import database
from shops.queries import shop_by_domain
from webhooks import drain
from webhooks.reconcile import reconcile as walk

# Before Shopify existed: every order there is.
ALWAYS = datetime(2006, 1, 1, tzinfo=UTC)


@click.command()
@click.option("--shop", "domain", required=True, help="The shop's myshopify.com domain.")
@click.option("--since", type=click.DateTime(), help="Orders updated since this moment (UTC). [default: two days ago]")
def reconcile(domain: str, since: datetime | None) -> None:
    """Compare a shop's orders with ours, bring in what is missing or older, and settle it."""
    _walk(domain, since.replace(tzinfo=UTC) if since else clock.now() - timedelta(days=2))


@click.command()
@click.option("--shop", "domain", required=True, help="The shop's myshopify.com domain.")
@click.option("--since", type=click.DateTime(), help="Orders updated since this moment (UTC). [default: all]")
def backfill(domain: str, since: datetime | None) -> None:
    """Bring in a shop's past orders."""
    _walk(domain, since.replace(tzinfo=UTC) if since else ALWAYS)


def _walk(domain: str, since: datetime) -> None:
    with database().transaction() as session:
        shop_id = shop_by_domain(session, domain).id
    summary = walk(database(), shop_id, since)
    drain.drain(database())
    click.echo(f"{summary.seen} orders seen, {summary.repaired} brought in")
