"""Referrals that wait for a person's look, over the API: the queue, both sides of one, and the decision."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from core.db import database
from referrals import queries, reviews
from referrals.cases import Case
from referrals.fraud.people import Person, Sides
from referrals.models import STATES, Referral, ReferralDecision
from web.api import paging
from web.api.endpoint import Call, Later, Operation, endpoint
from web.api.shapes import Asked, Cursor, Id, PageQuery, Shape

Note = Annotated[str, Field(max_length=reviews.MOST_NOTE, pattern=r"^[^\x00]*$", examples=["They are sisters."])]


class ReviewReason(Shape):
    """`points` may be 0: then it only tells something worth knowing."""

    key: str
    points: int
    text: str


class ReferralReview(Shape):
    """A referral with what the checks make of it. It moves on within seconds of a decision."""

    id: Id
    state: Annotated[str, Field(json_schema_extra={"enum": list(STATES)})]
    order_id: Id
    placed_at: datetime
    amount: Annotated[int, Field(description="What the order counts for, in minor units.")]
    currency: str
    via: Annotated[str, Field(description="How the order told of the referrer: `discount`, `cart`, `code`, `email`.")]
    referrer_member_id: Annotated[Id | None, Field(description="Null for a partner's.")]
    partner_id: Id | None
    friend_member_id: Annotated[Id | None, Field(description="Null for a guest.")]
    score: Annotated[int, Field(ge=0, le=100, description="The higher, the less it looks like a new friend.")]
    reasons: list[ReviewReason]
    decision: Annotated[str | None, Field(json_schema_extra={"enum": [*reviews.DECISIONS, None]})]
    decided_by: str | None
    decided_at: datetime | None


class ReferralReviewPage(Shape):
    items: list[ReferralReview]
    next: Cursor | None


class ReviewSide(Shape):
    """A person as Shopify knows them now. Nothing of it is kept here."""

    name: str
    customer_id: Id | None
    emails: list[str]
    phones: list[str]
    addresses: Annotated[list[str], Field(description="Where they live, as far as their orders tell; one line each.")]
    sent_to: Annotated[str | None, Field(description="Where the friend's order went.")]
    orders: Annotated[int | None, Field(description="How many orders they have in all.")]
    customer_since: datetime | None


class ReviewStep(Shape):
    was: str
    became: str
    score: int
    reasons: list[ReviewReason]
    note: str
    actor: str
    at: datetime


class ReferralReviewDetail(Shape):
    """Both sides, side by side, and every step so far, oldest first."""

    referral: ReferralReview
    friend: ReviewSide
    referrer: ReviewSide
    told: Annotated[bool, Field(description="False where the shop does not let us see who they are.")]
    steps: list[ReviewStep]


class DecisionBody(Asked):
    decision: Annotated[reviews.Decision, Field(description="`approve` or `refuse`.")]
    note: Annotated[Note, Field(description="Why, for whoever looks at it later.")] = ""


@endpoint("GET", "/referrals/reviews", problems=(400, 422))
def list_referral_reviews(call: Call, query: PageQuery) -> ReferralReviewPage:
    """Referrals that wait for a decision, oldest first. Nothing in this list is paid, however long it waits."""
    after = paging.position(call.listing, query.cursor)
    found = reviews.waiting(call.session, call.shop_id, after=after, limit=query.limit + 1)
    rows, following = paging.cut(call.listing, found, query.limit, lambda row: row.id)
    return ReferralReviewPage(items=[_review(row) for row in rows], next=following)


@endpoint("GET", "/referrals/<id:referral_id>/review", problems=(404, 422))
def show_referral_review(call: Call, referral_id: int) -> Later[ReferralReviewDetail]:
    """One referral with both sides as Shopify knows them at this moment, side by side."""
    row = queries.referral(call.session, call.shop_id, referral_id)
    shown = _review(row)
    steps = [_step(one) for one in queries.decisions_of(call.session, call.shop_id, referral_id)]
    case = reviews.case_of(call.session, call.shop_id, referral_id)
    return Later(lambda: _detail(case, shown, steps))


@endpoint("POST", "/referrals/<id:referral_id>/decision", problems=(400, 404, 409, 413, 415, 422))
def decide_referral(call: Call, referral_id: int, body: DecisionBody) -> ReferralReview:
    """Approve or refuse a referral, whatever the checks say.

    The decision stands until it is undone. The same one again changes nothing; refused with 409 (`already_decided`)
    when the other was decided.
    """
    row = reviews.decide(call.session, call.shop_id, referral_id, body.decision, body.note, actor=call.actor)
    return _review(row)


@endpoint("DELETE", "/referrals/<id:referral_id>/decision", problems=(404,))
def undo_referral_decision(call: Call, referral_id: int) -> ReferralReview:
    """Take the decision back: what the checks say holds again."""
    return _review(reviews.undo(call.session, call.shop_id, referral_id, actor=call.actor))


def _review(row: Referral) -> ReferralReview:
    return ReferralReview(
        id=str(row.id),
        state=row.state,
        order_id=str(row.order_id),
        placed_at=row.at,
        amount=row.amount,
        currency=row.currency,
        via=row.via,
        referrer_member_id=_id(row.referrer_member_id),
        partner_id=_id(row.partner_id),
        friend_member_id=_id(row.friend_member_id),
        score=row.score,
        reasons=_reasons(row.reasons),
        decision=row.decision,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
    )


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)


def _reasons(kept: Sequence[dict[str, Any]]) -> list[ReviewReason]:
    return [ReviewReason(**reason) for reason in kept]


def _step(row: ReferralDecision) -> ReviewStep:
    return ReviewStep(
        was=row.was, became=row.became, score=row.score, reasons=_reasons(row.reasons), note=row.note, actor=row.actor,
        at=row.at,
    )  # fmt: skip


def _detail(case: Case, shown: ReferralReview, steps: list[ReviewStep]) -> ReferralReviewDetail:
    both: Sides = reviews.sides(database(), case)
    return ReferralReviewDetail(
        referral=shown, friend=_side(both.friend), referrer=_side(both.referrer), told=both.told, steps=steps
    )


def _side(person: Person) -> ReviewSide:
    return ReviewSide(
        name=" ".join(filter(None, person.name)),
        customer_id=_id(person.customer_id),
        emails=list(person.emails),
        phones=list(person.phones),
        addresses=[str(address) for address in person.addresses],
        sent_to=None if person.sent_to is None else str(person.sent_to),
        orders=person.orders,
        customer_since=person.since,
    )


OPERATIONS: tuple[Operation, ...] = (
    list_referral_reviews,
    show_referral_review,
    decide_referral,
    undo_referral_decision,
)
