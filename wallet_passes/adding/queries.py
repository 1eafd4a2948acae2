"""What the page that adds a card shows. Looking changes nothing: the card itself is made when somebody asks for it."""

from typing import NamedTuple

from sqlalchemy.orm import Session

from core import clock
from core.errors import NotFound
from loyalty import programs, queries
from shops.models import Shop
from tiers.queries import standings
from wallet_passes import content, facts
from wallet_passes.design import Design
from wallet_passes.designs.queries import design_of


class Invitation(NamedTuple):
    """A card that can be added: whose (their first name alone), and what it would show now. `points` can be spent."""

    shop: Shop
    design: Design
    name: str
    points: int
    tier: str


def invitation(session: Session, shop_id: int, member_id: int) -> Invitation:
    """Raises NotFound (`no_member`, `no_pass` for one who has left)."""
    shop, member = session.get_one(Shop, shop_id), queries.member(session, shop_id, member_id)
    if facts.is_over(member, shop):
        raise NotFound("this member has left the program", code="no_pass")
    now = clock.now()
    version = programs.load(session, [shop_id]).in_force(shop_id, now)
    standing = standings(session, [member], version, now)[member.id]
    first = (member.name or "").split(maxsplit=1)[:1]
    return Invitation(
        shop=shop,
        design=design_of(session, shop, standing.key),
        name=content.shortened("".join(first), content.FRONT),
        points=member.available,
        tier=content.shortened(standing.name, content.FRONT),
    )
