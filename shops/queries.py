"""Reads of the register of shops."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import NotAuthenticated, NotFound
from shops.models import Shop


def all_shop_ids(database: Database) -> list[int]:
    """Every shop whose data we hold, installed or not: what a periodic job opens."""
    with database.transaction() as session:
        return list(session.scalars(sa.select(Shop.id).where(Shop.redacted_at.is_(None)).order_by(Shop.id)))


def installed_shop_ids(database: Database) -> list[int]:
    """Every shop that has the app now: what work that merchants did not ask for is done in."""
    with database.transaction() as session:
        return list(session.scalars(sa.select(Shop.id).where(Shop.uninstalled_at.is_(None)).order_by(Shop.id)))


def shop_by_domain(session: Session, domain: str) -> Shop:
    """Raises NotFound."""
    shop = session.scalar(sa.select(Shop).where(Shop.domain == domain))
    if shop is None:
        raise NotFound(f"no shop {domain} has installed the app", code="no_shop")
    return shop


def installed_shop(session: Session, domain: str) -> Shop:
    """A shop that has the app now: what Shopify's signature says is answered for no other. Raises NotAuthenticated."""
    shop = session.scalar(sa.select(Shop).where(Shop.domain == domain))
    if shop is None:
        raise NotAuthenticated("this shop has not installed the app")
    if shop.uninstalled_at is not None:
        raise NotAuthenticated("this shop has uninstalled the app")
    return shop


def domain_of(database: Database, shop_id: int) -> str:
    """The domain a shop has now. Raises NotFound."""
    with database.transaction() as session:
        domain = session.scalar(sa.select(Shop.domain).where(Shop.id == shop_id))
    if domain is None:
        raise NotFound("there is no such shop", code="no_shop")
    return domain


def shops(session: Session) -> list[Shop]:
    """All shops, oldest install first."""
    return list(session.scalars(sa.select(Shop).order_by(Shop.installed_at, Shop.id)))
