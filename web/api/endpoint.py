"""What every endpoint shares: the key, one transaction for one shop, parsing, idempotency, and the answer.

A view declares what it takes and gives by its annotations; the routes and the OpenAPI document both follow from them.
"""

import inspect
import json
import re
import typing
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Generic, TypeVar

import structlog
from flask import Response, request
from pydantic import BaseModel, ValidationError
from sqlalchemy.orm import Session
from werkzeug.routing import BaseConverter
from werkzeug.routing import ValidationError as NoMatch

from core import crypto
from core.db import database
from core.errors import InvalidInput, NotAuthenticated, RapportError
from shops import keys
from web.api import idempotency
from web.api.idempotency import Answer
from web.api.shapes import MAX_ID, Asked, Shape

IDEMPOTENCY_KEY = r"^[!-~]([ -~]{0,253}[!-~])?$"


class BadRequest(RapportError):
    status = HTTPStatus.BAD_REQUEST
    code = "bad_request"


class UnsupportedType(RapportError):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_media_type"


class IdConverter(BaseConverter):
    """An id in a path. What no row's id can be is not found."""

    regex = "[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        if int(value) > MAX_ID:
            raise NoMatch
        return int(value)


class KeyConverter(BaseConverter):
    """The key of a part of the program in a path."""

    regex = "[a-z0-9][a-z0-9-]{0,39}"


@dataclass(frozen=True)
class Call:
    """A request of a shop: its open session, who calls, and the listing that a cursor is bound to."""

    session: Session
    shop_id: int
    actor: str
    listing: str
    idempotency_key: str | None

    def fact_key(self, kind: str) -> str:
        """The key of the business fact this request makes, so that the ledger itself counts it once."""
        return f"{kind}:{crypto.digest(self.idempotency_key) if self.idempotency_key else uuid.uuid4().hex}"


@dataclass(frozen=True)
class File:
    """An answer that is no JSON, of the kind `media`. It is made once the transaction is over, for it may take long."""

    media: ClassVar[str]

    make: Callable[[], Response]


Late = TypeVar("Late", bound=Shape)


@dataclass(frozen=True)
class Later(Generic[Late]):
    """An answer that is made once the transaction is over, for somebody far away has to be asked."""

    make: Callable[[], Late]


@dataclass(frozen=True)
class Operation:
    """One endpoint as declared: `problems` lists the statuses it may refuse with besides 401 and 503."""

    method: str
    rule: str
    status: int
    problems: tuple[int, ...]
    view: Callable[..., Shape | File | Later[Any]]
    query: type[Asked] | None
    body: type[Asked] | None
    answer: type[Shape] | type[File]

    @property
    def name(self) -> str:
        return self.view.__name__

    def __call__(self, **path: int | str) -> Response:
        """Answer the current request. The answer is whole before the commit, and sent only after it."""
        token = _bearer_token()
        sent = _read_json(self.body.body_limit) if self.body else b""
        with database().transaction(keys.claimed_shop(token) or 0) as session:
            answer = self._work(self._authorised(session, token), path, sent)
        if isinstance(answer.content, File):
            return answer.content.make()
        content = answer.content.make().model_dump(mode="json") if isinstance(answer.content, Later) else answer.content
        response = Response(json.dumps(content, ensure_ascii=False), answer.status, mimetype="application/json")
        if answer.replayed:
            response.headers["Idempotency-Replayed"] = "true"
        return response

    def _authorised(self, session: Session, token: str) -> Call:
        key = keys.verify(session, token)
        if key is None:
            raise NotAuthenticated("this API key is unknown, was revoked, or its shop has left")
        structlog.contextvars.bind_contextvars(shop_id=key.shop_id)
        actor = f"api:{key.key_id}"
        return Call(session, key.shop_id, actor, _listing(key.shop_id), _idempotency_key(self.method))

    def _work(self, call: Call, path: dict[str, int | str], sent: bytes) -> Answer:
        given: dict[str, Any] = dict(path)
        if self.query:
            given["query"] = parse(self.query, lambda model: model.model_validate(request.args.to_dict()))
        if self.body:
            given["body"] = parse(self.body, lambda model: model.model_validate_json(sent))

        def work() -> Answer:
            made = self.view(call, **given)
            return Answer(self.status, made if isinstance(made, File | Later) else made.model_dump(mode="json"))

        if call.idempotency_key is None:
            return work()
        body = given["body"].model_dump_json() if self.body else ""
        asked = f"{request.method} {request.path}\n{body}"
        return idempotency.once(call.session, idempotency.Request(call.shop_id, call.idempotency_key, asked), work)


def endpoint(
    method: str, rule: str, *, status: int = 200, problems: Sequence[int] = ()
) -> Callable[[Callable[..., Shape | File | Later[Any]]], Operation]:
    """Declare a view `(call, <path ids>, query=…, body=…) -> Shape, File or Later` as an endpoint of the API."""

    def declare(view: Callable[..., Shape | File | Later[Any]]) -> Operation:
        hints = typing.get_type_hints(view)
        answer = hints["return"]
        answer = typing.get_args(answer)[0] if typing.get_origin(answer) is Later else answer
        return Operation(method, rule, status, tuple(problems), view, hints.get("query"), hints.get("body"), answer)

    return declare


def documentation(operation: Operation) -> tuple[str, str]:
    """The first line of a view's docstring, and the rest of it."""
    summary, _, rest = (inspect.getdoc(operation.view) or "").partition("\n")
    return summary, rest.strip()


def parse(model: type[Asked], read: Callable[[type[Asked]], BaseModel]) -> BaseModel:
    """What was sent, as `model`. Raises BadRequest for what is no JSON, InvalidInput with `errors` for a bad field."""
    try:
        return read(model)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    if faults[0]["type"] == "json_invalid":
        raise BadRequest("the body is not valid JSON", code="not_json")
    told = [{"field": ".".join(map(str, fault["loc"])) or "body", "message": fault["msg"]} for fault in faults]
    raise InvalidInput(f"{told[0]['field']}: {told[0]['message']}", errors=told)


def _bearer_token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or keys.claimed_shop(token.strip()) is None:
        raise NotAuthenticated("send your API key as `Authorization: Bearer <api_token>`")
    return token.strip()


def _read_json(limit: int) -> bytes:
    """The raw body, read before the database is bothered. Werkzeug refuses one beyond the limit (bytes)."""
    if request.mimetype != "application/json":
        raise UnsupportedType("send the body as application/json")
    request.max_content_length = limit
    return request.get_data(cache=False)


def _idempotency_key(method: str) -> str | None:
    key = request.headers.get("Idempotency-Key") if method == "POST" else None
    if key is not None and not re.match(IDEMPOTENCY_KEY, key):
        raise BadRequest("an Idempotency-Key has 1 to 255 printable ASCII characters", code="bad_idempotency_key")
    return key


def _listing(shop_id: int) -> str:
    filters = sorted((name, value) for name, value in request.args.items() if name not in ("cursor", "limit"))
    return f"{shop_id} {request.path} {filters}"
