"""Signing in with the shop's code and a PIN, choosing a location, taking up an invitation, signing out."""

from typing import Any

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for

from core.config import settings
from core.db import database, open_shops
from core.errors import InvalidInput, NotFound, RapportError
from core.i18n import _
from referrals import links
from shops.models import Shop
from shops.staff import operations, queries
from web import demo
from web.staff import session as sessions
from web.staff.session import Ticket

OPEN = ("sign_in", "enter", "join", "take_up")


def add_to(pages: Blueprint) -> None:
    pages.get("/sign-in", endpoint="sign_in")(sign_in)
    pages.post("/sign-in", endpoint="enter")(enter)
    pages.post("/sign-out", endpoint="sign_out")(sign_out)
    pages.get("/place", endpoint="place")(place)
    pages.post("/place", endpoint="choose_place")(choose_place)
    pages.get("/join/<signed>", endpoint="join")(join)
    pages.post("/join/<signed>", endpoint="take_up")(take_up)


def sign_in() -> str:
    """The PIN pad; the shop is filled in on a device that has worked for one, or by a link."""
    return _pad(request.args.get("shop") or _known_shop())


def enter() -> Any:
    """Check a PIN. What fails is counted in a transaction of its own, so that it counts."""
    code, pin = request.form.get("shop", "")[:100], request.form.get("pin", "")[:20]
    try:
        shop = _shop(code)
        person = _checked(shop.id, pin)
    except RapportError as error:
        response = make_response(_pad(code, error.detail), int(error.status))
        if wait := getattr(error, "retry_after", None):
            response.headers["Retry-After"] = str(wait)
        return response
    answer: Any = redirect(url_for(".place"), 303)
    sessions.keep(answer, Ticket(shop.id, person.id, person.generation))
    sessions.remember_device(answer, shop.id)
    return answer


def _pad(shop: str, error: str = "") -> str:
    pin = demo.kept().get("staff_pin") if settings().demo_shop else None
    return render_template("staff/sign_in.html", shop=shop, error=error, demo_pin=pin)


def _known_shop() -> str:
    shop_id = sessions.shop_of_device()
    if shop_id is None:
        return ""
    with database().transaction(shop_id) as session:
        shop = session.get(Shop, shop_id)
        return shop.domain.removesuffix(".myshopify.com") if shop else ""


def _shop(code: str) -> Shop:
    """The shop's code is its myshopify name. Raises InvalidInput."""
    name = code.strip().lower().removeprefix("https://").rstrip("/").removesuffix(".myshopify.com")
    with database().transaction() as session:
        shop = links.shop_of(session, name)
        if shop is None:
            raise InvalidInput(
                _("We don't know this shop code. It is the first part of the shop's myshopify.com address.")
            )
        session.expunge(shop)
        return shop


def _checked(shop_id: int, pin: str) -> Any:
    """Raises WrongPin, TooMany."""
    subjects = sessions.subjects(shop_id)
    with database().transaction(shop_id) as session:
        operations.count_try(session, shop_id, subjects)
    with database().transaction(shop_id) as session:
        person = operations.sign_in(session, shop_id, pin)
        operations.succeeded(session, shop_id, subjects)
        return person


def sign_out() -> Any:
    answer: Any = redirect(url_for(".sign_in"), 303)
    sessions.forget(answer)
    return answer


def place() -> Any:
    """Where one works today. With one place or none there is nothing to choose."""
    here = sessions.counter()
    with database().transaction(here.shop.id) as session:
        places = queries.locations(session, here.shop.id)
    if len(places) < 2:
        return _at(places[0].id if places else 0)
    return render_template("staff/place.html", places=places)


def choose_place() -> Any:
    here, chosen = sessions.counter(), request.form.get("place", 0, int)
    with database().transaction(here.shop.id) as session:
        if chosen not in {one.id for one in queries.locations(session, here.shop.id)}:
            raise NotFound(_("There is no such location any more. Choose another."), code="no_location")
    return _at(chosen)


def _at(location_id: int) -> Response:
    held = sessions.ticket()
    answer: Any = redirect(url_for(".scanner"), 303)
    if held:
        sessions.keep(answer, held._replace(location_id=location_id))
    return answer


def join(signed: str) -> str:
    """Who is invited where. Looking takes nothing up, so that mail scanners may look."""
    shop_id, staff_id, generation = operations.invited(signed)
    with database().transaction(shop_id) as session:
        person = operations.invitee(session, shop_id, staff_id, generation)
        shop = session.get_one(Shop, shop_id)
        return render_template("staff/join.html", person=person, shop=shop, pin=None)


def take_up(signed: str) -> Any:
    """Show the PIN, once, and sign in."""
    shop_id, staff_id, generation = operations.invited(signed)
    with database().transaction() as session:
        open_shops(session, [shop_id])
        joined = operations.join(session, shop_id, staff_id, generation)
        shop = session.get_one(Shop, shop_id)
        g.form_owner = f"staff:{shop_id}:{staff_id}"
        answer = make_response(render_template("staff/join.html", person=joined.staff, shop=shop, pin=joined.pin))
    sessions.keep(answer, Ticket(shop_id, staff_id, joined.staff.generation))
    sessions.remember_device(answer, shop_id)
    return answer
