"""`POST /hooks/reviews/<shop domain>`: a review app tells of a review that was written.

The raw body is signed with HMAC-SHA256 in hex under the shop's own secret, in `X-Rapport-Hmac-Sha256`. Judge.me signs
alike in `JUDGEME-HMAC-SHA256`, with the secret of its own webhook, and has a body of its own (its guide "Verifying
Webhooks"; review, reviewer and `product_external_id` as its API names them). Answers: 200 with what became of it,
202 for somebody who is no member (nothing is kept: there is nobody to keep it for), 400, 401, 413, 422, 503.
"""

import hashlib
import hmac
from http import HTTPStatus
from typing import Annotated, Any

from flask import Blueprint, Flask, Response, json, request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from sqlalchemy.orm import Session

from core import clock, crypto, i18n
from core.db import database
from core.errors import InvalidInput, NotAuthenticated, NotFound, RapportError
from loyalty import operations, queries
from loyalty.activities import operations as activities
from loyalty.activities.operations import NotEarned
from shops import hooks

BODY_LIMIT = 256 * 1024  # bytes
OURS, JUDGE_ME = "X-Rapport-Hmac-Sha256", "JUDGEME-HMAC-SHA256"
ACTOR = "review-app"
_MAX_ID = 2**63 - 1

Text = Annotated[str, Field(min_length=1, max_length=320, pattern=r"^[^\x00]*$")]


def _as_text(value: Any) -> Any:
    """Apps write ids as numbers and as text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value or None


def _or_none(value: Any) -> Any:
    """Nobody and nothing are written as null, "", 0 or -1."""
    return None if value in (None, "", 0, -1) else value


Named = Annotated[Text | None, BeforeValidator(_as_text)]
ShopifyId = Annotated[Annotated[int, Field(ge=1, le=_MAX_ID)] | None, BeforeValidator(_or_none)]


class BadRequest(RapportError):
    status = HTTPStatus.BAD_REQUEST
    code = "not_json"


class Review(BaseModel):
    """A review as we take it. The words of it stay with the review app."""

    model_config = ConfigDict(extra="ignore")

    review_id: Named = None
    customer_id: ShopifyId = None
    email: Named = None
    product_id: ShopifyId = None
    rating: Annotated[int, Field(ge=0, le=10)] | None = None
    photos: Annotated[int, Field(ge=0, le=1000)] = 0


def register(app: Flask) -> None:
    """Give the app its hooks."""
    blueprint = Blueprint("hooks", __name__, url_prefix="/hooks")
    i18n.speaks(blueprint, lambda: i18n.ENGLISH)
    blueprint.add_url_rule("/reviews/<domain>", "review", receive_review, methods=["POST"])
    app.register_blueprint(blueprint)


def receive_review(domain: str) -> Response:
    """Give the points of a review, once a product."""
    request.max_content_length = BODY_LIMIT
    body = request.get_data(cache=False)
    shop_id = _authenticated(domain, body)
    review = _review(body, from_judge_me=JUDGE_ME in request.headers)
    with database().transaction(shop_id) as session:
        status, told = _reward(session, shop_id, review)
    return Response(json.dumps(told), status, mimetype="application/json")


def _authenticated(domain: str, body: bytes) -> int:
    """The shop whose secret signed the body. Raises NotAuthenticated, alike for an unknown shop and a bad signature."""
    with database().transaction() as session:
        hook = hooks.review_hook(session, domain)
    secret = hook.secret if hook else crypto.random_secret()
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
    given = request.headers.get(OURS) or request.headers.get(JUDGE_ME) or ""
    # As bytes: comparing text raises for what is not ASCII.
    matches = hmac.compare_digest(given.strip().lower().encode("utf-8", "replace"), expected)
    if hook is None or not matches:
        raise NotAuthenticated("the signature does not match, or this shop takes no reviews")
    return hook.shop_id


def _review(body: bytes, *, from_judge_me: bool) -> Review:
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    if not isinstance(sent, dict):
        raise InvalidInput("the body is no review")
    try:
        return Review.model_validate(_of_judge_me(sent) if from_judge_me else sent)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        told = [{"field": ".".join(map(str, fault["loc"])), "message": fault["msg"]} for fault in faults]
        raise InvalidInput(f"{told[0]['field']}: {told[0]['message']}", errors=told) from None


def _of_judge_me(sent: dict[str, Any]) -> dict[str, Any]:
    """A review as Judge.me tells it: ids of Shopify are `external_id`, its own are `id`."""
    review = _part(sent, "review") or sent
    reviewer = _part(review, "reviewer")
    pictures = review.get("pictures")
    return {
        "review_id": review.get("id"),
        "customer_id": reviewer.get("external_id"),
        "email": reviewer.get("email"),
        "product_id": review.get("product_external_id"),
        "rating": review.get("rating"),
        "photos": len(pictures) if isinstance(pictures, list) else int(bool(review.get("has_published_pictures"))),
    }


def _part(sent: dict[str, Any], name: str) -> dict[str, Any]:
    value = sent.get(name)
    return value if isinstance(value, dict) else {}


def _reward(session: Session, shop_id: int, review: Review) -> tuple[int, dict[str, Any]]:
    member_id = _member(session, shop_id, review)
    if member_id is None:
        return 202, {"status": "not_a_member", "points": 0}
    told = review.model_dump(include={"review_id", "product_id", "rating", "photos"}, exclude_none=True)
    try:
        done = activities.review(session, shop_id, member_id, told, at=clock.now(), actor=ACTOR)
    except (NotEarned, NotFound) as refused:
        # Sent again it would be refused again: an answer that is no error keeps the app from trying.
        return 200, {"status": refused.code, "points": 0}
    return 200, {"status": "earned", "points": done.points}


def _member(session: Session, shop_id: int, review: Review) -> int | None:
    """The member the review names: by customer, else by an address that the shop has verified."""
    if review.customer_id:
        found = queries.members(session, shop_id, customer_id=review.customer_id, limit=1)
        if found:
            return found[0].id
    if review.email:
        email = review.email.strip().casefold()
        return operations.members_by_email(session, [(shop_id, email)]).get((shop_id, email))
    return None
