"""Tiers on the command line."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import ValidationError

from core import clock
from core.db import database
from loyalty import programs
from loyalty.program import Program
from loyalty.programs import Version
from shops.models import Shop
from shops.queries import shop_by_domain
from tiers import perks_drift, recalculation
from tiers.models import Recalculation
from tiers.queries import tier_at, tier_history
from tiers.recalculation import Preview
from tiers.wording import tier_text

of_shop = click.option("--shop", "domain", required=True, help="The shop's myshopify.com domain.")


def _shop(domain: str) -> Shop:
    with database().transaction() as session:
        return shop_by_domain(session, domain)


@click.command()
@click.argument("member", type=int)
@of_shop
@click.option("--at", "moment", type=click.DateTime(), help="At this moment (UTC). [default: now]")
def tier(member: int, domain: str, moment: datetime | None) -> None:
    """The tier a MEMBER held at a moment, and every move between tiers with its reason."""
    moment = moment.replace(tzinfo=UTC) if moment else clock.now()
    shop = _shop(domain)
    with database().transaction(shop.id) as session:
        published = programs.load(session, [shop.id])
        held = tier_at(session, published, shop.id, member, moment)
        click.echo(f"{moment:%Y-%m-%d %H:%M} UTC: {held.name}")
        for period in tier_history(session, shop.id, member):
            told = tier_text(period, published.numbered(shop.id, period.program_version), shop.currency)
            click.echo(f"{period.since:%Y-%m-%d %H:%M} {period.tier_key} (before: {period.reason['before']}): {told}")


@click.group()
def tiers() -> None:
    """The ladder: what a change would do, doing it, and perks in the shop."""


@tiers.command()
@of_shop
@click.option("--program", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A JSON file.")
@click.option("--version", "number", type=int, help="A published version. [default: the one in force]")
def preview(domain: str, file: Path | None, number: int | None) -> None:
    """Who would move where under another ladder. Changes nothing."""
    shop = _shop(domain)
    with database().transaction(shop.id) as session:
        version = _read(file) if file else _published(programs.load(session, [shop.id]), shop.id, number)
        _tell(recalculation.preview(session, shop.id, version, clock.now()))


def _read(file: Path) -> Version:
    try:
        return Version(0, clock.now(), Program.model_validate_json(file.read_bytes()))
    except ValidationError as error:
        raise click.ClickException(str(error)) from None


def _published(published: programs.Programs, shop_id: int, number: int | None) -> Version:
    return published.numbered(shop_id, number) if number else published.in_force(shop_id, clock.now())


def _tell(seen: Preview) -> None:
    click.echo(f"{seen.members:,} members: {seen.going('up'):,} would rise, {seen.going('down'):,} would fall")
    for move in seen.moves:
        some = ", ".join(map(str, move.sample))
        click.echo(f"  {move.before} → {move.after}: {move.members:,} (members {some}{' …' * (move.members > 5)})")


@tiers.command()
@of_shop
@click.option("--yes", is_flag=True, help="Don't ask, though members would fall.")
def recalculate(domain: str, yes: bool) -> None:
    """Measure every member anew against the ladder in force, and move those it puts elsewhere."""
    shop = _shop(domain)
    with database().transaction(shop.id) as session:
        version = programs.load(session, [shop.id]).in_force(shop.id, clock.now())
        seen = recalculation.preview(session, shop.id, version, clock.now())
    _tell(seen)
    if seen.going("down") and not yes:
        click.confirm(f"{seen.going('down'):,} members would fall. Go on?", abort=True)
    with database().transaction(shop.id) as session:
        recalculation.restart(session, shop.id, clock.now())
    recalculation.run(database(), shop.id, _progress)


def _progress(row: Recalculation) -> None:
    share = 100 * min(row.done, row.total) // row.total if row.total else 100
    told = f"\r{share:3d}%  {row.done:,} of {max(row.total, row.done):,} members, {row.moved:,} moved"
    click.echo(told, nl=row.finished_at is not None)
    sys.stdout.flush()


@tiers.command("reconcile-perks")
@of_shop
def reconcile_perks(domain: str) -> None:
    """Compare tags, metafields and discounts in the shop with what members have, and have them put right."""
    wrong = perks_drift.reconcile(database(), _shop(domain).id)
    click.echo(
        f"{wrong:,} customers differ and are being put right" if wrong else "every customer is as they should be"
    )
