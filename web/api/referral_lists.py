"""Referrals over the API: what a member's friends brought, and for the merchant every referral with its decisions."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from loyalty import queries as members
from referrals import listings, queries
from referrals.listings import Listed
from referrals.models import REWARD_STATES, SIDES, STATES, ReferralDecision, ReferralReward
from referrals.rules import VIAS
from referrals.wording import benefit_of, merchant_text, referrer_text, worth
from web.api import paging
from web.api.endpoint import Call, Operation, endpoint
from web.api.shapes import DEFAULT_LIMIT, After, Asked, Cursor, Id, Limit, PageQuery, Shape, within_range

State = Annotated[str, Field(json_schema_extra={"enum": list(STATES)})]


class GivenReward(Shape):
    """What a referral brought one side."""

    side: Annotated[str, Field(json_schema_extra={"enum": list(SIDES)})]
    text: Annotated[str, Field(description="What it is, in words.", examples=["$10 off"])]
    state: Annotated[
        str,
        Field(
            description="`kept`: used before it could be taken back.", json_schema_extra={"enum": list(REWARD_STATES)}
        ),
    ]
    points: int
    amount: Annotated[int, Field(description="What it costs the shop, in minor units; 0 for points and percentages.")]
    reward_id: Annotated[Id | None, Field(description="The member's reward that it became.")]
    at: datetime
    ended_at: datetime | None


class MemberReferral(Shape):
    """A friend's order, as the member who brought them may know it. Friends stay nameless."""

    id: Id
    at: Annotated[datetime, Field(description="When the friend ordered.")]
    state: State
    text: Annotated[str, Field(description="What became of it and what is next, for the member.")]
    due_at: Annotated[datetime | None, Field(description="When the member's side comes, if the order still stands.")]
    rewarded_at: datetime | None
    rewards: list[GivenReward]


class MemberReferralPage(Shape):
    items: list[MemberReferral]
    next: Cursor | None


class ReferralSummary(Shape):
    """A friend brought by a referrer, who is a member or a partner."""

    id: Id
    at: Annotated[datetime, Field(description="When the order that counts was placed.")]
    state: State
    text: Annotated[str, Field(description="What the state means, for the merchant.")]
    code: Annotated[str, Field(description="The referrer's code.")]
    referrer_id: Annotated[Id | None, Field(description="The member who brought the friend.")]
    partner_id: Id | None
    friend_id: Annotated[Id | None, Field(description="The friend as a member; null for a guest.")]
    order_id: Annotated[Id, Field(description="The Shopify order that counts.")]
    amount: Annotated[int, Field(description="What that order counts for after refunds, in minor units.")]
    discount: Annotated[int, Field(description="What the friend's code took off it, in minor units.")]
    currency: str
    via: Annotated[
        str,
        Field(
            description="How the order told of the referrer.",
            json_schema_extra={"enum": [via for via in VIAS if via != "known"]},
        ),
    ]
    score: Annotated[int, Field(description="Of the checks, from 0 to 100.")]
    decision: Annotated[str | None, Field(description="A person's: `approve` or `refuse`.")]
    due_at: datetime | None
    rewarded_at: datetime | None


class ReferralPage(Shape):
    items: list[ReferralSummary]
    next: Cursor | None


class ReferralReason(Shape):
    key: str
    points: int
    text: str


class ReferralStep(Shape):
    """What a referral became, and why."""

    was: str
    became: str
    score: int
    reasons: list[ReferralReason]
    note: str
    actor: Annotated[str, Field(description="Who decided: `system`, `api:<key id>`.")]
    at: datetime


class ReferralDetails(ReferralSummary):
    program_version: Annotated[int, Field(description="Whose terms count: the version in force when it was placed.")]
    claim_id: Annotated[Id | None, Field(description="The friend's claim, if they left an e-mail.")]
    reasons: Annotated[list[ReferralReason], Field(description="What the checks made of it.")]
    rewards: list[GivenReward]
    decisions: Annotated[list[ReferralStep], Field(description="Every change of its state, oldest first.")]


class ReferralsQuery(Asked):
    state: Annotated[str | None, Field(pattern=f"^({'|'.join(STATES)})$")] = None
    member_id: Annotated[Id | None, Field(description="Only friends this member brought.")] = None
    partner_id: Annotated[Id | None, Field(description="Only friends this partner brought.")] = None
    limit: Limit = DEFAULT_LIMIT
    cursor: After = None


@endpoint("GET", "/members/<id:member_id>/referrals", problems=(400, 404, 422))
def list_member_referrals(call: Call, member_id: int, query: PageQuery) -> MemberReferralPage:
    """What the friends a member brought have brought them, newest first.

    It says when a friend ordered and what came of it, never who the friend is or what they bought.
    """
    member = members.member(call.session, call.shop_id, member_id)
    wanted = listings.Wanted(member_id=member.id)
    before = paging.position(call.listing, query.cursor)
    found = listings.listing(call.session, call.shop_id, wanted, before=before, limit=query.limit + 1)
    rows, following = paging.cut(call.listing, found, query.limit, lambda one: one.row.id)
    return MemberReferralPage(items=[_for_member(one) for one in rows], next=following)


@endpoint("GET", "/referrals", problems=(400, 422))
def list_referrals(call: Call, query: ReferralsQuery) -> ReferralPage:
    """Friends that members and partners brought, newest first."""
    wanted = listings.Wanted(query.state, within_range(query.member_id), within_range(query.partner_id))
    before = paging.position(call.listing, query.cursor)
    found = listings.listing(call.session, call.shop_id, wanted, before=before, limit=query.limit + 1)
    rows, following = paging.cut(call.listing, found, query.limit, lambda one: one.row.id)
    return ReferralPage(items=[ReferralSummary(**_summary(one)) for one in rows], next=following)


@endpoint("GET", "/referrals/<id:referral_id>", problems=(404,))
def read_referral(call: Call, referral_id: int) -> ReferralDetails:
    """One referral: what the checks said, what it brought both sides, and every decision about it."""
    found = listings.one(call.session, call.shop_id, referral_id)
    decided = queries.decisions_of(call.session, call.shop_id, referral_id)
    return ReferralDetails(
        **_summary(found),
        program_version=found.row.program_version,
        claim_id=_id(found.row.claim_id),
        reasons=[ReferralReason(**reason) for reason in found.row.reasons],
        rewards=_rewards(found),
        decisions=[_decision(row) for row in decided],
    )


def _for_member(found: Listed) -> MemberReferral:
    row = found.row
    return MemberReferral(
        id=str(row.id),
        at=row.at,
        state=row.state,
        text=referrer_text(found.told),
        due_at=row.due_at,
        rewarded_at=row.rewarded_at,
        rewards=[reward for reward in _rewards(found) if reward.side != "friend"],
    )


def _summary(found: Listed) -> dict[str, Any]:
    row = found.row
    same = ("at", "state", "amount", "discount", "currency", "via", "score", "decision", "due_at", "rewarded_at")
    return {
        **{name: getattr(row, name) for name in same},
        "id": str(row.id),
        "text": merchant_text(found.told),
        "code": found.code,
        "referrer_id": _id(row.referrer_member_id),
        "partner_id": _id(row.partner_id),
        "friend_id": _id(row.friend_member_id),
        "order_id": str(row.order_id),
    }


def _rewards(found: Listed) -> list[GivenReward]:
    return [_reward(reward, found.row.currency) for reward in found.rewards]


def _reward(row: ReferralReward, currency: str) -> GivenReward:
    return GivenReward(
        side=row.side,
        text=worth(benefit_of(row.benefit), currency),
        state=row.state,
        points=row.points,
        amount=row.amount,
        reward_id=_id(row.member_reward_id),
        at=row.at,
        ended_at=row.ended_at,
    )


def _decision(row: ReferralDecision) -> ReferralStep:
    same = ("was", "became", "score", "note", "actor", "at")
    reasons = [ReferralReason(**reason) for reason in row.reasons]
    return ReferralStep(**{name: getattr(row, name) for name in same}, reasons=reasons)


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)


OPERATIONS: tuple[Operation, ...] = (list_member_referrals, list_referrals, read_referral)
