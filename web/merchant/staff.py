"""Who serves members at the counter, and where."""

from typing import Any

import segno
from flask import render_template, request
from markupsafe import Markup

from core.config import settings
from core.errors import RapportError
from core.i18n import _
from shops.staff import operations, queries
from shops.staff.models import Staff
from web.merchant.desk import ID, Answer, Desk, go, page, post

LONGEST_MAIL = 254


@page("/staff")
def staff(desk: Desk) -> Answer:
    """Everybody who has not left, and the locations in use."""
    return _shown(desk)


@post("/staff")
def invite(desk: Desk) -> Answer:
    """Let somebody join; the next page shows their invitation."""
    name = request.form.get("name", "")[:200]
    try:
        person = operations.invite(desk.session, desk.shop_id, name, actor=desk.actor)
    except RapportError as error:
        return _shown(desk, name=name, wrong=error.detail), int(error.status)
    return go("invitation", staff_id=person.id)


@page(f"/staff/<{ID}:staff_id>/invitation")
def invitation(desk: Desk, staff_id: int) -> Answer:
    """The link that shows somebody their PIN, once, and the same as a code for their phone's camera."""
    person = desk.session.get(Staff, (desk.shop_id, staff_id))
    if person is None or person.revoked_at or person.pin:
        return go("staff", said=_("They have joined already."))
    link = operations.invitation(person)
    code = segno.make(link, error="m", micro=False)
    drawn = Markup(code.svg_inline(border=3, omitsize=True, dark="#000", light="#fff", svgclass="qr", lineclass=None))
    return render_template("merchant/invitation.html", person=person, link=link, qr=drawn, counter=_counter(desk))


@post(f"/staff/<{ID}:staff_id>/invitation")
def invite_again(desk: Desk, staff_id: int) -> Answer:
    """Another invitation: what was sent before ends, and so does the PIN."""
    operations.invite_again(desk.session, desk.shop_id, staff_id, actor=desk.actor)
    return go("invitation", staff_id=staff_id)


@post(f"/staff/<{ID}:staff_id>/lock")
def lock_staff(desk: Desk, staff_id: int) -> Answer:
    """Keep somebody out for now, or let them in again."""
    locked = request.form.get("locked") == "1"
    operations.lock(desk.session, desk.shop_id, staff_id, locked, actor=desk.actor)
    return go("staff", said=_("They are signed out and can’t sign in.") if locked else _("They can sign in again."))


@post(f"/staff/<{ID}:staff_id>/revoke")
def revoke_staff(desk: Desk, staff_id: int) -> Answer:
    """End somebody's access for good."""
    operations.revoke(desk.session, desk.shop_id, staff_id, actor=desk.actor)
    return go("staff", said=_("Their access has ended. What they did stays in the history."))


@post("/locations")
def add_location(desk: Desk) -> Answer:
    """Another place where members are served."""
    name = request.form.get("location", "")[:200]
    try:
        operations.add_location(desk.session, desk.shop_id, name, actor=desk.actor)
    except RapportError as error:
        return _shown(desk, location=name, wrong_location=error.detail), int(error.status)
    return go("staff", said=_("The location is there. Staff choose it when they sign in."))


@post(f"/locations/<{ID}:location_id>/retire")
def retire_location(desk: Desk, location_id: int) -> Answer:
    """Nobody works there any more."""
    operations.retire_location(desk.session, desk.shop_id, location_id, actor=desk.actor)
    return go("staff", said=_("Staff can’t choose this location any more. What was done there stays in the history."))


def _shown(desk: Desk, **form: Any) -> str:
    return render_template(
        "merchant/staff.html",
        people=queries.staff(desk.session, desk.shop_id),
        places=queries.locations(desk.session, desk.shop_id),
        counter=_counter(desk),
        **({"name": "", "wrong": None, "location": "", "wrong_location": None} | form),
    )


def _counter(desk: Desk) -> dict[str, str]:
    """Where staff sign in, and with which code."""
    code = desk.shop.domain.removesuffix(".myshopify.com")
    return {"code": code, "url": f"{settings().app_url.rstrip('/')}/staff/sign-in?shop={code}"}
