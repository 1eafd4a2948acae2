"""A new member at the counter: Shopify's customer, the program's member, and a code that adds the card to a phone."""

from typing import Any

import segno
from email_validator import EmailNotValidError, validate_email
from flask import Blueprint, render_template, request
from markupsafe import Markup

from core import clock
from core.db import database
from core.errors import InvalidInput, NotFound, RapportError
from core.i18n import _
from loyalty import operations, programs
from loyalty.operations import Customer
from shops import customers
from shops.admin import Admin
from shops.customers import Found
from wallet_passes.adding import links
from web.staff import counter, visits
from web.staff import session as sessions
from web.staff.visits import ENROLLED, Visit

LONGEST_NAME = 60


def add_to(pages: Blueprint) -> None:
    pages.get("/new", endpoint="new")(new)
    pages.post("/new", endpoint="enrol")(enrol)
    pages.get("/with/<signed>/card", endpoint="card")(card)


def new() -> str:
    """The form, perhaps with the address that was looked for."""
    return _form({"email": request.args.get("email", "")[:254]})


def enrol() -> Any:
    """Make a member. Somebody who is one already is simply found, so sending it again does no harm."""
    form = {name: request.form.get(name, "")[:254].strip() for name in ("first", "last", "email", "news")}
    here = sessions.counter()
    try:
        person = _asked(form)
        with Admin.of(database(), here.shop.id) as admin:
            known = customers.by_email(admin, person["email"])
            found = known or customers.create(admin, news=bool(form["news"]), **person)
    except RapportError as error:
        if error.status >= 500:
            raise
        return _form(form, error.detail), int(error.status)
    member_id = _join(here.shop.id, found)
    return counter.back_to(Visit(here.shop.id, here.person.id, member_id, ENROLLED))


def _asked(form: dict[str, str]) -> dict[str, str]:
    """Raises InvalidInput."""
    if not form["first"]:
        raise InvalidInput(_("Please ask for the first name."), code="bad_name")
    try:
        email = validate_email(form["email"], check_deliverability=False).normalized
    except EmailNotValidError:
        raise InvalidInput(_("This is no e-mail address. Check it with them."), code="bad_email") from None
    return {"first": form["first"][:LONGEST_NAME], "last": form["last"][:LONGEST_NAME], "email": email.casefold()}


def _join(shop_id: int, found: Found) -> int:
    """The member of a customer, enrolled if need be. Raises NotFound for somebody who was erased at their wish."""
    # Whether the address is theirs is Shopify's to say (its webhook does): until then it finds no guest orders.
    customer = Customer(shop_id, found.id, found.email, False, found.name, clock.now())
    with database().transaction(shop_id) as session:
        enrolled = operations.enrol(session, [customer], programs.load(session, [shop_id]))
    member_id = enrolled.members.get((shop_id, found.id))
    if member_id is None:
        raise NotFound(
            _("This person asked to be forgotten. They can join again on the shop's rewards page."), code="erased"
        )
    return member_id


def card(signed: str) -> str:
    """The code that adds the card, to be held out to whoever it is for."""
    here = sessions.counter()
    visit = visits.opened(signed, here.shop.id, here.person.id)
    code = segno.make(links.link(visit.shop_id, visit.member_id).url, error="m", micro=False)
    drawn = Markup(code.svg_inline(border=3, omitsize=True, dark="#000", light="#fff", svgclass="qr", lineclass=None))
    return render_template("staff/card.html", qr=drawn, signed=signed)


def _form(form: dict[str, str], error: str = "") -> str:
    return render_template("staff/new.html", form=form, error=error)
