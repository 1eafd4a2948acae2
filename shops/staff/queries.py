"""Staff and locations, read for pages."""

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.i18n import _
from shops.staff.models import Location, Staff


def staff(session: Session, shop_id: int) -> Sequence[Staff]:
    """Everybody who has not left, by name."""
    here = sa.select(Staff).where(Staff.shop_id == shop_id, Staff.revoked_at.is_(None))
    return session.scalars(here.order_by(sa.func.lower(Staff.name), Staff.id)).all()


def locations(session: Session, shop_id: int) -> Sequence[Location]:
    """The places in use, by name."""
    here = sa.select(Location).where(Location.shop_id == shop_id, Location.retired_at.is_(None))
    return session.scalars(here.order_by(sa.func.lower(Location.name), Location.id)).all()


def names(session: Session, shop_id: int) -> Callable[[str], str | None]:
    """What to call actors: `staff:7@2` is "Sam at Harbour Street". None for whoever is no staff of the shop.

    Who has left and what was closed are known, too: what they did stays told.
    """
    people, places = _named(session, Staff, shop_id), _named(session, Location, shop_id)

    def name(actor: str) -> str | None:
        person, _sign, place = actor.removeprefix("staff:").partition("@")
        if not actor.startswith("staff:") or person not in people:
            return None
        if place not in places:
            return people[person]
        return _("%(person)s at %(place)s", person=people[person], place=places[place])

    return name


def _named(session: Session, table: type[Staff] | type[Location], shop_id: int) -> dict[str, str]:
    rows = session.execute(sa.select(table.id, table.name).where(table.shop_id == shop_id))
    return {str(row.id): row.name for row in rows}
