"""Who asks. Each request carries a Shopify session token: in the address on the first load, in a header from then on.

A page that is asked for without a good token is answered by a small one that has App Bridge make a token and comes back
with it: once, so that it never goes round in circles.
Source: https://shopify.dev/docs/apps/build/authentication-authorization/session-tokens
"""

from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, Response, g, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from core.config import settings
from core.db import database
from core.errors import NotAuthenticated
from core.i18n import _
from shops import operations
from shops.models import DOMAIN
from web.faces import policy

# An address that already came back from having a token made.
TRIED = "tried"
_BRIDGE_FRAMES = "https://admin.shopify.com"


class Visitor(NamedTuple):
    """Somebody of the shop's staff, as Shopify names them."""

    shop_id: int
    domain: str
    user: str

    @property
    def actor(self) -> str:
        return f"merchant:{self.user}"


def guard(merchant: Blueprint) -> None:
    """Let nobody in without a session token. Views marked `by_link` look after themselves."""

    @merchant.before_request
    def _recognise() -> AnyResponse | None:
        endpoint = (request.endpoint or "").rpartition(".")[2]
        if endpoint in BY_LINK:
            return None
        try:
            g.visitor = _visitor()
        except NotAuthenticated:
            if request.headers.get("HX-Request") or request.method != "GET":
                raise
            return _without_token()
        g.form_owner = f"merchant:{g.visitor.domain}:{g.visitor.user}"
        structlog.contextvars.bind_contextvars(shop_id=g.visitor.shop_id)
        return None

    @merchant.after_request
    def _fetch_anew(response: Response) -> Response:
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            response.headers["X-Shopify-Retry-Invalid-Session-Request"] = "1"
        return response


# Views whose address is signed: a browser fetches a file without asking our scripts for a header.
BY_LINK: set[str] = set()


def _visitor() -> Visitor:
    opened = operations.open_shop(database(), _token())
    g.shop_domain, g.shop_rests = opened.shop.domain, opened.shop.paused_status
    return Visitor(opened.shop.id, opened.shop.domain, opened.user[:40])


def _token() -> str:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    token = given.strip() if scheme.lower() == "bearer" else request.args.get("id_token", "")
    if not token:
        raise NotAuthenticated("there is no session token")
    return token


def _without_token() -> AnyResponse:
    """What a page without a good token is answered with."""
    domain = request.args.get("shop", "")
    if not DOMAIN.fullmatch(domain):
        return _elsewhere()
    g.shop_domain = domain
    if TRIED in request.args:
        text = _("Close this page and open the app from your Shopify admin again.")
        return _sorry(_("Shopify doesn’t say who you are"), text)
    return Response(render_template("merchant/bounce.html"), 401)


def _elsewhere() -> AnyResponse:
    """Opened outside the admin: the demo's stands next door, a real one is the merchant's own."""
    framed = request.headers.get("Sec-Fetch-Dest") == "iframe"
    if settings().demo_shop and settings().sandbox_url and not framed:
        return redirect(f"{settings().sandbox_url}/{settings().demo_shop}/admin")
    text = _("You find it under Apps. There Shopify tells us which store is yours.")
    return _sorry(_("Open this from your Shopify admin"), text)


def _sorry(title: str, text: str) -> AnyResponse:
    return make_response(render_template("merchant/sorry.html", title=title, text=text, again=None), 401)


def allowed() -> policy.Allowed:
    """Framed by the shop's admin only; App Bridge is the one script that is not ours."""
    domain = g.get("shop_domain")
    frames = [f"https://{domain}" if domain else "", _BRIDGE_FRAMES, _origin(settings().sandbox_url)]
    return policy.Allowed(
        frames=" ".join(filter(None, frames)) if domain else "'none'",
        scripts=_origin(settings().shopify_app_bridge_url),
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
