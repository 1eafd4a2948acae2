"""The shapes of the public API: what goes in and what comes out, as models that also make the OpenAPI document.

Ids are text, for Shopify's exceed what a JavaScript number holds. Money is in minor units of the shop's currency.
Times are RFC 3339 in UTC.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from loyalty.models import KINDS
from loyalty.operations import MAX_ADJUSTMENT

MAX_ID = 2**63 - 1
MAX_LIMIT = 200
DEFAULT_LIMIT = 50

Id = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,18}$", examples=["42"])]
Cursor = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[A-Za-z0-9._-]+$")]
# At least one character that is seen, and none that a database can't keep.
Words = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description=f"Items per page, at most {MAX_LIMIT}.")]
After = Annotated[Cursor | None, Field(description="`next` of the page before.")]


def whole(number: Any) -> Any:
    """JSON knows one kind of number: 100.0 is an integer, though not in Python."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def not_zero(number: int) -> int:
    if number == 0:
        raise PydanticCustomError("zero", "must not be 0")
    return number


class Shape(BaseModel):
    """An answer, or a part of one."""

    model_config = ConfigDict(frozen=True)


class Asked(BaseModel):
    """A request. What we don't know is refused, so that a misspelt field is not silently ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Bytes; a longer body is not read.
    body_limit: ClassVar[int] = 1024 * 1024


class NextTier(Shape):
    key: str
    name: str
    remaining: Annotated[int, Field(ge=0, description="Still missing: minor units, points or orders, see `metric`.")]


class Tier(Shape):
    key: Annotated[str, Field(examples=["insider", "advocate", "ambassador"])]
    name: str
    since: datetime
    next: NextTier | None
    metric: Annotated[str, Field(description="What counts: `eligible_spend` in minor units, `points` or `orders`.")]
    value: Annotated[int, Field(description="How much has counted in the window or the year so far.")]
    by_hand: Annotated[bool, Field(description="Whether somebody gave the tier, whatever counts.")]
    until: Annotated[datetime | None, Field(description="When it ends unless more counts by then; null: not so far.")]
    missing: Annotated[int, Field(ge=0, description="How much more by then keeps it.")]


class Points(Shape):
    available: Annotated[int, Field(description="What can be spent. Below zero after spent points were taken back.")]
    pending: Annotated[int, Field(description="What waits for a payment or the program's waiting days.")]
    lifetime: Annotated[int, Field(description="All that was ever earned and kept.")]


class Expiring(Shape):
    points: int
    at: Annotated[datetime, Field(description="When they expire.")]


class Referral(Shape):
    code: str
    url: str


class Member(Shape):
    id: Id
    customer_id: Annotated[Id | None, Field(description="The Shopify customer.")]
    email: str | None
    points: Points
    expiring: Annotated[Expiring | None, Field(description="What expires next; null: nothing so far.")]
    tier: Tier
    referral: Annotated[Referral | None, Field(description="Null while the shop runs no referrals.")]
    joined_at: datetime


class MemberPage(Shape):
    items: list[Member]
    next: Cursor | None


class Explanation(Shape):
    """Why a posting was made: `text` says it in words, the other fields hold the inputs and the arithmetic."""

    model_config = ConfigDict(extra="allow")

    text: str


class Posting(Shape):
    id: Id
    kind: Annotated[str, Field(json_schema_extra={"enum": list(KINDS)})]
    points: Annotated[int, Field(description="As the member sees it: below zero when points leave.")]
    bucket: Annotated[
        str, Field(description="The balance that changed.", json_schema_extra={"enum": ["available", "pending"]})
    ]
    order_id: Id | None
    program_version: int | None
    rule: str
    explanation: Explanation
    actor: Annotated[str, Field(description="Who did it: `shopify`, `system`, `api:<key id>`.")]
    occurred_at: datetime
    balance_after: Annotated[int, Field(description="Available points once it was posted.")]


class PostingPage(Shape):
    items: list[Posting]
    next: Cursor | None


class OrderTier(Shape):
    key: str
    name: str


class OrderLine(Shape):
    id: Id
    title: str
    spend: Annotated[int, Field(description="What it counts before refunds.")]
    refunded: int
    excluded: Annotated[str | None, Field(description="Why it never counts: `gift_card`, `tip`.")]


class OrderPoints(Shape):
    available: int
    pending: int


class Order(Shape):
    """How an order was settled. Money in minor units of `currency`; null where the order itself is not known yet."""

    id: Id
    name: str | None
    status: Annotated[str | None, Field(description="The payment status that Shopify last told.")]
    placed_at: datetime | None
    cancelled_at: datetime | None
    member_id: Id | None
    eligible: bool
    reason: Annotated[str | None, Field(description="Why it earns nothing, as a code; null when it earns.")]
    text: str
    currency: str | None
    spend: Annotated[int, Field(description="What counts before refunds.")]
    refunded: int
    eligible_spend: Annotated[int, Field(description="What counts now; 0 when the order is not eligible.")]
    program_version: Annotated[int | None, Field(description="The version in force when the order was placed.")]
    tier: Annotated[OrderTier | None, Field(description="The tier its member held then.")]
    rate: Annotated[str | None, Field(description="Points per currency unit, as decimal text.")]
    multiplier: Annotated[str | None, Field(description="The tier's multiplier, as decimal text.")]
    points: Annotated[OrderPoints, Field(description="What the order has earned and kept so far.")]
    lines: list[OrderLine]
    postings: list[Posting]


class MembersQuery(Asked):
    customer_id: Annotated[Id | None, Field(description="Only the member of this Shopify customer.")] = None
    email: Annotated[
        str | None,
        Field(description="Only members with this address.", min_length=1, max_length=320, pattern=r"^[^\x00]*$"),
    ] = None
    limit: Limit = DEFAULT_LIMIT
    cursor: After = None


class PageQuery(Asked):
    limit: Limit = DEFAULT_LIMIT
    cursor: After = None


class Adjustment(Asked):
    """Points to give (above zero) or to take (below zero) by hand."""

    points: Annotated[
        int,
        Field(strict=True, ge=-MAX_ADJUSTMENT, le=MAX_ADJUSTMENT, json_schema_extra={"not": {"const": 0}}),
        AfterValidator(not_zero),
        BeforeValidator(whole),
    ]
    reason: Annotated[Words, Field(description="Shown to the member.", examples=["Sorry for the late parcel"])]


class Fault(Shape):
    field: str
    message: str


class Problem(Shape):
    """An error, as RFC 9457 problem details."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str | None
    code: Annotated[str, Field(description="Stable; decide by it, not by the words.")]
    request_id: str | None
    errors: Annotated[list[Fault] | None, Field(description="What is wrong with which field.")] = None


def within_range(number: str | None) -> int | None:
    """An id as a number; one that no row can have becomes 0, which none has."""
    value = int(number) if number else None
    return 0 if value is not None and value > MAX_ID else value
