"""The iPhone as a page: its cards front and back, and the notifications on its lock screen."""

from typing import TYPE_CHECKING, Any

import httpx
from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request, url_for

from sandbox.apple.passfile import BadPass
from sandbox.apple.phone import Phones, shown

if TYPE_CHECKING:
    from sandbox.server import Sandbox

iphone = Blueprint("iphone", __name__, url_prefix="/iphone")
FIRST = "iphone"


def phones() -> Phones:
    sandbox: Sandbox = current_app.extensions["sandbox"]
    assert sandbox.apple is not None
    return sandbox.apple.phones


@iphone.get("/")
def lying_around() -> Any:
    return redirect(url_for(".look", name=FIRST))


@iphone.get("/<name>/")
def look(name: str) -> str:
    return render_template("iphone/phone.html", fragment=screen(name), name=name)


@iphone.get("/<name>/screen")
def screen(name: str) -> str:
    """What is on the screen, for the page to show anew."""
    phone = phones().phone(name)
    cards = [shown(held.read()) for held in phone.passes.values()]
    return render_template("iphone/screen.html", phone=phone, cards=cards, why=request.args.get("why", ""))


@iphone.get("/<name>/state")
def state(name: str) -> Response:
    """The same as data: `passes` by serial (`pass.json` and when they were fetched), and `notes`, newest first."""
    phone = phones().phone(name)
    held = {serial: one.read().told | {"fetched_at": one.fetched_at} for serial, one in phone.passes.items()}
    notes = [{"at": note.at, "title": note.title, "text": note.text} for note in phone.notes]
    return jsonify(device=phone.device, push_token=phone.push_token, on=phone.on, passes=held, notes=notes)


@iphone.post("/<name>/passes")
def add(name: str) -> Any:
    """Open a link (`url`) to a pass and add it; as JSON the answer is its serial, or why it was refused."""
    form = request.get_json(silent=True) or request.form
    try:
        serial, why = phones().add(name, form.get("url", "").strip()), ""
    except (BadPass, httpx.HTTPError, httpx.InvalidURL) as error:
        serial, why = "", str(error)
    if request.is_json:
        return (jsonify(errors=why), 422) if why else (jsonify(serial=serial), 201)
    return redirect(url_for(".look", name=name, why=why or None), 303)


@iphone.post("/<name>/passes/<serial>/remove")
def remove(name: str, serial: str) -> Any:
    phones().remove(name, serial)
    return redirect(url_for(".look", name=name), 303)


@iphone.post("/<name>/<any(on, off, erase, renew):change>")
def change(name: str, change: str) -> Any:
    """Turn it on or off, wipe it, or have it get a new push token."""
    if change in ("on", "off"):
        phones().turn(name, on=change == "on")
    elif change == "erase":
        phones().erase(name)
    else:
        phones().new_push_token(name)
    return redirect(url_for(".look", name=name), 303)
