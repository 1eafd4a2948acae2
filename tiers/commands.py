"""Tiers on the command line."""

from datetime import UTC, datetime

import click

from core import clock
from core.db import database
from core.money import money_text
from loyalty import programs
from shops.queries import shop_by_domain
from tiers.queries import tier_at, tier_history


@click.command()
@click.argument("member", type=int)
@click.option("--shop", "domain", required=True, help="The shop's myshopify.com domain.")
@click.option("--at", "moment", type=click.DateTime(), help="At this moment (UTC). [default: now]")
def tier(member: int, domain: str, moment: datetime | None) -> None:
    """The tier a MEMBER held at a moment, and every move between tiers with its reason."""
    moment = moment.replace(tzinfo=UTC) if moment else clock.now()
    with database().transaction() as session:
        shop = shop_by_domain(session, domain)
    with database().transaction(shop.id) as session:
        held = tier_at(session, programs.load(session, [shop.id]), shop.id, member, moment)
        click.echo(f"{moment:%Y-%m-%d %H:%M} UTC: {held.name}")
        for period in tier_history(session, shop.id, member):
            spend = money_text(period.reason["spend"], shop.currency)
            click.echo(
                f"{period.since:%Y-%m-%d %H:%M} {period.tier_key} (before: {period.reason['before']}, {spend} spent)"
            )
