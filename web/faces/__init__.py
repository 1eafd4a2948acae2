"""What the three faces share: how a page is protected, how forms prove whose they are, how errors look to people.

A face is a blueprint that is `dressed`: its pages get a strict Content-Security-Policy, its forms a token of whoever
opened them, and what goes wrong a page or, for htmx, a notice that slides in. Components are Jinja macros in
`templates/faces/components.html`; `/styleguide` shows them all in development.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple, NoReturn

from flask import Blueprint, Flask, Response, render_template, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from core import logs
from core.config import settings
from core.errors import NotFound, RapportError, TooMany, Unavailable
from core.i18n import _
from web.faces import files, forms, policy, styleguide

log = logs.logger(__name__)

# Seconds that pages' own files may be kept. Their addresses carry the release, so that a new one is fetched at once.
FILES_KEPT = 365 * 24 * 3600


class Look(NamedTuple):
    """How a face shows what went wrong. `template` is given `title`, `text`, `status` and `again`, an address or None.

    `words` are titles and sentences by an error's code, for where the error's own sentence is not for its reader.
    """

    template: str
    words: Callable[[], dict[str, tuple[str, str]]] = dict


def register(app: Flask) -> None:
    """Give templates what every face's pages use, and the style guide where people develop."""
    app.jinja_env.globals |= {"file": files.address, "form_token": forms.token, "nonce": policy.nonce}
    app.after_request(_own_files)
    if settings().rapport_env != "production":
        app.register_blueprint(styleguide.guide)


def nowhere_here(rest: str) -> NoReturn:
    """An address under a face that is none of its pages is answered as people are, and not as programs."""
    raise NotFound(_("This page doesn't exist."))


def dress(
    blueprint: Blueprint,
    look: Look,
    *,
    allowed: Callable[[], policy.Allowed],
    nowhere: Callable[[str], Any] = nowhere_here,
) -> None:
    """Protect a face's pages and forms, and let it answer errors with pages.

    The blueprint sets `g.form_owner` before its requests: whose form it is, such as `staff:7:12`. A request that
    changes something without that owner's token is refused. `nowhere` answers what is no page of it.
    """
    blueprint.before_request(forms.legible)
    blueprint.before_request(forms.guard)

    @blueprint.after_request
    def _strict(response: Response) -> Response:
        return policy.apply(response, allowed())

    def refused(error: RapportError) -> Response:
        return _answer(look, error)

    def by_http(error: HTTPException) -> Response | HTTPException:
        if error.response is not None or not error.code or error.code < 400:
            return error
        return _answer(look, _Plain(error))

    def away(error: Exception) -> Response:
        log.warning("a page has no database", error=type(error).__name__)
        return _answer(look, Unavailable("The database does not answer.", code="away"))

    blueprint.register_error_handler(RapportError, refused)
    blueprint.register_error_handler(HTTPException, by_http)
    for unavailable in (OperationalError, InterfaceError, PoolTimeout):
        blueprint.register_error_handler(unavailable, away)
    blueprint.register_error_handler(Exception, _unexpected(look))
    blueprint.add_url_rule("/<path:rest>", "nowhere", nowhere)


class _Plain(RapportError):
    """A refusal of Werkzeug's own."""

    def __init__(self, error: HTTPException) -> None:
        status = HTTPStatus(error.code or 500)
        super().__init__(error.description or status.phrase, code=status.name.lower())
        self.status = status


def _unexpected(look: Look) -> Callable[[Exception], Response]:
    def answer(error: Exception) -> Response:
        log.error("unexpected error on a page", error=type(error).__name__, exc_info=error)
        return _answer(look, RapportError("Something went wrong on our side.", code="unexpected"))

    return answer


def _answer(look: Look, error: RapportError) -> Response:
    """A page that says what went wrong and what to do; to htmx only the notice, which leaves the page as it is."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("a page could not be shown", code=error.code, detail=error.detail)
    title, text = look.words().get(error.code) or ("", error.detail)
    status = int(error.status)
    shown: dict[str, Any] = {"title": title, "text": text, "status": status, "code": error.code}
    if request.headers.get("HX-Request") and not request.headers.get("HX-Boosted"):
        response = Response(render_template("faces/refused.html", **shown), status)
        response.headers |= {"HX-Retarget": "#notices", "HX-Reswap": "beforeend"}
    else:
        again = request.path if request.method == "GET" and status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
        response = Response(render_template(look.template, again=again, **shown), status)
    if isinstance(error, Unavailable | TooMany):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _own_files(response: Response) -> Response:
    """Styles and scripts may be used by a shop's theme, and kept for as long as their address names a version."""
    if request.endpoint == "static" and response.status_code in (200, 304):
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if "v" in request.args:
            response.headers["Cache-Control"] = f"public, max-age={FILES_KEPT}, immutable"
    return response


def is_partial() -> bool:
    """Whether htmx asks for a part of the page, and not by a link or form that it merely speeds up."""
    return bool(request.headers.get("HX-Request")) and not request.headers.get("HX-Boosted")
