"""Messages to members' cards over the API: written, tried out, scheduled, cancelled, and what followed from them."""

from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

from core import clock
from loyalty.models import Member
from loyalty.program import instant
from shops.models import Shop
from wallet_passes.messages import operations, queries
from wallet_passes.messages.audience import Audience
from wallet_passes.messages.composing import Composed
from wallet_passes.messages.models import STATES, MessageRecipient, WalletMessage
from wallet_passes.messages.queries import Response
from wallet_passes.messages.rules import LEFT, LIMITED, SHOWN, Limit, Shown
from wallet_passes.messages.texts import texts
from web.api import paging
from web.api.endpoint import Call, Operation, endpoint
from web.api.shapes import DEFAULT_LIMIT, After, Asked, Cursor, Id, Shape, whole
from web.api.shapes import Limit as PageLimit

_REFUSALS = (400, 404, 409, 413, 415, 422)
_OUTCOMES = (SHOWN, LIMITED, LEFT)

Whole = BeforeValidator(whole)
Edits = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1), Whole]


class MessageSummary(Shape):
    """A message and how far it has come."""

    id: Id
    title: str
    body: str
    link: str | None
    audience: Audience
    quiet: bool
    state: Annotated[str, Field(json_schema_extra={"enum": list(STATES)})]
    send_at: Annotated[datetime | None, Field(description="Null on a draft: at once when it is told to be sent.")]
    ends_at: Annotated[datetime | None, Field(description="Until when cards show it; null: until the next one.")]
    edits: Annotated[int, Field(description="Send it with your next change.")]
    total: Annotated[int, Field(description="Whom it was for when sending it began.")]
    shown: Annotated[int, Field(description="On how many cards it was put.")]
    limited: Annotated[int, Field(description="How many were held back, for they had had enough messages.")]
    left: Annotated[int, Field(description="How many had left the program.")]
    actor: str
    created_at: datetime
    started_at: datetime | None
    finished_at: Annotated[datetime | None, Field(description="When all had it, or it was cancelled.")]


class MessageList(Shape):
    items: list[MessageSummary]
    next: Cursor | None


class MessageTexts(Shape):
    """How cards say it: Apple Wallet on the back, as one text; Google Wallet with a header and a body."""

    apple: str
    announced: Annotated[str | None, Field(description="What a phone announces; null for a quiet one.")]
    google_header: str
    google_body: str


class Ordered(Shape):
    members: int
    ordered: Annotated[int, Field(description="How many of them ordered within the seven days after.")]


class MessageResults(Shape):
    """What followed. The two groups are not alike, for those held back had other messages just before."""

    told: Annotated[int, Field(description="Members of whom a wallet took the change.")]
    fetched: Annotated[int, Field(description="Members whose card an Apple device has fetched since.")]
    after_told: Annotated[Ordered, Field(description="Of those who were told.")]
    after_limited: Annotated[Ordered, Field(description="Of those who were held back, in the same days.")]
    until: Annotated[datetime | None, Field(description="Orders count until then; null before it was sent.")]


class WalletMessageDetails(MessageSummary):
    texts: MessageTexts
    results: MessageResults


class SampledMember(Shape):
    id: Id
    tier: str
    points: int


class MessagePreview(Shape):
    """Whom a message would reach as things stand now."""

    members: Annotated[int, Field(description="Members with a card in the audience.")]
    live: Annotated[int, Field(description="Those whose card is in a wallet at this moment.")]
    limited: Annotated[int, Field(description="Those it would be held back from.")]
    sample: Annotated[list[SampledMember], Field(description="A few of those it would be shown to.")]
    texts: MessageTexts


class Recipient(Shape):
    member_id: Id
    outcome: Annotated[str, Field(json_schema_extra={"enum": list(_OUTCOMES)})]
    at: datetime
    told_at: Annotated[datetime | None, Field(description="When a wallet took the change.")]


class RecipientPage(Shape):
    items: list[Recipient]
    next: Cursor | None


class MessageLimit(Shape):
    messages: int
    days: int


class MessageDeleted(Shape):
    deleted: bool


class NewMessage(Asked, Composed):
    """A message to members' cards. It is not sent until it is told to be."""


class MessageChange(Asked, Composed):
    """The message, whole, as it shall be."""

    edits: Annotated[Edits, Field(description="That of the message you read.")]


class MessageStart(Asked):
    edits: Annotated[Edits | None, Field(description="Refuse if it was changed since.")] = None


class NewMessageLimit(Asked):
    messages: Annotated[int, Field(strict=True, ge=1, le=50, description="To one member.")]
    days: Annotated[int, Field(strict=True, ge=1, le=90, description="In so many days.")]


class MessagesQuery(Asked):
    state: Annotated[str | None, Field(pattern=f"^({'|'.join(STATES)})$")] = None
    limit: PageLimit = DEFAULT_LIMIT
    cursor: After = None


class RecipientsQuery(Asked):
    outcome: Annotated[str | None, Field(pattern=f"^({'|'.join(_OUTCOMES)})$")] = None
    limit: PageLimit = DEFAULT_LIMIT
    cursor: After = None


@endpoint("GET", "/wallet/messages", problems=(400, 422))
def list_wallet_messages(call: Call, query: MessagesQuery) -> MessageList:
    """Messages to cards, newest first."""
    found = queries.messages(
        call.session,
        call.shop_id,
        state=query.state,
        before=paging.position(call.listing, query.cursor),
        limit=query.limit + 1,
    )
    rows, following = paging.cut(call.listing, found, query.limit, lambda row: row.id)
    return MessageList(items=[MessageSummary(**_summary(row)) for row in rows], next=following)


@endpoint("POST", "/wallet/messages", status=201, problems=(400, 413, 415, 422))
def create_wallet_message(call: Call, body: NewMessage) -> WalletMessageDetails:
    """Write a message as a draft.

    Tiers and members that don't exist are refused by name: `unknown_tiers`, `unknown_members`. `bad_time` says that it
    would be sent in the past, more than a year ahead, or not before it ends.
    """
    return _details(call, operations.draft(call.session, call.shop_id, body, actor=call.actor))


@endpoint("POST", "/wallet/messages/preview", problems=(400, 413, 415, 422))
def preview_wallet_message(call: Call, body: NewMessage) -> MessagePreview:
    """Whom a message would reach, and how cards would say it. Nothing is kept."""
    shop = _shop(call)
    operations.check_audience(call.session, call.shop_id, body.audience)
    at = instant(body.send_at, ZoneInfo(shop.timezone))
    said = Shown(0, body.title, body.body, body.link, quiet=body.quiet)
    return _preview(call, shop, body.audience, at, said)


@endpoint("GET", "/wallet/messages/<id:message_id>", problems=(404,))
def read_wallet_message(call: Call, message_id: int) -> WalletMessageDetails:
    """A message, how cards say it, and what has followed from it so far."""
    return _details(call, queries.find(call.session, call.shop_id, message_id))


@endpoint("PUT", "/wallet/messages/<id:message_id>", problems=_REFUSALS)
def change_wallet_message(call: Call, message_id: int, body: MessageChange) -> WalletMessageDetails:
    """Change a draft, or a message that is scheduled.

    Send the `edits` of the message you read, so that nobody's change is lost: 409 `message_changed` says that somebody
    was faster, 409 `message_state` that it is too late.
    """
    row = operations.edit(call.session, call.shop_id, message_id, body, edits=body.edits, actor=call.actor)
    return _details(call, row)


@endpoint("DELETE", "/wallet/messages/<id:message_id>", problems=(404, 409))
def delete_wallet_message(call: Call, message_id: int) -> MessageDeleted:
    """Forget a message that nobody got: a draft, or one that was cancelled in time."""
    operations.delete(call.session, call.shop_id, message_id)
    return MessageDeleted(deleted=True)


@endpoint("POST", "/wallet/messages/<id:message_id>/preview", problems=(400, 404))
def preview_kept_wallet_message(call: Call, message_id: int) -> MessagePreview:
    """Whom a message would reach as things stand now."""
    row = queries.find(call.session, call.shop_id, message_id)
    return _preview(call, _shop(call), Audience.model_validate(row.audience), row.send_at, _said(row))


@endpoint("POST", "/wallet/messages/<id:message_id>/send", problems=_REFUSALS)
def send_wallet_message(call: Call, message_id: int, body: MessageStart) -> WalletMessageDetails:
    """Have a draft sent: at its `send_at`, or within seconds where it has none.

    409 `nobody` when it would be sent at once and nobody with a card is in its audience.
    """
    row = operations.send(call.session, call.shop_id, message_id, edits=body.edits, actor=call.actor)
    return _details(call, row)


@endpoint("POST", "/wallet/messages/<id:message_id>/cancel", problems=(400, 404, 409))
def cancel_wallet_message(call: Call, message_id: int) -> WalletMessageDetails:
    """Send a message no further, and take it off the cards that show it. No phone announces that."""
    return _details(call, operations.cancel(call.session, call.shop_id, message_id, actor=call.actor))


@endpoint("GET", "/wallet/messages/<id:message_id>/recipients", problems=(400, 404, 422))
def list_wallet_message_recipients(call: Call, message_id: int, query: RecipientsQuery) -> RecipientPage:
    """What became of a message for each member, by their ids."""
    row = queries.find(call.session, call.shop_id, message_id)
    after = paging.position(call.listing, query.cursor) or 0
    found = queries.recipients(call.session, row, outcome=query.outcome, after=after, limit=query.limit + 1)
    rows, following = paging.cut(call.listing, found, query.limit, lambda row: row.member_id)
    return RecipientPage(items=[_recipient(row) for row in rows], next=following)


@endpoint("GET", "/wallet/message-limit")
def read_wallet_message_limit(call: Call) -> MessageLimit:
    """How many messages one member gets at most, in how many days."""
    return MessageLimit(**queries.limit_of(_shop(call))._asdict())


@endpoint("PUT", "/wallet/message-limit", problems=(400, 413, 415, 422))
def set_wallet_message_limit(call: Call, body: NewMessageLimit) -> MessageLimit:
    """Change how many messages one member gets at most. It holds at once, also for a message that is being sent."""
    operations.set_limit(call.session, call.shop_id, Limit(body.messages, body.days), actor=call.actor)
    return read_wallet_message_limit.view(call)  # type: ignore[return-value]


def _shop(call: Call) -> Shop:
    return call.session.get_one(Shop, call.shop_id)


def _summary(row: WalletMessage) -> dict[str, Any]:
    same = (
        "title", "body", "link", "quiet", "state", "send_at", "ends_at", "edits", "total", "shown", "limited", "actor",
        "created_at", "started_at", "finished_at",
    )  # fmt: skip
    audience = Audience.model_validate(row.audience)
    return {"id": str(row.id), "audience": audience, "left": row.gone, **{name: getattr(row, name) for name in same}}


def _details(call: Call, row: WalletMessage) -> WalletMessageDetails:
    found = queries.results(call.session, row)
    results = MessageResults(
        told=found.told,
        fetched=found.fetched,
        after_told=_ordered(found.after_told),
        after_limited=_ordered(found.after_limited),
        until=found.until,
    )
    return WalletMessageDetails(**_summary(row), texts=_texts(_said(row)), results=results)


def _ordered(response: Response) -> Ordered:
    return Ordered(members=response.members, ordered=response.ordered)


def _said(row: WalletMessage) -> Shown:
    return Shown(row.id, row.title, row.body, row.link, row.ends_at, row.quiet)


def _texts(said: Shown) -> MessageTexts:
    return MessageTexts(**texts(said)._asdict())


def _preview(call: Call, shop: Shop, audience: Audience, at: datetime | None, said: Shown) -> MessagePreview:
    now = clock.now()
    found = queries.reach(call.session, shop, audience, max(at or now, now))
    return MessagePreview(
        members=found.members,
        live=found.live,
        limited=found.limited,
        sample=[_sampled(member) for member in found.sample],
        texts=_texts(said),
    )


def _sampled(member: Member) -> SampledMember:
    return SampledMember(id=str(member.id), tier=member.tier_key, points=member.available)


def _recipient(row: MessageRecipient) -> Recipient:
    return Recipient(member_id=str(row.member_id), outcome=row.outcome, at=row.at, told_at=row.told_at)


OPERATIONS: tuple[Operation, ...] = (
    list_wallet_messages,
    create_wallet_message,
    preview_wallet_message,
    read_wallet_message,
    change_wallet_message,
    delete_wallet_message,
    preview_kept_wallet_message,
    send_wallet_message,
    cancel_wallet_message,
    list_wallet_message_recipients,
    read_wallet_message_limit,
    set_wallet_message_limit,
)
