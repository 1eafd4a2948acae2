"""What members did beside buying, what they answered and agreed to, and gifts to many at once."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import JSONB, TIMESTAMP, Base


class ActivityDone(Base):
    """One activity of one member that earned points. `fact` is what it was about, once for each rule and member.

    Index: how much a rule has brought a member, ever and on a day.
    """

    __tablename__ = "activities"
    __table_args__ = (
        sa.UniqueConstraint("shop_id", "member_id", "rule", "fact"),
        sa.Index("ix_activities_rule", "shop_id", "member_id", "rule", "at", postgresql_include=["points"]),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger)
    rule: Mapped[str] = mapped_column(sa.Text)
    kind: Mapped[str] = mapped_column(sa.Text)
    fact: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[datetime] = mapped_column(TIMESTAMP)
    points: Mapped[int] = mapped_column(sa.BigInteger)
    data: Mapped[Any] = mapped_column(JSONB, server_default="{}")
    actor: Mapped[str] = mapped_column(sa.Text)


class Answer(Base):
    """What a member answered to a question of the program. Personal: it goes with an erased person."""

    __tablename__ = "answers"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    question: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    answer: Mapped[str] = mapped_column(sa.Text)
    answered_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class Consent(Base):
    """Whether a member may be written to over a channel, since when, and where they said so."""

    __tablename__ = "consents"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    channel: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    given: Mapped[bool] = mapped_column(sa.Boolean)
    at: Mapped[datetime] = mapped_column(TIMESTAMP)
    source: Mapped[str] = mapped_column(sa.Text)


class Birthday(Base):
    """A member's birthday, with a year when they told it. Personal: it goes with an erased person.

    Index: whose birthday is on a day of a shop.
    """

    __tablename__ = "birthdays"
    __table_args__ = (sa.Index("ix_birthdays_day", "shop_id", "month", "day"),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    month: Mapped[int] = mapped_column(sa.SmallInteger)
    day: Mapped[int] = mapped_column(sa.SmallInteger)
    year: Mapped[int | None] = mapped_column(sa.SmallInteger)
    set_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class Round(Base):
    """The last day of a shop on which a yearly rule has gone round its members, so that a day missed is made up for."""

    __tablename__ = "rounds"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    day: Mapped[date] = mapped_column(sa.Date)


class Gift(Base):
    """Points given to many members at once, with how far it has come. `cursor` is the last member given to."""

    __tablename__ = "gifts"
    __table_args__ = (
        sa.UniqueConstraint("shop_id", "key"),
        sa.Index("ix_gifts_open", "shop_id", postgresql_where=sa.text("finished_at IS NULL")),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    points: Mapped[int] = mapped_column(sa.BigInteger)
    reason: Mapped[str] = mapped_column(sa.Text)
    # Who: {"members": [ids]}, {"tiers": [keys]} or {"all": true}.
    recipients: Mapped[Any] = mapped_column(JSONB)
    actor: Mapped[str] = mapped_column(sa.Text)
    key: Mapped[str] = mapped_column(sa.Text)
    total: Mapped[int] = mapped_column(sa.BigInteger)
    given: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    cursor: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    finished_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
