"""What goes wrong next on Shopify's routes, as tests plan it. Each planned fault spoils one request.

A fault with a `field` waits for a call of that root field of the Admin API; one without spoils whatever comes.

- `html`, `rate_limit`, `redirect` (to another host), `401`, `402`, `404`, `423`, `500`, `502`, `503`: answered at once,
  nothing is done.
- `rate_limit` says `retry_after` seconds.
- `throttle`: THROTTLED under HTTP 200.
- `delay`, and `timeout` as its older name: answered after `seconds`.
- `timeout_before`, `timeout_after`: after `seconds` the connection ends without an answer; before or after the call was
  carried out.
- `user_errors`: the field's payload is empty but for `user_errors`.
- `access_denied`: ACCESS_DENIED under HTTP 200.
- `bulk_fails`, `bulk_cut`, of the field `bulk`: a bulk operation fails half-way; its file ends within a line.
- `null`: the field is null under HTTP 200, and nothing says why.
"""

import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from flask import Response, request
from graphql import GraphQLError, OperationDefinitionNode

from sandbox.admin_api import Forced, checked, fields, schema
from sandbox.nodes import Node, user_error
from sandbox.orders import OrderError

STATUSES = ("401", "402", "404", "423", "500", "502", "503")
PLAIN = ("html", "rate_limit", "redirect", *STATUSES, "throttle", "delay", "timeout")
AIMED = ("timeout_before", "timeout_after", "user_errors", "access_denied", "null", "bulk_fails", "bulk_cut")


class UserError(msgspec.Struct, forbid_unknown_fields=True):
    message: str
    code: str | None = None
    field: list[str] = []


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    times: int = 1
    seconds: float = 30.0
    retry_after: float = 1.0
    field: str | None = None
    user_errors: list[UserError] = []


class Faults:
    def __init__(self) -> None:
        self.planned: list[Fault] = []

    def plan(self, fault: Fault) -> None:
        """Raises OrderError for what can't be planned."""
        if fault.kind not in PLAIN + AIMED:
            raise OrderError(f"Unknown fault {fault.kind}; choose one of {', '.join(PLAIN + AIMED)}.")
        if fault.kind in AIMED and not fault.field:
            raise OrderError(f"Say which root field {fault.kind} is for.")
        self.planned.extend([fault] * fault.times)

    def clear(self) -> None:
        self.planned.clear()

    def next(self, called: Iterable[str] | None = None) -> Fault | None:
        """The next fault without a field, or the next for one of the fields that are called."""
        names = {None} if called is None else set(called)
        for place, fault in enumerate(self.planned):
            if fault.field in names:
                return self.planned.pop(place)
        return None


def called_fields(query: str) -> list[str]:
    document, _ = checked(query)
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)] if document else []
    return [field.name.value for one in operations for field in fields(one.selection_set, {})]


def transport(fault: Fault) -> Response | None:
    """The answer of a server that did nothing, or None to go on."""
    if fault.kind in ("delay", "timeout"):
        time.sleep(fault.seconds)
    elif fault.kind == "html":
        return Response("<!doctype html><title>Store</title><h1>Just a moment</h1>", 200, mimetype="text/html")
    elif fault.kind == "rate_limit":
        return Response('{"errors":"Exceeded 2 calls per second"}', 429, {"Retry-After": str(fault.retry_after)})
    elif fault.kind == "redirect":
        return Response(status=301, headers={"Location": "https://elsewhere.example/"})
    elif fault.kind == "throttle":
        request.environ["sandbox.throttle"] = True
    elif fault.kind.isdigit():
        return Response('{"errors":"Internal Server Error"}', int(fault.kind), mimetype="application/json")
    return None


def forced(fault: Fault) -> dict[str, Forced]:
    """What the field answers in place of the store, for the kinds that are answered by GraphQL."""
    made: dict[str, Callable[[], Any]] = {
        "user_errors": lambda: refusal(fault),
        "access_denied": lambda: denied(fault.field or ""),
        "null": lambda: None,
    }
    return {fault.field or "": Forced(made[fault.kind])} if fault.kind in made else {}


def refusal(fault: Fault) -> Node:
    mutations = schema().mutation_type
    kind: Any = mutations.fields[fault.field or ""].type if mutations else None
    errors = [user_error(error.field, error.message, error.code) for error in fault.user_errors]
    return dict.fromkeys(kind.fields) | {"userErrors": errors}


def denied(field: str) -> Node:
    extensions = {"code": "ACCESS_DENIED", "documentation": "https://shopify.dev/api/usage/access-scopes"}
    raise GraphQLError(f"Access denied for {field} field.", extensions=extensions)


def hang_up(seconds: float) -> Response:
    """End the connection without an answer, as a network does that breaks."""
    time.sleep(seconds)
    request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return Response(status=204)
