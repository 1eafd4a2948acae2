"""Tiers in the API: a member's moves, a tier given by hand, and what another ladder would do."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, ValidationError

from core import clock
from core.errors import InvalidInput
from loyalty import programs, queries
from loyalty.program import Program
from loyalty.programs import Version
from shops.models import Shop
from tiers import operations, recalculation
from tiers.models import Recalculation
from tiers.queries import override_of, tier_history
from tiers.wording import tier_text
from web.api.endpoint import Call, Operation, endpoint
from web.api.shapes import Asked, Id, Shape, Words


class TierMove(Shape):
    """One move between tiers. `reason` holds what counted, in minor units, points or orders as its `metric` says."""

    tier: str
    name: str
    since: datetime
    program_version: int
    reason: dict[str, Any]
    text: str


class TierByHand(Shape):
    """A tier that somebody gave, until its end or until it is taken back."""

    tier: str
    since: datetime
    until: datetime | None
    reason: str
    actor: str


class TierHistory(Shape):
    items: Annotated[list[TierMove], Field(description="Newest first.")]
    by_hand: TierByHand | None


class GivenTier(Asked):
    """A tier to give by hand. It holds at once, whatever the member buys or returns meanwhile."""

    tier: Annotated[str, Field(min_length=1, max_length=40)]
    until: Annotated[AwareDatetime | None, Field(description="When it ends; null for good.")] = None
    reason: Words


class AskedLadder(Asked):
    """Exactly one of a published version and a whole program; with neither, the version in force."""

    version: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None
    program: dict[str, Any] | None = None


class LadderMove(Shape):
    before: str
    after: str
    direction: Annotated[str, Field(description="`other` when no ladder has both.", examples=["up", "down", "other"])]
    members: int
    sample: Annotated[list[Id], Field(description="A few of them.")]


class LadderPreview(Shape):
    members: int
    rising: int
    falling: int
    moves: list[LadderMove]


class Progress(Shape):
    """How far members have been measured against the ladder of a version that came into force."""

    program_version: int
    total: int
    done: int
    moved: int
    started_at: datetime
    finished_at: datetime | None


class ProgressList(Shape):
    items: Annotated[list[Progress], Field(description="Newest first.")]


@endpoint("GET", "/members/<id:member_id>/tier", problems=(404,))
def read_tier_history(call: Call, member_id: int) -> TierHistory:
    """Every move of a member between tiers, each with its why, and the tier given by hand, if any."""
    member = queries.member(call.session, call.shop_id, member_id)
    return _history(call, member.id)


@endpoint("PUT", "/members/<id:member_id>/tier", problems=(404, 409, 413, 415, 422, 400))
def give_tier(call: Call, member_id: int, body: GivenTier) -> TierHistory:
    """Give a member a tier by hand, in place of one given before.

    Perks, multiplier and entry gift follow at once. When it ends, the member stands where their purchases put them.
    """
    operations.override(
        call.session, call.shop_id, member_id, body.tier, reason=body.reason, until=body.until, actor=call.actor
    )
    return _history(call, member_id)


@endpoint("DELETE", "/members/<id:member_id>/tier", problems=(404, 409))
def take_tier_back(call: Call, member_id: int) -> TierHistory:
    """End a tier given by hand, at once."""
    operations.end_override(call.session, call.shop_id, member_id, actor=call.actor)
    return _history(call, member_id)


@endpoint("POST", "/tiers/preview", problems=(400, 404, 413, 415, 422))
def preview_ladder(call: Call, body: AskedLadder) -> LadderPreview:
    """Who would move where if another ladder were in force now. Changes nothing."""
    seen = recalculation.preview(call.session, call.shop_id, _version(call, body), clock.now())
    moves = [
        LadderMove(
            before=move.before,
            after=move.after,
            direction=move.direction,
            members=move.members,
            sample=[str(member) for member in move.sample],
        )
        for move in seen.moves
    ]
    return LadderPreview(members=seen.members, rising=seen.going("up"), falling=seen.going("down"), moves=moves)


@endpoint("GET", "/tiers/recalculations")
def list_recalculations(call: Call) -> ProgressList:
    """How far members have been moved to where changed ladders put them."""
    return ProgressList(items=[_progress(row) for row in recalculation.rows(call.session, call.shop_id)])


def _version(call: Call, asked: AskedLadder) -> Version:
    if asked.program is not None and asked.version is not None:
        raise InvalidInput("give either a version or a program")
    if asked.program is not None:
        try:
            return Version(0, clock.now(), Program.model_validate(asked.program))
        except ValidationError as error:
            fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise InvalidInput(f"program.{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
    published = programs.load(call.session, [call.shop_id])
    if asked.version is not None:
        return published.numbered(call.shop_id, asked.version)
    return published.in_force(call.shop_id, clock.now())


def _history(call: Call, member_id: int) -> TierHistory:
    published = programs.load(call.session, [call.shop_id])
    names = {tier.key: tier.name for version in published.of(call.shop_id) for tier in version.program.ladder.tiers}
    shop = call.session.get_one(Shop, call.shop_id)
    moves = [
        TierMove(
            tier=row.tier_key,
            name=names.get(row.tier_key, row.tier_key),
            since=row.since,
            program_version=row.program_version,
            reason=row.reason,
            text=tier_text(row, published.numbered(call.shop_id, row.program_version), shop.currency),
        )
        for row in reversed(tier_history(call.session, call.shop_id, member_id))
    ]
    given = override_of(call.session, call.shop_id, member_id, clock.now())
    by_hand = (
        TierByHand(tier=given.tier_key, since=given.since, until=given.until, reason=given.reason, actor=given.actor)
        if given
        else None
    )
    return TierHistory(items=moves, by_hand=by_hand)


def _progress(row: Recalculation) -> Progress:
    return Progress(
        program_version=row.program_version,
        total=row.total,
        done=row.done,
        moved=row.moved,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


OPERATIONS: tuple[Operation, ...] = (
    read_tier_history,
    give_tier,
    take_tier_back,
    preview_ladder,
    list_recalculations,
)
