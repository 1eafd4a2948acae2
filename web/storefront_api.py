"""`/apps/rewards/api/…`: what the theme's blocks ask, through the app proxy of the shop they stand in.

Shopify signs each request and says which customer is signed in; no cookie is read. A redemption is JSON, which no other
site's form can send, so nobody spends points for a visitor behind their back.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Blueprint, Flask, Response, jsonify, request
from sqlalchemy.orm import Session

from core.errors import Conflict
from core.i18n import _
from referrals import members, offers
from shops import proxy
from shops.models import Shop
from web import extensions_api, shopper
from web.extensions_api import ONLINE
from web.referring import shown_name

pages = Blueprint("storefront_api", __name__, url_prefix="/apps/rewards/api")


def register(app: Flask) -> None:
    """Give the app what the theme's blocks ask."""
    app.register_blueprint(pages)


@contextmanager
def _visit() -> Iterator[tuple[Session, Shop, int | None]]:
    """A transaction for the shop whose storefront asks, and who is signed in there. Raises BadSignature."""
    said = proxy.verified(request.query_string)
    with extensions_api.open_shop(said.shop) as (session, shop):
        yield session, shop, said.customer_id


@pages.get("/me")
def me() -> Response:
    """The program, and what the customer who is signed in has. Without one, `member` is null."""
    with _visit() as (session, shop, customer_id):
        return jsonify(shopper.about(session, shop, shopper.member_of(session, shop.id, customer_id), ONLINE))


@pages.post("/redeem")
def redeem() -> tuple[Response, int]:
    """Redeem a reward of the customer who is signed in."""
    with _visit() as (session, shop, customer_id):
        member = shopper.member_of(session, shop.id, customer_id)
        if member is None:
            raise Conflict(_("Sign in to use your points."), code="signed_out")
        asked = extensions_api.asked()
        return jsonify(shopper.redeem(session, member, asked, channel=ONLINE, actor=f"member:{member.id}")), 201


@pages.get("/friend")
def friend() -> Response:
    """`?code=`: who invites to what, and the page where a friend gets it.

    Raises NotFound (`unknown_code`, `code_retired`), Conflict (`referrals_off`).
    """
    with _visit() as (session, shop, _):
        found = offers.referrer_of(session, shop.id, request.args.get("code", "")[:100])
        text = found.offer.title or _invitation(shown_name(found), found.offer.gift, shop.name)
        return jsonify(text=text, url=members.link(shop, found.code))


def _invitation(who: str, gift: str, shop: str) -> str:
    """Who invites to what, as far as both are known."""
    if who:
        return (
            _("%(name)s gives you %(gift)s.", name=who, gift=gift)
            if gift
            else _("%(name)s invites you to %(shop)s.", name=who, shop=shop)
        )
    return _("A friend gives you %(gift)s.", gift=gift) if gift else _("A friend invites you to %(shop)s.", shop=shop)
