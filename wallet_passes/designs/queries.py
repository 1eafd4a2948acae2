"""How a shop's cards look now."""

from sqlalchemy.orm import Session

from shops.models import Shop
from wallet_passes import content
from wallet_passes.design import Design, design


def design_of(session: Session, shop: Shop, look: str) -> Design:
    """How the cards of members of a tier (its key) look: by the design in force, or one made of the shop's name."""
    return design(content.shortened(shop.name, content.NAME), (shop.settings or {}).get("wallet_colour"))
