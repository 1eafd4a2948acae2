"""`/wallet/add`: the page a signed link opens, the badges that lead there, and on to the wallets.

Looking at the page changes nothing, so previews, prefetching and scanners of mail may look. Only a pressed button, a
POST, makes a card, here or at Google.
"""

import secrets
from collections.abc import Callable, Collection
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import babel
import segno
from babel.dates import format_skeleton
from flask import Blueprint, Flask, Response, g, redirect, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from core import logs
from core.config import settings
from core.db import database
from core.errors import NotFound, RapportError, Unavailable
from shops.models import Shop
from wallet_passes import content, languages
from wallet_passes.adding import badges, links, operations, queries
from wallet_passes.adding.links import ExpiredLink, Opened
from wallet_passes.adding.visitors import APPLE, GOOGLE, WALLETS, Visitor, visitor
from wallet_passes.adding.wording import Words, filled, words
from wallet_passes.apple import certificate, certificates
from wallet_passes.apple.operations import download_link
from wallet_passes.design import Design, written
from wallet_passes.designs.queries import design_of
from wallet_passes.google import account, saving

# Badges change with a release of ours at most.
BADGE_LIVES = 24 * 3600  # seconds

_PLAIN = Design("", (44, 52, 66), (255, 255, 255), (220, 224, 230))

pages = Blueprint("adding", __name__, url_prefix="/wallet/add")
log = logs.logger(__name__)


class Way(NamedTuple):
    """A wallet that the card can go to; `why_not` says why it can't."""

    wallet: str
    label: str
    why_not: str | None


def register(app: Flask) -> None:
    """Give the app the page that adds cards."""
    app.register_blueprint(pages)


@pages.get("/<signed>")
def show(signed: str) -> str:
    """The card as it would be, and the way into the wallet of the phone it is seen on."""
    link = _opened(signed)
    with database().transaction(link.shop_id) as session:
        shown = queries.invitation(session, link.shop_id, link.member_id)
        ready = _ready(session, link.shop_id)
    who, language = _visitor(), _language()
    said, shop = words(language), content.shortened(shown.shop.name, content.NAME)
    return _page(
        "add", shown.design, language,
        shown=shown, who=who, signed=signed, points=languages.number(shown.points, language),
        labels=languages.catalogue(language).labels, ways=_ways(said, ready, who, shop),
        until=filled(said.until, date=_day(link, language)), shop=shop, qr=None if who.wallet else _qr(signed),
    )  # fmt: skip


@pages.post("/<signed>/apple")
def to_apple(signed: str) -> Any:
    """Make the card, and go on to its file."""
    link = _opened(signed, APPLE)
    with database().transaction(link.shop_id) as session:
        certificates.signer(session, link.shop_id)
        operations.prepare(session, link.shop_id, link.member_id, _spoken())
    return redirect(urlsplit(download_link(link.shop_id, link.member_id).url).path, 303)


@pages.post("/<signed>/google")
def to_google(signed: str) -> Any:
    """Make the card here and at Google, and go on to Google's own page, which saves it."""
    link = _opened(signed, GOOGLE)
    account.current()
    with database().transaction(link.shop_id) as session:
        operations.prepare(session, link.shop_id, link.member_id, _spoken())
    return redirect(saving.save_url(database(), link.shop_id, link.member_id), 303)


@pages.get("/<signed>/<any(apple, google):wallet>")
def back(signed: str, wallet: str) -> Any:
    """A button's address that was opened instead of pressed."""
    return redirect(url_for(".show", signed=signed), 303)


@pages.get("/badge/<any(apple, google):wallet>.<any(svg, png):kind>")
def badge(wallet: str, kind: str) -> Response:
    """A badge for mails, in the language `lang`."""
    if kind == "svg":
        drawn = badges.svg(wallet, languages.chosen(request.args.get("lang")))
        response = Response(drawn, mimetype="image/svg+xml")
    else:
        response = Response(badges.png(wallet), mimetype="image/png")
    response.headers["Cache-Control"] = f"public, max-age={BADGE_LIVES}"
    return response


# What stands in the way.


@pages.errorhandler(RapportError)
def _refused(error: RapportError) -> Response:
    """What went wrong, kindly, and what to do."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("a card could not be added", code=error.code, detail=error.detail)
    response = Response(_sorry(_reason(error), getattr(error, "shop_id", None)), int(error.status))
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


@pages.errorhandler(OperationalError)
@pages.errorhandler(InterfaceError)
@pages.errorhandler(PoolTimeout)
def _no_database(error: Exception) -> Response:
    log.warning("the page that adds cards has no database", error=type(error).__name__)
    response = Response(_sorry("away", None), HTTPStatus.SERVICE_UNAVAILABLE)
    response.headers["Retry-After"] = str(Unavailable.retry_after)
    return response


def _reason(error: RapportError) -> str:
    if isinstance(error, (certificate.NotSetUp, account.NotSetUp)):
        return "not_set_up"
    if isinstance(error, ExpiredLink) or error.code == "link_broken":
        return error.code
    return "ended" if isinstance(error, NotFound) else "away"


def _sorry(reason: str, shop_id: int | None) -> str:
    link, language = g.get("link"), _language()
    shop, design = _shop(shop_id or (link.shop_id if link else None)) if reason != "away" else (None, _PLAIN)
    said, name = words(language), content.shortened(shop.name, content.NAME) if shop else ""
    values = {"shop": name, "wallet": badges.NAMES.get(g.get("wallet", ""), "")}
    return _page(
        "sorry", design, language,
        title=filled(said.sorry[reason].title, **values), text=filled(said.sorry[reason].text, **values),
        again=url_for(".show", **(request.view_args or {})) if reason == "away" else None,
        website=shop.public_url if shop else None, shop=name,
    )  # fmt: skip


def _shop(shop_id: int | None) -> tuple[Shop | None, Design]:
    with database().transaction(*([shop_id] if shop_id else [])) as session:
        shop = session.get(Shop, shop_id) if shop_id else None
        return shop, design_of(session, shop, "") if shop else _PLAIN


# Pages.


def _opened(signed: str, wallet: str = "") -> Opened:
    """Raises BrokenLink, ExpiredLink."""
    g.wallet = wallet
    g.link = links.opened(signed)
    link: Opened = g.link
    return link


def _visitor() -> Visitor:
    return visitor(request.headers.get("User-Agent", ""), request.headers.get("Sec-CH-UA-Platform", ""))


def _spoken() -> str | None:
    """The language that the browser prefers of those that cards speak; None when it wants none of them."""
    wanted = [tag for tag, quality in request.accept_languages if quality > 0]
    known = [tag for tag in wanted if tag.split("-")[0].lower() in languages.LANGUAGES]
    return languages.chosen(known[0]) if known else None


def _language() -> str:
    return _spoken() or languages.ENGLISH


def _ready(session: Session, shop_id: int) -> frozenset[str]:
    """The wallets that are set up for a shop."""
    apple, google = partial(certificates.signer, session, shop_id), account.current
    return frozenset(wallet for wallet, current in ((APPLE, apple), (GOOGLE, google)) if _works(current))


def _works(current: Callable[[], object]) -> bool:
    try:
        current()
    except RapportError:
        return False
    return True


def _ways(said: Words, ready: Collection[str], who: Visitor, shop: str) -> list[Way]:
    """The wallets, this phone's own first. Another phone's that is not set up is not worth a word."""
    ordered = sorted(WALLETS, key=lambda wallet: wallet != who.wallet)
    shown = [wallet for wallet in ordered if wallet in ready or who.wallet in (None, wallet)]
    return [Way(wallet, _said(said.add, wallet, shop), _why_not(said, ready, wallet, shop)) for wallet in shown]


def _why_not(said: Words, ready: Collection[str], wallet: str, shop: str) -> str | None:
    return None if wallet in ready else _said(said.none_yet, wallet, shop)


def _said(text: str, wallet: str, shop: str) -> str:
    return filled(text, wallet=badges.NAMES[wallet], shop=shop)


def _qr(signed: str) -> Markup:
    """This very page, for a phone's camera."""
    code = segno.make(f"{settings().app_url.rstrip('/')}{url_for('.show', signed=signed)}", error="m", micro=False)
    return Markup(code.svg_inline(border=4, omitsize=True, dark="#000", light="#fff", svgclass="qr", lineclass=None))


def _day(link: Opened, language: str) -> str:
    return format_skeleton("MMMMd", link.expires_at, locale=babel.Locale.parse(language))


def _page(name: str, design: Design, language: str, **shown: Any) -> str:
    g.nonce = secrets.token_urlsafe(16)
    colours = {"back": design.background, "ink": design.foreground, "label": design.label}
    return render_template(
        f"wallet/{name}.html", words=words(language), language=language, filled=filled, nonce=g.nonce,
        right_to_left=language in languages.RIGHT_TO_LEFT, glyph=badges.GLYPH_PATHS,
        colours={key: written(colour) for key, colour in colours.items()}, **shown,
    )  # fmt: skip


@pages.after_request
def _strict(response: Response) -> Response:
    """The address is a key to the card, so it is told to nobody; a pressed button may lead to Google."""
    response.headers.setdefault("Cache-Control", "private, no-store")
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = _policy()
    return response


def _policy() -> str:
    save = urlsplit(settings().google_save_url)
    style = f"'self' 'nonce-{g.nonce}'" if "nonce" in g else "'self'"
    return (
        f"default-src 'none'; style-src {style}; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {save.scheme}://{save.netloc}"
    )
