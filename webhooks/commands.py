"""Reconcile and backfill on the command line."""

from datetime import UTC, datetime, timedelta

import click
import sqlalchemy as sa
from flask.cli import AppGroup

from core import clock
from core.db import database
from shops.queries import shop_by_domain
from webhooks import drain
from webhooks.models import Delivery
from webhooks.reconcile import reconcile as walk

inbox = AppGroup("inbox", help="Deliveries that failed.")

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


@inbox.command("failed")
@click.option("--shop", "domain", required=True, help="The shop's myshopify.com domain.")
def failed(domain: str) -> None:
    """One line for each delivery that failed: its number, topic, tries and why."""
    with database().transaction() as session:
        shop_id = shop_by_domain(session, domain).id
    with database().transaction(shop_id) as session:
        for row in session.scalars(sa.select(Delivery).where(Delivery.state == "failed").order_by(Delivery.id)):
            click.echo(f"{row.id}\t{row.topic}\t{row.attempts} tries\t{row.error}")


@inbox.command("retry")
@click.argument("delivery", type=int)
@click.option("--shop", "domain", required=True, help="The shop's myshopify.com domain.")
def retry(delivery: int, domain: str) -> None:
    """Try a failed DELIVERY again, now."""
    with database().transaction() as session:
        shop_id = shop_by_domain(session, domain).id
    with database().transaction(shop_id) as session:
        if not drain.retry(session, shop_id, delivery):
            raise click.ClickException(f"there is no failed delivery {delivery}")
    drain.drain(database())
    click.echo("tried again; `flask inbox failed` shows it if it failed again")
