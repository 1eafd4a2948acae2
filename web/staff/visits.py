"""Who stands at the counter now, and what may be done for them: a signed address that ends after a quarter of an hour.

It says how the member was found. A card's code that may not spend opens a visit that may not either, whatever is sent.
"""

from http import HTTPStatus
from typing import NamedTuple

from itsdangerous import BadSignature, URLSafeTimedSerializer

from core.config import settings
from core.errors import RapportError
from core.i18n import _
from wallet_passes import scanning
from wallet_passes.scanning import EARN, SPEND, Scan

LIVES = 15 * 60  # seconds
# How a member was found, beside the validities of scanned codes.
LOOKED_UP, ENROLLED = "looked_up", "enrolled"


class VisitOver(RapportError):
    """The visit was opened too long ago, by somebody else, or is no visit at all."""

    status = HTTPStatus.GONE
    code = "visit_over"


class Visit(NamedTuple):
    """A member at the counter. `found` is a validity of `scanning.MAY`, `looked_up` or `enrolled`."""

    shop_id: int
    staff_id: int
    member_id: int
    found: str

    @property
    def may_spend(self) -> bool:
        """A looked-up member is known by sight or by their phone: whoever serves them answers for that."""
        return self.found in (LOOKED_UP, ENROLLED) or SPEND in scanning.MAY.get(self.found, ())

    @property
    def may_earn(self) -> bool:
        return self.found in (LOOKED_UP, ENROLLED) or EARN in scanning.MAY.get(self.found, ())


def of_scan(shop_id: int, staff_id: int, found: Scan) -> Visit | None:
    """The visit a scanned code opens; None where it identifies nobody."""
    if found.member_id is None or scanning.IDENTIFY not in found.may:
        return None
    return Visit(shop_id, staff_id, found.member_id, found.validity)


def signed(visit: Visit) -> str:
    """The visit as a part of an address."""
    return _visits().dumps(list(visit))


def opened(text: str, shop_id: int, staff_id: int) -> Visit:
    """The visit of an address, for the person it was opened by. Raises VisitOver."""
    try:
        visit = Visit(*_visits().loads(text, max_age=LIVES))
    except (BadSignature, TypeError, ValueError):
        visit = None
    if visit is None or (visit.shop_id, visit.staff_id) != (shop_id, staff_id):
        raise VisitOver(_("That was a while ago. Scan the card again."))
    return visit


def _visits() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="staff visit")
