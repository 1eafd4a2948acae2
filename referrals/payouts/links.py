"""Links by which a payee opens their account at Stripe. Nobody can guess one or make one from an id."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from core import clock
from core.config import settings
from core.errors import NotFound, RapportError
from core.i18n import _

LIVES = 7 * 24 * 3600  # seconds
PATH = "/payouts/onboarding"


class BrokenLink(NotFound):
    """No link of ours: cut off, changed, or made up."""

    code = "link_broken"


class ExpiredLink(RapportError):
    """A link of ours, whose time is over."""

    status = HTTPStatus.GONE
    code = "link_expired"


class Link(NamedTuple):
    """Where a payee begins, and until when."""

    url: str
    expires_at: datetime


class Opened(NamedTuple):
    """Whom a link is for, and the country they were said to live in."""

    shop_id: int
    payee_id: int
    country: str | None


def link(shop_id: int, payee_id: int, country: str | None = None) -> Link:
    """A link to the page that leads to Stripe. Whoever has it can say where the money goes, so keep it theirs."""
    signed = _links().dumps([shop_id, payee_id, country])
    ends = clock.now().replace(microsecond=0) + timedelta(seconds=LIVES)
    return Link(f"{settings().app_url.rstrip('/')}{PATH}/{signed}", ends)


def opened(signed: str) -> Opened:
    """What a link says. Raises BrokenLink, ExpiredLink."""
    try:
        return Opened(*_links().loads(signed, max_age=LIVES))
    except SignatureExpired:
        raise ExpiredLink(_("this link has expired; ask the shop for a new one")) from None
    except (BadSignature, TypeError, ValueError):
        raise BrokenLink(_("this is no link of ours; was it cut off on its way?")) from None


def _links() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="payouts onboarding")
