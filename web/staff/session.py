"""Who is signed in at the counter: a signed cookie, good for a working day, that ends with the person's access.

The cookie names a shop, a person, their generation and a location. A device that somebody has signed in on before is
known by a cookie of its own, so that strangers who guess PINs lock out nobody but themselves.
"""

import secrets
from http import HTTPStatus
from typing import NamedTuple

from flask import Response, g, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.orm import Session

from core import clock, crypto
from core.config import settings
from core.db import open_shops
from core.errors import RapportError
from core.i18n import _
from shops.models import Shop
from shops.staff.models import Location, Staff
from shops.staff.operations import DEVICES, WHOLE_SHOP

COOKIE, DEVICE = "rapport_staff", "rapport_counter"
LIVES = 14 * 3600  # seconds
DEVICE_LIVES = 365 * 24 * 3600  # seconds


class SignedOut(RapportError):
    """Nobody is signed in, or no longer."""

    status = HTTPStatus.UNAUTHORIZED
    code = "signed_out"


class Ticket(NamedTuple):
    """What the cookie says. `location_id` is 0 until one is chosen."""

    shop_id: int
    staff_id: int
    generation: int
    location_id: int = 0


class Counter(NamedTuple):
    """Somebody at work: the shop, the person, and where (None: not chosen yet)."""

    shop: Shop
    person: Staff
    place: Location | None

    @property
    def actor(self) -> str:
        """Who and where, as the ledger and the events keep it."""
        return f"staff:{self.person.id}@{self.place.id}" if self.place else f"staff:{self.person.id}"


def ticket() -> Ticket | None:
    """The ticket of this request; None without a good one."""
    try:
        return Ticket(*_tickets().loads(request.cookies.get(COOKIE, ""), max_age=LIVES))
    except (BadSignature, TypeError, ValueError):
        return None


def recognise(session: Session, held: Ticket) -> Counter:
    """Whose ticket it is, with their shop opened. Raises SignedOut."""
    open_shops(session, [held.shop_id])
    shop, person = session.get(Shop, held.shop_id), session.get(Staff, (held.shop_id, held.staff_id))
    if shop is None or shop.uninstalled_at or person is None or person.generation != held.generation:
        raise SignedOut(_("You have been signed out. Sign in again with your PIN."))
    if person.revoked_at or person.locked_at or person.pin is None:
        raise SignedOut(_("You have been signed out. Sign in again with your PIN."))
    place = session.get(Location, (held.shop_id, held.location_id)) if held.location_id else None
    return Counter(shop, person, place if place and not place.retired_at else None)


def keep(response: Response, held: Ticket) -> None:
    """Sign somebody in on this device."""
    _set(response, COOKIE, _tickets().dumps(list(held)), LIVES)


def cookie(held: Ticket) -> str:
    """A `Cookie` header by which somebody is signed in."""
    return f"{COOKIE}={_tickets().dumps(list(held))}"


def forget(response: Response) -> None:
    """Sign out."""
    response.delete_cookie(COOKIE, path="/staff")


def remember_device(response: Response, shop_id: int) -> None:
    """Know this device as one that somebody of the shop has signed in on."""
    _set(response, DEVICE, _devices().dumps([shop_id, _device(shop_id) or secrets.token_urlsafe(12)]), DEVICE_LIVES)


def subjects(shop_id: int) -> list[str]:
    """Against whom a wrong PIN counts: a known device and all of those in a day, else the network and all others."""
    if device := _device(shop_id):
        return [f"device:{crypto.blind_index(device)}", f"{DEVICES}{clock.now().date()}"]
    return [f"network:{crypto.blind_index(request.remote_addr or '')}", WHOLE_SHOP]


def shop_of_device() -> int | None:
    """The shop this device has worked for."""
    told = _told()
    return told[0] if told else None


def _device(shop_id: int) -> str | None:
    told = _told()
    return told[1] if told and told[0] == shop_id else None


def _told() -> tuple[int, str] | None:
    try:
        shop_id, device = _devices().loads(request.cookies.get(DEVICE, ""), max_age=DEVICE_LIVES)
    except (BadSignature, TypeError, ValueError):
        return None
    return int(shop_id), str(device)


def _set(response: Response, name: str, value: str, lives: int) -> None:
    secure = settings().app_url.startswith("https:")
    response.set_cookie(name, value, max_age=lives, path="/staff", secure=secure, httponly=True, samesite="Lax")


def counter() -> Counter:
    """Who is at work in this request."""
    found: Counter = g.counter
    return found


def _tickets() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="staff session")


def _devices() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="staff device")
