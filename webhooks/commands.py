"""Reconcile, backfill and backtests on the command line."""

import time
from datetime import UTC, datetime, timedelta
from typing import TextIO

import click
import sqlalchemy as sa
from flask.cli import AppGroup

from core import clock
from core.db import database
from core.effects import NotYet
from core.money import money_text
from loyalty.publishing.commands import document_in, maybe_from_file, of_shop, program
from loyalty.publishing.operations import candidate
from shops.admin import Throttled
from shops.queries import shop_by_domain
from webhooks import backfill as past
from webhooks import drain
from webhooks.backtest import Backtest, backtest
from webhooks.models import Delivery
from webhooks.reconcile import reconcile as walk

SOON = 0.2  # seconds

inbox = AppGroup("inbox", help="Deliveries that failed.")


@click.command()
@click.option("--shop", "domain", required=True, help="The shop's myshopify.com domain.")
@click.option("--since", type=click.DateTime(), help="Orders updated since this moment (UTC). [default: two days ago]")
def reconcile(domain: str, since: datetime | None) -> None:
    """Compare a shop's orders with ours, bring in what is missing or older, and settle it."""
    begins = since.replace(tzinfo=UTC) if since else clock.now() - timedelta(days=2)
    with database().transaction() as session:
        shop_id = shop_by_domain(session, domain).id
    summary = walk(database(), shop_id, begins)
    drain.drain(database())
    click.echo(
        f"{summary.seen:,} orders seen, {summary.settled:,} settled, {summary.differences:,} differed, "
        f"{summary.repaired:,} brought in"
    )


@click.command()
@click.option("--shop", "domain", required=True, help="The shop's myshopify.com domain.")
@click.option("--award-since", type=click.DateTime(), help="Let orders placed since this moment (UTC) earn points.")
def backfill(domain: str, award_since: datetime | None) -> None:
    """Bring in a shop's customers and past orders, and settle them."""
    with database().transaction() as session:
        shop_id = shop_by_domain(session, domain).id
    with database().transaction(shop_id) as session:
        past.begin(session, shop_id)
        if award_since:
            past.award_since(session, shop_id, award_since.replace(tzinfo=UTC), actor="command line")
    while (found := _progress(shop_id)).state in ("running", "settling"):
        click.echo(f"\r{found.share:>4.0%} {found.customers:,} customers, {found.orders:,} orders", nl=False, err=True)
        wait = _carried_on(shop_id)
        drain.drain(database(), seconds=5)
        time.sleep(wait)
    click.echo(f"\n{found.customers:,} customers and {found.orders:,} orders brought in" if not found.error else "")
    if found.error:
        raise click.ClickException(found.error)


def _carried_on(shop_id: int) -> float:
    """Carry a backfill on; returns the seconds until there is more to do."""
    try:
        past.advance(database(), shop_id, "")
    except (NotYet, Throttled) as later:
        return max(SOON, (later.until - clock.now()).total_seconds())
    return SOON


def _progress(shop_id: int) -> past.Progress:
    with database().transaction(shop_id) as session:
        found = past.progress(session, shop_id)
    assert found is not None
    return found


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


@program.command("try")
@maybe_from_file
@of_shop
@click.option("--days", type=click.IntRange(1, 3660), default=365, show_default=True, help="How far back orders count.")
@click.option("--members", type=click.IntRange(1), help="Try so many members only, picked evenly. [default: all]")
def try_program(file: TextIO | None, domain: str, days: int, members: int | None) -> None:
    """What the shop's real orders would have earned under FILE, or the draft, and under the program in force."""
    document = document_in(file) if file else None
    with database().transaction() as session:
        shop = shop_by_domain(session, domain)
    with database().transaction(shop.id) as session:
        tried = candidate(session, shop.id, document)
        found = backtest(session, shop.id, tried, days=days, now=clock.now(), sample=members, progress=_show_progress)
    _tell_backtest(found, shop.currency)


def _show_progress(done: int) -> None:
    click.echo(f"\r{done:,} members", nl=False, err=True)


def _tell_backtest(found: Backtest, currency: str) -> None:
    click.echo(
        f"\n{found.members:,} of {found.of_members:,} members, {found.orders:,} orders since {found.since:%Y-%m-%d}"
    )
    click.echo(f"{'':<30}{'in force':>15}{'tried':>15}")
    _tell_row("points", found.before.points, found.after.points)
    for rule in sorted(found.before.by_rule | found.after.by_rule):
        _tell_row(f"  {rule}", found.before.by_rule[rule], found.after.by_rule[rule])
    for tier in dict.fromkeys([*found.before.tiers, *found.after.tiers]):
        _tell_row(f"members at {tier}", found.before.tiers[tier], found.after.tiers[tier])
    costs = (found.before.cost, found.after.cost)
    worth = ["unknown" if cost is None else money_text(cost, currency) for cost in costs]
    click.echo(f"{'worth in rewards':<30}{worth[0]:>15}{worth[1]:>15}")
    click.echo(f"{found.gain:,} members earn more, {found.lose:,} less")
    for member, before, after in found.top:
        _tell_row(f"  member {member}", before, after)
    if found.unlabelled:
        click.echo(f"{found.unlabelled:,} orders hold products whose tags and collections were never read: left out")


def _tell_row(what: str, before: int, after: int) -> None:
    click.echo(f"{what:<30}{before:>15,}{after:>15,}")
