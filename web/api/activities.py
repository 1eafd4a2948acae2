"""What members do beside buying, over the API: ways to earn, answers, consents, birthdays, scores, and gifts."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import BeforeValidator, Field, JsonValue, StringConstraints

from core import clock
from loyalty import programs, queries
from loyalty.activities import giving
from loyalty.activities import models as stored
from loyalty.activities import operations as activities
from loyalty.activities import queries as found
from loyalty.activities.giving import MOST_NAMED
from loyalty.activities.operations import LONGEST_ANSWER, LONGEST_FACT, Kept
from loyalty.activities.queries import Way
from loyalty.models import Posting
from loyalty.program.parts import MOST_POINTS, Key
from loyalty.wording import sentence
from web.api.endpoint import Call, Operation, endpoint
from web.api.shapes import Asked, Id, Shape, Words, whole

_STATUSES = ["open", "done", "waiting", "limit_reached", "not_your_tier", "not_open", "over", "no_birthday"]
_REFUSALS = (400, 404, 409, 413, 415, 422)

Whole = BeforeValidator(whole)
# None of PostgreSQL's text may hold NUL.
Plain = StringConstraints(pattern=r"^[^\x00]*$")


class Activity(Shape):
    """A way to earn, as one member finds it now. Fields of other kinds are null."""

    rule: Annotated[str, Field(description="The key of the rule.", examples=["birthday"])]
    kind: Annotated[str, Field(examples=["question"])]
    name: str
    status: Annotated[str, Field(json_schema_extra={"enum": _STATUSES})]
    points: Annotated[int, Field(description="What it would bring now or, while `waiting`, on `next_on`.")]
    next_on: Annotated[date | None, Field(description="When it comes round, or may be done again.")]
    times: Annotated[int, Field(description="How often it was done.")]
    earned: Annotated[int, Field(description="The points it has brought so far.")]
    last_at: datetime | None
    left_today: Annotated[int | None, Field(description="Points left under the day's limit; null: no limit.")]
    left_ever: Annotated[int | None, Field(description="Points left under the limit for good; null: no limit.")]
    question: str | None
    choices: list[str] | None
    answer: str | None
    network: str | None
    action: str | None
    url: str | None
    description: str | None
    photo_points: int | None


class Birthday(Shape):
    month: int
    day: int
    year: int | None
    set_at: datetime


class Consent(Shape):
    channel: str
    given: bool
    at: Annotated[datetime, Field(description="Since when.")]
    source: Annotated[str, Field(description="Where they said so.")]


class ActivityList(Shape):
    items: list[Activity]
    birthday: Birthday | None
    consents: list[Consent]


class Done(Shape):
    """An activity that earned points."""

    id: Id
    rule: str
    kind: str
    points: int
    at: datetime
    text: str


class Earning(Shape):
    """What something that was kept has earned; `not_earned` says why it earned nothing, as a code."""

    earned: Done | None
    not_earned: str | None


class Answered(Earning):
    rule: str
    answer: str
    answered_at: datetime


class Consented(Earning):
    channel: str
    given: bool
    at: datetime
    source: str


class Recipients(Shape):
    members: list[Id] | None
    tiers: list[str] | None
    all: bool


class Gift(Shape):
    """A gift and how far it has come."""

    id: Id
    points: Annotated[int, Field(description="For each.")]
    reason: str
    recipients: Recipients
    total: Annotated[int, Field(description="How many it was for when it was decided.")]
    given: Annotated[int, Field(description="How many have it.")]
    created_at: datetime
    finished_at: datetime | None


class NewActivity(Asked):
    """Something a member did: followed, joined the community, reviewed, or a custom action."""

    rule: Key
    fact: Annotated[
        str | None,
        Field(
            min_length=1, max_length=LONGEST_FACT, description="What a custom action was about; each counts once. "
            "The `Idempotency-Key` stands in.",
        ),
    ] = None  # fmt: skip
    data: Annotated[
        dict[str, JsonValue],
        Field(default_factory=dict, description="Of a review: `product_id` or `review_id`, `rating`, `photos`."),
    ]


class NewBirthday(Asked):
    month: Annotated[int, Field(strict=True, ge=1, le=12), Whole]
    day: Annotated[int, Field(strict=True, ge=1, le=31), Whole]
    year: Annotated[int | None, Field(strict=True, ge=1900, le=9999), Whole] = None


class NewAnswer(Asked):
    answer: Annotated[Words, Field(max_length=LONGEST_ANSWER)]


class NewConsent(Asked):
    given: Annotated[bool, Field(strict=True)]
    source: Annotated[Words, Field(max_length=200, description="Where they said so.", examples=["checkout"])]


class NewScore(Asked):
    score: Annotated[int, Field(strict=True, ge=0, le=10, description="0 (never) to 10 (surely)."), Whole]
    comment: Annotated[str | None, Field(max_length=1000), Plain] = None


class NewGift(Asked):
    """Points for each of some members, for all of some tiers, or for everybody: one of the three."""

    points: Annotated[int, Field(strict=True, ge=1, le=MOST_POINTS), Whole]
    reason: Annotated[Words, Field(description="Shown to the members.", examples=["Happy holidays"])]
    members: Annotated[list[Id], Field(min_length=1, max_length=MOST_NAMED)] | None = None
    tiers: Annotated[list[Key], Field(min_length=1, max_length=10)] | None = None
    all: Literal[True] | None = None


@endpoint("GET", "/members/<id:member_id>/activities", problems=(404,))
def list_activities(call: Call, member_id: int) -> ActivityList:
    """Ways to earn beside buying, as a member finds them now."""
    member = queries.member(call.session, call.shop_id, member_id)
    now, published = clock.now(), programs.load(call.session, [call.shop_id])
    answers = found.answers(call.session, call.shop_id, member.id)
    told = found.birthday(call.session, call.shop_id, member.id)
    ways = found.ways(call.session, member, published.in_force(call.shop_id, now), now)
    return ActivityList(
        items=[_activity(way, answers.get(way.rule.key)) for way in ways],
        birthday=_birthday(told) if told else None,
        consents=[_consent(row) for row in found.consents(call.session, call.shop_id, member.id)],
    )


@endpoint("POST", "/members/<id:member_id>/activities", status=201, problems=_REFUSALS)
def create_activity(call: Call, member_id: int, body: NewActivity) -> Done:
    """Report something a member did.

    `409` says why it earns nothing: `already_done` (with `earned`), `limit_reached`, `not_your_tier`, `not_open`,
    `over`; `again_on` names the day from which it does.
    """
    fact = body.fact or call.idempotency_key
    done = activities.act(
        call.session, call.shop_id, member_id, body.rule, fact=fact, data=body.data, at=clock.now(), actor=call.actor
    )
    return _done(call, done)


@endpoint("PUT", "/members/<id:member_id>/birthday", problems=_REFUSALS)
def set_birthday(call: Call, member_id: int, body: NewBirthday) -> Birthday:
    """Set a member's birthday.

    It can be changed once a year (`birthday_fixed`, with `again_at`), and a slip within a day.
    """
    return _birthday(
        activities.set_birthday(call.session, call.shop_id, member_id, body.month, body.day, body.year, at=clock.now())
    )


@endpoint("PUT", "/members/<id:member_id>/answers/<key:rule>", problems=_REFUSALS)
def answer_question(call: Call, member_id: int, rule: str, body: NewAnswer) -> Answered:
    """Keep a member's answer to a question. The first one earns."""
    kept = activities.answer(call.session, call.shop_id, member_id, rule, body.answer, at=clock.now(), actor=call.actor)
    row: stored.Answer = kept.what
    return Answered(rule=rule, answer=row.answer, answered_at=row.answered_at, **_earning(call, kept))


@endpoint("PUT", "/members/<id:member_id>/consents/<key:channel>", problems=_REFUSALS)
def set_consent(call: Call, member_id: int, channel: str, body: NewConsent) -> Consented:
    """Keep that a member may, or may no longer, be written to: `newsletter`, `sms`, or `mails`, the program's own.

    The first time it is given earns; withdrawing takes nothing back.
    """
    kept = activities.consent(
        call.session, call.shop_id, member_id, channel, given=body.given, source=body.source.strip(), at=clock.now(),
        actor=call.actor,
    )  # fmt: skip
    row: stored.Consent = kept.what
    return Consented(**_consent(row).model_dump(), **_earning(call, kept))


@endpoint("POST", "/members/<id:member_id>/nps", status=201, problems=_REFUSALS)
def create_score(call: Call, member_id: int, body: NewScore) -> Done:
    """Keep how likely a member is to recommend the shop. Every score earns the same.

    `409` `too_soon` names the day of the next one as `again_on`.
    """
    said = (body.comment or "").strip() or None
    done = activities.nps(call.session, call.shop_id, member_id, body.score, said, at=clock.now(), actor=call.actor)
    return _done(call, done)


@endpoint("POST", "/gifts", status=201, problems=(400, 409, 413, 415, 422))
def create_gift(call: Call, body: NewGift) -> Gift:
    """Give points to members, to tiers or to everybody.

    It is given within a minute or so; `GET /gifts/{gift_id}` tells how far it has come. Ids that are no member's are
    refused (`unknown_members`, with `members`).
    """
    made = giving.gift(
        call.session, call.shop_id, points=body.points, reason=body.reason.strip(), actor=call.actor,
        key=call.fact_key("gift"), members=[int(member) for member in body.members or ()], tiers=body.tiers or (),
        everybody=bool(body.all),
    )  # fmt: skip
    return _gift(made)


@endpoint("GET", "/gifts/<id:gift_id>", problems=(404,))
def read_gift(call: Call, gift_id: int) -> Gift:
    """A gift and how far it has come."""
    return _gift(giving.find(call.session, call.shop_id, gift_id))


def _activity(way: Way, answer: str | None) -> Activity:
    rule: Any = way.rule
    done = way.done
    own = ("question", "network", "action", "url", "description", "photo_points")
    return Activity(
        rule=rule.key,
        kind=rule.kind,
        name=rule.name,
        status=way.status,
        points=way.points,
        next_on=way.next_on,
        times=done.times if done else 0,
        earned=done.points if done else 0,
        last_at=done.last_at if done else None,
        left_today=way.left_today,
        left_ever=way.left_ever,
        answer=answer,
        choices=list(rule.choices) if rule.kind == "question" else None,
        **{name: getattr(rule, name, None) for name in own},
    )


def _birthday(row: stored.Birthday) -> Birthday:
    return Birthday(month=row.month, day=row.day, year=row.year, set_at=row.set_at)


def _consent(row: stored.Consent) -> Consent:
    return Consent(channel=row.channel, given=row.given, at=row.at, source=row.source)


def _earning(call: Call, kept: Kept) -> dict[str, Any]:
    return {"earned": _done(call, kept.earned) if kept.earned else None, "not_earned": kept.not_earned}


def _done(call: Call, row: stored.ActivityDone) -> Done:
    key = activities.posting_key(row)
    posting = call.session.scalars(sa.select(Posting).where(Posting.shop_id == row.shop_id, Posting.key == key)).one()
    return Done(id=str(row.id), rule=row.rule, kind=row.kind, points=row.points, at=row.at, text=sentence(posting))


def _gift(row: stored.Gift) -> Gift:
    whom = row.recipients
    return Gift(
        id=str(row.id),
        points=row.points,
        reason=row.reason,
        recipients=Recipients(
            members=[str(member) for member in whom["members"]] if "members" in whom else None,
            tiers=whom.get("tiers"),
            all="all" in whom,
        ),
        total=row.total,
        given=row.given,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


OPERATIONS: tuple[Operation, ...] = (
    list_activities,
    create_activity,
    set_birthday,
    answer_question,
    set_consent,
    create_score,
    create_gift,
    read_gift,
)
