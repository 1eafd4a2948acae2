"""`/s/<shop>/mails/…`: where the reader of a mail ends them without signing in, and previews for the merchant.

Looking changes nothing, for scanners of mail look at every link; ending is a POST. Mailboxes send it by themselves when
their own button is pressed (RFC 8058), without cookies and from anywhere, so the signed link alone says whose it is.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, g, make_response, render_template, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from core import logs
from core.db import database, open_shops
from core.errors import NotFound, RapportError
from core.i18n import N_, _, isolated
from loyalty.activities import operations as activities
from loyalty.activities import queries as told
from referrals import links as pages_of
from shops.models import Shop
from wallet_passes import content
from wallet_passes.designs.addresses import address
from wallet_passes.designs.queries import design_of
from web import shop_looks, storefronts
from web.mailing import links, operations, testing

pages = Blueprint("mailing", __name__, url_prefix="/s/<shop_name:name>/mails")
log = logs.logger(__name__)

_SORRY = {
    "link_broken": (
        N_("This link isn't complete"),
        N_("It may have been cut off on its way. Copy all of it and try again."),
    ),
    "no_member": (
        N_("You get no mails"),
        N_("You are no member of this program any more, so there is nothing to end."),
    ),
    "no_shop": (
        N_("This shop isn't here"),
        N_("The link may be cut off, or the shop has left. Try the shop's own address."),
    ),
    "away": (N_("We couldn't reach the shop just now"), N_("Nothing is lost. Try again in a minute.")),
}


@pages.url_value_preprocessor
def _name_shop(endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.shop_name = (values or {}).pop("name")


@contextmanager
def _open() -> Iterator[tuple[Session, Shop]]:
    """A transaction for the shop of the address, whose look the page has. Raises NotFound (`no_shop`)."""
    with database().transaction() as session:
        shop = pages_of.shop_of(session, g.shop_name)
        if shop is None:
            raise NotFound("no such shop has installed the app", code="no_shop")
        open_shops(session, [shop.id])
        g.shop, g.design = shop, design_of(session, shop, "")
        # The page is drawn after the transaction, or after it failed.
        session.expunge(shop)
        yield session, shop


@pages.get("/<signed>")
def look(signed: str) -> str:
    """What this member gets, and the button that changes it."""
    with _open() as (session, shop):
        member_id = links.opened(shop.id, signed)
        given = {row.channel: row.given for row in told.consents(session, shop.id, member_id)}
    return _page("stop", stopped=given.get(activities.MAILS) is False, done=False)


@pages.post("/<signed>")
def change(signed: str) -> str:
    """End them, or have them again with `again=1`. Repeating it changes nothing."""
    again = request.form.get("again") == "1"
    with _open() as (session, shop):
        operations.want(session, shop.id, links.opened(shop.id, signed), wanted=again)
    return _page("stop", stopped=not again, done=True)


@pages.get("/preview/<signed>")
def preview(signed: str) -> Response:
    """A mail as members get it, with examples in it."""
    with _open() as (session, shop):
        html = testing.previewed(session, shop, signed).html
    g.previews = True
    return make_response(html)


@pages.errorhandler(RapportError)
def _refused(error: RapportError) -> tuple[str, int]:
    code = error.code if error.code in _SORRY else "link_broken"
    return _sorry(code), int(error.status) if error.status < HTTPStatus.INTERNAL_SERVER_ERROR else 503


@pages.errorhandler(OperationalError)
@pages.errorhandler(InterfaceError)
@pages.errorhandler(PoolTimeout)
def _away(error: Exception) -> tuple[str, int]:
    log.warning("the database does not answer", error=type(error).__name__)
    return _sorry("away"), 503


def _sorry(code: str) -> str:
    title, text = _SORRY[code]
    return _page("sorry", title=_(title), text=_(text))


def _page(name: str, **shown: Any) -> str:
    g.nonce = secrets.token_urlsafe(16)
    shop, design = g.get("shop"), g.get("design")
    named = content.shortened(shop.name, content.NAME) if shop and design else ""
    return render_template(
        f"mailing/{name}.html", nonce=g.nonce, look=shop_looks.colours(design), shop=named, named=isolated(named),
        logo=address(shop.id, design, "icon") if named else None, store=storefronts.home(shop) if named else None,
        **shown,
    )  # fmt: skip


@pages.after_request
def _strict(response: Response) -> Response:
    """An address here is a key, so it is told to nobody; nothing from elsewhere runs here."""
    response.headers.setdefault("Cache-Control", "private, no-store")
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    style = "'unsafe-inline'" if g.get("previews") else f"'self' 'nonce-{g.get('nonce', '')}'"
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self'; style-src {style}; img-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )
    return response
