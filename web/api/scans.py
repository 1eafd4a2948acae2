"""Codes read at the counter, over the API."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from wallet_passes import freshness, scanning
from wallet_passes.phones import phones
from web.api import shapes, views
from web.api.endpoint import Call, Operation, endpoint
from web.api.shapes import Asked, Shape

Place = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
_VALIDITY = {"enum": [*scanning.MAY]}
_MAY: dict[str, Any] = {"items": {"type": "string", "enum": [*scanning.MAY["current"]]}}


class ScanRequest(Asked):
    code: Annotated[
        str, Field(max_length=500, description="As it was scanned or typed: case, spaces and line ends don't matter.")
    ]
    location: Annotated[Place | None, Field(description="Where, for the record: a location's id or name.")] = None


class PhoneFreshness(Shape):
    wallet: Annotated[str, Field(json_schema_extra={"enum": [freshness.APPLE, freshness.GOOGLE]})]
    state: Annotated[str, Field(json_schema_extra={"enum": ["current", "stale", "unreachable", "removed"]})]
    updated_at: datetime
    text: Annotated[str, Field(examples=["iPhone last updated 2 minutes ago."])]


class Scan(Shape):
    """`text` says in a sentence what `validity` means for whoever scanned."""

    validity: Annotated[str, Field(json_schema_extra=_VALIDITY)]
    text: str
    may: Annotated[list[str], Field(json_schema_extra=_MAY, description="What this code may be used for.")]
    member: Annotated[shapes.Member | None, Field(description="Null unless the code may identify.")]
    phone: Annotated[PhoneFreshness | None, Field(description="The phone whose card is freshest; null: none known.")]


@endpoint("POST", "/scans", problems=(400, 413, 415, 422))
def create_scan(call: Call, body: ScanRequest) -> Scan:
    """Read a card's code: whose it is, and what it may do.

    A bad code is an answer, not an error: `validity` says what is wrong with it. Every scan is recorded. A code that
    rotates is `current` once; sent again under the same `Idempotency-Key`, the scan gets the first answer again.
    """
    location = body.location.strip() if body.location else None
    found = scanning.scan(call.session, call.shop_id, body.code, actor=call.actor, location=location)
    shown = found.member_id if scanning.IDENTIFY in found.may else None
    return Scan(
        validity=found.validity,
        text=scanning.TEXTS[found.validity],
        may=list(found.may),
        member=views.member_shape(call, shown) if shown else None,
        phone=_freshest(call, shown) if shown else None,
    )


def _freshest(call: Call, member_id: int) -> PhoneFreshness | None:
    found = freshness.latest(phones(call.session, call.shop_id, member_id))
    return PhoneFreshness(**found._asdict()) if found else None


OPERATIONS: tuple[Operation, ...] = (create_scan,)
