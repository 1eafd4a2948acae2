"""`/flow/…`: what workflows in Shopify Flow have Rapport do. Flow signs the body, which names the shop and the run.

A run is carried out once, however often Flow sends it. What a workflow got wrong is a 4xx, which Flow shows to the
merchant and does not send again. Source: https://shopify.dev/docs/apps/build/flow/actions/endpoints
"""

import base64
import hmac
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from flask import Blueprint, Flask, Response, json, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.orm import Session

from core import clock
from core.config import settings
from core.db import database, open_shops
from core.errors import Conflict, InvalidInput, NotAuthenticated, NotFound
from loyalty import operations as ledger
from loyalty import queries as members
from loyalty.models import Member
from shops.queries import installed_shop
from tiers import operations as tiers
from tiers.queries import override_of
from wallet_passes.messages import operations as messages
from wallet_passes.messages.audience import Audience
from wallet_passes.messages.composing import Composed
from web import shopper
from web.api import idempotency
from web.api.idempotency import Answer

ACTOR = "flow"
MOST_BODY = 65_536  # bytes

actions = Blueprint("flow", __name__, url_prefix="/flow")
Words = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class Properties(BaseModel):
    """What every action is given. Flow sends numbers as numbers or as text."""

    model_config = ConfigDict(extra="ignore")

    customer_id: Annotated[int, Field(ge=1, le=2**63 - 1)]


class Points(Properties):
    points: int
    reason: Words


class Tier(Properties):
    tier: Annotated[str, Field(max_length=40)]
    reason: Words
    days: Annotated[int, Field(ge=1, le=3660)] | None = None


class Message(Properties):
    title: Words
    message: Annotated[str, Field(min_length=1, max_length=1000)]


class Call(BaseModel):
    """What Flow sends around them."""

    model_config = ConfigDict(extra="ignore")

    shopify_domain: Annotated[str, Field(max_length=100)]
    action_run_id: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-~]+$")]
    properties: dict[str, Any]


def register(app: Flask) -> None:
    """Give the app what workflows have it do."""
    app.register_blueprint(actions)


@actions.post("/give-points")
def give_points() -> Response:
    """Give a member points, or take them."""
    return _run(Points, _give)


def _give(session: Session, member: Member, asked: Points, run: str) -> dict[str, Any]:
    key = f"flow:{run}"
    if not members.posting_exists(session, member.shop_id, key):
        ledger.adjust(session, member.shop_id, member.id, asked.points, asked.reason, actor=ACTOR, key=key)
    return {"balance": members.member(session, member.shop_id, member.id).available}


@actions.post("/set-tier")
def set_tier() -> Response:
    """Give a member a tier by hand, for some days or without an end."""
    return _run(Tier, _tier)


def _tier(session: Session, member: Member, asked: Tier, run: str) -> dict[str, Any]:
    now = clock.now()
    held = override_of(session, member.shop_id, member.id, now)
    if held is None or held.tier_key != asked.tier or asked.days is not None:
        until = now + timedelta(days=asked.days) if asked.days else None
        tiers.override(
            session, member.shop_id, member.id, asked.tier, reason=asked.reason, until=until, actor=ACTOR
        )  # fmt: skip
    return {"tier": asked.tier}


@actions.post("/send-message")
def send_message() -> Response:
    """Show a message on a member's card. Without a card there is nothing to show it on, and no error."""
    return _run(Message, _say)


def _say(session: Session, member: Member, asked: Message, run: str) -> dict[str, Any]:
    composed = _composed(asked, Audience.model_validate({"members": [str(member.id)]}))
    attempt = session.begin_nested()
    try:
        row = messages.draft(session, member.shop_id, composed, actor=ACTOR)
        messages.send(session, member.shop_id, row.id, edits=None, actor=ACTOR)
    except Conflict as error:
        attempt.rollback()
        if error.code != "nobody":
            raise
        return {"sent": False}
    attempt.commit()
    return {"sent": True}


def _composed(asked: Message, audience: Audience) -> Composed:
    """Raises InvalidInput for what no card can show."""
    try:
        return Composed(title=asked.title, body=asked.message, audience=audience)
    except ValidationError as error:
        raise InvalidInput(_first(error), code="bad_message") from None


def _run(kind: type[Any], act: Callable[[Session, Member, Any, str], dict[str, Any]]) -> Response:
    """Carry an action out, once for each run. Raises NotAuthenticated, InvalidInput, NotFound."""
    body = _signed_body()
    call = _read(Call, body)
    asked = _read(kind, call.properties)
    with database().transaction() as session:
        shop = installed_shop(session, call.shopify_domain)
        open_shops(session, [shop.id])

        def work() -> Answer:
            member = shopper.member_of(session, shop.id, asked.customer_id)
            if member is None:
                raise NotFound("this customer is not a member", code="no_member")
            return Answer(200, act(session, member, asked, call.action_run_id))

        once = idempotency.Request(shop.id, f"flow:{call.action_run_id}", f"{request.path}\n{asked.model_dump_json()}")
        answer = idempotency.once(session, once, work)
    return Response(json.dumps(answer.content), answer.status, mimetype="application/json")


def _signed_body() -> bytes:
    """The raw body, if Shopify signed it under the app's secret or the one before. Raises NotAuthenticated."""
    request.max_content_length = MOST_BODY
    body, given = request.get_data(cache=False), request.headers.get("X-Shopify-Hmac-SHA256", "")
    right = [
        hmac.compare_digest(base64.b64encode(hmac.digest(secret, body, "sha256")), given.encode("utf-8", "replace"))
        for secret in settings().webhook_secrets
    ]
    if not any(right):
        raise NotAuthenticated("this call is not signed by Shopify")
    return body


def _read(kind: type[Any], sent: bytes | dict[str, Any]) -> Any:
    try:
        return kind.model_validate_json(sent) if isinstance(sent, bytes) else kind.model_validate(_plain(sent))
    except ValidationError as error:
        raise InvalidInput(_first(error), code="bad_properties") from None


def _plain(sent: dict[str, Any]) -> dict[str, Any]:
    """A field that a merchant left empty is not there; a customer may come as a Shopify id."""
    given = {name: value for name, value in sent.items() if value not in (None, "")}
    if isinstance(customer := given.get("customer_id"), str):
        given["customer_id"] = customer.rpartition("/")[2]
    return given


def _first(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}"
