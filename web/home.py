"""The home page. With a demo shop it shows the four places of the product and, live, what happens to members' points;
without one it says in a line what this is, and nothing of the demo exists.
"""

from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from flask import Blueprint, Flask, Response, render_template, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core import clock, i18n, logs
from core.config import settings
from core.db import database, open_shops
from core.errors import NotFound
from core.money import money_text
from shops.models import Shop
from shops.queries import shop_by_domain
from web import live
from web.demo import demo

# Nothing from elsewhere, nothing inline: what a delivery says can never become code on these pages.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

log = logs.logger(__name__)


class Place(NamedTuple):
    """One of the product's four places. `path` is None for the storefront, which is not ours."""

    name: str
    who: str
    what: str
    path: str | None


STOREFRONT = Place("Storefront", "Shoppers buy", "Buy, refund, edit or cancel, signed in or as a guest.", None)
PORTAL = Place(
    "Rewards portal",
    "Shoppers look",
    "Where members see their points, their tier and what they can have.",
    "/apps/rewards",
)
MERCHANT = Place(
    "Merchant",
    "Shop owners run it",
    "Where the program is set up, and members and orders are looked after.",
    "/merchant",
)
STAFF = Place(
    "Staff",
    "The counter scans",
    "Where staff scan a member's card and see who is in front of them.",
    "/staff",
)
PLACES = (STOREFRONT, PORTAL, MERCHANT, STAFF)

home = Blueprint("home", __name__)
showcase = Blueprint("showcase", __name__)
for page in (home, showcase):
    i18n.speaks(page, lambda: i18n.ENGLISH)


def register(app: Flask) -> None:
    """With a demo shop the showcase and its command, otherwise the plain page."""
    if settings().demo_shop:
        app.register_blueprint(showcase)
        app.cli.add_command(demo)
    else:
        app.register_blueprint(home)


@home.get("/")
def plain() -> str:
    return render_template("home/plain.html")


@showcase.get("/")
def index() -> str:
    return render_template("home/index.html", fragment=_live_view())


@showcase.get("/demo/live")
def fragment() -> Response:
    """The live part of the page alone, as HTML; 304 while nothing has changed."""
    response = Response(_live_view())
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


def _live_view() -> str:
    with database().transaction() as session:
        shop = shop_by_domain(session, settings().demo_shop)
        open_shops(session, [shop.id])
        return render_template("home/live.html", shop=shop, live=live.read(session, shop))


@showcase.get(f"/demo/members/<int(max={2**63 - 1}):member_id>")
def member(member_id: int) -> str:
    with database().transaction() as session:
        shop = shop_by_domain(session, settings().demo_shop)
        open_shops(session, [shop.id])
        return render_template("home/member.html", shop=shop, history=live.history(session, shop, member_id))


@showcase.errorhandler(NotFound)
def _missing(error: NotFound) -> tuple[str, int]:
    """No demo shop yet: it is on its way, and the page looks again by itself. No such member: say so."""
    if error.code == "no_shop":
        return render_template("home/index.html", fragment=render_template("home/loading.html")), 503
    return render_template("home/missing.html"), 404


@showcase.errorhandler(OperationalError)
@showcase.errorhandler(InterfaceError)
@showcase.errorhandler(PoolTimeout)
def _unreachable(error: Exception) -> tuple[str, int]:
    """The page is there even when the database is not: it says so, and looks again by itself."""
    log.warning("the live view has no database", error=type(error).__name__)
    return render_template("home/index.html", fragment=render_template("home/away.html")), 503


@showcase.context_processor
def _for_templates() -> dict[str, Any]:
    storefront = f"{settings().sandbox_url}/{settings().demo_shop}/"
    return {
        "places": PLACES, "storefront_url": storefront, "money": money_text, "when": _when, "lasting": _lasting,
        "iphone_url": iphone_url,
    }  # fmt: skip


def iphone_url(name: str, add_url: str) -> str:
    """A member's own phone in the sandbox, with the link to their card in its field."""
    return f"{settings().sandbox_url}/iphone/{quote(name.replace('/', ' '))}/?{urlencode({'add': add_url})}"


def _when(at: datetime, shop: Shop) -> str:
    """The time of day for today in the shop's own zone, else the date."""
    zone = ZoneInfo(shop.timezone)
    local, today = at.astimezone(zone), clock.now().astimezone(zone)
    if local.date() == today.date():
        return format_datetime(local, "HH:mm", locale="en")
    return format_datetime(local, "d MMM" if local.year == today.year else "d MMM yyyy", locale="en")


def _lasting(milliseconds: int) -> str:
    """38 ms, 6.2 s, 3 min."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 60_000 else f"{milliseconds // 60_000:,} min"


@home.after_request
@showcase.after_request
def _strict(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    return response
