"""The endpoints of the public API: parse, call one query or operation, present."""

from collections.abc import Sequence

from core import clock
from core.errors import Conflict
from loyalty import operations, programs, queries
from loyalty.models import Member
from tiers.queries import standings
from web.api import paging, present, shapes
from web.api.endpoint import Call, Operation, endpoint
from web.api.expiry import expiring
from web.api.referrals import referral_of


@endpoint("GET", "/members", problems=(400, 422))
def list_members(call: Call, query: shapes.MembersQuery) -> shapes.MemberPage:
    """Members, oldest first, or those of one customer or address.

    A customer has at most one member. After a merge, both customers lead to the member who remained.
    """
    found = queries.members(
        call.session,
        call.shop_id,
        customer_id=shapes.within_range(query.customer_id),
        email=query.email.strip().casefold() if query.email else None,
        after=paging.position(call.listing, query.cursor) or 0,
        limit=query.limit + 1,
    )
    rows, following = paging.cut(call.listing, found, query.limit, lambda row: row.id)
    return shapes.MemberPage(items=_members(call, rows), next=following)


@endpoint("GET", "/members/<id:member_id>", problems=(404,))
def read_member(call: Call, member_id: int) -> shapes.Member:
    """One member.

    The id of a member who was merged into another leads to that other member.
    """
    return member_shape(call, member_id)


@endpoint("GET", "/members/<id:member_id>/postings", problems=(400, 404, 422))
def list_postings(call: Call, member_id: int, query: shapes.PageQuery) -> shapes.PostingPage:
    """Every change of a member's points, newest first, each with its why.

    Postings made before a merge stay under the id they were made for.
    """
    queries.require_member(call.session, call.shop_id, member_id)
    before = paging.position(call.listing, query.cursor)
    found = queries.postings(call.session, call.shop_id, member_id, before=before, limit=query.limit + 1)
    rows, following = paging.cut(call.listing, found, query.limit, lambda row: row.id)
    shown = present.postings(rows, programs.load(call.session, [call.shop_id]))
    return shapes.PostingPage(items=shown, next=following)


@endpoint("POST", "/members/<id:member_id>/adjustments", status=201, problems=(400, 404, 409, 413, 415, 422))
def create_adjustment(call: Call, member_id: int, body: shapes.Adjustment) -> shapes.Posting:
    """Give or take points by hand.

    With an `Idempotency-Key` it counts once, however often it is sent.
    """
    queries.require_member(call.session, call.shop_id, member_id)
    key = call.fact_key("adjustment")
    if queries.posting_exists(call.session, call.shop_id, key):
        # Answers are kept for a day, postings for ever.
        raise Conflict("this Idempotency-Key made an adjustment long ago", code="idempotency_key_expired")
    posting = operations.adjust(
        call.session, call.shop_id, member_id, body.points, body.reason.strip(), actor=call.actor, key=key
    )
    return present.posting(posting, {})


@endpoint("GET", "/orders/<id:order_id>", problems=(404,))
def read_order(call: Call, order_id: int) -> shapes.Order:
    """How an order was settled, by its Shopify id.

    `reason` says why an order earns nothing: `test_order`, `cancelled`, `deleted`, `voided`, `expired`,
    `unknown_status`, `before_start`, `blocked`, `guest_held`, `no_customer`, `nothing_eligible`, `below_one_point`,
    `order_unknown`.
    """
    published = programs.load(call.session, [call.shop_id])
    return present.order(queries.order(call.session, call.shop_id, order_id, published), published)


def member_shape(call: Call, member_id: int) -> shapes.Member:
    """Raises NotFound."""
    (shown,) = _members(call, [queries.member(call.session, call.shop_id, member_id)])
    return shown


def _members(call: Call, rows: Sequence[Member]) -> list[shapes.Member]:
    if not rows:
        return []
    now = clock.now()
    published = programs.load(call.session, [call.shop_id])
    standing = standings(call.session, rows, published.in_force(call.shop_id, now), now)
    ahead, codes = expiring(call, rows, published), referral_of(call.session, call.shop_id, rows)
    return [present.member(row, standing[row.id], ahead[row.id], codes.get(row.id)) for row in rows]


OPERATIONS: tuple[Operation, ...] = (
    list_members,
    read_member,
    list_postings,
    create_adjustment,
    read_order,
)
