"""What Google holds of ours, and what it has told us."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.db import TIMESTAMP, Base


class GoogleClass(Base):
    """The class of a tier's look as Google was last told it: `digest` is of its body."""

    __tablename__ = "google_classes"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    look: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    digest: Mapped[str] = mapped_column(sa.Text)
    told_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class GoogleObject(Base):
    """A member's card at Google, as it was last told: `digest` is of its body, `told_version` the pass's, `points` and
    `look` (the tier) what a phone announces changes of. The digest is empty while it is not known what Google has.

    `saved_at` and `removed_at` are from Google's callbacks: whether somebody has it in their wallet. `notified_at` are
    the moments of the last day at which a phone was asked to announce a change: three are all that Google allows.
    `code_step` is the last thirty seconds of which the rotating code was used up.
    """

    __tablename__ = "google_objects"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    serial: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    look: Mapped[str] = mapped_column(sa.Text)
    points: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    digest: Mapped[str] = mapped_column(sa.Text)
    told_version: Mapped[int] = mapped_column(sa.Integer)
    told_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    notified_at: Mapped[list[datetime]] = mapped_column(ARRAY(TIMESTAMP), server_default="{}")
    # The newest message of ours that Google has: each is added once.
    message_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    code_step: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    saved_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    removed_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)


class GoogleCallback(Base):
    """A callback that was taken: Google may send it again until it expires, and its nonce tells."""

    __tablename__ = "google_callbacks"
    __table_args__ = (sa.Index("ix_google_callbacks_serial", "shop_id", "serial", "expires_at"),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    nonce: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    serial: Mapped[str] = mapped_column(sa.Text)
    event: Mapped[str] = mapped_column(sa.Text)
    expires_at: Mapped[datetime] = mapped_column(TIMESTAMP)
