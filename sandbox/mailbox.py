"""A mailbox for everybody: takes any mail over SMTP on loopback, keeps it, and shows it at `/mail/`."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any

import msgspec
from aiosmtpd.controller import Controller
from flask import Blueprint, Response, current_app, jsonify, render_template

from sandbox.store import Store
from sandbox.world import NotFound

if TYPE_CHECKING:
    from sandbox.server import Sandbox

mailbox = Blueprint("mailbox", __name__, url_prefix="/mail")
NOBODYS = "-"  # mail belongs to no shop
SHOWN = 100


class Letter(msgspec.Struct):
    """A mail that came in. `html` is what its sender wrote, and shown where it can do nothing.

    `stop` is where one click of the mailbox's own button ends mails like it (RFC 8058); empty where none does.
    """

    id: int
    to: str
    sender: str
    subject: str
    message_id: str
    text: str
    html: str
    stop: str = ""


class Post:
    """Takes mail. The same Message-ID to the same person is one letter, as in a mailbox that knows repeats."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        told = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(told, EmailMessage)
        with self.store.transaction():
            for to in envelope.rcpt_tos:
                self.keep(told, to)
        return "250 Message accepted"

    def keep(self, told: EmailMessage, to: str) -> None:
        known = letters(self.store)
        if any((one.message_id, one.to) == (told["Message-ID"], to) for one in known):
            return
        number = self.store.count(NOBODYS, "letters")
        name, address = parseaddr(str(told["From"]))
        parts = (told.get_body(("plain",)), told.get_body(("html",)))
        text, html = (part.get_content() if part else "" for part in parts)
        one_click = str(told["List-Unsubscribe-Post"] or "").strip() == "List-Unsubscribe=One-Click"
        stop = str(told["List-Unsubscribe"] or "").strip(" <>") if one_click else ""
        letter = Letter(
            number, to, name or address, str(told["Subject"] or ""), str(told["Message-ID"] or number), text, html, stop
        )
        self.store.put(NOBODYS, "letter", number, letter, number)


def letters(store: Store) -> list[Letter]:
    """Newest first."""
    return store.all(NOBODYS, "letter", Letter)[::-1]


def start(store: Store, port: int) -> Controller:
    """Listen on loopback in a thread of its own. `stop()` ends it."""
    controller = Controller(Post(store), hostname="127.0.0.1", port=port)
    controller.start()
    return controller


def store() -> Store:
    sandbox: Sandbox = current_app.extensions["sandbox"]
    return sandbox.world.store


@mailbox.get("/")
def inbox() -> str:
    return render_template("mail/inbox.html", letters=letters(store())[:SHOWN])


@mailbox.get("/<int:number>")
def letter(number: int) -> str:
    found = store().get(NOBODYS, "letter", number, Letter)
    if found is None:
        raise NotFound(f"There is no letter {number}.")
    return render_template("mail/letter.html", letter=found)


@mailbox.get("/letters.json")
def as_data() -> Response:
    """Newest first, whole."""
    return jsonify(letters=msgspec.to_builtins(letters(store())))


@mailbox.after_request
def strict(answer: Response) -> Response:
    """Letters may show pictures of ours, and nothing in them runs."""
    answer.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer
