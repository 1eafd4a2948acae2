"""`/s/<shop>/…`: the page that a friend's link opens, and the page on which a member passes the link on.

Both work without JavaScript. Looking at a friend's page changes nothing but the count of looks; a claim is a POST. What
a friend claimed is shown again to the browser that claimed it, by a signed cookie, and to nobody else.
"""

import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import segno
from flask import Blueprint, Flask, Response, g, make_response, redirect, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from werkzeug.routing import BaseConverter

from core import clock, logs
from core.db import database, open_shops
from core.errors import InvalidInput, NotFound, RapportError, Unavailable
from core.i18n import N_, _, day, isolated, price
from loyalty import queries as people
from loyalty.models import Member
from loyalty.programs import Version
from referrals import invitations, links, members, offers, sharing, vanity, visits
from referrals.claims import operations as claims
from referrals.claims import rules as claim_rules
from referrals.fraud import network
from referrals.models import ReferralClaim, ReferralCode
from referrals.offers import Referrer
from referrals.progress import progress
from shops.models import Shop
from wallet_passes import content
from wallet_passes.design import Design
from wallet_passes.designs.addresses import address
from wallet_passes.designs.queries import design_of
from web import shop_looks, storefronts, visitors
from web.visitors import Visitor

FRIEND = "friend"
LONGEST_NAME = 40
# The field of the form that a refusal is about.
_ABOUT = {"bad_email": "email", "own_code": "email", "no_consent": "consent"}
# What a page of its own says when there is nothing else to show.
_NO_PAGE = {
    "unknown_code": (N_("We don't know this code"), N_("Please check it with whoever gave it to you.")),
    "code_retired": (N_("This invitation has ended"), N_("Please ask your friend for their new link.")),
    **dict.fromkeys(
        ("referrals_off", "no_program"),
        (N_("No invitations at the moment"), N_("%(shop)s isn't taking any just now. Come in all the same.")),
    ),
    "link_broken": (
        N_("This link isn't complete"),
        N_("It may have been cut off on its way. Copy all of it and try again."),
    ),
    "link_expired": (
        N_("This link has ended"),
        N_("A link to this page works for 30 days. Your rewards page has a new one."),
    ),
    "no_member": (
        N_("This page has ended"),
        N_("Its member has left the program. If that is a mistake, ask the shop."),
    ),
    "no_shop": (
        N_("This shop isn't here"),
        N_("The link may be cut off, or the shop has left. Try the shop's own address."),
    ),
    "away": (N_("We couldn't reach the shop just now"), N_("Nothing is lost. Try again in a minute.")),
}

pages = Blueprint("referring", __name__, url_prefix="/s/<shop_name:name>")
log = logs.logger(__name__)


class ShopName(BaseConverter):
    """The name of a shop under myshopify.com."""

    regex = "[a-z0-9][a-z0-9-]{0,99}"


class NoCookie(RapportError):
    """A form without the cookie of the page it was on: another site's, or of a browser that keeps none."""

    status = HTTPStatus.FORBIDDEN
    code = "no_cookie"


def register(app: Flask) -> None:
    """Give the app the pages for friends and for those who bring them."""
    app.url_map.converters["shop_name"] = ShopName
    app.register_blueprint(pages)


@pages.url_value_preprocessor
def _name_shop(endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.shop_name = (values or {}).pop("name")


@pages.url_defaults
def _same_shop(endpoint: str, values: dict[str, Any]) -> None:
    values.setdefault("name", g.shop_name)


@contextmanager
def _open() -> Iterator[tuple[Session, Shop]]:
    """A transaction for the shop of the address, whose look the page has. Raises NotFound (`no_shop`)."""
    with database().transaction() as session:
        shop = links.shop_of(session, g.shop_name)
        if shop is None:
            raise NotFound(_("no such shop has installed the app"), code="no_shop")
        open_shops(session, [shop.id])
        g.shop, g.design = shop, design_of(session, shop, "")
        # The page is made once the transaction is over, or has failed.
        session.expunge(shop)
        yield session, shop


# The friend's page.


@pages.get("/r/<code>")
def landing(code: str) -> Response:
    """Who invites to what, and the form; or what this browser has claimed."""
    person = visitors.is_person()
    with _open() as (session, shop):
        who, found = visitors.known(shop.id) or visitors.fresh(), offers.referrer_of(session, shop.id, code)
        claimed = _claimed(session, shop, who, found)
        own = visits.is_own(session, shop.id, found.code.key, who.hash)
        if person:
            visits.look(session, shop.id, _look(found.code, who, _via(), found.offer.zone))
    response = make_response(_landing(found, who, claimed=claimed, own=own))
    if person:
        _keep(response, who._replace(code=found.code.key), found)
    return response


@pages.get("/r/")
def last() -> Any:
    """The link without its end: back to the last invitation this browser saw."""
    with _open() as (session, shop):
        who = visitors.known(shop.id)
        row = session.get(ReferralCode, (shop.id, who.code)) if who and who.code else None
    if row is None:
        raise links.BrokenLink(_("this is no link to a page of ours; it may have been cut off"))
    return redirect(url_for(".landing", code=row.code), 303)


@pages.get("/r/<code>/ready")
def ready(code: str) -> Any:
    """Whether what this browser claimed can be used yet: `{"state": "making"}`, or null without a claim."""
    with _open() as (session, shop):
        who = visitors.known(shop.id)
        row = session.get(ReferralClaim, (shop.id, who.claim)) if who and who.claim else None
    return {"state": row.state if row else None}


@pages.post("/r/<code>")
def claim(code: str) -> Any:
    """Leave an e-mail, and go on to the code."""
    form = {name: request.form.get(name, "")[:400] for name in ("email", "consent", "news", "website", "token")}
    with _open() as (session, shop):
        who, found = visitors.known(shop.id), offers.referrer_of(session, shop.id, code)
    again = redirect(url_for(".landing", code=found.code.code), 303)
    if form["website"]:
        # Only what fills in every field it finds fills in this one: it may believe that all went well.
        return again
    try:
        who, row = _claim(shop, who, found, form)
    except RapportError as error:
        return _refused_claim(error, found, who or visitors.fresh(), form)
    if row.visitor != who.hash:
        return _page("friend", found=found, state="kept", **_offer(found))
    _keep(again, who._replace(code=found.code.key, claim=row.id), found)
    return again


def _claim(shop: Shop, who: Visitor | None, found: Referrer, form: dict[str, str]) -> tuple[Visitor, ReferralClaim]:
    """Raises RapportError with a sentence for the friend."""
    if who is None or not visitors.sent_by(who, form["token"]):
        raise NoCookie(_("This page needs a cookie to send the form. Allow cookies for it, and try again."))
    if not form["consent"]:
        text = _("Please tick the box, so that we may keep your e-mail address for this.")
        raise InvalidInput(text, code="no_consent")
    with database().transaction(shop.id) as session:
        return who, claims.claim(
            session, shop.id, found.code.code, form["email"], consent=_consent(), wants_news=bool(form["news"]),
            visitor=who.hash, network=network.index(request.remote_addr), actor=FRIEND,
        )  # fmt: skip


def _refused_claim(error: RapportError, found: Referrer, who: Visitor, form: dict[str, str]) -> Response:
    """The page again with what is wrong. Whoever shops here already is told so kindly, and needs no form."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code in _NO_PAGE:
        raise error
    if error.code == "existing_customer":
        shown = _page("friend", found=found, state="known", **_offer(found))
    else:
        shown = _landing(found, who, error=error.detail, form=form, focus=_ABOUT.get(error.code, ""))
    response = make_response(shown, int(error.status))
    if wait := getattr(error, "retry_after", None):
        response.headers["Retry-After"] = str(wait)
    if isinstance(error, NoCookie):
        _keep(response, who, found)
    return response


def _claimed(session: Session, shop: Shop, who: Visitor, found: Referrer) -> ReferralClaim | None:
    """What this browser has claimed by this code's owner."""
    row = session.get(ReferralClaim, (shop.id, who.claim)) if who.claim else None
    if row is None or row.visitor != who.hash:
        return None
    code = session.get(ReferralCode, (shop.id, row.code_key))
    return row if code and (code.member_id, code.partner_id) == found.owner else None


def _landing(found: Referrer, who: Visitor, *, claimed: ReferralClaim | None = None, **more: Any) -> str:
    if claimed is not None and claimed.error == claim_rules.EXISTING:
        return _page("friend", found=found, state="known", **_offer(found))
    if claimed is not None and claimed.state not in ("ended", "failed"):
        return _page("friend", found=found, state=claimed.state, **_offer(found) | _held(claimed, found))
    shown: dict[str, Any] = {"error": None, "form": {}, "own": False, "focus": ""} | more
    return _page("friend", found=found, state="form", before=claimed.state if claimed else None, consent=_consent(),
                 token=visitors.form_token(who), **_offer(found) | shown)  # fmt: skip


def _offer(found: Referrer) -> dict[str, Any]:
    """What the page says of the invitation."""
    benefit, currency = found.offer.benefit, g.shop.currency
    gives, who = sharing.worth(benefit, currency), shown_name(found)
    least = price(benefit.minimum_order, currency) if benefit.minimum_order else ""
    return {
        "gives": gives,
        "gift": sharing.gift(benefit, currency),
        "who": who,
        "headline": found.offer.title or _headline(who, gives),
        "description": found.offer.text or _description(gives, least),
        "least": least,
        "store": _store(found),
        "picture": address(g.shop.id, g.design, "google-hero"),
    }


def _headline(who: str, gives: str) -> str:
    text = N_("%(who)s gives you %(gift)s") if gives else N_("%(who)s invites you to %(shop)s")
    return _(text, who=isolated(who or _("A friend")), gift=gives, shop=isolated(_shop_name()))


def _description(gives: str, least: str) -> str:
    if not gives:
        return _("Have a look at %(shop)s.", shop=_shop_name())
    text = N_("On your first order at %(shop)s from %(amount)s.") if least else N_("On your first order at %(shop)s.")
    return _(text, shop=_shop_name(), amount=least)


def shown_name(found: Referrer) -> str:
    """Members name themselves, and strangers read it: an address, an offer or a sentence is no name."""
    name = (found.name or "")[:LONGEST_NAME]
    if found.partner:
        return name
    letters = (unicodedata.category(symbol)[0] in "LM" or symbol in "'’-" for symbol in name.rstrip("."))
    return name if len(name) > 1 and all(letters) else ""


def _held(row: ReferralClaim, found: Referrer) -> dict[str, Any]:
    """What a claim's page says: its code, where it has one, and how long it holds."""
    promised, discount = claims.benefit_of(row), row.discount if claims.has_discount(row) else None
    return {
        "gives": sharing.worth(promised, g.shop.currency),
        "least": price(promised.minimum_order, g.shop.currency) if promised.minimum_order else "",
        "discount": discount,
        "until": day(row.expires_at - timedelta(seconds=1), found.offer.zone),
        "store": _store(found, discount),
    }


def _store(found: Referrer | None = None, discount: str | None = None) -> str:
    """The storefront, with the code applied and the referrer noted. The theme keeps `rapport_ref` of the first address.

    Shopify's shareable discount links: https://help.shopify.com/en/manual/discounts/managing-discount-codes
    """
    base = storefronts.home(g.shop)
    noted = urlencode({"rapport_ref": found.code.code}) if found else ""
    if discount is None:
        return f"{base}/?{noted}" if noted else f"{base}/"
    return f"{base}/discount/{quote(discount, safe='')}?{noted}&{urlencode({'redirect': f'/?{noted}'})}"


def _consent() -> str:
    """The words that are agreed to, as they stand on the page and in the record."""
    text = N_("%(shop)s may keep my e-mail address to give me this and to see that it is my first order.")
    return _(text, shop=_shop_name())


def _look(code: ReferralCode, who: Visitor, via: str, zone: ZoneInfo) -> visits.Look:
    return visits.Look(code.key, who.hash, network.index(request.remote_addr), via, clock.now(), zone)


def _via() -> str:
    asked = request.args.get("via", "")
    return asked if asked in sharing.WAYS else "link"


def _keep(response: Any, who: Visitor, found: Referrer) -> None:
    visitors.keep(response, g.shop.id, who, path=f"/s/{g.shop_name}", days=found.offer.days)


# The member's page.


@pages.get("/bring/<signed>")
def bring(signed: str) -> Response:
    """A member's code, the ways to pass it on, and what came of it."""
    return _bring(signed)


@pages.post("/bring/<signed>/code")
def choose(signed: str) -> Any:
    """Take another code."""
    text = request.form.get("code", "")[:100]
    with _open() as (session, shop):
        member_id = _member(session, shop, signed).id
    try:
        vanity.change(database(), shop.id, member_id, text, actor=f"member:{member_id}")
    except RapportError as error:
        if error.code in _NO_PAGE:
            raise
        response = _bring(signed, error=error.detail, text=text)
        response.status_code = int(error.status)
        return response
    return redirect(url_for(".bring", signed=signed, changed=1), 303)


@pages.get("/bring/<signed>/code")
def back(signed: str) -> Any:
    """The form's address, opened instead of sent."""
    return redirect(url_for(".bring", signed=signed), 303)


@pages.post("/bring/<signed>/shared")
def shared(signed: str) -> tuple[str, int]:
    """Count a tap that passes the link on."""
    with _open() as (session, shop):
        version, now = members.require_referrals(session, shop.id), clock.now()
        code = members.code_of(session, shop.id, _member(session, shop, signed).id)
        visits.shared(session, shop.id, code.key, now.astimezone(version.program.zone).date())
    return "", HTTPStatus.NO_CONTENT


def _member(session: Session, shop: Shop, signed: str) -> Member:
    """Raises BrokenLink, ExpiredLink, NotFound (`no_member`)."""
    return people.member(session, shop.id, links.opened(shop.id, signed))


def _bring(signed: str, **form: Any) -> Response:
    with _open() as (session, shop):
        version = members.require_referrals(session, shop.id)
        member = _member(session, shop, signed)
        code = members.code_of(session, shop.id, member.id)
        who = visitors.known(shop.id) or visitors.fresh()
        if visitors.is_person():
            visits.look(session, shop.id, _look(code, who, visits.OWN, version.program.zone))
        came = progress(session, shop, member, version)
    shown = {"error": None, "text": "", "changed": "changed" in request.args} | _terms(version, member, code) | form
    response = make_response(_page("bring", code=code.code, signed=signed, came=came, **shown))
    days = version.program.referral.window_days
    visitors.keep(response, shop.id, who, path=f"/s/{g.shop_name}", days=days)
    return response


def _terms(version: Version, member: Member, code: ReferralCode) -> dict[str, Any]:
    """What both sides get, and the texts to share."""
    offer = offers.of_members(version, g.shop.currency)
    mine, given = version.program.referral.for_referrer(member.tier_key), sharing.gift(offer.benefit, offer.currency)
    url = members.link(g.shop, code)
    shared = invitations.share(g.shop.name, url, given)
    return {
        "url": url,
        "gives": sharing.worth(offer.benefit, offer.currency),
        "gets": sharing.worth(mine, offer.currency),
        "least": price(offer.benefit.minimum_order, offer.currency) if offer.benefit.minimum_order else "",
        "holding": version.program.referral.holding_days,
        "subject": shared.subject,
        "message": shared.message.removesuffix(f" {url}"),
        "ways": sharing.ways(g.shop.name, url, given),
        "qr": _qr(sharing.tagged(url, "qr")),
        "changes": members.CHANGES,
        "store": _store(),
    }


def _qr(url: str) -> Markup:
    code = segno.make(url, error="m", micro=False)
    return Markup(code.svg_inline(border=4, omitsize=True, dark="#000", light="#fff", svgclass="qr", lineclass=None))


# What stands in the way.


@pages.errorhandler(RapportError)
def _refused(error: RapportError) -> Response:
    """What went wrong, kindly, and what to do."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("a page for friends could not be shown", code=error.code, detail=error.detail)
    reason = error.code if error.code in _NO_PAGE else "away"
    response = Response(_sorry(reason, error.extra.get("suggestion")), int(error.status))
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


@pages.errorhandler(OperationalError)
@pages.errorhandler(InterfaceError)
@pages.errorhandler(PoolTimeout)
def _no_database(error: Exception) -> Response:
    log.warning("the page for friends has no database", error=type(error).__name__)
    response = Response(_sorry("away"), HTTPStatus.SERVICE_UNAVAILABLE)
    response.headers["Retry-After"] = str(Unavailable.retry_after)
    return response


def _sorry(reason: str, suggestion: str | None = None) -> str:
    title, text = _NO_PAGE[reason]
    known = "shop" in g
    named = isolated(_shop_name()) if known else _("The shop")
    return _page(
        "sorry", title=_(title), text=_(text, shop=named), suggestion=suggestion,
        store=_store() if known else None,
        again=request.path if reason == "away" and request.method == "GET" else None,
    )  # fmt: skip


# Pages.


def _shop_name() -> str:
    return content.shortened(g.shop.name, content.NAME)


def _page(name: str, **shown: Any) -> str:
    g.nonce = secrets.token_urlsafe(16)
    design: Design | None = g.get("design")
    return render_template(
        f"referrals/{name}.html", nonce=g.nonce, look=shop_looks.colours(design), shop=_shop_name() if design else "",
        logo=address(g.shop.id, design, "icon") if design else None, **shown,
    )  # fmt: skip


@pages.after_request
def _strict(response: Response) -> Response:
    """Addresses are keys or say who invites, so they are told to nobody, and nothing from elsewhere runs here."""
    response.headers.setdefault("Cache-Control", "private, no-store")
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    if response.mimetype == "text/html":
        style = f"'self' 'nonce-{g.nonce}'" if "nonce" in g else "'self'"
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'self'; style-src {style}; img-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
    return response
