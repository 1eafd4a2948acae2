"""Shops on the command line."""

from collections.abc import Callable

import click
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from core.config import settings
from core.db import database
from shops import hooks, keys, queries, tokens

shop = AppGroup("shop", help="Shops that installed the app.")
api_key = AppGroup("api-key", help="Keys of the public API.")
review_hook = AppGroup("review-hook", help="Reviews that a review app tells of.")

# Who is at the command line, in the audit log.
ACTOR = "command line"

# Filled by app.py when the parts are wired together: what other rooms keep encrypted of a shop.
rotated: list[Callable[[Session, int], None]] = []


@shop.command("list")
def list_shops() -> None:
    """One line a shop: id, domain, currency, whether it is installed."""
    with database().transaction() as session:
        for row in queries.shops(session):
            state = "uninstalled" if row.uninstalled_at else "installed"
            click.echo(f"{row.id}\t{row.domain}\t{row.currency}\t{row.timezone}\t{state}")


@api_key.command("create")
@click.option("--shop", "domain", required=True, help="The shop's myshopify.com domain.")
@click.option("--name", default="command line", show_default=True)
def create_key(domain: str, name: str) -> None:
    """Make a key and print it. It is shown once: only its hash is kept."""
    with database().transaction() as session:
        shop_id = queries.shop_by_domain(session, domain).id
    with database().transaction(shop_id) as session:
        click.echo(keys.create(session, shop_id, name, actor=ACTOR))


@api_key.command("revoke")
@click.argument("key", type=int)
@click.option("--shop", "domain", required=True, help="The shop's myshopify.com domain.")
def revoke_key(key: int, domain: str) -> None:
    """End a KEY, named by its number (the actor of what it did: api:KEY)."""
    with database().transaction() as session:
        shop_id = queries.shop_by_domain(session, domain).id
    with database().transaction(shop_id) as session:
        if not keys.revoke(session, shop_id, key, actor=ACTOR):
            raise click.ClickException(f"there is no working key {key}")
    click.echo(f"key {key} is revoked")


@review_hook.command("create")
@click.option("--shop", "domain", required=True, help="The shop's myshopify.com domain.")
@click.option("--ask", is_flag=True, help="Ask for the secret the review app signs with, as Judge.me has one.")
def create_review_hook(domain: str, ask: bool) -> None:
    """Let a review app tell of reviews: print the address, and the secret to sign with. An earlier one is void."""
    given = click.prompt("Secret", hide_input=True).strip() if ask else None
    with database().transaction() as session:
        secret = hooks.keep_review_secret(session, queries.shop_by_domain(session, domain), given)
    click.echo(f"{settings().app_url.rstrip('/')}/hooks/reviews/{domain}")
    if not ask:
        click.echo(secret)


@shop.command("rotate-keys")
def rotate_keys() -> None:
    """Encrypt every stored token and secret under the first of ENCRYPTION_KEYS, so that the others can be dropped."""
    for shop_id in queries.all_shop_ids(database()):
        with database().transaction(shop_id) as session:
            for rotate in (tokens.rotate_encryption, hooks.rotate_encryption, *rotated):
                rotate(session, shop_id)
    click.echo("all tokens and secrets are encrypted under the newest key")
