"""Who is signed in outside a shop's theme: links in mails that sign in, and the cookie that remembers.

A link and a cookie are worth a member's page for thirty days each, of one shop. Whoever has a link has the page, as
with any link in a mail.
"""

from flask import Response, request
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from core.config import settings
from core.i18n import _
from referrals import links
from referrals.links import BrokenLink, ExpiredLink
from shops.models import Shop

COOKIE = "rapport_rewards"
LIVES = 30 * 24 * 3600  # seconds, of links and of cookies


def home(shop: Shop) -> str:
    """The whole address of the shop's rewards page outside its theme."""
    return f"{links.home(shop)}/rewards"


def link(shop: Shop, member_id: int) -> str:
    """A link for a mail to this member: it signs in for thirty days from now."""
    return f"{home(shop)}/enter/{_signer('rewards link').dumps([shop.id, member_id])}"


def opened(shop_id: int, signed: str) -> int:
    """The id of the member whom a link signs in. Raises BrokenLink (also another shop's), ExpiredLink."""
    try:
        owner, member_id = _signer("rewards link").loads(signed, max_age=LIVES)
    except SignatureExpired:
        raise ExpiredLink(_("this link has expired; ask for a new one")) from None
    except (BadSignature, TypeError, ValueError):
        raise BrokenLink(_("this is no link to a page of ours; it may have been cut off")) from None
    if owner != shop_id:
        raise BrokenLink(_("this link is another shop's"))
    return int(member_id)


def remembered(domain: str) -> int | None:
    """The member whom the browser's cookie knows in this shop (by its domain)."""
    try:
        owner, member_id = _signer("rewards session").loads(request.cookies.get(COOKIE, ""), max_age=LIVES)
    except (BadSignature, TypeError, ValueError):
        return None
    return int(member_id) if owner == domain else None


def remember(response: Response, shop: Shop, member_id: int) -> None:
    """Have the browser stay signed in to this shop's pages, and to no other's."""
    response.set_cookie(
        COOKIE,
        _signer("rewards session").dumps([shop.domain, member_id]),
        max_age=LIVES,
        path=_path(shop.domain),
        secure=settings().app_url.startswith("https:"),
        httponly=True,
        samesite="Lax",
    )


def forget(response: Response, domain: str) -> None:
    """Sign the browser out."""
    response.delete_cookie(COOKIE, path=_path(domain))


def _path(domain: str) -> str:
    return f"/s/{domain.removesuffix('.myshopify.com')}/rewards"


def _signer(purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt=purpose)
