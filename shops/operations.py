"""Installing and leaving. Each takes a session and never commits."""

from collections.abc import Callable, Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.db import Database, open_shops
from core.effects import Effect
from core.events import Happened, record
from shops import tokens
from shops.admin import Admin
from shops.models import Shop, ShopToken
from shops.tokens import OfflineToken


def install(database: Database, session_token: str, prepare: Callable[[Session, int], object]) -> int:
    """Install the shop that a session token names, or take it in again, and return its id.

    Asks the shop for a token and for what it is called before anything is written. `prepare(session, shop_id)` gives
    it what the rooms above need from the first delivery on: a program. Raises NotAuthenticated, Unavailable,
    AdminRefused.
    """
    token = tokens.exchange(session_token)
    with Admin(token.shop, token.access_token) as admin:
        about = admin.call("shop")["shop"]
    with database.transaction() as session:
        shop_id = _register(session, token, about)
        open_shops(session, [shop_id])
        tokens.keep(session, shop_id, token)
        prepare(session, shop_id)
        record(session, [Happened(shop_id, "shop.installed", {"scopes": token.scopes}, clock.now())])
    return shop_id


def _register(session: Session, token: OfflineToken, about: dict[str, str]) -> int:
    shop = session.scalar(sa.select(Shop).where(Shop.domain == token.shop).with_for_update())
    if shop is None:
        shop = Shop(domain=token.shop)
        session.add(shop)
    elif shop.uninstalled_at or shop.redacted_at:
        shop.returned = True
    shop.installed_at = clock.now()
    shop.name = about["name"]
    shop.currency = about["currencyCode"]
    shop.timezone = about["ianaTimezone"]
    shop.scopes = token.scopes
    shop.uninstalled_at = shop.redacted_at = None
    session.flush()
    return shop.id


def uninstall(session: Session, shop_id: int, at: datetime) -> bool:
    """The app is gone from the shop: its token is void, its effects stop. Data stays until shop/redact.

    False when the shop has installed it again since: the news came late.
    """
    left = session.scalar(
        sa.update(Shop)
        .where(Shop.id == shop_id, Shop.uninstalled_at.is_(None), Shop.installed_at <= at)
        .values(uninstalled_at=clock.now())
        .returning(Shop.id)
    )
    if left is None:
        return False
    for table in (ShopToken, Effect):
        session.execute(sa.delete(table).where(table.shop_id == shop_id))
    return True


def set_scopes(session: Session, shop_id: int, scopes: Iterable[str]) -> None:
    """What the merchant now allows us."""
    session.execute(sa.update(Shop).where(Shop.id == shop_id).values(scopes=",".join(sorted(scopes))))
