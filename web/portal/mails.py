"""The mail with the link that signs a member in outside the shop's theme. They asked for it just now."""

from core import clock, mail
from core.db import Database
from core.effects import PermanentFailure
from loyalty.models import Member
from shops.models import Shop
from web.portal import sessions


def send_link(database: Database, shop_id: int, target: str) -> None:
    """Mail their link to the member `target` (an id), if an address is known. Raises PermanentFailure, Unavailable."""
    with database.transaction(shop_id) as session:
        member, shop = session.get(Member, (shop_id, int(target))), session.get_one(Shop, shop_id)
        if member is None or not member.email or member.closed_at:
            return
        if not mail.is_on():
            raise PermanentFailure("there is no mail server, so nobody can sign in by mail")
        # Who asks again within a minute gets the same letter.
        asked = int(clock.now().timestamp()) // 60
        written = mail.written(
            "rewards_link", to=member.email, sender=shop.name, shop=shop.name, link=sessions.link(shop, member.id),
            days=sessions.LIVES // 86400, key=f"rewards_link:{shop_id}:{member.id}:{asked}",
        )  # fmt: skip
    mail.send(written)
