"""Tables of the tenant. `shops` is the register that names the tenants: it alone has no row-level security."""

import re
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import JSONB, TIMESTAMP, Base

DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")


class Shop(Base):
    """A store that installed the app. `domain` is the myshopify.com name, the identity Shopify signs with."""

    __tablename__ = "shops"

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    domain: Mapped[str] = mapped_column(sa.Text, unique=True)
    # Shopify's number of the shop, which stays when its domain changes. Null until the shop has told it.
    shopify_id: Mapped[int | None] = mapped_column(sa.BigInteger, unique=True)
    name: Mapped[str] = mapped_column(sa.Text)
    currency: Mapped[str] = mapped_column(sa.Text)
    timezone: Mapped[str] = mapped_column(sa.Text)
    public_url: Mapped[str | None] = mapped_column(sa.Text)
    scopes: Mapped[str] = mapped_column(sa.Text, server_default="")
    settings: Mapped[Any] = mapped_column(JSONB, server_default="{}")
    installed_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    # Whether the shop has left and come back: a shop/redact that still speaks of the time before must not erase it.
    returned: Mapped[bool] = mapped_column(sa.Boolean, server_default="false")
    uninstalled_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    # Since when Shopify answers for the shop that it is frozen, locked or closed, until when we leave it alone, and the
    # HTTP status that said so.
    paused_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    paused_until: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    paused_status: Mapped[int | None] = mapped_column(sa.SmallInteger)
    redacted_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)


class ShopToken(Base):
    """The expiring offline token pair, encrypted. One row a shop, its lock makes one refresh at a time."""

    __tablename__ = "shop_tokens"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    access_token: Mapped[bytes] = mapped_column(sa.LargeBinary)
    access_expires_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    refresh_token: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    refresh_expires_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    # Since when Shopify takes neither: only a merchant who opens the app brings new ones.
    refused_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    updated_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class ApiKey(Base):
    """A key of the public API: only its hash is kept. The unique hash answers "whose key is this?"."""

    __tablename__ = "api_keys"
    __table_args__ = (sa.UniqueConstraint("shop_id", "digest"),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text)
    digest: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    revoked_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
