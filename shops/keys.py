"""Keys of the public API. A token names its shop, so that the shop can be opened before any row is read."""

import re
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, crypto
from core.events import Happened, record
from shops.models import ApiKey, Shop

_TOKEN = re.compile(r"rapport_([0-9a-z]{1,13})_[A-Za-z0-9_-]{43}")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_MAX_ID = 2**63 - 1


class Key(NamedTuple):
    """A valid key: the shop it opens and its own id, by which the audit log names who used it."""

    shop_id: int
    key_id: int


def create(session: Session, shop_id: int, name: str, *, actor: str) -> str:
    """Make a key and return its token, which nobody can read again: only its hash is kept."""
    token = f"rapport_{_base36(shop_id)}_{crypto.random_secret()}"
    key = ApiKey(shop_id=shop_id, name=name, digest=crypto.digest(token), created_at=clock.now())
    session.add(key)
    session.flush()
    _tell(session, shop_id, "api_key.created", key.id, actor)
    return token


def revoke(session: Session, shop_id: int, key_id: int, *, actor: str) -> bool:
    """Make a key useless from now on. False when the shop has no such key in use."""
    revoked = session.scalar(
        sa.update(ApiKey)
        .where(ApiKey.shop_id == shop_id, ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=clock.now())
        .returning(ApiKey.id)
    )
    if revoked is not None:
        _tell(session, shop_id, "api_key.revoked", key_id, actor)
    return revoked is not None


def _tell(session: Session, shop_id: int, kind: str, key_id: int, actor: str) -> None:
    record(session, [Happened(shop_id, kind, {"key_id": key_id}, clock.now(), actor=actor)])


def claimed_shop(token: str) -> int | None:
    """The shop that a token claims to open, or None for what is no token. It proves nothing yet: see `verify`."""
    match = _TOKEN.fullmatch(token)
    shop_id = int(match[1], 36) if match else 0
    return shop_id if 0 < shop_id <= _MAX_ID else None


def verify(session: Session, token: str) -> Key | None:
    """The key behind a token, None when it is unknown, revoked or its shop has left. Its claimed shop must be open."""
    row = session.execute(
        sa.select(ApiKey.shop_id, ApiKey.id)
        .join(Shop, Shop.id == ApiKey.shop_id)
        .where(
            ApiKey.shop_id == claimed_shop(token),
            ApiKey.digest == crypto.digest(token),
            ApiKey.revoked_at.is_(None),
            Shop.uninstalled_at.is_(None),
        )
    ).one_or_none()
    return Key(*row) if row else None


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"
