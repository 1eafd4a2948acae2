"""Secrets that other apps of a shop sign with when they tell us something. Kept encrypted with the shop's settings."""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import crypto
from shops.models import DOMAIN, Shop

_NAME = "review_hook"


class Hook(NamedTuple):
    """A shop that takes signed reviews, and the secret they are signed with."""

    shop_id: int
    secret: str


def keep_review_secret(session: Session, shop: Shop, given: str | None = None) -> str:
    """Make the secret that reviews of this shop are signed with, or keep the one a review app has. Returns it.

    The one before is void at once.
    """
    secret = given or crypto.random_secret()
    shop.settings = shop.settings | {_NAME: crypto.encrypt(secret).decode()}
    session.flush()
    return secret


def review_hook(session: Session, domain: str) -> Hook | None:
    """The hook of an installed shop that has one."""
    if not DOMAIN.fullmatch(domain):
        return None
    shop = session.scalar(sa.select(Shop).where(Shop.domain == domain, Shop.uninstalled_at.is_(None)))
    sealed = shop.settings.get(_NAME) if shop else None
    return Hook(shop.id, crypto.decrypt(sealed.encode())) if shop and sealed else None


def rotate_encryption(session: Session, shop_id: int) -> None:
    """Encrypt the shop's secret under the newest key. Raises UndecipherableSecret."""
    shop = session.get_one(Shop, shop_id, with_for_update=True)
    if sealed := shop.settings.get(_NAME):
        shop.settings = shop.settings | {_NAME: crypto.rotate(sealed.encode()).decode()}
