"""Staff and locations, read for pages."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shops.staff.models import Location, Staff


def staff(session: Session, shop_id: int) -> Sequence[Staff]:
    """Everybody who has not left, by name."""
    here = sa.select(Staff).where(Staff.shop_id == shop_id, Staff.revoked_at.is_(None))
    return session.scalars(here.order_by(sa.func.lower(Staff.name), Staff.id)).all()


def locations(session: Session, shop_id: int) -> Sequence[Location]:
    """The places in use, by name."""
    here = sa.select(Location).where(Location.shop_id == shop_id, Location.retired_at.is_(None))
    return session.scalars(here.order_by(sa.func.lower(Location.name), Location.id)).all()


def actor_names(session: Session, shop_id: int, actors: Iterable[str]) -> dict[str, str]:
    """`staff:7@2` as people say it: "Sam at Harbour Street". Other actors are left out."""
    known = {actor: _ids(actor) for actor in set(actors) if actor.startswith("staff:")}
    people = _named(session, Staff, shop_id, {staff_id for staff_id, _ in known.values()})
    places = _named(session, Location, shop_id, {place for _, place in known.values()})
    return {
        actor: " at ".join(filter(None, (people.get(staff_id), places.get(place))))
        for actor, (staff_id, place) in known.items()
        if staff_id in people
    }


def _ids(actor: str) -> tuple[int, int]:
    person, _, place = actor.removeprefix("staff:").partition("@")
    return int(person) if person.isdigit() else 0, int(place) if place.isdigit() else 0


def _named(session: Session, table: type[Staff] | type[Location], shop_id: int, ids: set[int]) -> dict[int, str]:
    rows = session.execute(sa.select(table.id, table.name).where(table.shop_id == shop_id, table.id.in_(sorted(ids))))
    return {row.id: row.name for row in rows}
