"""The iPhone as a page: its cards front and back, and the notifications on its lock screen."""

from typing import TYPE_CHECKING, Any

import httpx
from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request, url_for

from sandbox.apple.passfile import BadPass
from sandbox.apple.phone import Phones
from sandbox.apple.screen import LANGUAGES, shown, spelled

if TYPE_CHECKING:
    from sandbox.server import Sandbox

iphone = Blueprint("iphone", __name__, url_prefix="/iphone")
FIRST = "iphone"
SHOWN_NOTES = 3


def phones() -> Phones:
    sandbox: Sandbox = current_app.extensions["sandbox"]
    assert sandbox.apple is not None
    return sandbox.apple.phones


@iphone.get("/")
def lying_around() -> Any:
    return redirect(url_for(".look", name=FIRST))


@iphone.get("/<name>/")
def look(name: str) -> str:
    """The phone; `add` is a link to a card that only has to be confirmed."""
    phone, fragment, link = phones().phone(name), screen(name), request.args.get("add", "")
    return render_template(
        "iphone/phone.html", fragment=fragment, name=name, phone=phone, languages=LANGUAGES, link=link
    )


@iphone.get("/<name>/screen")
def screen(name: str) -> str:
    """What is on the screen, for the page to show anew."""
    phone = phones().phone(name)
    cards = [shown(held.read(), phone.language) for held in phone.passes.values()]
    notes = [(spelled(note.at, phone.language), note) for note in phone.notes[:SHOWN_NOTES]]
    return render_template("iphone/screen.html", phone=phone, cards=cards, notes=notes, why=request.args.get("why", ""))


@iphone.get("/<name>/state")
def state(name: str) -> Response:
    """The same as data: `passes` by serial (`pass.json` and when they were fetched), and `notes`, newest first."""
    phone = phones().phone(name)
    held = {serial: one.read().told | {"fetched_at": one.fetched_at} for serial, one in phone.passes.items()}
    notes = [{"at": note.at, "title": note.title, "text": note.text} for note in phone.notes]
    return jsonify(
        device=phone.device,
        push_token=phone.push_token,
        on=phone.on,
        language=phone.language,
        passes=held,
        notes=notes,
    )


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


@iphone.post("/<name>/language")
def speak(name: str) -> Any:
    """Choose its language (`language`): one that it does not know is refused."""
    form = request.get_json(silent=True) or request.form
    language = form.get("language", "")
    if language not in LANGUAGES:
        return jsonify(errors="the phone does not know this language"), 422
    phones().speak(name, language)
    return (jsonify(language=language), 200) if request.is_json else redirect(url_for(".look", name=name), 303)
