"""Shops on the command line."""

import click
from flask.cli import AppGroup

from core.db import database
from shops import keys, operations, queries

shop = AppGroup("shop", help="Shops that installed the app.")
api_key = AppGroup("api-key", help="Keys of the public API.")


@shop.command("list")
def list_shops() -> None:
    """One line a shop: id, domain, currency, whether it is installed."""
    with database().transaction() as session:
        for row in queries.shops(session):
            state = "uninstalled" if row.uninstalled_at else "installed"
            click.echo(f"{row.id}\t{row.domain}\t{row.currency}\t{row.timezone}\t{state}")


@shop.command("install")
@click.argument("session_token")
def install(session_token: str) -> None:
    """Install the shop named by a session token."""
    click.echo(f"installed as shop {operations.install(database(), session_token)}")


@api_key.command("create")
@click.option("--shop", "domain", required=True, help="The shop's myshopify.com domain.")
@click.option("--name", default="command line", show_default=True)
def create_key(domain: str, name: str) -> None:
    """Make a key and print it. It is shown once: only its hash is kept."""
    with database().transaction() as session:
        shop_id = queries.shop_by_domain(session, domain).id
    with database().transaction(shop_id) as session:
        click.echo(keys.create(session, shop_id, name))
