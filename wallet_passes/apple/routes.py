"""The PassKit web service: what Apple's phones ask under `/wallet/apple/v1`, and the download of a card.

Paths, statuses and headers are those of Apple's "PassKit Web Service Reference".
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, jsonify, request
from werkzeug.http import http_date

from core import logs
from core.db import database
from core.errors import InvalidInput, NotAuthenticated
from wallet_passes import operations as passes
from wallet_passes.apple import certificates, operations
from wallet_passes.apple.operations import File
from wallet_passes.operations import Current

PASS = "application/vnd.apple.pkpass"
LARGEST = 16 * 1024  # bytes of what a phone tells
MOST_LINES = 20
LONGEST_LINE = 500
# Library ids and push tokens are hexadecimal today; Apple promises no more than that they are text.
LONGEST_ID = 200

_DEVICE = "/v1/devices/<device>/registrations/<pass_type>"
_REGISTRATION = f"{_DEVICE}/<serial>"

service = Blueprint("apple_wallet", __name__, url_prefix="/wallet/apple")
log = logs.logger(__name__)


def register(app: Flask) -> None:
    """Give the app the service that phones speak with."""
    app.register_blueprint(service)


@service.post(_REGISTRATION)
def add(device: str, pass_type: str, serial: str) -> tuple[str, int]:
    """Register a device for a pass: 201 when it is new, 200 when it was known; its push token is kept anew."""
    shop_id = _authorised(pass_type, serial)
    push_token = _text(_told(), "pushToken")
    with database().transaction(shop_id) as session:
        new = operations.register(session, shop_id, pass_type, serial, _plain(device), push_token)
    return "", 201 if new else 200


@service.delete(_REGISTRATION)
def remove(device: str, pass_type: str, serial: str) -> tuple[str, int]:
    shop_id = _authorised(pass_type, serial)
    with database().transaction(shop_id) as session:
        operations.unregister(session, shop_id, pass_type, serial, _plain(device))
    return "", 200


@service.get(_DEVICE)
def changed(device: str, pass_type: str) -> Any:
    """Which passes of a device changed since the tag it was given last: 204 when none did.

    The device's id is all that Apple has it show here, so the answer holds serials alone.
    """
    with database().transaction() as session:
        found = operations.changes(session, _plain(device), _plain(pass_type), request.args.get("passesUpdatedSince"))
    if found is None:
        return "", 204
    return jsonify(lastUpdated=found.tag, serialNumbers=list(found.serials))


@service.get("/v1/passes/<pass_type>/<serial>")
def show(pass_type: str, serial: str) -> Response:
    """The newest file of a pass; 304 when it has not changed since. HEAD is answered alike."""
    shop_id = _authorised(pass_type, serial)
    file = operations.fetch(database(), shop_id, pass_type, serial, _since())
    return Response(status=304) if file is None else _sent(file)


@service.post("/v1/log")
def take_log() -> tuple[str, int]:
    """What went wrong on a phone, in its own words. Anybody may send them, so few and short ones are kept."""
    told = _told()
    lines = told.get("logs") if isinstance(told, dict) else None
    for line in (lines if isinstance(lines, list) else [])[:MOST_LINES]:
        log.info("a phone tells", line=str(line)[:LONGEST_LINE])
    return "", 200


@service.get("/download/<signed>")
def download(signed: str) -> Response:
    """The card that a signed link is for, ready to be added. Who only asks what it would be makes none."""
    shop_id, member_id = operations.opened_link(signed)
    if request.method == "HEAD":
        return Response(mimetype=PASS)
    return member_file(shop_id, member_id)


def member_file(shop_id: int, member_id: int) -> Response:
    """A member's card as it is now, made if there is none yet. Raises NotFound, BadCertificate."""
    with database().transaction(shop_id) as session:
        certificates.signer(session, shop_id)
        current = passes.issue(session, shop_id, member_id)
    return sent_now(current)


def sent_now(current: Current) -> Response:
    """A card as a file to be saved. It may have to be signed first, so no transaction may be open."""
    response = _sent(File(operations.file_of(database(), current), current.row.modified_at))
    response.headers["Content-Disposition"] = 'attachment; filename="card.pkpass"'
    return response


def _sent(file: File) -> Response:
    response = Response(file.data, mimetype=PASS)
    response.headers["Last-Modified"] = http_date(file.modified_at)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _authorised(pass_type: str, serial: str) -> int:
    """The shop of a pass whose token was sent. Raises NotAuthenticated."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme != "ApplePass":
        raise NotAuthenticated("send the pass's token as `Authorization: ApplePass <token>`")
    operations.check_token(pass_type, serial, given.strip())
    return operations.shop_of(serial)


def _since() -> datetime | None:
    """When the phone's file is from; what can't be read is no reason to keep an old one."""
    try:
        since = parsedate_to_datetime(request.headers.get("If-Modified-Since", ""))
    except ValueError:
        return None
    return since if since.tzinfo else since.replace(tzinfo=UTC)


def _told() -> Any:
    """What was sent, as JSON; None for what is none, or is nested to exhaust us."""
    request.max_content_length = LARGEST
    try:
        return msgspec.json.decode(request.get_data())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _text(body: Any, name: str) -> str:
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"{name} is missing", code="bad_registration")
    return _plain(value)


def _plain(value: str) -> str:
    if len(value) > LONGEST_ID or not value.isprintable():
        raise InvalidInput("this is too long, or no plain text", code="bad_registration")
    return value
