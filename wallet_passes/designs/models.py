"""Designs as published and drafted, their images, and how far a published one has come."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import JSONB, TIMESTAMP, Base


class WalletDesign(Base):
    """A published design. The one with the highest version is in force; a published one never changes."""

    __tablename__ = "wallet_designs"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    version: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    document: Mapped[Any] = mapped_column(JSONB)
    note: Mapped[str] = mapped_column(sa.Text, server_default="")
    actor: Mapped[str] = mapped_column(sa.Text)
    published_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class WalletDraft(Base):
    """The one design a shop is working on. `edits` counts its changes: who saves says which they had read."""

    __tablename__ = "wallet_design_drafts"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    document: Mapped[Any] = mapped_column(JSONB)
    edits: Mapped[int] = mapped_column(sa.Integer, server_default="1")
    actor: Mapped[str] = mapped_column(sa.Text)
    updated_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class WalletImage(Base):
    """A picture as checked and redrawn by us: PNG. Named by its SHA-256, so the same one is kept once."""

    __tablename__ = "wallet_images"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    digest: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    file: Mapped[bytes] = mapped_column(sa.LargeBinary)
    width: Mapped[int] = mapped_column(sa.Integer)
    height: Mapped[int] = mapped_column(sa.Integer)
    actor: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class WalletRollout(Base):
    """How far the cards of a shop have been brought up to a change that concerns all of them.

    `cursor` is the last member whose card was asked to change. One row is open at most; a newer change starts it anew.
    """

    __tablename__ = "wallet_rollouts"
    __table_args__ = (
        sa.Index("uq_wallet_rollouts_open", "shop_id", unique=True, postgresql_where=sa.text("finished_at IS NULL")),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    # `design:3`, `program:7`, `shop`, `day`: what changed.
    cause: Mapped[str] = mapped_column(sa.Text)
    # What the cards are made of since then: see `wallet_passes.rollouts`.
    marks: Mapped[Any] = mapped_column(JSONB)
    total: Mapped[int] = mapped_column(sa.BigInteger)
    done: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    cursor: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    started_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    finished_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
