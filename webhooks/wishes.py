"""What members ask for themselves: all we keep of them, and to be forgotten. Takes a session and never commits.

Forgetting looks through every delivery that is kept, which may take long, so it is an effect: the member is gone from
every page at once, and their data within a minute.
"""

from typing import Any

from sqlalchemy.orm import Session

from core import effects
from core.db import Database
from loyalty.models import Member
from loyalty.operations import leave
from loyalty.privacy import erase_person, export_person, find_person
from referrals import privacy as referrals
from webhooks.redaction import blank_bodies

EFFECT = "privacy.forget"


def export(session: Session, shop_id: int, member: Member, *, actor: str) -> dict[str, Any]:
    """Everything that is kept of a member by name. It is stored as every export is; their next one replaces it.

    Deliveries of the shop's news are left out: they hold what the tables hold, and the shop's request tells of them.
    """
    person = find_person(session, shop_id, customer_id=member.customer_id, email=member.email)
    more = referrals.told(session, shop_id, person)
    return export_person(session, shop_id, person, request_id=f"member-{member.id}", actor=actor, **more)


def ask_to_be_forgotten(session: Session, shop_id: int, member_id: int, *, actor: str) -> None:
    """The member is closed now, and erased by the effect. Asking again changes nothing."""
    leave(session, shop_id, member_id, actor=actor)
    effects.request(session, [effects.Wanted(shop_id, EFFECT, str(member_id))])


def forget(database: Database, shop_id: int, member_id: str) -> None:
    """Erase a member who asked for it. Raises BodiesInUse, after which it is tried again."""
    with database.transaction(shop_id) as session:
        member = session.get(Member, (shop_id, int(member_id)))
        if member is None or member.erased_at is not None or member.closed_at is None:
            return
        person = find_person(session, shop_id, customer_id=member.customer_id, email=member.email)
        blank_bodies(session, shop_id, person)
        erase_person(session, shop_id, person, actor=f"member:{member.id}")
        referrals.forget(session, shop_id, person)
