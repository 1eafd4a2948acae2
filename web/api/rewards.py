"""Rewards over the API: what points can be spent on, and what a member has redeemed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

from core import clock
from loyalty import programs
from loyalty import queries as members
from loyalty.program import Reward as Offered
from loyalty.program import instant
from loyalty.program.spending import MOST_COST, Kind
from loyalty.rewards import operations, queries
from loyalty.rewards.models import STATUSES, MemberReward
from loyalty.wording.rewards import status_text
from web.api import paging, shapes
from web.api.endpoint import Call, Operation, endpoint
from web.api.shapes import Asked, Cursor, Id, PageQuery, Shape

Minor = Annotated[int | None, Field(description="In minor units; null where it depends on the order, or has no end.")]
Channel = Annotated[str, Field(pattern="^(online|pos)$", description="`online` or `pos`.")]


class Obstacle(Shape):
    """Why a member can't have a reward now."""

    code: Annotated[
        str,
        Field(
            description="Stable: `points_short`, `wrong_tier`, `wrong_channel`, `reward_limit`, `out_of_stock`, "
            "`reward_not_yet`, `reward_over`."
        ),
    ]
    text: str
    missing: Annotated[int | None, Field(description="Points still missing, if that is why.")] = None


class Reward(Shape):
    """`available` and `obstacle` are told for a member only."""

    key: str
    name: str
    cost: Annotated[int, Field(description="In points; the fewest for a variable one.")]
    kind: Kind
    description: str
    amount: Minor
    percentage: Annotated[str | None, Field(description="Percent off, as decimal text.")]
    maximum: Minor
    step: Annotated[int | None, Field(description="In which steps a variable one takes points, each worth `amount`.")]
    most_points: int | None
    minimum_order: Annotated[int, Field(description="In minor units.")]
    valid_days: int | None
    combines_with: Annotated[list[str], Field(description="Discounts it may stand beside: order, product, shipping.")]
    products: Annotated[list[Id], Field(description="Shopify products it is for; with no variants either, all.")]
    variants: list[Id]
    tiers: Annotated[list[str], Field(description="Only for members of these tiers; empty means all.")]
    per_member: Annotated[int | None, Field(description="How many one member may have; null means no end.")]
    channel: str
    starts_at: Annotated[datetime | None, Field(description="From when on it is offered.")]
    ends_at: Annotated[datetime | None, Field(description="Until when it is offered.")]
    left: Annotated[int | None, Field(description="How many are left; null means no end.")]
    available: bool | None = None
    obstacle: Obstacle | None = None


class RewardList(Shape):
    items: list[Reward]


class RedeemedReward(Shape):
    """A reward a member has redeemed."""

    id: Id
    reward: Annotated[str, Field(description="The key in the program.")]
    name: str
    kind: Kind
    status: Annotated[str, Field(json_schema_extra={"enum": list(STATUSES)})]
    text: Annotated[str, Field(description="What the status means, for the member.")]
    code: Annotated[str | None, Field(description="Known at once, good once `issued`; null for store credit.")]
    cost: Annotated[int, Field(description="The points it took.")]
    amount: Minor
    currency: str
    requested_at: datetime
    issued_at: datetime | None
    expires_at: datetime | None
    used_at: datetime | None
    order_id: Annotated[Id | None, Field(description="The Shopify order it was used on.")]
    error: Annotated[str | None, Field(description="What Shopify said, if something went wrong; for the merchant.")]


class RedeemedRewardPage(Shape):
    items: list[RedeemedReward]
    next: Cursor | None


class RewardsQuery(Asked):
    member_id: Annotated[Id | None, Field(description="Also say which of them this member can have now.")] = None
    channel: Annotated[Channel | None, Field(description="Where it would be used: `online` or `pos`.")] = None


class Redemption(Asked):
    reward: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^\x00]*$", examples=["5-off"])]
    points: Annotated[
        int | None,
        Field(strict=True, ge=1, le=MOST_COST, description="How many to spend; for a variable reward only."),
        BeforeValidator(shapes.whole),
    ] = None
    channel: Annotated[Channel | None, Field(description="Where it is asked for: `online` or `pos`.")] = None


@endpoint("GET", "/rewards", problems=(404, 422))
def list_rewards(call: Call, query: RewardsQuery) -> RewardList:
    """What points can be spent on.

    With `member_id` each says whether that member can have it now, and if not, why.
    """
    published, now = programs.load(call.session, [call.shop_id]), clock.now()
    if not published.of(call.shop_id):
        return RewardList(items=[])
    version = published.in_force(call.shop_id, now)
    member_id = shapes.within_range(query.member_id)
    if member_id is None:
        found = queries.offers(call.session, call.shop_id, version)
        return RewardList(items=[_offer(one, version.program.zone) for one in found])
    member = members.member(call.session, call.shop_id, member_id)
    found = queries.offers_for(call.session, member, version, query.channel)
    return RewardList(items=[_offer(one, version.program.zone, for_member=True) for one in found])


@endpoint("GET", "/members/<id:member_id>/rewards", problems=(400, 404, 422))
def list_member_rewards(call: Call, member_id: int, query: PageQuery) -> RedeemedRewardPage:
    """What a member has redeemed, newest first."""
    member = members.member(call.session, call.shop_id, member_id)
    before = paging.position(call.listing, query.cursor)
    found = queries.rewards_of(call.session, call.shop_id, member.id, before=before, limit=query.limit + 1)
    rows, following = paging.cut(call.listing, found, query.limit, lambda row: row.id)
    return RedeemedRewardPage(items=_shown(call, rows), next=following)


@endpoint("POST", "/members/<id:member_id>/rewards", status=201, problems=(400, 404, 409, 413, 415, 422))
def redeem_reward(call: Call, member_id: int, body: Redemption) -> RedeemedReward:
    """Spend points on a reward.

    The code is known at once and good as soon as `status` is `issued`, which takes seconds; if Shopify refuses, it
    becomes `failed` and the points come back. With an `Idempotency-Key` it is redeemed once, however often it is sent.
    Refused with 409 and the `code` of the obstacle: `points_short` (with `missing`), `wrong_tier`, `wrong_channel`,
    `reward_limit`, `out_of_stock`, `reward_not_yet`, `reward_over`, `member_merged`.
    """
    row = operations.redeem(
        call.session, call.shop_id, member_id, body.reward, points=body.points, channel=body.channel,
        actor=call.actor, key=call.fact_key("reward"),
    )  # fmt: skip
    return _one(call, row)


@endpoint("DELETE", "/members/<id:member_id>/rewards/<id:reward_id>", problems=(404, 409))
def give_back_reward(call: Call, member_id: int, reward_id: int) -> RedeemedReward:
    """Give an unused reward back.

    Its code ends first, then the points come back: `returning`, and `returned` seconds later. Refused with 409 while it
    is made (`reward_issuing`), and once it was used (`reward_used`), is over (`reward_expired`) or failed
    (`reward_failed`), and when it was given and cost no points (`reward_gift`).
    """
    row = operations.give_back(
        call.session, call.shop_id, _survivor(call, member_id), reward_id, actor=call.actor
    )  # fmt: skip
    return _one(call, row)


@endpoint("POST", "/members/<id:member_id>/rewards/<id:reward_id>/fulfil", problems=(400, 404, 409))
def fulfil_reward(call: Call, member_id: int, reward_id: int) -> RedeemedReward:
    """Say that a custom reward was handed over."""
    row = operations.fulfil(call.session, call.shop_id, _survivor(call, member_id), reward_id, actor=call.actor)
    return _one(call, row)


def _survivor(call: Call, member_id: int) -> int:
    """A merged member's rewards are those of whom they became."""
    return members.member(call.session, call.shop_id, member_id).id


def _offer(offer: queries.Offer, zone: ZoneInfo, *, for_member: bool = False) -> Reward:
    reward, refused = offer.reward, offer.refused
    return Reward(
        **_terms(reward),
        starts_at=instant(reward.starts_at, zone),
        ends_at=instant(reward.ends_at, zone),
        left=offer.left,
        available=refused is None if for_member else None,
        obstacle=refused and Obstacle(code=refused.code, text=refused.text, missing=refused.extra.get("missing")),
    )


def _terms(reward: Offered) -> dict[str, Any]:
    same = ("key", "name", "cost", "kind", "description", "maximum", "step", "most_points", "minimum_order",
            "valid_days", "per_member", "channel")  # fmt: skip
    return {
        **{name: getattr(reward, name) for name in same},
        "amount": reward.amount or None,
        "percentage": None if reward.percentage is None else str(reward.percentage),
        "combines_with": sorted(reward.combines_with),
        "products": [str(product) for product in reward.products],
        "variants": [str(variant) for variant in reward.variants],
        "tiers": list(reward.tiers),
    }


def _one(call: Call, row: MemberReward) -> RedeemedReward:
    return _shown(call, [row])[0]


def _shown(call: Call, rows: Sequence[MemberReward]) -> list[RedeemedReward]:
    if not rows:
        return []
    published = programs.load(call.session, [call.shop_id])
    zone = published.in_force(call.shop_id, clock.now()).program.zone
    return [
        RedeemedReward(
            id=str(row.id),
            reward=row.reward_key,
            name=row.terms["name"],
            kind=row.terms["kind"],
            status=row.status,
            text=status_text(row, zone),
            code=None if row.terms["kind"] == "store_credit" else row.code,
            cost=row.points,
            amount=row.amount,
            currency=row.currency,
            requested_at=row.requested_at,
            issued_at=row.issued_at,
            expires_at=row.expires_at,
            used_at=row.used_at,
            order_id=None if row.order_id is None else str(row.order_id),
            error=row.error,
        )
        for row in rows
    ]


OPERATIONS: tuple[Operation, ...] = (
    list_rewards,
    list_member_rewards,
    redeem_reward,
    give_back_reward,
    fulfil_reward,
)
