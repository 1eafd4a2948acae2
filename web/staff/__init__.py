"""The staff face at `/staff`: an app for the counter's phone. Sign in, scan, see who it is, redeem, give points, enrol.

Every action carries person and location into the ledger's actor (`staff:7@2`). What was sent twice is done once.
"""

from typing import Any

from flask import Blueprint, Flask, Response, g, redirect, request, url_for

from core.db import database
from web import faces
from web.faces import Look, policy
from web.staff import actions, app_files, counter, enrolling, session, signing_in, wording
from web.staff.session import SignedOut

pages = Blueprint("staff", __name__, url_prefix="/staff")

# Pages that nobody needs to be signed in for.
OPEN = {f"staff.{name}" for name in (*signing_in.OPEN, *app_files.OPEN)}


def register(app: Flask) -> None:
    """Give the app the staff face."""
    app.register_blueprint(pages)


@pages.before_request
def _recognise() -> Any:
    """Who is at work; for others the way to sign in. A form belongs to the person and the shop."""
    g.form_owner = "staff:"
    held = session.ticket()
    if request.endpoint in OPEN:
        return None
    if held is None:
        raise SignedOut(wording.signed_out())
    with database().transaction() as opened:
        g.counter = session.recognise(opened, held)
        opened.expunge_all()
    g.form_owner = f"staff:{held.shop_id}:{held.staff_id}"
    return None


def _allowed() -> policy.Allowed:
    # The scanner's fallback is WebAssembly of our own.
    return policy.Allowed(scripts="'wasm-unsafe-eval'", camera=True)


faces.dress(pages, Look("staff/sorry.html", wording.errors), allowed=_allowed)


@pages.errorhandler(SignedOut)
def _sign_in(error: SignedOut) -> Response:
    """To the PIN pad, from a page or from what htmx asked for."""
    address = url_for("staff.sign_in")
    if request.headers.get("HX-Request"):
        return Response(status=204, headers={"HX-Redirect": address})
    answer = redirect(address, 303)
    session.forget(answer)  # type: ignore[arg-type]
    return answer  # type: ignore[return-value]


@pages.context_processor
def _for_templates() -> dict[str, Any]:
    return {"counter": g.get("counter"), "words": wording}


for area in (signing_in, counter, actions, enrolling, app_files):
    area.add_to(pages)
