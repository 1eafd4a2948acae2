"""`/extensions/…`: what our extensions in Shopify's till, checkout and customer accounts ask. Each request carries the
session token Shopify made for it, which says which shop, and whose.

    pos       the till: staff look a customer up, scan a card, redeem, and make a customer a member
    shopper   checkout and account pages: the customer who is signed in there, and nobody else
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request
from sqlalchemy.orm import Session

from core import clock
from core.db import database, open_shops
from core.errors import Conflict, InvalidInput, NotAuthenticated, NotFound
from loyalty import programs
from loyalty import queries as members
from loyalty.models import Member
from loyalty.operations import Customer, enrol
from loyalty.rewards.models import MemberReward
from shops import tokens
from shops.admin import Admin
from shops.models import Shop
from shops.queries import installed_shop
from wallet_passes import scanning
from web import shopper
from web.api import present

MOST_BODY = 4096  # bytes
ONLINE, POS = "online", "pos"
MAX_ID = 2**63 - 1

pages = Blueprint("extensions", __name__, url_prefix="/extensions")


def register(app: Flask) -> None:
    """Give the app what its extensions ask."""
    app.register_blueprint(pages)


@pages.after_request
def _from_anywhere(response: Response) -> Response:
    """Extensions run in sandboxes without an origin of their own; the token decides, and no cookie is read."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
    response.headers["Access-Control-Allow-Methods"] = "GET, POST"
    response.headers["Access-Control-Max-Age"] = "7200"
    return response


# Whose request it is.


@contextmanager
def open_shop(domain: str) -> Iterator[tuple[Session, Shop]]:
    """A transaction for a shop that has the app. Raises NotAuthenticated."""
    with database().transaction() as session:
        shop = installed_shop(session, domain)
        open_shops(session, [shop.id])
        yield session, shop


def _staff() -> tuple[str, str]:
    """The shop of the till that asks, and who stands at it, for the record."""
    claims = tokens.verify_session_token(_token())
    return tokens.shop_of(claims), f"pos:{claims['sub']}"


def _shopper() -> tokens.Shopper:
    return tokens.verify_shopper_token(_token())


def _token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip().isascii():
        raise NotAuthenticated("send the session token as `Authorization: Bearer <token>`")
    return token.strip()


def _signed_in(session: Session, shop: Shop, who: tokens.Shopper) -> Member:
    """The member who is signed in. Raises Conflict (`signed_out`, `no_member`)."""
    if who.customer_id is None:
        raise Conflict("Sign in to use your points.", code="signed_out")
    return _member(session, shop.id, who.customer_id)


def _member(session: Session, shop_id: int, customer_id: int) -> Member:
    member = shopper.member_of(session, shop_id, customer_id)
    if member is None:
        raise Conflict("This customer is not a member yet.", code="no_member")
    return member


# What is asked.


def asked() -> Mapping[str, Any]:
    """The JSON object that was sent. Raises InvalidInput."""
    request.max_content_length = MOST_BODY
    sent = request.get_json(silent=True) if request.is_json else None
    if not isinstance(sent, dict):
        raise InvalidInput("send a JSON object", code="not_json")
    return sent


def _customer_id(value: object) -> int:
    text = str(value).rpartition("/")[2]
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= MAX_ID):
        raise InvalidInput("customer_id must be a Shopify customer's id", code="bad_customer_id")
    return int(text)


# The till.


@pages.get("/pos/customer")
def pos_customer() -> Response:
    """`?customer_id=`: the program and, if they are a member, what this customer has and can have at the till."""
    domain, _ = _staff()
    customer_id = _customer_id(request.args.get("customer_id", ""))
    with open_shop(domain) as (session, shop):
        return jsonify(shopper.about(session, shop, shopper.member_of(session, shop.id, customer_id), POS))


@pages.post("/pos/members")
def pos_enrol() -> Response:
    """Make a customer a member, as their first order would. Doing it again changes nothing."""
    domain, _ = _staff()
    customer_id = _customer_id(asked().get("customer_id", ""))
    with open_shop(domain) as (_, shop):
        shop_id = shop.id
    with Admin.of(database(), shop_id) as admin:
        found = admin.call("customer_get", id=f"gid://shopify/Customer/{customer_id}")["customer"]
    if found is None:
        raise NotFound("this shop has no such customer", code="no_customer")
    with open_shop(domain) as (session, shop):
        enrol(session, [_known(shop.id, customer_id, found)], programs.load(session, [shop.id]))
        return jsonify(shopper.about(session, shop, _member(session, shop.id, customer_id), POS))


def _known(shop_id: int, customer_id: int, told: Mapping[str, Any]) -> Customer:
    address = (told.get("defaultEmailAddress") or {}).get("emailAddress")
    name = " ".join(filter(None, (told.get("firstName"), told.get("lastName"))))
    created = datetime.fromisoformat(told["createdAt"]) if told.get("createdAt") else clock.now()
    return Customer(shop_id, customer_id, address and address.casefold(), False, name or None, created)


@pages.post("/pos/redeem")
def pos_redeem() -> tuple[Response, int]:
    """Redeem a reward for a customer; its code goes onto the cart."""
    domain, actor = _staff()
    sent = asked()
    customer_id = _customer_id(sent.get("customer_id", ""))
    with open_shop(domain) as (session, shop):
        member = _member(session, shop.id, customer_id)
        return jsonify(shopper.redeem(session, member, sent, channel=POS, actor=actor)), 201


@pages.post("/pos/scan")
def pos_scan() -> Response:
    """Read a card's code. What is wrong with it is an answer: `text` says it to staff."""
    domain, actor = _staff()
    code = asked().get("code")
    if not isinstance(code, str) or len(code) > 500:
        raise InvalidInput("code must be text of at most 500 characters", code="bad_code")
    with open_shop(domain) as (session, shop):
        found = scanning.scan(session, shop.id, code, actor=actor, location="pos")
        known = found.member_id if scanning.IDENTIFY in found.may else None
        member = members.member(session, shop.id, known) if known else None
        shown = {"validity": found.validity, "text": scanning.TEXTS[found.validity], "may": list(found.may)}
        customer_id = str(member.customer_id) if member and member.customer_id else None
        about = shopper.about(session, shop, member, POS) if member else None
        return jsonify(shown | {"customer_id": customer_id, "about": about})


@pages.get("/pos/rewards/<int:reward_id>")
def pos_reward(reward_id: int) -> Response:
    """`?customer_id=`: whether a reward is ready by now."""
    domain, _ = _staff()
    customer_id = _customer_id(request.args.get("customer_id", ""))
    return _reward(domain, reward_id, lambda session, shop: _member(session, shop.id, customer_id))


def _reward(domain: str, reward_id: int, whose: Callable[[Session, Shop], Member]) -> Response:
    """A member's own reward. Raises NotFound for anybody else's."""
    with open_shop(domain) as (session, shop):
        member = whose(session, shop)
        row = session.get(MemberReward, (shop.id, reward_id)) if reward_id <= MAX_ID else None
        if row is None or row.member_id != member.id:
            raise NotFound("there is no such reward", code="no_reward")
        version = programs.load(session, [shop.id]).in_force(shop.id, clock.now())
        return jsonify(shopper.redeemed(row, version))


# Checkout and account pages.


@pages.get("/shopper/me")
def shopper_me() -> Response:
    """The program, and what the customer who is signed in has. Without one, `member` is null."""
    who = _shopper()
    with open_shop(who.shop) as (session, shop):
        return jsonify(shopper.about(session, shop, shopper.member_of(session, shop.id, who.customer_id), ONLINE))


@pages.post("/shopper/redeem")
def shopper_redeem() -> tuple[Response, int]:
    """Redeem a reward of the customer who is signed in."""
    who, sent = _shopper(), asked()
    with open_shop(who.shop) as (session, shop):
        member = _signed_in(session, shop, who)
        return jsonify(shopper.redeem(session, member, sent, channel=ONLINE, actor=f"member:{member.id}")), 201


@pages.get("/shopper/rewards/<int:reward_id>")
def shopper_reward(reward_id: int) -> Response:
    """Whether a reward is ready by now."""
    who = _shopper()
    return _reward(who.shop, reward_id, lambda session, shop: _signed_in(session, shop, who))


@pages.get("/shopper/orders/<int:order_id>")
def shopper_order(order_id: int) -> Response:
    """What the customer's own order brought, in a sentence. Raises NotFound while we have not heard of it."""
    who = _shopper()
    with open_shop(who.shop) as (session, shop):
        member = _signed_in(session, shop, who)
        published = programs.load(session, [shop.id])
        if order_id > MAX_ID:
            raise NotFound("there is no such order", code="no_order")
        found = members.order(session, shop.id, order_id, published)
        if found.order.member != member.id:
            raise NotFound("there is no such order", code="no_order")
        shown = present.order(found, published)
        points = {"available": shown.points.available, "pending": shown.points.pending}
        return jsonify({"points": points, "text": shown.text, "balance": member.available})
