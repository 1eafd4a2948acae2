"""Wallet cards on the command line."""

from datetime import datetime
from pathlib import Path

import click
from flask.cli import AppGroup

from core.db import database
from core.errors import RapportError
from shops import queries
from wallet_passes.apple import uploads
from wallet_passes.apple.reading import LARGEST
from wallet_passes.apple.uploads import Held, Standing, Upload

ACTOR = "command line"

wallet = AppGroup("wallet", help="Cards in Apple Wallet and Google Wallet.")
certificates = AppGroup("certificate", help="The certificate that signs a shop's cards for Apple Wallet.")
wallet.add_command(certificates)

_SHOP = click.option("--shop", "domain", required=True, help="The shop's myshopify.com domain.")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@certificates.command("show")
@_SHOP
def show(domain: str) -> None:
    """Which certificate signs the shop's cards, and until when."""
    shop_id = _shop(domain)
    with database().transaction(shop_id) as session:
        _tell(uploads.standing(session, shop_id))


@certificates.command("set")
@_SHOP
@click.option(
    "--certificate", "certificate", type=_FILE, required=True, help="PEM, DER (.cer) or PKCS#12 (.p12, .pfx)."
)
@click.option("--key", type=_FILE, help="Its private key, where the certificate's file does not hold it.")
@click.option("--wwdr", type=_FILE, help="Apple's certificate that issued it, where that is not the operator's.")
@click.option("--nfc-key", type=_FILE, help="The public key of the shop's NFC terminals.")
@click.option("--password", is_flag=True, help="Ask for the password of the key.")
def keep(
    domain: str, certificate: Path, key: Path | None, wwdr: Path | None, nfc_key: Path | None, password: bool
) -> None:
    """Sign the shop's cards with a certificate of its own."""
    upload = Upload(
        _read(certificate),
        _read(key),
        _read(wwdr),
        click.prompt("Password", hide_input=True) if password else "",
        _read(nfc_key).decode("ascii", "replace"),
    )
    shop_id = _shop(domain)
    try:
        with database().transaction(shop_id) as session:
            uploads.add(session, shop_id, upload, actor=ACTOR)
            _tell(uploads.standing(session, shop_id))
    except RapportError as error:
        raise click.ClickException(error.detail) from None


@certificates.command("remove")
@_SHOP
@click.confirmation_option(prompt="Phones with cards of the shop's own certificate will be updated no more. Go on?")
def remove(domain: str) -> None:
    """Destroy the shop's own keys and go back to the operator's certificate."""
    shop_id = _shop(domain)
    try:
        with database().transaction(shop_id) as session:
            uploads.remove(session, shop_id, actor=ACTOR)
            _tell(uploads.standing(session, shop_id))
    except RapportError as error:
        raise click.ClickException(error.detail) from None


def _shop(domain: str) -> int:
    try:
        with database().transaction() as session:
            return queries.shop_by_domain(session, domain).id
    except RapportError as error:
        raise click.ClickException(error.detail) from None


def _read(path: Path | None) -> bytes:
    """No more than shows that a file is too large."""
    if path is None:
        return b""
    with path.open("rb") as file:
        return file.read(LARGEST + 1)


def _tell(found: Standing) -> None:
    if found.signs is None:
        click.echo(f"Nothing signs new cards: {found.problem}.")
    else:
        click.echo(f"{'The shop' if found.own else 'The operator'}'s certificate signs new cards:")
        _line(found.signs)
    for other in found.others:
        _line(other)


def _line(held: Held) -> None:
    click.echo(f"  {held.pass_type}\t{held.team}\tuntil {_date(held.expires_at)}\t{held.phones} phones")
    if held.warning:
        click.echo(f"    {held.warning}")


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
