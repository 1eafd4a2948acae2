"""Whom a message is for: the shape that a merchant gives, and the one query it becomes. Pure.

Only members with a card get messages. Every condition narrows the audience.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased

from loyalty.models import Member
from loyalty.program import instant
from loyalty.program.parts import Key, Moment
from wallet_passes.google.models import GoogleObject
from wallet_passes.messages.models import MessageRecipient
from wallet_passes.messages.rules import SHOWN, Limit
from wallet_passes.models import AppleRegistration, Pass

MOST_NAMED = 1000
MOST_POINTS = 10**12
MOST_DAYS = 3660

Condition = sa.ColumnElement[bool]


def _whole(number: Any) -> Any:
    """JSON knows one kind of number: 100.0 is an integer, though not in Python."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


Points = Annotated[int, Field(strict=True, ge=-MOST_POINTS, le=MOST_POINTS), BeforeValidator(_whole)]
Days = Annotated[int, Field(strict=True, ge=1, le=MOST_DAYS), BeforeValidator(_whole)]
MemberId = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,18}$")]


class Audience(BaseModel):
    """Members with a card who meet every condition that is given; `all` is for everyone with a card."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    all: Annotated[Literal[True] | None, Field(description="Everyone with a card; then there is no other.")] = None
    members: Annotated[list[MemberId], Field(min_length=1, max_length=MOST_NAMED)] | None = None
    tiers: Annotated[list[Key], Field(min_length=1, max_length=10, description="Keys of tiers held then.")] | None = (
        None
    )
    points_at_least: Annotated[Points | None, Field(description="Points that can be spent.")] = None
    points_at_most: Points | None = None
    quiet_days: Annotated[Days | None, Field(description="No order for so many days, nor joined in them.")] = None
    joined_after: Annotated[
        Moment | None, Field(description="At that moment or later; without an offset on the shop's clock.")
    ] = None
    joined_before: Moment | None = None
    wallet: Annotated[
        Literal["apple", "google", "any"] | None, Field(description="Has the card in that wallet at this moment.")
    ] = None

    @model_validator(mode="after")
    def says_whom(self) -> Self:
        """An empty audience is more likely a slip than everybody."""
        conditions = self.model_dump(exclude_none=True, exclude={"all"})
        if bool(self.all) == bool(conditions):
            raise PydanticCustomError("audience", 'must say whom: conditions, or "all": true for everyone with a card')
        return self

    @model_validator(mode="after")
    def can_be_met(self) -> Self:
        least, most = self.points_at_least, self.points_at_most
        if least is not None and most is not None and least > most:
            raise PydanticCustomError("audience", "points_at_least must not be more than points_at_most")
        return self

    def stored(self, zone: ZoneInfo) -> dict[str, Any]:
        """As kept: moments in UTC, each member and tier once."""
        told = self.model_dump(mode="json", exclude_none=True)
        for name in ("joined_after", "joined_before"):
            if (moment := instant(getattr(self, name), zone)) is not None:
                told[name] = moment.isoformat()
        for name, order in (("members", int), ("tiers", str)):
            if name in told:
                told[name] = sorted(set(told[name]), key=order)
        return told


def cards(shop_id: int, audience: Audience, after: int, most: int) -> sa.Select[int, int]:
    """The next cards that may be of an audience: `card` is whom one was made for, `member` who they are now.

    In order of the former, from those above `after`.
    """
    made_for = aliased(Member)
    ahead = (
        sa.select(Pass.member_id.label("card"), _survivor(made_for).label("member"))
        .join(made_for, (made_for.shop_id == Pass.shop_id) & (made_for.id == Pass.member_id))
        # Of both tables: PostgreSQL passes no range on from one to the other.
        .where(*_of_card(shop_id, audience), Pass.member_id > after, made_for.id > after)
    )
    return ahead.order_by(Pass.member_id).limit(most)


def among(shop_id: int, audience: Audience, members: Sequence[int], now: datetime) -> sa.Select[int, bool]:
    """Those of these members with a card who are of an audience: `member`, who they have become since, and whether they
    `left`.
    """
    here = Member.shop_id == shop_id, Member.id == _any(members)
    return sa.select(_survivor(Member).label("member"), _left().label("left")).where(*here, *_of_member(audience, now))


def holders(shop_id: int, audience: Audience, now: datetime) -> sa.Select[int, bool]:
    """All members with a card who are of an audience, once for each card: `member`, and whether they `left`."""
    made_for = aliased(Member)
    return (
        sa.select(Member.id.label("member"), _left().label("left"))
        .select_from(Pass)
        .join(made_for, (made_for.shop_id == Pass.shop_id) & (made_for.id == Pass.member_id))
        .join(Member, (Member.shop_id == Pass.shop_id) & (Member.id == _survivor(made_for)))
        .where(*_of_card(shop_id, audience), *_of_member(audience, now))
    )


def _of_card(shop_id: int, audience: Audience) -> list[Condition]:
    """A card is its member's until they leave. Of those who are named, cards that have ended are found, too, so that
    they can be counted.
    """
    found = [Pass.shop_id == shop_id]
    if audience.members is None:
        found.append(Pass.ended_at.is_(None))
    else:
        found.append(Pass.member_id.in_(_named(shop_id, [int(one) for one in audience.members])))
    if audience.wallet is not None:
        found.append({"apple": on_apple, "google": on_google, "any": is_live}[audience.wallet]())
    return found


def _named(shop_id: int, members: list[int]) -> sa.Select[int]:
    """Ids of these members, of whom they became, and of whoever became the same."""
    other = aliased(Member)
    known = other.shop_id == shop_id, other.id == _any([member for member in members if member < 2**63])
    are = sa.select(_survivor(other)).where(*known)
    return sa.select(Member.id).where(Member.shop_id == shop_id, _survivor(Member).in_(are))


def _survivor(member: Any) -> Any:
    return sa.func.coalesce(member.merged_into, member.id)


def _any(members: Sequence[int]) -> Any:
    """As one array, for a statement may not have so many parameters."""
    return sa.any_(sa.literal(list(members), ARRAY(sa.BigInteger)))


def _left() -> Condition:
    return Member.merged_into.is_(None) & (Member.closed_at.is_not(None) | Member.erased_at.is_not(None))


def _of_member(audience: Audience, now: datetime) -> list[Condition]:
    found = [
        (audience.tiers, lambda keys: Member.tier_key.in_(keys)),
        (audience.points_at_least, lambda points: Member.available >= points),
        (audience.points_at_most, lambda points: Member.available <= points),
        (audience.quiet_days, lambda days: _quiet_since(now - timedelta(days=days))),
        (audience.joined_after, lambda moment: Member.joined_at >= _utc(moment)),
        (audience.joined_before, lambda moment: Member.joined_at < _utc(moment)),
    ]
    return [make(said) for said, make in found if said is not None]


def _quiet_since(moment: datetime) -> Condition:
    return sa.func.coalesce(Member.last_order_at, Member.joined_at) <= moment


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def on_apple() -> Condition:
    """Whether a pass is on a phone that asks Apple's way for news of it."""
    here = AppleRegistration
    mine = (here.shop_id == Pass.shop_id, here.serial == Pass.serial)
    return sa.exists().where(*mine, here.removed_at.is_(None))


def on_google() -> Condition:
    """Whether somebody has saved a pass to Google Wallet and not removed it."""
    here = GoogleObject
    mine = (here.shop_id == Pass.shop_id, here.serial == Pass.serial)
    return sa.exists().where(
        *mine, here.removed_at.is_(None) | (here.removed_at < here.saved_at), here.saved_at.is_not(None)
    )


def is_live() -> Condition:
    """Whether a pass is in any wallet."""
    return on_apple() | on_google()


def at_their_limit(shop_id: int, limit: Limit, at: datetime) -> sa.Select[int]:
    """Members who have been shown as many messages as they may in the days before `at`."""
    here = MessageRecipient
    shown = (here.shop_id == shop_id, here.outcome == SHOWN, here.at > at - timedelta(days=limit.days))
    return sa.select(here.member_id).where(*shown).group_by(here.member_id).having(sa.func.count() >= limit.messages)
