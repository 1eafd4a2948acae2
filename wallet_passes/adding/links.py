"""Links to a member's card for mails and pages. Nobody can guess one or make one from an id."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from core import clock
from core.config import settings
from core.errors import NotFound, RapportError
from core.i18n import _

LIVES = 3 * 24 * 3600  # seconds


class BrokenLink(NotFound):
    """No link of ours: cut off, changed, or made up."""

    code = "link_broken"


class ExpiredLink(RapportError):
    """A link of ours, whose time is over. `shop_id` and `member_id` are whose it was."""

    status = HTTPStatus.GONE
    code = "link_expired"

    def __init__(self, shop_id: int, member_id: int) -> None:
        super().__init__("this link has expired; open your rewards page for a new one")
        self.shop_id = shop_id
        self.member_id = member_id


class Link(NamedTuple):
    """Where a member's card can be added to a phone, and until when."""

    url: str
    expires_at: datetime


class Opened(NamedTuple):
    """Whose card a link is for, and until when."""

    shop_id: int
    member_id: int
    expires_at: datetime


def link(shop_id: int, member_id: int) -> Link:
    """A link to the page that adds this member's card, to either wallet. It needs no sign-in, so keep it theirs."""
    signed = _links().dumps([shop_id, member_id])
    ends = clock.now().replace(microsecond=0) + timedelta(seconds=LIVES)
    return Link(f"{settings().app_url.rstrip('/')}/wallet/add/{signed}", ends)


def opened(signed: str) -> Opened:
    """What a link says. Raises BrokenLink, ExpiredLink."""
    try:
        (shop_id, member_id), made = _links().loads(signed, max_age=LIVES, return_timestamp=True)
    except SignatureExpired as late:
        raise ExpiredLink(*_links().load_payload(late.payload or b"")) from None
    except BadSignature:
        raise BrokenLink(_("this is no link to a card; it may have been cut off")) from None
    return Opened(shop_id, member_id, made.astimezone(UTC) + timedelta(seconds=LIVES))


def _links() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="wallet card")
