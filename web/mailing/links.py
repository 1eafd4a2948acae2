"""The links of mails by which their readers end them, without signing in. They last as long as the mail does."""

from itsdangerous import BadSignature, URLSafeSerializer

from core.config import settings
from core.i18n import _
from referrals import links
from referrals.links import BrokenLink
from shops.models import Shop


def stop(shop: Shop, member_id: int) -> str:
    """Where this member ends the shop's mails, or has them again."""
    return f"{links.home(shop)}/mails/{_signer().dumps([shop.id, member_id])}"


def opened(shop_id: int, signed: str) -> int:
    """The id of the member whose link it is. Raises BrokenLink (also another shop's)."""
    try:
        owner, member_id = _signer().loads(signed)
    except (BadSignature, TypeError, ValueError):
        raise BrokenLink(_("this is no link to a page of ours; it may have been cut off")) from None
    if owner != shop_id:
        raise BrokenLink(_("this link is another shop's"))
    return int(member_id)


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(settings().secret_key.get_secret_value(), salt="member mails")
