"""Imports: the file, what is wrong with it, and how far it has come."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import JSONB, TIMESTAMP, Base

STATES = ("checked", "running", "done", "cancelled")


class MemberImport(Base):
    """A file that was read. `faults` are (line, sentence), the first ones; `cursor` is the last line brought in.

    The file goes once the import is over. Index: those under way, for the job.
    """

    __tablename__ = "member_imports"
    __table_args__ = (
        sa.CheckConstraint("state IN ('checked', 'running', 'done', 'cancelled')", name="state"),
        sa.Index("ix_member_imports_running", "shop_id", postgresql_where=sa.text("state = 'running'")),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text)
    file: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    state: Mapped[str] = mapped_column(sa.Text)
    total: Mapped[int] = mapped_column(sa.Integer)
    good: Mapped[int] = mapped_column(sa.Integer)
    points: Mapped[int] = mapped_column(sa.BigInteger)
    faults: Mapped[Any] = mapped_column(JSONB)
    bad: Mapped[int] = mapped_column(sa.Integer)
    cursor: Mapped[int] = mapped_column(sa.Integer, server_default="0")
    done: Mapped[int] = mapped_column(sa.Integer, server_default="0")
    actor: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    started_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    finished_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
