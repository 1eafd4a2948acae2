"""What a shop has connected Rapport with: Shopify Flow, and Klaviyo. Kept in its settings, keys encrypted."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, crypto
from core.errors import InvalidInput
from core.events import Happened, record
from core.i18n import _
from shops.models import Shop

FLOW, KLAVIYO = "flow", "klaviyo"
CHANNELS = (FLOW, KLAVIYO)
# Source: https://developers.klaviyo.com/en/docs/authenticate_
_PRIVATE_KEY = re.compile(r"pk_[A-Za-z0-9]{20,60}")


class Connection(NamedTuple):
    """A channel that is told what happens, since when, and the secret it takes, if any."""

    channel: str
    since: datetime
    secret: str | None


def connect_flow(session: Session, shop_id: int, *, actor: str) -> Connection:
    """Tell Shopify Flow what happens from now on. Doing it again changes nothing."""
    return connection(session, shop_id, FLOW) or _connect(session, shop_id, FLOW, None, actor)


def connect_klaviyo(session: Session, shop_id: int, private_key: str, *, actor: str) -> Connection:
    """Tell Klaviyo what happens from now on, by this key; or go on with a new key. Raises InvalidInput."""
    key = private_key.strip()
    if not _PRIVATE_KEY.fullmatch(key):
        raise InvalidInput(_("a private API key of Klaviyo begins with pk_"), code="bad_klaviyo_key")
    return _connect(session, shop_id, KLAVIYO, key, actor)


def disconnect(session: Session, shop_id: int, channel: str, *, actor: str) -> None:
    """Tell this channel nothing more, and forget its key. Doing it again changes nothing."""
    shop = session.get_one(Shop, shop_id, with_for_update=True)
    if channel in shop.settings:
        shop.settings = {name: value for name, value in shop.settings.items() if name != channel}
        record(session, [Happened(shop_id, f"{channel}.disconnected", {}, clock.now(), actor=actor)])
        session.flush()


def _connect(session: Session, shop_id: int, channel: str, key: str | None, actor: str) -> Connection:
    shop = session.get_one(Shop, shop_id, with_for_update=True)
    known: dict[str, Any] = shop.settings.get(channel) or {}
    kept = {"since": known.get("since") or clock.now().isoformat()}
    if key:
        kept["key"] = crypto.encrypt(key).decode()
    shop.settings = shop.settings | {channel: kept}
    record(session, [Happened(shop_id, f"{channel}.connected", {}, clock.now(), actor=actor)])
    session.flush()
    return Connection(channel, datetime.fromisoformat(kept["since"]), key)


def connection(session: Session, shop_id: int, channel: str) -> Connection | None:
    """A shop's connection, None when it has none or has left. Raises UndecipherableSecret."""
    kept = session.scalar(
        sa.select(Shop.settings[channel]).where(Shop.id == shop_id, Shop.uninstalled_at.is_(None))
    )  # fmt: skip
    if not kept:
        return None
    sealed = kept.get("key")
    secret = crypto.decrypt(sealed.encode()) if sealed else None
    return Connection(channel, datetime.fromisoformat(kept["since"]), secret)


def connected(session: Session, channel: str, shop_ids: Iterable[int]) -> set[int]:
    """Those of these shops that have connected a channel."""
    found = sa.select(Shop.id).where(Shop.id.in_(sorted(shop_ids)), Shop.settings.has_key(channel))
    return set(session.scalars(found))


def rotate_encryption(session: Session, shop_id: int) -> None:
    """Encrypt the shop's key for Klaviyo under the newest key. Raises UndecipherableSecret."""
    shop = session.get_one(Shop, shop_id, with_for_update=True)
    held = shop.settings.get(KLAVIYO)
    if held and held.get("key"):
        shop.settings = shop.settings | {
            KLAVIYO: held | {"key": crypto.rotate(held["key"].encode()).decode()}
        }  # fmt: skip
