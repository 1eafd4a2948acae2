"""The ledger on the command line."""

import json
import sys

import click
from flask.cli import AppGroup

from core.db import database
from loyalty import audit, programs
from loyalty.models import Member
from loyalty.privacy import read_export
from loyalty.wording import sentence
from shops import operations
from shops.commands import shop
from shops.queries import all_shop_ids, shop_by_domain

ledger = AppGroup("ledger", help="Prove and explain the points.")
privacy = AppGroup("privacy", help="Answers to customers' data requests.")


@shop.command("install")
@click.argument("session_token")
def install(session_token: str) -> None:
    """Install the shop named by a session token, with the first program."""
    click.echo(f"installed as shop {operations.install(database(), session_token, programs.publish_first)}")


@privacy.command("export")
@click.argument("request_id")
@click.option("--shop", "domain", required=True, help="The shop's domain.")
def export(request_id: str, domain: str) -> None:
    """What we keep of the person whose data request Shopify named REQUEST_ID, as JSON."""
    with database().transaction() as session:
        shop_id = shop_by_domain(session, domain).id
    with database().transaction(shop_id) as session:
        click.echo(json.dumps(read_export(session, shop_id, request_id), indent=2, ensure_ascii=False))


@ledger.command("verify")
def verify() -> None:
    """Prove that every cached balance is the sum of its postings. Exits 1 and names what differs."""
    shops = all_shop_ids(database())
    with database().transaction(*shops) as session:
        found, counted = audit.differences(session), audit.counted(session)
    for difference in found:
        click.echo(
            f"shop {difference.shop_id} {difference.what} {difference.id} {difference.bucket}: "
            f"cached {difference.cached}, ledger {difference.ledger}"
        )
    click.echo(
        f"{len(shops)} shops, {counted['members']} members, {counted['orders']} orders, "
        f"{counted['postings']} postings, {counted['outstanding']} points outstanding: {len(found)} differences"
    )
    sys.exit(bool(found))


@ledger.command("explain")
@click.argument("member", type=int)
@click.option("--shop", "domain", help="The shop's domain; needed when there are several shops.")
def explain(member: int, domain: str | None) -> None:
    """Every posting of a MEMBER, oldest first, with its reason in words."""
    with database().transaction() as session:
        shops = [shop_by_domain(session, domain).id] if domain else all_shop_ids(database())
    with database().transaction(*shops) as session:
        found = [m for shop_id in shops if (m := session.get(Member, (shop_id, member)))]
        if not found:
            raise click.ClickException(f"there is no member {member}")
        for posting in audit.history(session, found[0].shop_id, member):
            click.echo(
                f"{posting.occurred_at:%Y-%m-%d %H:%M} {posting.kind:<13} {posting.source}>{posting.target} "
                f"{posting.points:>7} balance {posting.available_after:>7}  {sentence(posting)}"
            )
        click.echo(f"available {found[0].available}, pending {found[0].pending}, lifetime {found[0].lifetime}")
