"""The edge of the app over HTTP: the one map from errors to answers, request ids, metrics, and security headers."""

import re
import time
import uuid

import structlog
from flask import Flask, Response, g, json, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from core import logs, metrics
from core.errors import NotAuthenticated, RapportError, TooMany, Unavailable, problem

PROBLEM = "application/problem+json"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
# What becomes part of a shop's theme answers to the theme's policy: one of ours would stop the whole page's styles.
_PAGES = ("text/html", "application/liquid")
# Data is never a page: nothing in it may run, and nothing may frame it.
_DATA_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

log = logs.logger(__name__)


class Unexpected(RapportError):
    """What the caller hears of a fault of ours: the request id, by which the log tells the rest."""


def register(app: Flask) -> None:
    """Give the app its error answers, request ids, request metrics and headers."""
    app.before_request(_begin)
    app.after_request(_finish)
    app.register_error_handler(RapportError, answer)
    app.register_error_handler(HTTPException, _http_error)
    for unavailable in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(unavailable, _database_unavailable)
    app.register_error_handler(Exception, _unexpected)


def answer(error: RapportError) -> Response:
    """An error as its problem document, with the headers its status asks for."""
    body = problem(error) | {"request_id": g.get("request_id")}
    response = Response(json.dumps(body), int(error.status), mimetype=PROBLEM)
    if isinstance(error, Unavailable | TooMany):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, NotAuthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _http_error(error: HTTPException) -> Response | HTTPException:
    """Werkzeug's own refusals (404, 405, 413 …); redirects and ready-made answers pass as they are."""
    if error.response is not None or error.code is None or error.code < 400:
        return error
    body = {
        "type": "about:blank",
        "title": error.name,
        "status": error.code,
        "detail": error.description,
        "code": error.name.lower().replace(" ", "_"),
        "request_id": g.get("request_id"),
    }
    headers = [(name, value) for name, value in error.get_headers() if name != "Content-Type"]
    return Response(json.dumps(body), error.code, headers, mimetype=PROBLEM)


def _database_unavailable(error: Exception) -> Response:
    log.warning("the database did not answer", error=type(error).__name__, exc_info=error)
    return answer(Unavailable("the database did not answer; try again in a moment", code="database_unavailable"))


def _unexpected(error: Exception) -> Response:
    log.error("unexpected error", error=type(error).__name__, exc_info=error)
    return answer(Unexpected("something went wrong on our side; the request id helps us find it", code="unexpected"))


def _begin() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    g.started = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _finish(response: Response) -> Response:
    if "started" in g:
        endpoint = request.endpoint or "unmatched"
        metrics.REQUESTS.labels(endpoint, response.status_code).observe(time.perf_counter() - g.started)
        response.headers["X-Request-Id"] = g.request_id
    defaults = _HEADERS if response.mimetype in _PAGES else _HEADERS | _DATA_HEADERS
    for name, value in defaults.items():
        response.headers.setdefault(name, value)
    return response
