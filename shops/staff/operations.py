"""The only writers of staff and locations. Each takes a session and never commits."""

import hmac
import secrets
from http import HTTPStatus
from typing import Any, NamedTuple

import sqlalchemy as sa
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core import clock, crypto
from core.config import settings
from core.effects import Wanted, request
from core.errors import Conflict, InvalidInput, NotFound, RapportError, TooMany
from core.events import Happened, record
from core.i18n import _, ngettext
from shops.staff import rules
from shops.staff.models import Location, Staff, StaffTry

EFFECT = "mail.staff_invitation"
INVITATION_LIVES = 7 * 24 * 3600  # seconds
LONGEST_NAME = 60
MOST_STAFF, MOST_LOCATIONS = 500, 200
# Subjects of tries that a right PIN says nothing about: all unknown devices, and the counter's own by the day.
WHOLE_SHOP, DEVICES = "shop", "devices:"


class WrongPin(RapportError):
    """Nobody of this shop has that PIN."""

    status = HTTPStatus.FORBIDDEN
    code = "wrong_pin"


class InvitationOver(RapportError):
    """The invitation was taken up, replaced or taken back, or its week is over."""

    status = HTTPStatus.GONE
    code = "invitation_over"


class Joined(NamedTuple):
    """Who has joined, and the PIN that nobody can read again."""

    staff: Staff
    pin: str


# People.


def invite(session: Session, shop_id: int, name: str, *, email: str | None = None, actor: str) -> Staff:
    """Let somebody join the counter; with an address they are mailed their link.

    Raises InvalidInput (`bad_name`), Conflict (`too_many_staff`).
    """
    here = sa.select(sa.func.count()).where(Staff.shop_id == shop_id, Staff.revoked_at.is_(None))
    if (session.scalar(here) or 0) >= MOST_STAFF:
        raise Conflict(_("A shop has at most %(most)s people at its counters.", most=MOST_STAFF), code="too_many_staff")
    person = Staff(shop_id=shop_id, name=_named(name), email=email, invited_at=clock.now(), generation=0)
    session.add(person)
    session.flush()
    _tell_invited(session, person, actor)
    return person


def invite_again(session: Session, shop_id: int, staff_id: int, *, actor: str) -> Staff:
    """Make the links sent before void, and those open sessions, and let them join anew with another PIN."""
    person = _locked(session, shop_id, staff_id)
    person.pin, person.joined_at, person.locked_at, person.invited_at = None, None, None, clock.now()
    person.generation += 1
    _tell_invited(session, person, actor)
    return person


def _tell_invited(session: Session, person: Staff, actor: str) -> None:
    _tell(session, person.shop_id, "staff.invited", actor, staff_id=person.id)
    if person.email:
        request(session, [Wanted(person.shop_id, EFFECT, str(person.id))])


def invitation(person: Staff) -> str:
    """The address at which somebody who is invited gets their PIN. It is a key: give it to nobody else."""
    signed = _invitations().dumps([person.shop_id, person.id, person.generation])
    return f"{settings().app_url.rstrip('/')}/staff/join/{signed}"


def invited(signed: str) -> tuple[int, int, int]:
    """Shop, person and generation of an invitation. Raises InvitationOver."""
    try:
        shop_id, staff_id, generation = _invitations().loads(signed, max_age=INVITATION_LIVES)
    except (BadSignature, TypeError, ValueError):
        raise _over() from None
    return int(shop_id), int(staff_id), int(generation)


def invitee(session: Session, shop_id: int, staff_id: int, generation: int) -> Staff:
    """Who an invitation is for, if it still holds. Raises InvitationOver."""
    person = session.get(Staff, (shop_id, staff_id))
    if person is None or person.generation != generation or person.pin or person.revoked_at:
        raise _over()
    return person


def join(session: Session, shop_id: int, staff_id: int, generation: int) -> Joined:
    """Take up an invitation, once: a PIN is made, which only the answer tells. Raises InvitationOver."""
    _locked(session, shop_id, staff_id, gone=_over())
    person = invitee(session, shop_id, staff_id, generation)
    while True:
        pin = f"{secrets.randbelow(10**rules.PIN_DIGITS):0{rules.PIN_DIGITS}d}"
        if not rules.is_easy(pin) and _take_pin(session, person, pin):
            break
    person.joined_at, person.generation = clock.now(), person.generation + 1
    _tell(session, shop_id, "staff.joined", f"staff:{person.id}", staff_id=person.id)
    return Joined(person, pin)


def _take_pin(session: Session, person: Staff, pin: str) -> bool:
    """False when somebody of the shop has it."""
    pins = _pins(person.shop_id, pin)
    if session.scalar(sa.select(Staff.id).where(Staff.shop_id == person.shop_id, Staff.pin.in_(pins))):
        return False
    try:
        with session.begin_nested():
            person.pin = pins[0]
            session.flush()
    except IntegrityError:
        return False
    return True


def lock(session: Session, shop_id: int, staff_id: int, locked: bool, *, actor: str) -> None:
    """Keep somebody out for now, at once, or let them in again with the PIN they have. Raises NotFound."""
    person = _locked(session, shop_id, staff_id)
    person.locked_at = clock.now() if locked else None
    person.generation += 1
    _tell(session, shop_id, "staff.locked" if locked else "staff.unlocked", actor, staff_id=staff_id)


def revoke(session: Session, shop_id: int, staff_id: int, *, actor: str) -> None:
    """End somebody's access for good, at once. What they did stays told. Raises NotFound."""
    person = _locked(session, shop_id, staff_id)
    person.revoked_at, person.pin, person.email = clock.now(), None, None
    person.generation += 1
    _tell(session, shop_id, "staff.revoked", actor, staff_id=staff_id)


def _locked(session: Session, shop_id: int, staff_id: int, gone: RapportError | None = None) -> Staff:
    person = session.get(Staff, (shop_id, staff_id), with_for_update=True, populate_existing=True)
    if person is None or person.revoked_at:
        raise gone or NotFound(_("There is no such person at the counter."), code="no_staff")
    return person


# Signing in.


def sign_in(session: Session, shop_id: int, pin: str) -> Staff:
    """Who has this PIN. Raises WrongPin, also for somebody who is locked out.

    The caller counts the try before (`count_try`), in a transaction of its own.
    """
    digits = "".join(pin.split())
    person = session.scalar(sa.select(Staff).where(Staff.shop_id == shop_id, Staff.pin.in_(_pins(shop_id, digits))))
    if person is None or person.revoked_at or person.locked_at:
        raise WrongPin(_("Nobody has that PIN here. Check it, or ask whoever runs the shop for a new one."))
    person.last_seen_at = clock.now()
    return person


def count_try(session: Session, shop_id: int, subjects: list[str]) -> None:
    """Count a PIN as wrong against each of these before it is looked at, so that no two guesses share one count.

    Raises TooMany (`too_many_tries`) for whoever has tried wrong ones too often.
    """
    now = clock.now()
    mine = StaffTry.shop_id == shop_id, StaffTry.subject.in_(subjects)
    rows = session.scalars(sa.select(StaffTry).where(*mine).order_by(StaffTry.subject).with_for_update()).all()
    waits = (rules.wait_until(row.failed, row.last_at, _free(row.subject)) for row in rows)
    until = max((wait for wait in waits if wait and wait > now), default=None)
    if until:
        raise _too_many(int((until - now).total_seconds()) + 1)
    for subject in sorted(subjects):
        row = insert(StaffTry).values(shop_id=shop_id, subject=subject, failed=1, last_at=now)
        again = sa.case((StaffTry.last_at < now - rules.FORGOTTEN_AFTER, 1), else_=StaffTry.failed + 1)
        kept = row.on_conflict_do_update(index_elements=["shop_id", "subject"], set_={"failed": again, "last_at": now})
        session.execute(kept)


def _free(subject: str) -> int:
    if subject == WHOLE_SHOP:
        return rules.SHOP_FREE_TRIES
    return rules.DEVICES_FREE_TRIES if subject.startswith(DEVICES) else rules.FREE_TRIES


def _too_many(seconds: int) -> TooMany:
    text = ngettext(
        "Too many wrong PINs. Try again in %(num)s minute.", "Too many wrong PINs. Try again in %(num)s minutes.",
        -(-seconds // 60),
    )  # fmt: skip
    if seconds < 60:
        text = ngettext(
            "Too many wrong PINs. Try again in %(num)s second.",
            "Too many wrong PINs. Try again in %(num)s seconds.", seconds,
        )  # fmt: skip
    return TooMany(text, code="too_many_tries", retry_after=seconds)


def succeeded(session: Session, shop_id: int, subjects: list[str]) -> None:
    """The PIN was right: forget who tried, and take back this try from counts that more than they share."""
    shared = [subject for subject in subjects if subject == WHOLE_SHOP or subject.startswith(DEVICES)]
    own = [subject for subject in subjects if subject not in shared]
    of_shop = StaffTry.shop_id == shop_id
    session.execute(sa.delete(StaffTry).where(of_shop, StaffTry.subject.in_(own)))
    counted = sa.update(StaffTry).where(of_shop, StaffTry.subject.in_(shared), StaffTry.failed > 0)
    session.execute(counted.values(failed=StaffTry.failed - 1))


def prune_tries(session: Session, shop_id: int) -> None:
    """Forget tries of long ago."""
    old = clock.now() - rules.FORGOTTEN_AFTER
    session.execute(sa.delete(StaffTry).where(StaffTry.shop_id == shop_id, StaffTry.last_at < old))


# Locations.


def add_location(session: Session, shop_id: int, name: str, *, actor: str) -> Location:
    """Raises InvalidInput (`bad_name`), Conflict (`location_exists`, `too_many_locations`)."""
    here = sa.select(sa.func.count()).where(Location.shop_id == shop_id, Location.retired_at.is_(None))
    if (session.scalar(here) or 0) >= MOST_LOCATIONS:
        raise Conflict(_("A shop has at most %(most)s locations.", most=MOST_LOCATIONS), code="too_many_locations")
    place = Location(shop_id=shop_id, name=_named(name), created_at=clock.now())
    try:
        with session.begin_nested():
            session.add(place)
            session.flush()
    except IntegrityError:
        raise Conflict(_("There is a location of that name already."), code="location_exists") from None
    _tell(session, shop_id, "location.added", actor, location_id=place.id)
    return place


def retire_location(session: Session, shop_id: int, location_id: int, *, actor: str) -> None:
    """Nobody works there any more. What was done there stays told. Raises NotFound."""
    place = session.get(Location, (shop_id, location_id), with_for_update=True)
    if place is None or place.retired_at:
        raise NotFound(_("There is no such location."), code="no_location")
    place.retired_at = clock.now()
    _tell(session, shop_id, "location.retired", actor, location_id=location_id)


def _named(name: str) -> str:
    said = " ".join(name.replace("\x00", "").split())
    if not said or len(said) > LONGEST_NAME:
        raise InvalidInput(_("Please give a name of at most %(most)s characters.", most=LONGEST_NAME), code="bad_name")
    return said


def _pins(shop_id: int, digits: str) -> list[str]:
    """Keyed hashes, newest key first: six digits would be found in no time from a plain one."""
    said = f"{shop_id}:{digits}".encode()
    return [hmac.digest(key, said, "sha256").hex() for key in crypto.keyring("staff PINs")]


def _tell(session: Session, shop_id: int, kind: str, actor: str, **data: Any) -> None:
    record(session, [Happened(shop_id, kind, data, clock.now(), actor=actor)])


def _invitations() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="staff invitation")


def _over() -> InvitationOver:
    return InvitationOver(_("This invitation is over. Ask whoever runs the shop for a new one."))
