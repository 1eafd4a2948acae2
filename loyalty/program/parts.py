"""What the parts of a program are made of: keys, names, points, exact decimals, moments and limits."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

MOST_POINTS = 1_000_000

Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Name = Annotated[str, Field(min_length=1, max_length=80)]
Text = Annotated[str, Field(max_length=500)]
Points = Annotated[int, Field(ge=0, le=MOST_POINTS)]
Award = Annotated[int, Field(ge=1, le=MOST_POINTS)]
Days = Annotated[int, Field(ge=0, le=3660)]
# Minor units of the shop's currency.
Money = Annotated[int, Field(ge=0, le=10**13)]
ShopifyId = Annotated[int, Field(ge=1, le=2**63 - 1)]


def _exact(value: Any) -> Any:
    """Text, a whole number or a Decimal: a float has lost what was written before it reaches us."""
    return str(value) if isinstance(value, float) else value


# Exact decimals as text ("1.25"), so that no float ever touches a point.
Rate = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=1000, max_digits=8, decimal_places=4)]
Multiplier = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=100, max_digits=8, decimal_places=4)]
Boost = Annotated[Decimal, BeforeValidator(_exact), Field(ge=1, le=100, max_digits=8, decimal_places=4)]


def _sane(moment: datetime) -> datetime:
    if not 1990 <= moment.year < 2200:
        raise ValueError("the date must lie between 1990 and 2200")
    return moment


# Without an offset it is the shop's own clock ("2026-11-27T00:00"), with one it is that instant.
Moment = Annotated[datetime, AfterValidator(_sane)]


def instant(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    """The moment in UTC; one without an offset is read on the shop's clock.

    A time that the clock skips in spring is the instant it jumps to; one that comes twice in autumn is the first.
    """
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limit(Part):
    """How much one rule may bring one member, in points and in times, on one day of the shop and ever. Null: no end."""

    points_per_day: Award | None = None
    points_ever: Award | None = None
    times_per_day: Annotated[int, Field(ge=1, le=1000)] | None = None
    times_ever: Annotated[int, Field(ge=1, le=100_000)] | None = None

    @property
    def limits(self) -> bool:
        return any(value is not None for value in self.model_dump().values())


class Rule(Part):
    """What every way of earning has: who may, from when to when, and how much at most."""

    # Only for members of these tiers; empty means all.
    tiers: tuple[Key, ...] = ()
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    limit: Limit = Limit()

    @model_validator(mode="after")
    def ends_after_it_starts(self) -> Self:
        check_span(self.starts_at, self.ends_at)
        return self


def check_span(starts_at: datetime | None, ends_at: datetime | None) -> None:
    """Raises ValueError for an end that does not come after its start."""
    if starts_at is None or ends_at is None:
        return
    if (starts_at.tzinfo is None) != (ends_at.tzinfo is None):
        raise ValueError("write the start and the end both with or both without an offset")
    if ends_at <= starts_at:
        raise ValueError("it ends before it starts")
