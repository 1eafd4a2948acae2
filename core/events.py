"""What happened: one append-only table that is the outbox, the member's timeline and the audit log.

An operation records its events in its own transaction. Data holds numbers, keys and ids, never personal data, so that
erasing a person leaves the record of what was done.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import clock, effects
from core.db import JSONB, TIMESTAMP, Base, insert_rows


class Event(Base):
    """Indexes: a member's timeline newest first; a shop's audit log newest first (the primary key)."""

    __tablename__ = "events"
    __table_args__ = (sa.Index("ix_events_timeline", "shop_id", "member_id", "id"),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.Text)
    member_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    order_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    data: Mapped[Any] = mapped_column(JSONB)
    actor: Mapped[str] = mapped_column(sa.Text)
    program_version: Mapped[int | None] = mapped_column(sa.Integer)
    occurred_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    recorded_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class Happened(NamedTuple):
    """An event about to be recorded. `kind` is dotted (`points.posted`), `actor` says who (`shopify`, `api:3`)."""

    shop_id: int
    kind: str
    data: dict[str, Any]
    occurred_at: datetime
    member_id: int | None = None
    order_id: int | None = None
    program_version: int | None = None
    actor: str = "system"


_COLUMNS = (
    "shop_id",
    "kind",
    "data",
    "occurred_at",
    "member_id",
    "order_id",
    "program_version",
    "actor",
    "recorded_at",
)


def record(session: Session, happened: Sequence[Happened]) -> None:
    """Record events, and request the effects that follow from them, in the caller's transaction."""
    recorded_at = clock.now()
    rows = [(*h[:2], msgspec.json.encode(h.data).decode(), *h[3:], recorded_at) for h in happened]
    insert_rows(session, Event.__table__, _COLUMNS, rows)  # type: ignore[arg-type]
    effects.request(session, effects.following(happened))
