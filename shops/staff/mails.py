"""The mail by which somebody is invited to the counter. It is always sent: without it they could not join."""

from core import mail
from core.db import Database
from core.effects import PermanentFailure
from shops.models import Shop
from shops.staff.models import Staff
from shops.staff.operations import INVITATION_LIVES, invitation


def send_invitation(database: Database, shop_id: int, target: str) -> None:
    """Mail their link to the person `target` (an id), unless they have joined or left since.

    Raises PermanentFailure, Unavailable.
    """
    with database.transaction(shop_id) as session:
        person, shop = session.get(Staff, (shop_id, int(target))), session.get_one(Shop, shop_id)
        if person is None or person.email is None or person.joined_at or person.revoked_at:
            return
        if not mail.is_on():
            raise PermanentFailure("there is no mail server: hand the invitation's link over yourself")
        written = mail.written(
            "staff_invitation", to=person.email, sender=shop.name, name=person.name, shop=shop.name,
            link=invitation(person), days=INVITATION_LIVES // 86400,
            key=f"staff:{shop_id}:{person.id}:{person.generation}",
        )  # fmt: skip
    mail.send(written)
