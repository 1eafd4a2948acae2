"""The home page. With a demo shop it shows the four places of the product and, live, what happens to members' points;
without one it says in a line what this is, and nothing of the demo exists.
"""

from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from flask import Blueprint, Flask, Response, render_template, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core import clock, logs
from core.config import settings
from core.db import database
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
    promises: tuple[str, ...] = ()


STOREFRONT = Place("Storefront", "Shoppers buy", "Buy, refund, edit or cancel, signed in or as a guest.", None)
PORTAL = Place(
    "Rewards portal",
    "Shoppers look",
    "Where members see their points, their tier and what they can have.",
    "/apps/rewards",
    (
        "The balance, what it is worth, and how far the next tier is",
        "Rewards to take now, and the next one with how far",
        "Every point with its reason",
    ),
)
MERCHANT = Place(
    "Merchant",
    "Shop owners run it",
    "Where the program is set up, and members and orders are looked after.",
    "/merchant",
    (
        "The program in plain sentences, with an example that follows as you type",
        "Members, and the reason for every point they have",
        "Whether every order was counted, and what to do if one was not",
    ),
)
STAFF = Place(
    "Staff",
    "The counter scans",
    "Where staff scan a member's card and see who is in front of them.",
    "/staff",
    (
        "Name, tier and points within a second of the scan",
        "What to honour, such as free shipping or early access",
        "Undo, right where the action was",
    ),
)
PLACES = (STOREFRONT, PORTAL, MERCHANT, STAFF)

home = Blueprint("home", __name__)
showcase = Blueprint("showcase", __name__)


def register(app: Flask) -> None:
    """With a demo shop the showcase and its command, otherwise the plain page."""
    if not settings().demo_shop:
        app.register_blueprint(home)
        return
    for place in PLACES:
        if place.path:
            showcase.add_url_rule(place.path, place.path, not_built, defaults={"place": place})
    app.register_blueprint(showcase)
    app.cli.add_command(demo)


@home.get("/")
def plain() -> str:
    return render_template("home/plain.html")


@showcase.get("/")
def index() -> str | tuple[str, int]:
    """The page is there even when the database is not: it then says so, and looks again by itself."""
    try:
        return render_template("home/index.html", places=PLACES, fragment=_fragment())
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        log.warning("the live view has no database", error=type(error).__name__)
        return render_template("home/index.html", places=PLACES, fragment=render_template("home/away.html")), 503


@showcase.get("/demo/live")
def fragment() -> Response:
    """The live part of the page alone, as HTML; 304 while nothing has changed."""
    response = Response(_fragment())
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    return response.make_conditional(request)


@showcase.get("/demo/members/<int:member_id>")
def member(member_id: int) -> str:
    with database().transaction() as session:
        shop = _shop(session)
    with database().transaction(shop.id) as session:
        return render_template("home/member.html", history=live.history(session, shop, member_id))


def not_built(place: Place) -> tuple[str, int]:
    return render_template("home/not_built.html", place=place), 501
