"""What the parts of a program are made of: keys, names, points, exact decimals, moments and limits."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from core.i18n import N_

MOST_POINTS = 1_000_000


class Contradiction(ValueError):
    """A value that can't be, by itself or beside the others. `path` leads to it from the part that noticed.

    `message` is a whole sentence about `%(field)s`, marked for translation, with its other places in `values`.
    """

    def __init__(self, message: str, *path: str | int, **values: Any) -> None:
        super().__init__(reads_on(message, values))
        self.message = message
        self.path = path
        self.values = values


def reads_on(message: str, values: Mapping[str, Any]) -> str:
    """What an English sentence about a field says after naming it: "must be at least 1"."""
    return (message % {**values, "field": ""}).strip().removesuffix(".")


def _seen(text: str) -> str:
    if not text.strip():
        raise Contradiction(N_("%(field)s must not be blank."))
    return _kept(text)


def _kept(text: str) -> str:
    if "\x00" in text:
        raise Contradiction(N_("%(field)s must not hold a character that is no text."))
    return text


Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Name = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_seen)]
Label = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_seen)]
Text = Annotated[str, Field(max_length=500), AfterValidator(_kept)]
Link = Annotated[str, Field(pattern=r"^https://[^\s\x00]+$", max_length=500)]
# Strict, for elsewhere "5" and true are numbers, too.
Whole = Annotated[int, Field(strict=True)]
Points = Annotated[Whole, Field(ge=0, le=MOST_POINTS)]
Award = Annotated[Whole, Field(ge=1, le=MOST_POINTS)]
# Minor units of the shop's currency.
MOST_MONEY = 10**13
Money = Annotated[Whole, Field(ge=0, le=MOST_MONEY)]
# As text, too: scripts can't hold every id as a number.
ShopifyId = Annotated[int, Field(ge=1, le=2**63 - 1)]


def _exact(value: Any) -> Any:
    """Text, a whole number or a Decimal: a float has lost what was written before it reaches us."""
    return str(value) if isinstance(value, float) else value


# Exact decimals as text ("1.25"), so that no float ever touches a point.
Rate = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=1000, max_digits=8, decimal_places=4)]
Multiplier = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=100, max_digits=8, decimal_places=4)]
Boost = Annotated[Decimal, BeforeValidator(_exact), Field(ge=1, le=100, max_digits=8, decimal_places=4)]


def _written(value: Any) -> Any:
    if isinstance(value, str | date):
        return value
    raise Contradiction(N_("%(field)s must be a date as text, such as 2026-11-27T09:00."))


def _sane(moment: datetime) -> datetime:
    if not 1990 <= moment.year < 2200:
        raise Contradiction(N_("%(field)s must lie between 1990 and 2200."))
    return moment


# Without an offset it is the shop's own clock ("2026-11-27T00:00"), with one it is that instant.
Moment = Annotated[datetime, BeforeValidator(_written), AfterValidator(_sane)]


def instant(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    """The moment in UTC; one without an offset is read on the shop's clock.

    A time that the clock skips in spring is the instant it jumps to; one that comes twice in autumn is the first.
    """
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


class Part(BaseModel):
    # Docstrings under fields become the descriptions of the published JSON Schema.
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Limit(Part):
    """How much one rule may bring one member, in points and in times, on one day of the shop and ever. Null: no end."""

    points_per_day: Award | None = None
    """The most points on one day of the shop's time zone."""
    points_ever: Award | None = None
    """The most points in all."""
    times_per_day: Annotated[Whole, Field(ge=1, le=1000)] | None = None
    """How often it counts on one day of the shop's time zone."""
    times_ever: Annotated[Whole, Field(ge=1, le=100_000)] | None = None
    """How often it counts in all."""

    @property
    def limits(self) -> bool:
        return any(value is not None for value in self.model_dump().values())


class Rule(Part):
    """What every way of earning has: who may, from when to when, and how much at most."""

    tiers: tuple[Key, ...] = ()
    """Only for members of these tiers; empty means all."""
    starts_at: Moment | None = None
    """From when on it counts. Without an offset it is the shop's own clock."""
    ends_at: Moment | None = None
    """Until when it counts; the moment itself no longer does. Without an offset it is the shop's own clock."""
    limit: Limit = Limit()
    """How much it may bring one member."""

    @model_validator(mode="after")
    def ends_after_it_starts(self) -> Self:
        check_span(self.starts_at, self.ends_at)
        return self


def check_span(starts_at: datetime | None, ends_at: datetime | None) -> None:
    """Raises Contradiction for an end that does not come after its start."""
    if starts_at is None or ends_at is None:
        return
    if (starts_at.tzinfo is None) != (ends_at.tzinfo is None):
        raise Contradiction(
            N_("%(field)s must have an offset if the start has one, and none if it has none."), "ends_at"
        )
    if ends_at <= starts_at:
        raise Contradiction(N_("%(field)s must come after the start."), "ends_at")


def check_keys(placed: Iterable[Sequence[str | int]]) -> None:
    """Raises Contradiction for a key that is used twice. Each entry is the path to a part and, last, its key."""
    seen: dict[str | int, str | int] = {}
    for *path, key in placed:
        if key in seen:
            message = N_("%(field)s must be a key of its own: '%(key)s' is used in %(part)s already.")
            raise Contradiction(message, *path, "key", key=key, part=seen[key])
        seen[key] = path[0]
