"""Programs on the command line."""

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any, TextIO

import click
from flask.cli import AppGroup

from core.db import database
from core.errors import RapportError
from loyalty.publishing import operations, queries
from loyalty.publishing.faults import Fault, faults
from loyalty.publishing.operations import Published
from loyalty.publishing.preview import Preview
from loyalty.publishing.preview import preview as previewed
from loyalty.publishing.schema import schema
from shops.queries import shop_by_domain

ACTOR = "command line"


class Plain(AppGroup):
    """A refusal is told in words, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RapportError as error:
            for told in error.extra.get("errors", ()):
                click.echo(f"{told['field']} {told['message']}", err=True)
            raise click.ClickException(error.detail) from error


program = Plain("program", help="A shop's program: see, check, publish, roll back.")

Decorator = Callable[[Any], Any]
of_shop: Decorator = click.option("--shop", "domain", required=True, help="The shop's myshopify.com domain.")
from_file: Decorator = click.argument("file", type=click.File(encoding="utf-8"))
maybe_from_file: Decorator = click.argument("file", type=click.File(encoding="utf-8"), required=False)
at_moment: Decorator = click.option(
    "--at", type=click.DateTime(), help="When it comes into force, on the shop's clock. [default: now]"
)
despite_demotions: Decorator = click.option(
    "--accept-demotions", is_flag=True, help="Publish it although members fall to lower tiers."
)
with_note: Decorator = click.option("--note", help="Why, for those who read the history.")


def shop_id_of(domain: str) -> int:
    """The id of the shop with this domain. Raises NotFound."""
    with database().transaction() as session:
        return shop_by_domain(session, domain).id


def document_in(file: TextIO) -> Any:
    """The JSON in a file."""
    try:
        return json.load(file)
    except ValueError as error:
        raise click.ClickException(f"{file.name} is not valid JSON: {error}") from error


@program.command("show")
@of_shop
@click.option("--version", "number", type=int, help="[default: the one in force]")
def show(domain: str, number: int | None) -> None:
    """The program in force, or any version, as JSON."""
    shop_id = shop_id_of(domain)
    with database().transaction(shop_id) as session:
        found = queries.version(session, shop_id, number) if number else queries.in_force(session, shop_id)
        click.echo(_json(found.row.document))


@program.command("schema")
def show_schema() -> None:
    """The JSON Schema of a program document."""
    click.echo(_json(schema()))


@program.command("validate")
@from_file
def validate(file: TextIO) -> None:
    """Whether the document in FILE is a program. Exits 1 and says what is wrong."""
    found = faults(document_in(file))
    _tell("", found)
    click.echo("The program is valid." if not found else "The program can't be published like this.")
    sys.exit(bool(found))


@program.command("diff")
@maybe_from_file
@of_shop
def diff(file: TextIO | None, domain: str) -> None:
    """What the document in FILE, or the draft, changes about the program in force."""
    _tell_changes(_previewed(file, domain))


@program.command("preview")
@maybe_from_file
@of_shop
def preview(file: TextIO | None, domain: str) -> None:
    """What FILE, or the draft, changes, and what to know before it is published."""
    seen = _previewed(file, domain)
    _tell_changes(seen)
    _tell("Mind: ", seen.warnings)


@program.command("publish")
@from_file
@of_shop
@at_moment
@with_note
@despite_demotions
def publish(file: TextIO, domain: str, **how: Any) -> None:
    """Publish the document in FILE as the next version."""
    document = document_in(file)
    shop_id = shop_id_of(domain)
    _carried_out(shop_id, lambda session: operations.publish(session, shop_id, document, actor=ACTOR, **how))


@program.command("rollback")
@click.argument("number", type=int)
@of_shop
@at_moment
@with_note
@despite_demotions
def rollback(number: int, domain: str, **how: Any) -> None:
    """Publish version NUMBER again, as a new version."""
    shop_id = shop_id_of(domain)
    _carried_out(shop_id, lambda session: operations.roll_back(session, shop_id, number, actor=ACTOR, **how))


@program.command("withdraw")
@click.argument("number", type=int)
@of_shop
def withdraw(number: int, domain: str) -> None:
    """Take back version NUMBER, which is scheduled and not in force yet."""
    shop_id = shop_id_of(domain)
    with database().transaction(shop_id) as session:
        operations.withdraw(session, shop_id, number, actor=ACTOR)
    click.echo(f"Version {number} is withdrawn.")


@program.command("history")
@of_shop
def history(domain: str) -> None:
    """Every version, the latest first: from when, by whom, and why."""
    _tell_versions(domain, lambda state: True)


@program.command("schedule")
@of_shop
def schedule(domain: str) -> None:
    """The versions that are not in force yet."""
    _tell_versions(domain, lambda state: state == queries.SCHEDULED)


def _previewed(file: TextIO | None, domain: str) -> Preview:
    document = document_in(file) if file else None
    shop_id = shop_id_of(domain)
    with database().transaction(shop_id) as session:
        seen = previewed(session, shop_id, document if file else queries.known_draft(session, shop_id).document)
    if seen.errors:
        _tell("", seen.errors)
        raise click.ClickException("the program can't be published like this")
    return seen


def _carried_out(shop_id: int, publish: Callable[[Any], Published]) -> None:
    with database().transaction(shop_id) as session:
        done = publish(session)
    click.echo(f"Version {done.version} is in force from {done.effective_from:%Y-%m-%d %H:%M:%S} UTC on.")


def _tell_changes(seen: Preview) -> None:
    for change in seen.changes:
        click.echo(change.text)
    if not seen.changes:
        click.echo("Nothing changes.")


def _tell(lead: str, found: Iterable[Fault]) -> None:
    for fault in found:
        click.echo(f"{lead}{fault.field} {fault.reason}", err=True)


def _tell_versions(domain: str, wanted: Callable[[str], bool]) -> None:
    shop_id = shop_id_of(domain)
    with database().transaction(shop_id) as session:
        for row, state, _ in reversed(queries.versions(session, shop_id)):
            if wanted(state):
                note = f"\t{row.note}" if row.note else ""
                click.echo(f"{row.version}\t{state}\t{row.effective_from:%Y-%m-%d %H:%M} UTC\t{row.actor}{note}")


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
