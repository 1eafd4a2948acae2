"""What of a member's points expires when."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from core import clock
from loyalty import programs, queries
from loyalty.expiry import queries as expiry
from loyalty.expiry.rules import Due
from loyalty.models import Member
from loyalty.programs import Programs
from loyalty.wording.expiry import due_text
from web.api import paging
from web.api.endpoint import Call, Operation, endpoint
from web.api.shapes import Cursor, Expiring, PageQuery, Shape

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ExpiryPolicy(Shape):
    kind: Annotated[
        str,
        Field(
            description="`inactivity`: all points, so long after the last activity. `lot`: each so long after earning.",
            json_schema_extra={"enum": ["inactivity", "lot"]},
        ),
    ]
    months: Annotated[int | None, Field(description="Calendar months; null where it is days.")]
    days: int | None


class ExpiringLot(Expiring):
    text: Annotated[str, Field(description="The same in words, by the shop's calendar.")]


class Schedule(Shape):
    policy: Annotated[ExpiryPolicy | None, Field(description="Null: points never expire.")]
    items: list[ExpiringLot]
    next: Cursor | None


def expiring(call: Call, members: Sequence[Member], published: Programs) -> dict[int, Expiring | None]:
    """What expires next of each of these members, by id."""
    found = expiry.expiring(call.session, members, published, clock.now())
    return {member.id: _next(found[member.shop_id, member.id]) for member in members}


def _next(ahead: Sequence[Due]) -> Expiring | None:
    return Expiring(points=ahead[0].points, at=ahead[0].at) if ahead else None


@endpoint("GET", "/members/<id:member_id>/expiry", problems=(400, 404, 422))
def list_expiry(call: Call, member_id: int, query: PageQuery) -> Schedule:
    """What of a member's available points expires when, soonest first.

    By today's policy and balance: whatever is earned or spent meanwhile changes it. Points are spent oldest first.
    """
    member, now = queries.member(call.session, call.shop_id, member_id), clock.now()
    published = programs.load(call.session, [call.shop_id])
    policy, zone = expiry.policy(published, call.shop_id, now), published.in_force(call.shop_id, now).program.zone
    if policy is None:
        return Schedule(policy=None, items=[], next=None)
    after = paging.position(call.listing, query.cursor) or -1
    ahead = expiry.expiring(call.session, [member], published, now)[call.shop_id, member.id]
    rows, following = paging.cut(call.listing, [d for d in ahead if _place(d) > after], query.limit, _place)
    items = [ExpiringLot(points=d.points, at=d.at, text=due_text(d, policy.expiry, zone)) for d in rows]
    told = ExpiryPolicy(kind=policy.expiry.kind, months=policy.expiry.months, days=policy.expiry.days)
    return Schedule(policy=told, items=items, next=following)


def _place(due: Due) -> int:
    """Where a due stands in the list: its microsecond."""
    return (due.at - EPOCH) // timedelta(microseconds=1)


OPERATIONS: tuple[Operation, ...] = (list_expiry,)
