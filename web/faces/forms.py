"""Forms prove whose they are: each carries a signed token of its owner, without which nothing is changed.

The owner is whoever the face has recognised (`g.form_owner`), so a form that another site sends in somebody's name, or
that was opened by somebody else, is refused.
"""

from http import HTTPStatus

from flask import g, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from markupsafe import Markup

from core.config import settings
from core.errors import InvalidInput, RapportError
from core.i18n import _

FIELD = "form_token"
HEADER = "X-Form-Token"
LIVES = 12 * 3600  # seconds
_SAFE = ("GET", "HEAD", "OPTIONS")


class StaleForm(RapportError):
    """The form was opened too long ago, by somebody else, or elsewhere."""

    status = HTTPStatus.FORBIDDEN
    code = "stale_form"


def token() -> Markup:
    """The hidden field of a form, for the request's owner. What is not recognised as anybody has no form."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, signed(g.get("form_owner", "")))


def signed(owner: str) -> str:
    """The token of an owner's forms."""
    return _forms().dumps(owner)


def legible() -> None:
    """Refuse a NUL character: nobody types one, and no row can hold it. Raises InvalidInput (`unreadable`)."""
    if any("\x00" in text for fields in (request.args, request.form) for text in fields.values()):
        raise InvalidInput(
            _("There is a character in this that can't be kept. Type it again, please."), code="unreadable"
        )


def number(text: str) -> int:
    """An id as a form or an address holds it; 0, which is no row's, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def guard() -> None:
    """Refuse what would change something without the owner's token. Raises StaleForm."""
    if request.method in _SAFE:
        return
    given = request.headers.get(HEADER) or request.form.get(FIELD, "")
    try:
        owner = _forms().loads(given, max_age=LIVES)
    except BadSignature:
        owner = None
    if owner is None or owner != g.get("form_owner", ""):
        raise StaleForm(_("This page was open for a long time, or in somebody else's name. Load it again, please."))


def _forms() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="faces' forms")
