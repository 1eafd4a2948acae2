"""Tables of staff, their locations, and failed tries to sign in."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import TIMESTAMP, Base


class Staff(Base):
    """Somebody who works at the counter. Without `pin` they are invited; with `revoked_at` they have left.

    `pin` is a keyed hash, unique in the shop while it opens anything: it alone says who signs in. `generation` goes on
    whenever what was handed out before must end: links of an invitation and open sessions carry it.
    """

    __tablename__ = "staff"
    __table_args__ = (
        sa.Index(
            "uq_staff_pin",
            "shop_id",
            "pin",
            unique=True,
            postgresql_where=sa.text("pin IS NOT NULL AND revoked_at IS NULL"),
        ),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text)
    email: Mapped[str | None] = mapped_column(sa.Text)
    pin: Mapped[str | None] = mapped_column(sa.Text)
    generation: Mapped[int] = mapped_column(sa.Integer, server_default="0")
    invited_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    joined_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    last_seen_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    locked_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    revoked_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)


class Location(Base):
    """A place where members are served. A retired one stays for the record."""

    __tablename__ = "locations"
    __table_args__ = (
        sa.Index(
            "uq_locations_name",
            "shop_id",
            sa.text("lower(name)"),
            unique=True,
            postgresql_where=sa.text("retired_at IS NULL"),
        ),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    retired_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)


class StaffTry(Base):
    """Failed tries to sign in, by who tried: `device:…`, `devices:<day>`, `network:…` or `shop`.

    Keyed hashes, nothing of a person.
    """

    __tablename__ = "staff_tries"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    subject: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    failed: Mapped[int] = mapped_column(sa.Integer)
    last_at: Mapped[datetime] = mapped_column(TIMESTAMP)
