"""The phones that hold a member's card, of both wallets, and how fresh the card on them is."""

from sqlalchemy.orm import Session

from core import clock
from wallet_passes import freshness
from wallet_passes.freshness import Phone
from wallet_passes.google.models import GoogleObject
from wallet_passes.queries import devices, pass_of


def phones(session: Session, shop_id: int, member_id: int) -> list[Phone]:
    """All of them, Apple's first; empty where nobody has the card."""
    row, now = pass_of(session, shop_id, member_id), clock.now()
    if row is None:
        return []
    held = session.get(GoogleObject, (row.shop_id, row.serial))
    android = freshness.google(held, row.version, now) if held else None
    iphones = [freshness.apple(device, now) for device in devices(session, row)]
    return [*iphones, android] if android else iphones
