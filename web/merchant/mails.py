"""The mail with the link that adds a member's card to a phone, sent when a merchant asks for it."""

from core import clock, mail
from core.db import Database
from core.effects import PermanentFailure
from loyalty.models import Member
from shops.models import Shop
from wallet_passes.adding import links

EFFECT = "mail.card_link"


def send_card_link(database: Database, shop_id: int, target: str) -> None:
    """Mail the member `target` (an id) the link to their card. Raises PermanentFailure, Unavailable."""
    with database.transaction(shop_id) as session:
        member, shop = session.get(Member, (shop_id, int(target))), session.get_one(Shop, shop_id)
        if member is None or not member.email or member.closed_at:
            return
        if not mail.is_on():
            raise PermanentFailure("there is no mail server to send the link by")
        # Asked for again within a minute, it is the same letter.
        asked = int(clock.now().timestamp()) // 60
        written = mail.written(
            "card_link", to=member.email, sender=shop.name, shop=shop.name, link=links.link(shop_id, member.id).url,
            days=links.LIVES // 86400, key=f"card_link:{shop_id}:{member.id}:{asked}",
        )  # fmt: skip
    mail.send(written)
