"""Undo at the counter: a signed word of what was just done, good for a minute and for whoever did it."""

from http import HTTPStatus
from typing import NamedTuple

from itsdangerous import BadSignature, URLSafeTimedSerializer

from core.config import settings
from core.errors import RapportError
from core.i18n import _

# Seconds that the button shows, and that its answer may take on the way.
SHOWN, LIVES = 60, 75


class TooLate(RapportError):
    """The minute is over."""

    status = HTTPStatus.GONE
    code = "undo_over"


class Deed(NamedTuple):
    """What was done: a `reward` redeemed or points given for a `purchase`, by its id."""

    shop_id: int
    staff_id: int
    kind: str
    id: int


def signed(deed: Deed) -> str:
    return _deeds().dumps(list(deed))


def opened(text: str, shop_id: int, staff_id: int) -> Deed:
    """Raises TooLate."""
    try:
        deed = Deed(*_deeds().loads(text, max_age=LIVES))
    except (BadSignature, TypeError, ValueError):
        deed = None
    if deed is None or (deed.shop_id, deed.staff_id) != (shop_id, staff_id):
        raise TooLate(_("The minute for undoing is over. Whoever runs the shop can still put it right."))
    return deed


def _deeds() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="staff deed")
