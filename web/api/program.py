"""The program over the API: what is in force, the draft, and from the draft to the next version."""

from datetime import datetime
from typing import Annotated, Any

from flask import Blueprint, Response, json
from pydantic import Field

from core import clock
from loyalty.models import ProgramDraft
from loyalty.publishing import operations, queries
from loyalty.publishing.faults import Fault
from loyalty.publishing.preview import Preview, preview
from loyalty.publishing.schema import schema
from web.api import shapes
from web.api.endpoint import Call, Operation, endpoint
from web.api.shapes import Asked, Shape, Words
from webhooks.backtest import Tally, backtest

# Members that can be tried while a request waits.
MOST_TRIED = 2000

Document = Annotated[
    dict[str, Any], Field(description="A program; its JSON Schema is at `/api/v1/program/schema.json`.")
]
Number = Annotated[int, Field(ge=1, le=2**31 - 1, description="A version's number.")]
Start = Annotated[
    datetime | None,
    Field(description="When it comes into force, ahead of now; without an offset on the shop's clock. Null: now."),
]
Note = Annotated[Words | None, Field(description="Why, for those who read the history.")]


class ProgramSummary(Shape):
    version: int
    state: Annotated[str, Field(json_schema_extra={"enum": [queries.PAST, queries.IN_FORCE, queries.SCHEDULED]})]
    effective_from: datetime
    until: Annotated[datetime | None, Field(description="When the next version came or will come into force.")]
    published_at: datetime
    actor: str
    note: str | None


class ProgramVersion(ProgramSummary):
    document: Document


class ProgramVersions(Shape):
    items: list[ProgramSummary]


class ProgramChange(Shape):
    kind: Annotated[str, Field(json_schema_extra={"enum": ["new", "gone", "changed"]})]
    field: str
    text: str


class Verdict(Shape):
    """`errors` refuse a program, `warnings` don't. Fields name parts by their keys: `rewards › 10-off › cost`."""

    valid: bool
    errors: list[shapes.Fault]
    warnings: list[shapes.Fault]


class ProgramPreview(Verdict):
    against: Annotated[int | None, Field(description="The version it is compared with: the one it would follow.")]
    changes: list[ProgramChange]


class Draft(ProgramPreview):
    document: Document
    based_on: Annotated[int | None, Field(description="The version it started from.")]
    updated_at: Annotated[datetime, Field(description="Send it with your next change.")]
    actor: str


class ProgramTally(Shape):
    points: int
    by_rule: Annotated[dict[str, int], Field(description="Whole points by each rule's key.")]
    tiers: Annotated[dict[str, int], Field(description="Members by the key of the tier they would hold now.")]
    cost: Annotated[int | None, Field(description="What the points are worth in rewards, in minor units.")]


class MemberDifference(Shape):
    member_id: shapes.Id
    before: int
    after: int


class ProgramBacktest(Shape):
    """`before` is the program in force, `after` the one that was tried: each as if it had always been in force."""

    since: datetime
    members: Annotated[int, Field(description="How many were tried.")]
    of_members: Annotated[int, Field(description="How many ordered in this time.")]
    orders: int
    before: ProgramTally
    after: ProgramTally
    gain: Annotated[int, Field(description="Members who earn more.")]
    lose: Annotated[int, Field(description="Members who earn less.")]
    unlabelled: Annotated[
        int,
        Field(description="Orders with products whose tags and collections, which a bonus asks for, are not known."),
    ]
    top: Annotated[list[MemberDifference], Field(description="Those whose points differ most.")]


class Discarded(Shape):
    discarded: bool


class Withdrawn(Shape):
    withdrawn: int


class Published(Shape):
    version: int
    effective_from: datetime


class DraftChange(Asked):
    """The new draft, whole. It need not be valid yet."""

    document: Document
    updated_at: Annotated[datetime | None, Field(description="That of the draft you read; null if there was none.")] = (
        None
    )
    based_on: Annotated[Number | None, Field(description="The version it now starts from. Null: as before.")] = None


class Candidate(Asked):
    document: Document


class Trial(Asked):
    document: Annotated[Document | None, Field(description="Null: the draft.")] = None


class BacktestRequest(Asked):
    document: Annotated[Document | None, Field(description="Null: the draft.")] = None
    days: Annotated[int, Field(strict=True, ge=1, le=3660, description="How far back orders count.")] = 365
    members: Annotated[int, Field(strict=True, ge=1, le=MOST_TRIED, description="How many to try, picked evenly.")] = (
        500
    )


Accepted = Annotated[
    bool, Field(description="Publish it although members fall to lower tiers. Else that is refused as `would_demote`.")
]


class Publication(Asked):
    """What to publish: the draft, or a document sent along."""

    document: Annotated[Document | None, Field(description="Null: the draft.")] = None
    based_on: Annotated[
        Number | None, Field(description="With a document: refuse if this is no longer the latest version.")
    ] = None
    updated_at: Annotated[datetime | None, Field(description="Refuse if the draft was changed since.")] = None
    at: Start = None
    note: Note = None
    accept_demotions: Accepted = False


class Rollback(Asked):
    version: Number
    at: Start = None
    note: Note = None
    accept_demotions: Accepted = False


@endpoint("GET", "/program", problems=(404,))
def read_program(call: Call) -> ProgramVersion:
    """The program in force now."""
    return _version(queries.in_force(call.session, call.shop_id))


@endpoint("GET", "/program/versions")
def list_program_versions(call: Call) -> ProgramVersions:
    """Every version, in the order in which they came or will come into force."""
    found = queries.versions(call.session, call.shop_id)
    return ProgramVersions(items=[ProgramSummary(**_summary(listed)) for listed in found])


@endpoint("GET", "/program/versions/<id:version>", problems=(404,))
def read_program_version(call: Call, version: int) -> ProgramVersion:
    """One version with its document."""
    return _version(queries.version(call.session, call.shop_id, version))


@endpoint("DELETE", "/program/versions/<id:version>", problems=(404, 409))
def withdraw_program_version(call: Call, version: int) -> Withdrawn:
    """Take back a version that is scheduled. What was ever in force stays."""
    operations.withdraw(call.session, call.shop_id, version, actor=call.actor)
    return Withdrawn(withdrawn=version)


@endpoint("GET", "/program/draft", problems=(404,))
def read_draft(call: Call) -> Draft:
    """The draft, what is wrong with it, and what it would change."""
    return _draft(call, queries.known_draft(call.session, call.shop_id))


@endpoint("PUT", "/program/draft", problems=(400, 409, 413, 415, 422))
def save_draft(call: Call, body: DraftChange) -> Draft:
    """Keep a document as the draft, valid or not.

    Send the `updated_at` of the draft you read, so that nobody's change is lost: 409 with the code `draft_changed` says
    that somebody was faster.
    """
    saved = operations.save_draft(
        call.session, call.shop_id, body.document, seen=body.updated_at, actor=call.actor, based_on=body.based_on
    )
    return _draft(call, saved)


@endpoint("DELETE", "/program/draft")
def discard_draft(call: Call) -> Discarded:
    """Forget the draft."""
    return Discarded(discarded=operations.discard_draft(call.session, call.shop_id))


@endpoint("POST", "/program/validate", problems=(400, 413, 415, 422))
def validate_program(call: Call, body: Candidate) -> Verdict:
    """Whether a document is a program. Nothing is kept."""
    seen = preview(call.session, call.shop_id, body.document)
    return Verdict(**_verdict(seen))


@endpoint("POST", "/program/preview", problems=(400, 404, 413, 415, 422))
def preview_program(call: Call, body: Trial) -> ProgramPreview:
    """What a document, or the draft, would change in plain sentences. Nothing is kept."""
    document = body.document
    if document is None:
        document = queries.known_draft(call.session, call.shop_id).document
    return ProgramPreview(**_previewed(preview(call.session, call.shop_id, document)))


@endpoint("POST", "/program/backtest", problems=(400, 404, 413, 415, 422))
def backtest_program(call: Call, body: BacktestRequest) -> ProgramBacktest:
    """What real orders would have earned under a document, or the draft, beside the program in force.

    Tries a sample of members; `flask program try` tries them all. Nothing is kept.
    """
    program = operations.candidate(call.session, call.shop_id, body.document)
    now = clock.now()
    found = backtest(call.session, call.shop_id, program, days=body.days, now=now, sample=body.members)
    plain = ("since", "members", "of_members", "orders", "gain", "lose", "unlabelled")
    return ProgramBacktest(
        **{name: getattr(found, name) for name in plain},
        before=_tally(found.before),
        after=_tally(found.after),
        top=[MemberDifference(member_id=str(d.member_id), before=d.before, after=d.after) for d in found.top],
    )


@endpoint("POST", "/program/publish", status=201, problems=(400, 404, 409, 413, 415, 422))
def publish_program(call: Call, body: Publication) -> Published:
    """Publish the draft, or a document, as the next version: now or at a moment ahead.

    Orders keep the version of their time. What is wrong is told in `errors`.
    """
    how = _how(call, body)
    if body.document is None:
        return _published(operations.publish_draft(call.session, call.shop_id, seen=body.updated_at, **how))
    return _published(
        operations.publish(call.session, call.shop_id, body.document, based_on=body.based_on, **how),
    )


@endpoint("POST", "/program/rollback", status=201, problems=(400, 404, 409, 413, 415, 422))
def roll_program_back(call: Call, body: Rollback) -> Published:
    """Publish an old version's document again, as a new version."""
    return _published(operations.roll_back(call.session, call.shop_id, body.version, **_how(call, body)))


def _how(call: Call, body: Publication | Rollback) -> dict[str, Any]:
    return {"actor": call.actor, **body.model_dump(include={"at", "note", "accept_demotions"})}


def publish_schema(blueprint: Blueprint) -> None:
    """Serve the document's JSON Schema to anybody, so that editors can read it."""
    text = json.dumps(schema())
    blueprint.add_url_rule(
        "/program/schema.json", "program_schema", lambda: Response(text, mimetype="application/schema+json")
    )


def _summary(listed: queries.Listed) -> dict[str, Any]:
    row = listed.row
    return {
        "version": row.version,
        "state": listed.state,
        "effective_from": row.effective_from,
        "until": listed.until,
        "published_at": row.published_at,
        "actor": row.actor,
        "note": row.note,
    }


def _version(listed: queries.Listed) -> ProgramVersion:
    return ProgramVersion(**_summary(listed), document=listed.row.document)


def _draft(call: Call, row: ProgramDraft) -> Draft:
    return Draft(
        document=row.document,
        based_on=row.based_on,
        updated_at=row.updated_at,
        actor=row.actor,
        **_previewed(preview(call.session, call.shop_id, row.document)),
    )


def _verdict(seen: Preview) -> dict[str, Any]:
    return {"valid": not seen.errors, "errors": _faults(seen.errors), "warnings": _faults(seen.warnings)}


def _previewed(seen: Preview) -> dict[str, Any]:
    changes = [ProgramChange(kind=change.kind, field=change.field, text=change.text) for change in seen.changes]
    return {**_verdict(seen), "against": seen.against, "changes": changes}


def _faults(found: tuple[Fault, ...]) -> list[shapes.Fault]:
    return [shapes.Fault(field=fault.field, message=fault.reason) for fault in found]


def _tally(tally: Tally) -> ProgramTally:
    return ProgramTally(points=tally.points, by_rule=tally.by_rule, tiers=tally.tiers, cost=tally.cost)


def _published(published: operations.Published) -> Published:
    return Published(version=published.version, effective_from=published.effective_from)


OPERATIONS: tuple[Operation, ...] = (
    read_program,
    list_program_versions,
    read_program_version,
    withdraw_program_version,
    read_draft,
    save_draft,
    discard_draft,
    validate_program,
    preview_program,
    backtest_program,
    publish_program,
    roll_program_back,
)
