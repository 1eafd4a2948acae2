"""Links to a member's page that brings friends, for mails and pages. Nobody can guess one or make one from an id."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple

import sqlalchemy as sa
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from sqlalchemy.orm import Session

from core import clock
from core.config import settings
from core.errors import NotFound, RapportError
from core.i18n import _
from shops.models import Shop

LIVES = 30 * 24 * 3600  # seconds


class BrokenLink(NotFound):
    """No link of ours: cut off, changed, made up, or another shop's."""

    code = "link_broken"


class ExpiredLink(RapportError):
    """A link of ours, whose time is over."""

    status = HTTPStatus.GONE
    code = "link_expired"


class Link(NamedTuple):
    """Where a member brings friends, and until when."""

    url: str
    expires_at: datetime


def bring(shop: Shop, member_id: int) -> Link:
    """A link to the page on which this member passes their code on. It needs no sign-in, so keep it theirs."""
    signed = _links().dumps([shop.id, member_id])
    ends = clock.now().replace(microsecond=0) + timedelta(seconds=LIVES)
    return Link(f"{home(shop)}/bring/{signed}", ends)


def home(shop: Shop) -> str:
    """The address under which a shop's pages for friends are: `<APP_URL>/s/<myshopify name>`."""
    return f"{settings().app_url.rstrip('/')}/s/{shop.domain.removesuffix('.myshopify.com')}"


def opened(shop_id: int, signed: str) -> int:
    """The id of the member whose page it is. Raises BrokenLink, ExpiredLink."""
    try:
        owner, member_id = _links().loads(signed, max_age=LIVES)
    except SignatureExpired:
        raise ExpiredLink(_("this link has expired; open your rewards page for a new one")) from None
    except BadSignature:
        raise BrokenLink(_("this is no link to a page of ours; it may have been cut off")) from None
    if owner != shop_id:
        raise BrokenLink(_("this link is another shop's"))
    return int(member_id)


def _links() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="bring friends")


def shop_of(session: Session, name: str) -> Shop | None:
    """The shop whose pages are at `/s/<name>`; None where the app is not installed."""
    wanted = sa.select(Shop).where(Shop.domain == f"{name}.myshopify.com", Shop.uninstalled_at.is_(None))
    return session.scalar(wanted)
